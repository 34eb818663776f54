"""Reading the platform's logs for VMs in trouble: seldom, all at once, and provably whole."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from exporter.errors import VergeOSError
from exporter.recovery.cases import Case, Cause, Ruling
from exporter.recovery.detect import Logs
from exporter.recovery.logbook import LogReading
from exporter.recovery.picture import Picture
from exporter.recovery.ports import Cloud
from exporter.recovery.rules import DAY, HOUR, Rules

AGAIN_SHARE = 0.25
"""Of the time that a trouble lasts, between two readings of its logs."""
ANCHOR_AGAIN_SECONDS = 300.0
UNREAD = (Cause.LOGS_UNREAD, Cause.LOGS_INCOMPLETE, Cause.LOGS_UNCLEAR)


class Evidence:
    """
    What was read of the logs.

    An empty answer may mean that nothing happened, or that the log was cut, hidden or lost. So
    every request asks for one old row too, the anchor. Where that is missing, what the log says
    proves nothing from there on back; a new anchor vouches only for what comes after it.
    """

    def __init__(self, cloud: Cloud, rules: Rules) -> None:
        self._cloud = cloud
        self._rules = rules
        self._anchor: int | None = None
        self._anchor_due = 0.0
        self._heir: int | None = None
        """The row that becomes the anchor a day later: every row is cleared away in the end."""
        self._whole_since = 0.0
        """The platform's time from which on the log is known to be whole."""
        self._logs: dict[str, Logs] = {}
        self._read_for_others_at = float("-inf")
        self._last_first = False

    async def keep_anchor(self, picture: Picture, *, at: float) -> None:
        """Have an anchor before it is needed, a day or two old; the one before vouches for it."""
        if at < self._anchor_due:
            return
        self._anchor_due = at + ANCHOR_AGAIN_SECONDS
        with suppress(VergeOSError):  # whoever needs it asks again, and says what is wrong
            if self._anchor is not None:
                await self._read((), picture.clock or 0.0, picture)
                self._anchor = self._heir or self._anchor
            self._heir = await self._cloud.newest_log_key()
            self._anchor = self._anchor or self._heir
            self._anchor_due = at + DAY

    def of(self, uuid: str) -> Logs | None:
        """Return what was read last for a VM; None where nothing was."""
        return self._logs.get(uuid)

    def forget_all_but(self, uuids: Mapping[str, Case]) -> None:
        """Keep only what was read for VMs that are in trouble still."""
        self._logs = {uuid: logs for uuid, logs in self._logs.items() if uuid in uuids}

    def is_due(self, case: Case, *, at: float, to_act: bool) -> bool:
        """
        Return whether the logs are to be read for *case* now.

        Args:
            to_act: Whether they are the last thing that is looked at before something is done.

        """
        if case.judgement is None or case.trouble_at is None:
            return False
        logs = self._logs.get(case.uuid)
        if case.judgement.cause is Cause.LOGS_NOT_SETTLED:
            return at >= case.trouble_at + self._rules.log_settle_seconds
        if logs is None or to_act:
            return to_act
        # A stop may be logged late, so what is held is looked up again, ever more seldom.
        open_question = case.judgement.cause in UNREAD or case.judgement.ruling is Ruling.CRASHED
        return open_question and at - logs.read_at >= AGAIN_SHARE * (at - case.trouble_at)

    def some_of_others(self, cases: Sequence[Case], *, at: float) -> Sequence[Case]:
        """
        Return those of *cases*, from which nothing will follow, whose logs may be read now.

        Such as went down at about the same time, since one that is down for a month needs a
        month's log. Those that went down last and those that wait longest take turns.
        """
        if not cases or at - self._read_for_others_at < self._rules.log_others_seconds:
            return ()
        self._read_for_others_at = at
        self._last_first = not self._last_first
        clocks = [case.up_clock or 0.0 for case in cases]
        about = max(clocks) if self._last_first else min(clocks)
        return [case for case in cases if abs((case.up_clock or 0.0) - about) <= HOUR]

    def is_unread(self, case: Case, *, at: float) -> bool:
        """Return whether nobody has looked yet who made *case* stop, and the log has settled."""
        settled = at >= case.since + self._rules.log_settle_seconds
        return settled and case.up_clock is not None and case.uuid not in self._logs

    async def read(
        self, cases: Sequence[Case], picture: Picture, *, at: float, vouching: bool = True
    ) -> None:
        """
        Read the logs of *cases* and of their nodes, in one request.

        Args:
            vouching: Whether a row that is missing here makes the whole log doubtful.

        """
        machines = {case.machine for case in cases}
        for case in cases:
            node = picture.nodes.get(case.node or 0)
            if node is not None and node.machine is not None:
                machines.add(node.machine)
        dated = [self._since(case) for case in cases if case.up_clock is not None]
        since = min(dated, default=0.0)
        reading, problem = None, ""
        try:
            reading = await self._read(sorted(machines), since, picture, vouching=vouching)
        except VergeOSError as error:
            problem = f"the log cannot be read: {error}"
        for case in cases:
            mine = reading
            if mine is not None and self._since(case) < self._whole_since:
                mine = mine._replace(complete=False)
            self._logs[case.uuid] = Logs(mine, at, since, problem)

    def _since(self, case: Case) -> float:
        """Return the platform's time from which on the log speaks of *case*'s trouble."""
        return (case.up_clock or 0.0) - self._rules.log_before_seconds

    async def _read(
        self, machines: Sequence[int], since: float, picture: Picture, *, vouching: bool = True
    ) -> LogReading:
        if self._anchor is None:
            self._anchor = await self._cloud.newest_log_key()
        reading = await self._cloud.logs(machines, since, self._anchor)
        if vouching and not reading.complete:
            self._anchor = self._heir = None
            self._whole_since = picture.clock or 0.0
        return reading

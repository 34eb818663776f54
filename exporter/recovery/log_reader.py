"""Reads VergeOS' logs for VMs that are down: rarely, in one request, and provably complete."""

from collections.abc import Mapping, Sequence

from exporter.errors import VergeOSError
from exporter.recovery.detect.context import Logs
from exporter.recovery.model.cases import Case, Cause, DiagnosisKind
from exporter.recovery.model.limits import HOUR, Limits
from exporter.recovery.model.platform_log import LogMark, LogReading
from exporter.recovery.model.ports import Platform
from exporter.recovery.observe.inventory_checks import CheckedInventory

AGAIN_SHARE = 0.25
"""Of the time that a trouble lasts, between two readings of its logs."""
UNREAD = (Cause.LOGS_UNREAD, Cause.LOGS_INCOMPLETE, Cause.LOGS_UNCLEAR)


class LogReader:
    """
    What was read of the logs.

    An empty answer may mean that nothing happened, or that the log was cut, hidden or lost. So
    every request asks for one row too that is older than all that is wanted, the mark: the answer
    that has it goes back far enough, and where no such row is to be had, it proves nothing.
    """

    def __init__(self, platform: Platform, limits: Limits) -> None:
        self._platform = platform
        self._limits = limits
        self._mark: LogMark | None = None
        self._logs: dict[str, Logs] = {}
        self._read_for_others_at = float("-inf")
        self._last_first = False

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
        if case.diagnosis is None or case.trouble_at is None:
            return False
        logs = self._logs.get(case.uuid)
        if case.diagnosis.cause is Cause.LOGS_NOT_SETTLED:
            return at >= case.trouble_at + self._limits.log_settle_seconds
        if logs is None or to_act:
            return to_act
        # A stop may be logged late, so what is held is looked up again, ever more seldom.
        open_question = (
            case.diagnosis.cause in UNREAD or case.diagnosis.kind is DiagnosisKind.CRASHED
        )
        return open_question and at - logs.read_at >= AGAIN_SHARE * (at - case.trouble_at)

    def some_of_others(self, cases: Sequence[Case], *, at: float) -> Sequence[Case]:
        """
        Return those of *cases*, from which nothing will follow, whose logs may be read now.

        Such as went down at about the same time, since one that is down for a month needs a
        month's log. Those that went down last and those that wait longest take turns.
        """
        if not cases or at - self._read_for_others_at < self._limits.log_others_seconds:
            return ()
        self._read_for_others_at = at
        self._last_first = not self._last_first
        clocks = [case.up_clock or 0.0 for case in cases]
        about = max(clocks) if self._last_first else min(clocks)
        return [case for case in cases if abs((case.up_clock or 0.0) - about) <= HOUR]

    def is_unread(self, case: Case, *, at: float) -> bool:
        """Return whether the log has settled and was not read yet for *case*."""
        settled = at >= case.since + self._limits.log_settle_seconds
        return settled and case.up_clock is not None and case.uuid not in self._logs

    async def read(self, cases: Sequence[Case], inventory: CheckedInventory, *, at: float) -> None:
        """Read the logs of *cases* and of their nodes, in one request."""
        machines = {case.machine for case in cases}
        for case in cases:
            node = inventory.nodes.get(case.node or 0)
            if node is not None and node.machine is not None:
                machines.add(node.machine)
        dated = [self._since(case) for case in cases if case.up_clock is not None]
        since = min(dated, default=0.0)
        reading, problem = None, ""
        try:
            reading = await self._read(sorted(machines), since)
        except VergeOSError as error:
            problem = f"the log cannot be read: {error}"
        for case in cases:
            self._logs[case.uuid] = Logs(reading, at, since, problem)

    def _since(self, case: Case) -> float:
        """Return VergeOS' time from which on the log speaks of *case*'s trouble."""
        return (case.up_clock or 0.0) - self._limits.log_before_seconds

    async def _read(self, machines: Sequence[int], since: float) -> LogReading:
        mark = self._mark
        if mark is not None and mark.at < since:
            reading = await self._platform.logs(machines, since, mark)
            if reading.complete:
                return reading
            # Every row is cleared away in the end; perhaps that was the turn of this one.
        mark = await self._platform.log_mark(since)
        reading = await self._platform.logs(machines, since, mark)
        self._mark = mark if reading.complete else None
        return reading

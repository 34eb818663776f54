"""The row that vouches for the log: never younger than what is asked for, and never forgotten."""

from collections.abc import Sequence

from msgspec.structs import replace

from exporter.recovery.cases import Action, Case, Sight
from exporter.recovery.evidence import Evidence
from exporter.recovery.logbook import LogReading, LogRow
from exporter.recovery.picture import Picture
from exporter.recovery.ports import Answer, FreshVM
from exporter.recovery.rules import DAY, Rules
from exporter.recovery.states import State
from tests.fakes import START
from tests.recovery.shortcut import Shortcut
from tests.recovery.theatre import Theatre, at_once

MACHINE = 11


class ForgetfulLog:
    """A log of one row an hour, which keeps none for longer than 45 days."""

    why_not = ""

    def __init__(self) -> None:
        self.clock = 100 * DAY
        self.watched = 0.0
        self.kept = 45 * DAY

    def _keys(self) -> range:
        return range(int((self.clock - self.kept) // 3600), int(self.clock // 3600) + 1)

    async def logs(
        self, machines: Sequence[int], since: float, anchor: int | None, /
    ) -> LogReading:
        rows = tuple(
            LogRow(key, MACHINE, key * 3600.0, "message", "VM 'x' is responsive again", "system")
            for key in self._keys()
            if key * 3600.0 >= since
        )
        return LogReading(rows, complete=anchor in self._keys())

    async def newest_log_key(self) -> int | None:
        return self._keys()[-1]

    async def look(self, vm_key: int, /) -> FreshVM | None:
        raise AssertionError

    async def act(self, vm_key: int, action: Action, /) -> Answer:
        raise AssertionError


def picture(log: ForgetfulLog) -> Picture:
    snapshot = Shortcut(Theatre(vms=2).world).poll(asked_at=0.0, time=START, every=20.0).snapshot
    assert snapshot is not None
    return Picture(0.0, START, log.clock, 0.0, {}, {}, 0, 0, snapshot)


def is_whole(evidence: Evidence, log: ForgetfulLog) -> bool:
    """Return whether the log proves anything of a VM that died a minute ago."""
    case = Case(
        uuid="u",
        key=1,
        machine=MACHINE,
        name="web-01",
        state=State.SUSPECT,
        since=0.0,
        sight=Sight.DOWN,
        up_clock=log.clock - 60,
    )
    at_once(evidence.read([case], picture(log), at=0.0))
    logs = evidence.of("u")
    assert logs is not None
    assert logs.reading is not None
    return logs.reading.complete


def days_pass(evidence: Evidence, log: ForgetfulLog, days: int) -> None:
    for _ in range(days):
        log.clock += DAY
        log.watched += DAY
        at_once(evidence.keep_anchor(picture(log), at=log.watched))


def test_the_first_crash_after_a_year_of_calm_finds_a_log_that_can_be_believed() -> None:
    log = ForgetfulLog()
    evidence = Evidence(log, Rules())

    days_pass(evidence, log, 365)

    assert is_whole(evidence, log)


def test_a_log_that_was_emptied_proves_nothing_of_what_was_before() -> None:
    log = ForgetfulLog()
    evidence = Evidence(log, Rules())
    days_pass(evidence, log, 3)
    assert is_whole(evidence, log)

    log.kept = 10.0
    log.clock += DAY

    assert not is_whole(evidence, log)


def test_a_log_that_was_emptied_in_a_calm_is_noticed_there_too() -> None:
    log = ForgetfulLog()
    evidence = Evidence(log, Rules())
    days_pass(evidence, log, 3)

    log.kept = 10.0
    days_pass(evidence, log, 1)

    assert not is_whole(evidence, log)


def stranger(up_clock: float) -> Case:
    return Case(
        uuid=f"down since {up_clock}",
        key=1,
        machine=MACHINE,
        name="stranger",
        state=State.SUSPECT,
        since=0.0,
        sight=Sight.DOWN,
        up_clock=up_clock,
    )


def test_whose_log_of_a_month_is_wanted_waits_for_those_that_went_down_just_now() -> None:
    log = ForgetfulLog()
    evidence = Evidence(log, Rules())
    old, new = stranger(log.clock - 30 * DAY), stranger(log.clock - 60.0)

    assert evidence.some_of_others([old, new], at=0.0) == [new]
    assert evidence.some_of_others([old], at=60.0) == ()
    assert evidence.some_of_others([old], at=120.0) == [old]


def test_a_vm_that_nobody_can_date_does_not_have_the_whole_log_read_for_the_others() -> None:
    log = ForgetfulLog()
    evidence = Evidence(log, Rules())
    dated, undated = stranger(log.clock - 60.0), replace(stranger(0.0), up_clock=None)

    at_once(evidence.read([dated, undated], picture(log), at=0.0))

    logs = evidence.of(dated.uuid)
    assert logs is not None
    assert logs.since_clock == log.clock - 60.0 - Rules().log_before_seconds

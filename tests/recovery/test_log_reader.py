"""The row that vouches for the log: always older than what is asked for."""

from collections.abc import Sequence

from msgspec.structs import replace

from exporter.recovery.log_reader import LogReader
from exporter.recovery.model.cases import Action, Case, ObservedState
from exporter.recovery.model.limits import DAY, Limits
from exporter.recovery.model.platform_log import LogMark, LogReading, LogRow
from exporter.recovery.model.ports import ActionReply, FreshVM
from exporter.recovery.model.states import State
from exporter.recovery.observe.inventory_checks import CheckedInventory
from tests.fakes import START
from tests.recovery.harness import Harness, at_once
from tests.recovery.shortcut import Shortcut

MACHINE = 11


class ForgetfulLog:
    """A log of one row an hour, which keeps none for longer than 45 days."""

    read_only_reason = ""

    def __init__(self) -> None:
        self.clock = 100 * DAY
        self.kept = 45 * DAY
        self.is_garbled = False
        """Whether a row of each answer cannot be read."""
        self.most = 10_000
        """Rows of an answer, after which a proxy cuts it."""
        self.asked: list[str] = []

    def _keys(self) -> range:
        return range(int((self.clock - self.kept) // 3600), int(self.clock // 3600) + 1)

    async def logs(
        self, machines: Sequence[int], since: float, mark: LogMark | None, /
    ) -> LogReading:
        self.asked.append("logs")
        wanted = [
            LogRow(key, MACHINE, key * 3600.0, "message", "VM 'x' is responsive again", "system")
            for key in self._keys()
            if key * 3600.0 >= since or (mark is not None and key == mark.key)
        ][-self.most :]
        rows = tuple(row for row in wanted if row.at >= since)
        found = mark is not None and mark.key in {one.key for one in wanted}
        return LogReading(rows, complete=found and not self.is_garbled)

    async def log_mark(self, before: float, /) -> LogMark | None:
        self.asked.append("mark")
        older = [key for key in self._keys() if key * 3600.0 < before]
        return LogMark(older[-1], older[-1] * 3600.0) if older else None

    async def read_vm(self, vm_key: int, /) -> FreshVM | None:
        raise AssertionError

    async def act(self, vm_key: int, action: Action, /) -> ActionReply:
        raise AssertionError


def inventory(log: ForgetfulLog) -> CheckedInventory:
    inventory = Shortcut(Harness(vms=2).world).poll(asked_at=0.0, time=START, every=20.0).inventory
    assert inventory is not None
    return CheckedInventory(0.0, START, log.clock, 0.0, {}, {}, 0, 0, inventory)


def is_whole(evidence: LogReader, log: ForgetfulLog, *, up_ago: float = 60.0) -> bool:
    """Return whether the log proves anything of a VM that was last up some time ago."""
    case = Case(
        uuid="u",
        key=1,
        machine=MACHINE,
        name="web-01",
        state=State.SUSPECT,
        since=0.0,
        observed=ObservedState.DOWN,
        up_clock=log.clock - up_ago,
    )
    at_once(evidence.read([case], inventory(log), at=0.0))
    logs = evidence.of("u")
    assert logs is not None
    assert logs.reading is not None
    return logs.reading.complete


def test_log_that_goes_back_far_enough_is_complete() -> None:
    assert is_whole(LogReader(ForgetfulLog(), Limits()), ForgetfulLog())


def test_anchor_row_covers_all_newer_rows() -> None:
    log = ForgetfulLog()
    evidence = LogReader(log, Limits())

    assert is_whole(evidence, log)
    log.clock += DAY
    assert is_whole(evidence, log)
    assert log.asked == ["mark", "logs", "logs"]


def test_incomplete_log_does_not_triple_the_requests() -> None:
    log = ForgetfulLog()
    log.is_garbled = True
    evidence = LogReader(log, Limits())

    assert not is_whole(evidence, log)
    assert not is_whole(evidence, log)
    assert log.asked == ["mark", "logs", "mark", "logs"]


def test_anchor_row_newer_than_the_requested_time_proves_nothing() -> None:
    log = ForgetfulLog()
    evidence = LogReader(log, Limits())

    assert is_whole(evidence, log)
    assert is_whole(evidence, log, up_ago=30 * DAY)
    assert log.asked == ["mark", "logs", "mark", "logs"]


def test_deleted_anchor_row_is_replaced() -> None:
    log = ForgetfulLog()
    evidence = LogReader(log, Limits())
    assert is_whole(evidence, log)

    log.clock += 365 * DAY

    assert is_whole(evidence, log)


def test_emptied_log_proves_nothing_before_it() -> None:
    log = ForgetfulLog()
    evidence = LogReader(log, Limits())
    assert is_whole(evidence, log, up_ago=DAY)

    log.kept = 10.0

    assert not is_whole(evidence, log, up_ago=DAY)
    log.kept = 2 * DAY
    assert is_whole(evidence, log)
    assert not is_whole(evidence, log, up_ago=3 * DAY)


def test_truncated_response_proves_nothing_about_missing_rows() -> None:
    log = ForgetfulLog()
    log.most = 100

    assert is_whole(LogReader(log, Limits()), log, up_ago=3 * DAY)
    assert not is_whole(LogReader(log, Limits()), log, up_ago=5 * DAY)


def stranger(up_clock: float) -> Case:
    return Case(
        uuid=f"down since {up_clock}",
        key=1,
        machine=MACHINE,
        name="stranger",
        state=State.SUSPECT,
        since=0.0,
        observed=ObservedState.DOWN,
        up_clock=up_clock,
    )


def test_long_log_read_waits_for_vms_that_just_went_down() -> None:
    log = ForgetfulLog()
    evidence = LogReader(log, Limits())
    old, new = stranger(log.clock - 30 * DAY), stranger(log.clock - 60.0)

    assert evidence.some_of_others([old, new], at=0.0) == [new]
    assert evidence.some_of_others([old], at=60.0) == ()
    assert evidence.some_of_others([old], at=120.0) == [old]


def test_undated_vm_does_not_extend_the_log_read_for_others() -> None:
    log = ForgetfulLog()
    evidence = LogReader(log, Limits())
    dated, undated = stranger(log.clock - 60.0), replace(stranger(0.0), up_clock=None)

    at_once(evidence.read([dated, undated], inventory(log), at=0.0))

    logs = evidence.of(dated.uuid)
    assert logs is not None
    assert logs.since_clock == log.clock - 60.0 - Limits().log_before_seconds

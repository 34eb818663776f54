"""The tail of both logs: what one read brings, and when its rows are complete."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from exporter.errors import UnreachableError
from exporter.recovery import log_tail
from exporter.recovery.detect.context import Evidence
from exporter.recovery.log_tail import MANY, MAX_EVIDENCE_ROWS, LogTail, Subject, subject_of
from exporter.recovery.model.cases import Case, ObservedState
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import (
    LogPosition,
    LogReading,
    LogRow,
    LogTable,
    PositionRead,
)
from exporter.recovery.model.ports import Platform
from exporter.recovery.model.states import State
from tests.recovery.harness import at_once

MACHINE, NODE = 11, 33
VMS = frozenset({"web-01", "db-01"})
PLACES: list[Subject] = [("machine", NODE), ("node", "node3")]
LIMITS = Limits()


@dataclass
class ScriptedLog:
    """Two logs to which a test adds rows."""

    rows: list[LogRow] = field(default_factory=list)
    asked: list[tuple[LogTable, int]] = field(default_factory=list)
    is_garbled: bool = False
    """Whether a row of each answer cannot be read."""
    fails: bool = False
    most: int = 10**6
    """Rows of an answer, after which a proxy cuts it."""

    async def log_rows(self, table: LogTable, since: int, limit: int, /) -> LogReading:
        self.asked.append((table, since))
        if self.fails:
            raise UnreachableError("connection refused")
        rows = [row for row in self.rows if row.table is table and row.key >= since]
        rows = rows[-min(limit, self.most) :]
        has_oldest = not since or since in {row.key for row in rows}
        return LogReading(
            rows,
            complete=has_oldest and not self.is_garbled,
            is_gapless=bool(rows) and not self.is_garbled,
        )

    def write(
        self, text: str = "x", *, machine: int | None = MACHINE, at: float = 0.0, name: str = ""
    ) -> int:
        """Add a row about a machine, or to the system log."""
        table = LogTable.LOGS if machine is None else LogTable.MACHINE_LOGS
        key = 1 + max((row.key for row in self.rows if row.table is table), default=0)
        kind = "vm" if name else ""
        row = LogRow(table=table, key=key, at=at, text=text, machine=machine,
                     object_type=kind, object_name=name)  # fmt: skip
        self.rows.append(row)
        return key


def follow(log: ScriptedLog) -> LogTail:
    platform: Platform = log  # type: ignore[assignment]
    return LogTail(platform, LIMITS)


@pytest.fixture
def log() -> ScriptedLog:
    written = ScriptedLog()
    for age in (9000.0, 800.0, 750.0, 10.0, 0.0):
        written.write("old", at=10_000.0 - age)
        written.write("old", machine=None, at=10_000.0 - age)
    return written


def down(since: LogPosition | None, *, name: str = "web-01", uuid: str = "u") -> Case:
    return Case(
        uuid=uuid,
        key=1,
        machine=MACHINE,
        name=name,
        state=State.SUSPECT,
        since=0.0,
        observed=ObservedState.DOWN,
        log_from=since,
    )


def read(tail: LogTail, at: float) -> None:
    at_once(tail.read(VMS, at=at))


def texts(evidence: Evidence | None) -> Sequence[str]:
    assert evidence is not None
    assert not evidence.gap
    return [row.text for row in evidence.rows]


def test_nothing_is_known_before_the_first_read(log: ScriptedLog) -> None:
    assert follow(log).evidence(down(LogPosition(1, 1)), PLACES) is None


def test_first_read_gives_a_position_before_the_window_of_evidence(log: ScriptedLog) -> None:
    tail = follow(log)

    read(tail, 1000.0)

    assert tail.positions == (
        PositionRead(370.0, LogPosition(3, 3)), PositionRead(1000.0, LogPosition(5, 5))
    )  # fmt: skip


@pytest.mark.parametrize("every", [10, 120, 300])
def test_a_position_before_the_window_is_known_at_any_time_since_the_start(
    log: ScriptedLog, every: int
) -> None:
    tail = follow(log)

    for at in range(1000, 4000, every):
        log.write("noise", machine=99)
        read(tail, float(at))
        from_then = tail.position_at(at - LIMITS.log_before_seconds)

        assert from_then is not None
        case = down(from_then, uuid=f"since {at}")
        assert set(texts(tail.evidence(case, PLACES))) <= {"old"}


def test_later_read_asks_from_the_position_before_the_last(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    log.write("new")
    read(tail, 1120.0)
    log.asked.clear()

    read(tail, 1240.0)

    assert log.asked == [(LogTable.MACHINE_LOGS, 5), (LogTable.LOGS, 5)]


def test_rows_concern_the_vm_its_node_or_no_single_object(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    log.write("of the VM")
    log.write("of its node", machine=NODE)
    log.write("of another machine", machine=99)
    log.write("named", machine=None, name="web-01")
    log.write("of another VM", machine=None, name="db-01")
    log.write("of a VM that is not known", machine=None, name="gone-01")
    log.write("of many", machine=None)
    case = down(LogPosition(5, 5))
    assert texts(tail.evidence(case, PLACES)) == []

    read(tail, 1120.0)

    assert texts(tail.evidence(case, PLACES)) == [
        "named", "of a VM that is not known", "of many", "of the VM", "of its node"
    ]  # fmt: skip


def test_row_that_appears_after_newer_ones_is_read(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    late = log.write("late")
    row = log.rows.pop()
    log.rows.append(LogRow(table=row.table, key=late + 1, at=0.0, text="next", machine=MACHINE))
    read(tail, 1120.0)
    case = down(LogPosition(5, 5))
    assert texts(tail.evidence(case, PLACES)) == ["next"]

    log.rows.insert(-1, row)
    read(tail, 1240.0)

    assert texts(tail.evidence(case, PLACES)) == ["late", "next"]


@pytest.mark.parametrize("what", ["lost", "garbled", "cut"])
def test_read_with_missing_rows_breaks_the_proof(log: ScriptedLog, what: str) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    read(tail, 1120.0)
    for _ in range(20):
        log.write("new")
    if what == "lost":
        log.rows = [row for row in log.rows if row.text == "new"]
    log.is_garbled = what == "garbled"
    log.most = 10 if what == "cut" else log.most

    read(tail, 1240.0)

    evidence = tail.evidence(down(LogPosition(5, 5)), PLACES)
    assert evidence is not None
    assert "without a gap" in evidence.gap


def test_proof_holds_again_after_the_gap(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    log.is_garbled = True
    read(tail, 1120.0)
    log.is_garbled = False
    log.write("after")
    read(tail, 1240.0)

    assert texts(tail.evidence(down(LogPosition(5, 5)), PLACES)) == ["after"]


def test_failed_read_is_a_problem_and_is_repeated_sooner(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    log.fails = True
    read(tail, 1120.0)

    evidence = tail.evidence(down(LogPosition(5, 5)), PLACES)

    assert evidence is not None
    assert "connection refused" in evidence.problem
    assert not tail.is_due(at=1149.9)
    assert tail.is_due(at=1150.0)


def test_rows_of_a_vm_that_is_down_outlast_the_rest(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    log.write("the reason")
    read(tail, 1120.0)
    case, later = down(LogPosition(5, 5)), down(LogPosition(5, 5), uuid="v")
    tail.evidence(case, PLACES)

    for at in range(1240, 10_000, 120):
        log.write("noise", machine=99)
        read(tail, float(at))

    assert texts(tail.evidence(case, PLACES)) == ["the reason"]
    forgotten = tail.evidence(later, PLACES)
    assert forgotten is not None
    assert forgotten.gap


def test_rows_kept_for_an_earlier_outage_are_none_of_the_next(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    first = tail.newest
    log.write("a stop")
    read(tail, 1020.0)
    assert texts(tail.evidence(down(first), PLACES)) == ["a stop"]

    later = tail.newest
    log.write("a crash")
    read(tail, 1040.0)

    assert texts(tail.evidence(down(later), PLACES)) == ["a crash"]


def test_too_many_rows_prove_nothing(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    for _ in range(MAX_EVIDENCE_ROWS):
        log.write("again")
    read(tail, 1120.0)

    evidence = tail.evidence(down(LogPosition(5, 5)), PLACES)

    assert evidence is not None
    assert str(MAX_EVIDENCE_ROWS) in evidence.gap


def test_next_process_continues_from_the_oldest_position_that_is_needed(
    log: ScriptedLog,
) -> None:
    tail = follow(log)
    tail.resume([PositionRead(900.0, LogPosition(4, 4))], [LogPosition(2, 3)])
    log.write("the reason")

    read(tail, 1000.0)

    assert log.asked == [(LogTable.MACHINE_LOGS, 2), (LogTable.LOGS, 3)]
    assert texts(tail.evidence(down(LogPosition(5, 5)), PLACES)) == ["the reason"]


@pytest.mark.parametrize("why", ["limit", "pruned"])
def test_evidence_begins_with_the_oldest_row_that_a_read_without_a_gap_has(
    log: ScriptedLog, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    for _ in range(20):
        log.write("since then")
        log.write("since then", machine=None)
    if why == "limit":
        monkeypatch.setattr(log_tail, "MAX_ROWS", 10)
    else:
        log.rows = [row for row in log.rows if row.key > 15]
    tail = follow(log)
    tail.resume([PositionRead(900.0, LogPosition(20, 20))], [LogPosition(2, 2)])

    read(tail, 1000.0)

    for key, has_gap in {2: True, 15: True, 16: False, 20: False}.items():
        evidence = tail.evidence(down(LogPosition(key, key), uuid=f"since {key}"), PLACES)
        assert evidence is not None
        assert bool(evidence.gap) is has_gap, key


def test_read_that_is_garbled_proves_nothing_from_its_oldest_row_on(log: ScriptedLog) -> None:
    for _ in range(20):
        log.write("since then")
    log.rows = [row for row in log.rows if row.key > 15 or row.table is LogTable.LOGS]
    log.is_garbled = True
    tail = follow(log)
    tail.resume([PositionRead(900.0, LogPosition(20, 5))], [LogPosition(2, 2)])

    read(tail, 1000.0)

    evidence = tail.evidence(down(LogPosition(20, 5)), PLACES)
    assert evidence is not None
    assert evidence.gap


def test_answer_that_ends_before_the_newest_row_proves_nothing(log: ScriptedLog) -> None:
    for _ in range(20):
        log.write("since then", at=10_000.0)
        log.write("since then", machine=None, at=10_000.0)
    tail = follow(log)
    log.is_garbled = True
    read(tail, 1000.0)
    log.is_garbled = False
    tail.resume([PositionRead(900.0, LogPosition(10, 10))], [])
    log.rows = [row for row in log.rows if 12 <= row.key <= 20]

    read(tail, 1120.0)

    evidence = tail.evidence(down(LogPosition(12, 12)), PLACES)
    assert evidence is not None
    assert evidence.gap


def test_gap_between_two_reads_is_proven_by_neither(
    log: ScriptedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    read(tail, 1120.0)
    monkeypatch.setattr(log_tail, "MAX_ROWS", 10)
    for _ in range(20):
        log.write("since then")

    read(tail, 1240.0)

    for key, has_gap in {4: True, 5: True, 10: True, 15: True, 16: False}.items():
        evidence = tail.evidence(down(LogPosition(key, 5), uuid=f"since {key}"), PLACES)
        assert evidence is not None
        assert bool(evidence.gap) is has_gap, key


def test_renamed_vm_keeps_the_rows_with_its_former_name(log: ScriptedLog) -> None:
    tail = follow(log)
    read(tail, 1000.0)
    log.write("by its old name", machine=None, name="web-01")
    read(tail, 1120.0)

    case = replace(down(LogPosition(5, 5), name="web-99"), former_names=("web-01",))

    assert texts(tail.evidence(case, [])) == ["by its old name"]


@pytest.mark.parametrize(
    ("object_type", "object_name", "subject"),
    [
        ("vm", "web-01", ("vm", "web-01")),
        ("vm", "gone-01", MANY),
        ("vm", "", MANY),
        ("node", "node3", ("node", "node3")),
        ("user", "anna", ("user", "anna")),
        ("task", "nightly", MANY),
        ("", "", MANY),
    ],
)
def test_subject_of_a_row_of_the_system_log(
    object_type: str, object_name: str, subject: tuple[str, str]
) -> None:
    row = LogRow(
        table=LogTable.LOGS,
        key=1,
        at=0.0,
        text="x",
        object_type=object_type,
        object_name=object_name,
    )

    assert subject_of(row, VMS) == subject

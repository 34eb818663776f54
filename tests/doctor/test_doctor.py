"""The doctor: which result a check has, since when, and when it is examined again."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from exporter.doctor import connectivity
from exporter.doctor.check import Check, finds_nothing
from exporter.doctor.doctor import Doctor, Since
from exporter.doctor.registry import CHECKS
from exporter.exposition.view import EMPTY
from exporter.model import CheckResult, Finding, Inventory, Level, SystemReport, TableReport

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
READ = TableReport("drives", 300.0, True, True, NOON, 0.1, 1, 0, 0, 0, None)  # noqa: FBT003
REPORT = SystemReport("north", "https://north", None, True, True, NOON, (READ,), 9, 9, ())  # noqa: FBT003


def report(**changes: Any) -> SystemReport:
    return msgspec.structs.replace(REPORT, **changes)


def table(**changes: Any) -> SystemReport:
    """Return the report with another state of the table."""
    return report(tables=(msgspec.structs.replace(READ, **changes),))


def inventory(**tables: Any) -> Inventory:
    return msgspec.structs.replace(EMPTY, taken_at=NOON, sources=tables)


def each_row(found: Inventory) -> Iterable[Finding]:
    rows: Any = found.sources["drives"]
    return [Finding(Level.WARNING, name, f"{value} errors") for name, value in rows.items()]


DRIVES = Check(
    "drives",
    "No drive has errors.",
    ("drives",),
    each_row,
    "Replace it.",
    "VergeDriveFailing",
    "A drive has errors.",
)


def results(
    doctor: Doctor, found: Inventory | None, minutes: float = 0, state: SystemReport = REPORT
) -> tuple[CheckResult, ...]:
    return doctor.examine(found, state, now=NOON + timedelta(minutes=minutes)).doctor


def only(
    doctor: Doctor, found: Inventory | None, minutes: float = 0, state: SystemReport = REPORT
) -> CheckResult:
    (result,) = results(doctor, found, minutes, state)
    return result


def test_finding_keeps_the_time_at_which_it_was_first_found() -> None:
    doctor = Doctor([DRIVES])
    only(doctor, inventory(drives={"a": 1}))

    result = only(doctor, inventory(drives={"a": 2, "b": 1}), 5)

    assert [(one.subject, one.since) for one in result.findings] == [
        ("a", NOON),
        ("b", NOON + timedelta(minutes=5)),
    ]


def test_finding_that_went_away_and_came_back_is_new() -> None:
    doctor = Doctor([DRIVES])
    only(doctor, inventory(drives={"a": 1, "b": 1}))
    only(doctor, inventory(drives={"b": 1}), 5)

    result = only(doctor, inventory(drives={"a": 1, "b": 1}), 9)

    assert {one.subject: one.since for one in result.findings} == {
        "a": NOON + timedelta(minutes=9),
        "b": NOON,
    }


def test_finding_keeps_its_time_through_a_restart() -> None:
    remembered: list[Since] = []
    only(Doctor([DRIVES], remember=remembered.append), inventory(drives={"a": 1}))

    after = Doctor([DRIVES], since=remembered[-1], remember=remembered.append)
    only(after, None, 4)
    result = only(after, inventory(drives={"a": 1, "b": 1}), 5)

    assert [one.since for one in result.findings] == [NOON, NOON + timedelta(minutes=5)]


def test_times_are_remembered_only_when_one_changes() -> None:
    remembered: list[Since] = []
    doctor = Doctor([DRIVES], remember=remembered.append)

    for minute, rows in enumerate(({}, {"a": 1}, {"a": 2}, None, {"b": 1}, {"c": 0}, {})):
        only(doctor, inventory(drives=rows) if rows is not None else None, minute)

    assert [list(times.get("drives", ())) for times in remembered] == [["a"], ["b"], ["c"]]


def test_check_without_fresh_rows_is_skipped_and_remembers_its_findings() -> None:
    doctor = Doctor([DRIVES])
    only(doctor, inventory(drives={"a": 1}))

    assert only(doctor, inventory(), 5).skipped == "drives is out of date"
    assert only(doctor, inventory(drives={"a": 1}), 9).findings[0].since == NOON


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (report(tables=()), "drives is not polled: its collector is off"),
        (table(success=None), "drives was not read yet"),
        (report(up=False), "there is no connectivity"),
        (table(success=False, error="403"), "drives cannot be read: 403"),
        (table(fresh=False), "drives is out of date"),
    ],
)
def test_skipped_check_says_why(state: SystemReport, reason: str) -> None:
    assert only(Doctor([DRIVES]), None, state=state).skipped == reason


def test_table_without_rows_is_one_that_this_user_may_not_see() -> None:
    reason = "VergeOS shows no rows of drives to this user"

    assert only(Doctor([DRIVES]), inventory(drives={})).skipped == reason
    assert not only(Doctor([DRIVES._replace(needs_rows=False)]), inventory(drives={})).skipped


def test_result_stays_the_same_object_while_it_is_equal() -> None:
    doctor = Doctor()
    first = results(doctor, inventory(drives={"a": 1}))

    assert results(doctor, inventory(drives={"a": 1}), 5) is first


def test_check_is_examined_again_only_if_a_table_changed_or_it_depends_on_time() -> None:
    examined = []

    def examine(found: Inventory) -> Iterable[Finding]:
        examined.append(found.taken_at)
        return ()

    rows = {"a": 1}
    for depends, times in ((False, 1), (True, 3)):
        doctor = Doctor([DRIVES._replace(examine=examine, depends_on_time=depends)])
        examined.clear()
        for minute in range(3):
            only(doctor, inventory(drives=rows), minute)
        assert len(examined) == times


def test_check_that_is_always_skipped_says_why() -> None:
    active = DRIVES._replace(tables=(), examine=finds_nothing, always_skipped="it is a query")

    assert only(Doctor([active]), inventory()) == CheckResult("drives", skipped="it is a query")


@pytest.mark.parametrize(
    ("state", "evidence"),
    [
        (report(up=False, authenticated=False), "VergeOS refuses the API key or password"),
        (report(up=False, throttled="429, until noon"), "429, until noon"),
        (report(up=False, tables=(msgspec.structs.replace(READ, error="refused"),)), "refused"),
        (report(up=False, tables=(msgspec.structs.replace(READ, success=None),)),
         "it was not read yet"),
        (report(up=False, named=False), "its name was not read yet"),
        (report(up=False), "there is no recent answer"),
    ],
)  # fmt: skip
def test_system_without_recent_data_has_no_connectivity(state: SystemReport, evidence: str) -> None:
    doctor = Doctor(connectivity.CHECKS)

    assert not only(doctor, inventory()).findings
    assert only(doctor, None, 5, state).findings == (
        Finding(Level.CRITICAL, "north", evidence, NOON + timedelta(minutes=5)),
    )
    assert not only(doctor, inventory(), 9).findings


def test_all_other_checks_are_skipped_without_an_inventory() -> None:
    found = results(Doctor(), None, state=report(up=False, tables=()))

    assert [one.check for one in found] == [check.name for check in CHECKS]
    assert [one.check for one in found if not one.skipped] == ["connectivity"]

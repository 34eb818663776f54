"""The doctor: which result a check has, since when, and when it is examined again."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from exporter.doctor.check import Check
from exporter.doctor.doctor import Doctor
from exporter.exposition.view import EMPTY
from exporter.model import CheckResult, Finding, Inventory, Level

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def inventory(minutes: float = 0, **tables: Any) -> Inventory:
    at = NOON + timedelta(minutes=minutes)
    return Inventory("north", None, at, tables, (), {}, {}, None)


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


def only(doctor: Doctor, found: Inventory) -> CheckResult:
    (result,) = doctor.examine(found).doctor
    return result


def test_finding_keeps_the_time_at_which_it_was_first_found() -> None:
    doctor = Doctor([DRIVES])
    doctor.examine(inventory(drives={"a": 1}))

    result = only(doctor, inventory(5, drives={"a": 2, "b": 1}))

    assert [(one.subject, one.since) for one in result.findings] == [
        ("a", NOON),
        ("b", NOON + timedelta(minutes=5)),
    ]


def test_finding_that_went_away_and_came_back_is_new() -> None:
    doctor = Doctor([DRIVES])
    doctor.examine(inventory(drives={"a": 1, "b": 1}))
    doctor.examine(inventory(5, drives={"b": 1}))

    result = only(doctor, inventory(9, drives={"a": 1, "b": 1}))

    assert {one.subject: one.since for one in result.findings} == {
        "a": NOON + timedelta(minutes=9),
        "b": NOON,
    }


def test_check_without_fresh_rows_is_skipped_and_remembers_its_findings() -> None:
    doctor = Doctor([DRIVES])
    doctor.examine(inventory(drives={"a": 1}))

    assert only(doctor, inventory(5)).skipped == "there are no fresh rows of drives"
    assert only(doctor, inventory(9, drives={"a": 1})).findings[0].since == NOON


def test_table_without_rows_is_one_that_this_user_may_not_see() -> None:
    assert only(Doctor([DRIVES]), inventory(drives={})).skipped == "VergeOS shows no rows of drives"
    assert not only(Doctor([DRIVES._replace(needs_rows=False)]), inventory(drives={})).skipped


def test_result_stays_the_same_object_while_it_is_equal() -> None:
    doctor = Doctor([DRIVES])
    first = doctor.examine(inventory(drives={"a": 1})).doctor

    assert doctor.examine(inventory(5, drives={"a": 1})).doctor is first


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
            doctor.examine(inventory(minute, drives=rows))
        assert len(examined) == times


def test_inventory_without_a_doctor_has_no_results() -> None:
    assert EMPTY.doctor == ()

"""The downtimes of a report as CSV."""

import csv
from io import StringIO

import pytest

from exporter.recovery.model.decision import GuardName
from exporter.recovery.report.summary import RecoverySummary
from exporter.recovery.report.summary_csv import COLUMNS, summaries_csv
from tests.recovery.journal_story import HOUR, Story, restarted


def rows(*summaries: RecoverySummary) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(summaries_csv(summaries))))


def test_row_of_a_downtime() -> None:
    story = Story().falls(100).decides(140, GuardName.NOT_PAUSED).is_up(100 + HOUR, "anna")

    (row,) = rows(restarted(2 * HOUR, story, "db-01").report(until=2 * HOUR))

    assert row == {
        "system": "production",
        "vm": "web-01",
        "vm_key": "7",
        "uuid": "web-01",
        "began": "2026-01-01T00:01:40Z",
        "ended": "2026-01-01T01:01:40Z",
        "down_seconds": "3600",
        "diagnosis": "crashed",
        "cause": "crashed",
        "end": "started without Vergewatch",
        "started_by": "anna",
        "would_have_acted": "",
        "acted": "",
        "helped": "",
        "time_to_service_seconds": "",
        "confirmation": "",
        "confirmed_by": "",
        "missed": "not_paused",
        "held_by": "not_paused",
        "with_seconds": "3600",
        "without_seconds": "3600",
    }


def test_what_is_not_known_is_empty() -> None:
    (row,) = rows(restarted().report())

    assert (row["helped"], row["confirmation"]) == ("yes", "not known")
    assert row["without_seconds"] == ""


def test_period_without_downtimes_has_a_header() -> None:
    assert summaries_csv([Story().report()]) == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("name", ['a "quoted", name', "two\nlines", "<script>", "Größe ✓"])
def test_any_name_is_read_back(name: str) -> None:
    (row,) = rows(Story().falls(100, name).report())

    assert row["vm"] == name


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
def test_no_name_is_a_formula(name: str) -> None:
    (row,) = rows(Story().falls(100, name).report())

    assert row["vm"] == f"'{name}"

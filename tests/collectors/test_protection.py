"""Snapshots, replication and alarms: what their metrics are made of, beyond the fixtures."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from exporter.collectors import alarms, replication, vm_snapshots
from exporter.collectors.inventory import join
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.collectors.snapshot_profiles import SnapshotPeriodRow
from exporter.collectors.vm_snapshots import Snapshots
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.exposition.view import RenderView
from exporter.model import Inventory
from tests.exposition.builders import config, report

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = int(AT.timestamp())
HOUR, DAY = 3600, 86_400


def inventory(minutes: float = 0, **rows: Any) -> Inventory:
    at = AT + timedelta(minutes=minutes)
    return join(rows, system_name="north", identity=None, taken_at=at)


def view(**rows: Any) -> RenderView:
    return RenderView(inventory(**rows), report())


# When a snapshot is due


def periods(*frequencies: str) -> dict[int, Any]:
    return {
        key: SnapshotPeriodRow(profile=1, frequency=frequency)
        for key, frequency in enumerate(frequencies)
    }


def due(*frequencies: str, **rows: Any) -> list[float]:
    rows = {
        "vms": (config(1, "web", snapshot_profile=1, modified_at=NOW - 9 * DAY),),
        "machine_snapshots": {11: Snapshots(2, newest_at=NOW, oldest_at=NOW - DAY)},
        "snapshot_profile_periods": periods(*frequencies),
        **rows,
    }
    return [at - NOW for at in vm_snapshots.due_times(view(**rows)).objects]


@pytest.mark.parametrize(
    ("frequencies", "seconds"),
    [
        (["hourly"], 2 * HOUR),
        (["daily"], 30 * HOUR),
        (["daily", "HOURLY", "weekly"], 2 * HOUR),
        (["weekly"], 7 * DAY * 1.25),
        (["yearly"], 366 * DAY * 1.25),
        (["custom", "monthly"], 31 * DAY * 1.25),
    ],
)
def test_snapshot_is_due_after_the_shortest_interval_and_a_grace(
    frequencies: list[str], seconds: float
) -> None:
    assert due(*frequencies) == [seconds]


def test_snapshot_is_not_due_by_a_custom_period_or_without_a_profile() -> None:
    assert due("custom") == []
    assert due() == []
    assert due("daily", vms=(config(1, "web", modified_at=NOW),)) == []


def test_first_snapshot_is_due_after_the_last_change_of_the_vm() -> None:
    assert due("daily", machine_snapshots={}) == [30 * HOUR - 9 * DAY]
    never = (config(1, "web", snapshot_profile=1),)
    assert due("daily", machine_snapshots={}, vms=never) == []


def test_nothing_is_due_and_nothing_counted_while_the_snapshots_are_not_known() -> None:
    rows = {
        "vms": (config(1, "web", snapshot_profile=1, modified_at=NOW),),
        "snapshot_profile_periods": periods("daily"),
    }

    assert vm_snapshots.due_times(view(**rows)).objects == []
    assert vm_snapshots.snapshots(view(**rows)).objects == []


# Replication


def runs(*rows: dict[str, Any]) -> dict[int, replication.LastRun]:
    body = [{"$key": key, "parent": 1, **row} for key, row in enumerate(rows, start=1)]
    found: dict[int, replication.LastRun] = replication.STATS.decode(msgspec.json.encode(body)).rows
    return found


@pytest.mark.parametrize(
    ("row", "failed", "succeeded_at"),
    [
        ({"start_time": 1000, "stop_time": 1600}, False, 1600),
        ({"start_time": 2000, "stop_time": 1600}, False, 1600),
        ({"start_time": 1000, "stop_time": 1600, "error_time": 9, "last_error": "x"}, False, 1600),
        ({"start_time": 1000, "stop_time": 1090, "error_time": 1090}, True, None),
        ({"start_time": 1000, "stop_time": 600, "error_time": 1090}, True, 600),
        ({"start_time": 2000, "stop_time": 1091, "error_time": 1090}, False, None),
        ({"start_time": 1000, "stop_time": 1600, "last_error": "timeout"}, True, None),
        ({"start_time": 1000, "stop_time": 0, "error_time": 0}, False, None),
        ({}, False, None),
    ],
    ids=[
        "it ended", "it is running again", "an earlier run failed", "it ended with an error",
        "it failed, and the end is that of the run before",
        "it is running after one that failed", "it has an error without a time",
        "it never ended", "nothing is known",
    ],
)  # fmt: skip
def test_run_of_a_sync(row: dict[str, Any], *, failed: bool, succeeded_at: float | None) -> None:
    found = runs(row)[1]

    assert (found.failed, found.succeeded_at) == (failed, succeeded_at)


def test_newest_of_several_rows_counts_and_the_last_success_of_all() -> None:
    found = runs(
        {"start_time": 3000, "timestamp": 3090, "error_time": 3090, "stop_time": 3090},
        {"start_time": 1000, "timestamp": 1600, "stop_time": 1600},
        {"start_time": 2000, "timestamp": 2600, "stop_time": 2600, "retry_count": 7},
    )[1]

    assert found.failed
    assert found.newest.start_time == 3000
    assert found.succeeded_at == 2600


@pytest.mark.parametrize(
    ("status", "state", "failed"),
    [("offline", "online", False), ("Error", "online", True), ("offline", "error", True),
     (None, None, False)],
)  # fmt: skip
def test_idle_sync_has_not_failed(status: str | None, state: str | None, *, failed: bool) -> None:
    row = replication.OutgoingSyncRow(name="a", status=status, state=state)

    (sync,) = replication.outgoing_syncs(view(site_syncs_outgoing={1: row})).objects

    assert sync.failed is failed


# Alarms


def counts(renderer: Renderer, minutes: float, **rows: Any) -> set[str]:
    rendered = renderer.render(inventory(minutes, **rows), report())
    page = PageBuilder(alarms.FAMILIES).page([rendered], Format.CLASSIC).plain(b"").read().decode()
    return {line for line in page.splitlines() if 'level="error"' in line and "_active{" in line}


def test_alarm_is_active_when_its_snooze_is_over_although_no_row_changed() -> None:
    rows = {"alarms": {1: alarms.AlarmRow(level="error", snooze=NOW + 600)}}
    renderer = Renderer(alarms.FAMILIES)

    before, after = counts(renderer, 9, **rows), counts(renderer, 11, **rows)

    assert [line.rpartition(" ")[2] for line in (*before, *after)] == ["0.0", "1.0"]


def test_no_alarms_are_zero_and_an_unknown_number_is_absent() -> None:
    assert [one.active for one in alarms.levels(view(alarms={})).objects] == [0, 0, 0]
    assert alarms.levels(view()).objects == []


# Secrets


def test_no_table_asks_for_secrets_or_the_texts_of_alarms() -> None:
    asked = {(table.endpoint, field) for table in tables_of(COLLECTORS) for field in table.fields}
    words = {"registration_code", "public", "private", "chain", "key", "secret", "password"}

    assert {(table, field) for table, field in asked if field.partition(" ")[0] in words} == set()
    assert not {("alarms", "status"), ("users", "name"), ("users", "email")} & asked

"""Snapshots and syncs of a simulated system: they follow from the time."""

import itertools
from typing import Any

import pytest

from exporter.simulator import World, create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.protection import DAY, HOUR

START = 1_772_366_400.0


def rows(world: World, table: str, fields: str, **query: str) -> list[dict[str, Any]]:
    view = RequestView(world=world, now=world.now, stamp=world.now)
    found = list_rows(TABLES[table], {"fields": fields, **query}, view, joined="work").rows
    return list(found)


def snapshots(world: World, vm: str) -> list[dict[str, Any]]:
    machine = world.vm(vm).machine.key
    where = f"(machine eq {machine}) and (created_manually eq false)"
    return rows(world, "machine_snapshots", "$key,created,expires", filter=where)


def after(seconds: float) -> World:
    world = create_world(vms=3, names=("db-01", "web-01", "desktop-01"), start=START)
    world.advance(START + seconds)
    return world


def test_snapshots_are_taken_at_the_times_of_the_profile() -> None:
    daily = snapshots(after(0), "web-01")
    hourly = snapshots(after(0), "db-01")

    assert len(daily) == 3
    assert len(hourly) == 6 + 3
    assert {row["expires"] - row["created"] for row in hourly} == {6 * HOUR, 3 * DAY}
    assert all(START - 3 * DAY < row["created"] <= START for row in (*daily, *hourly))


def test_snapshots_expire_while_new_ones_are_taken_and_keep_their_keys() -> None:
    before = {row["$key"] for row in snapshots(after(0), "db-01")}
    later = {row["$key"] for row in snapshots(after(2 * HOUR), "db-01")}

    assert len(before) == len(later)
    assert len(before - later) == len(later - before) == 2


def test_keys_of_snapshots_are_unique() -> None:
    world = create_world(vms=60, start=START)

    keys = [row["$key"] for row in rows(world, "machine_snapshots", "$key")]

    assert len(set(keys)) == len(keys) > 60


def test_vm_without_a_profile_has_no_scheduled_snapshots() -> None:
    world = after(0)
    world.vm("web-01").snapshot_profile = None

    assert snapshots(world, "web-01") == []


def test_new_vm_has_no_snapshots_of_the_time_before() -> None:
    world = after(0)
    world.creates("web-99")

    assert snapshots(world, "web-99") == []


def test_sync_runs_every_hour_and_is_offline_in_between() -> None:
    words = [
        rows(after(minutes * 60), "site_syncs_outgoing", "status")[0]["status"]
        for minutes in range(180)
    ]

    runs = sum(word == "syncing" and before != word for before, word in itertools.pairwise(words))
    assert runs == 3
    assert set(words) == {"syncing", "offline"}


def test_failing_sync_keeps_the_time_of_its_last_success() -> None:
    fields = "start_time,stop_time,error_time,last_error"
    world = after(0)
    with world.faults.on("sync_failing", days=3):
        (first,) = rows(world, "site_sync_stats", fields)
        world.advance(START + 5 * HOUR)
        (later,) = rows(world, "site_sync_stats", fields)

    assert first["stop_time"] == later["stop_time"] == START - 3 * DAY
    assert later["error_time"] > first["error_time"] > first["stop_time"]
    assert later["last_error"]


@pytest.mark.parametrize(("vm", "late"), [("", {"db-01"}), ("*", {"db-01", "web-01"})])
def test_overdue_snapshots_are_those_of_the_vm_of_the_fault(vm: str, late: set[str]) -> None:
    world = after(0)
    with world.faults.on("snapshot_overdue", vm=vm):
        newest = {
            name: max(row["created"] for row in snapshots(world, name))
            for name in ("db-01", "web-01")
        }

    assert {name for name, created in newest.items() if created < START - 8 * DAY} == late


def test_system_without_profiles_has_none_in_its_vms_and_no_scheduled_snapshots() -> None:
    world = after(0)
    with world.faults.on("no_snapshot_profiles"):
        assert rows(world, "snapshot_profiles", "$key") == []
        assert {row["snapshot_profile"] for row in rows(world, "vms", "snapshot_profile")} == {None}
        assert snapshots(world, "db-01") == []

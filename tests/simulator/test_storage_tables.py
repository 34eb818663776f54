"""Storage tiers and physical drives of the simulator."""

from typing import Any

import pytest

from exporter.simulator import create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.world import World

DRIVE_BYTES = 3840 * 10**9


def world(**settings: Any) -> World:
    return create_world(vms=20, clusters=(ClusterPlan("one", 2), ClusterPlan("two", 3)), **settings)


def shown(here: World, table: str, fields: str, **query: str) -> list[dict[str, Any]]:
    view = RequestView(world=here, now=here.now, stamp=here.now)
    found: list[dict[str, Any]] = list_rows(TABLES[table], {"fields": fields, **query}, view).rows
    return found


def test_tiers_of_the_system_are_the_sums_of_those_of_the_clusters() -> None:
    here = world()
    of_clusters: dict[int, list[int]] = {}
    for row in shown(here, "cluster_tiers", "tier,status#capacity as capacity,status#used as used"):
        capacity, used = of_clusters.get(row["tier"], [0, 0])
        of_clusters[row["tier"]] = [capacity + row["capacity"], used + row["used"]]

    rows = shown(here, "storage_tiers", "$key,tier,capacity,used")

    assert {row["tier"]: [row["capacity"], row["used"]] for row in rows} == of_clusters
    assert [row["$key"] for row in rows] == [0, 1, 3]
    assert of_clusters[1][0] == 5 * 3 * DRIVE_BYTES


def test_counters_of_tiers_rise_and_space_changes() -> None:
    here = world()
    fields = "tier,used,stats#reads as reads,stats#write_bytes as written"
    before = shown(here, "storage_tiers", fields, filter="tier eq 1")
    here.advance(here.now + 3600)
    (old,), (new,) = before, shown(here, "storage_tiers", fields, filter="tier eq 1")

    assert new["reads"] > old["reads"] > 0
    assert new["written"] > old["written"] > 0
    assert new["used"] != old["used"]


def test_reads_of_a_tier_are_the_sum_of_those_of_its_clusters() -> None:
    here = world()
    rows = shown(here, "cluster_tiers", "tier,stats#reads as reads,stats#rops as rops")
    of_clusters = sum(row["reads"] for row in rows if row["tier"] == 1)

    (tier,) = shown(here, "storage_tiers", "stats#reads as reads", filter="tier eq 1")

    assert tier["reads"] == pytest.approx(of_clusters, abs=2)
    assert all((row["rops"] > 0) == (row["tier"] != 3) for row in rows)


@pytest.mark.parametrize("drives", [1, 4, 20])
def test_every_drive_of_a_node_has_hardware_and_counters(drives: int) -> None:
    here = world(drives_per_node=drives)
    fields = (
        "parent_drive,path,serial,vsan_tier,parent_drive#machine#name as node,"
        "parent_drive#status#status as word,parent_drive#stats#reads as reads"
    )

    rows = shown(here, "machine_drive_phys", fields)

    assert len({(row["node"], row["path"]) for row in rows}) == 5 * drives
    assert len({row["serial"] for row in rows}) == 5 * drives
    assert {row["word"] for row in rows} == {"online"}
    assert all(row["reads"] > 0 for row in rows)
    physical = shown(here, "machine_drive_stats", "parent_drive", filter="physical eq true")
    assert [row["parent_drive"] for row in rows] == [row["parent_drive"] for row in physical]


def test_drives_have_the_tiers_that_have_space() -> None:
    for drives in (1, 4):
        here = world(drives_per_node=drives)
        of_drives = {row["vsan_tier"] for row in shown(here, "machine_drive_phys", "vsan_tier")}
        with_space = {
            row["tier"] for row in shown(here, "storage_tiers", "tier", filter="capacity gt 0")
        }
        assert of_drives == with_space


def test_smart_values_age_and_stay_within_the_limits_for_a_year() -> None:
    here = world()
    fields = "hours,wear_level,temp,wear_level_warn,temp_warn,hours_warn"
    before = shown(here, "machine_drive_phys", fields)
    here.advance(here.now + 365 * 86_400)

    for old, new in zip(before, shown(here, "machine_drive_phys", fields), strict=True):
        assert new["hours"] - old["hours"] == 365 * 24
        assert old["wear_level"] <= new["wear_level"] < 70
        assert 30 <= new["temp"] < 50
        assert not any(new[f"{value}_warn"] for value in ("wear_level", "temp", "hours"))


def test_drives_of_a_failed_node_are_offline_and_come_online_again() -> None:
    here = world()
    fields = "parent_drive#status#status as word,vsan_online_since"
    node = "parent_drive#machine#name as node"

    def words() -> set[tuple[str, str]]:
        return {(row["node"], row["word"]) for row in
                shown(here, "machine_drive_phys", f"{fields},{node}")}  # fmt: skip

    here.node_fails("node2")
    here.advance(here.now + 60)
    assert {name for name, word in words() if word == "offline"} == {"node2"}

    here.node_returns("node2")
    assert {word for _, word in words()} == {"online"}
    since = {row["vsan_online_since"] for row in shown(here, "machine_drive_phys", fields)}
    assert int(here.now) in since


@pytest.mark.parametrize(("fault", "percent"), [("tier_nearly_full", 85), ("tier_full", 97)])
def test_full_tier_is_full_in_the_system_and_in_each_cluster(fault: str, percent: int) -> None:
    here = world()
    here.faults.turn_on(fault, row="1")

    (tier,) = shown(here, "storage_tiers", "capacity,used,used_pct", filter="tier eq 1")
    assert tier["used_pct"] == percent
    assert tier["used"] == tier["capacity"] * percent // 100
    fields = "tier,status#used as used,status#capacity as capacity"
    of_clusters = [row for row in shown(here, "cluster_tiers", fields) if row["tier"] == 1]
    assert len(of_clusters) == 2
    assert sum(row["used"] for row in of_clusters) == tier["used"]


def test_repairs_of_a_repairing_tier_grow() -> None:
    here = world()
    here.faults.turn_on("tier_repairing")
    seen = []
    for _ in range(3):
        seen.append(shown(here, "cluster_tier_status", "repairs")[0]["repairs"])
        here.advance(here.now + 300)

    assert seen[0] < seen[1] < seen[2]


def test_offline_drive_is_the_first_of_the_first_node() -> None:
    here = world()
    here.faults.turn_on("drive_offline")

    fields = "parent_drive#machine#name as node,path,parent_drive#status#status as word"
    rows = shown(here, "machine_drive_phys", fields)

    offline = [(row["node"], row["path"]) for row in rows if row["word"] == "offline"]
    assert offline == [("node1", "/dev/nvme0n1")]

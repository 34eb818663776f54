"""Storage tiers, updates and devices, and the faults that change them."""

from typing import Any

from exporter.simulator import create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.world import World


def world() -> World:
    return create_world(vms=30, clusters=(ClusterPlan("one", 2), ClusterPlan("two", 2)))


def shown(here: World, table: str, fields: str) -> list[dict[str, Any]]:
    view = RequestView(world=here, now=here.now, stamp=here.now)
    rows: list[dict[str, Any]] = list_rows(TABLES[table], {"fields": fields}, view).rows
    return rows


def test_storage_tier_fault_changes_one_tier_of_one_cluster() -> None:
    here = world()
    here.faults.turn_on("storage_tier", word="noredundant", cluster="two", repairs_per_minute=6)
    here.advance(here.now + 120)

    rows = shown(
        here,
        "cluster_tiers",
        "cluster#name as cluster,tier,status#status as word,status#repairs as repairs",
    )

    assert {(row["cluster"], row["tier"]): (row["word"], row["repairs"]) for row in rows} == {
        ("one", 0): ("online", 0),
        ("one", 1): ("online", 0),
        ("one", 3): ("offline", 0),
        ("two", 0): ("online", 0),
        ("two", 1): ("noredundant", 12),
        ("two", 3): ("offline", 0),
    }


def test_platform_update_fault_shows_in_the_settings_and_the_source() -> None:
    here = world()
    fields = "branch#name as branch,applying_updates"

    assert shown(here, "update_settings", fields) == [
        {"branch": "stable-26.1", "applying_updates": False}
    ]
    here.faults.turn_on("platform_update")
    assert shown(here, "update_settings", fields)[0]["applying_updates"] is True
    assert shown(here, "update_source_status", "source#name as name,status") == [
        {"name": "Verge.io", "status": "applying"}
    ]


def test_missing_devices_fault_takes_devices_of_nodes_away_and_no_tpm() -> None:
    here = world()
    fields = "type,machine#name as vm,status#status as word"
    passed_through = [row for row in shown(here, "machine_devices", fields) if row["type"] != "tpm"]
    assert {row["word"] for row in passed_through} == {"online"}

    here.faults.turn_on("missing_devices", vm=passed_through[0]["vm"])

    missing = [row for row in shown(here, "machine_devices", fields) if row["word"] == "missing"]
    assert missing == [passed_through[0] | {"word": "missing"}]

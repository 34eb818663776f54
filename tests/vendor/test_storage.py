"""The vendor's families of tiers and drives: names, labels and values."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from exporter.collectors.cluster_status import ClusterStatusRow
from exporter.collectors.inventory import join
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.model import SystemReport
from exporter.vendor.storage import FAMILIES

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLES = {table.name: table for table in tables_of(COLLECTORS)}
FIXTURES = Path(__file__).parents[1] / "collectors"
REPORT = SystemReport(
    system_name="north",
    url="",
    identity=None,
    up=True,
    authenticated=True,
    taken_at=AT,
    tables=(),
    requests_remaining=0,
    requests_per_hour=0,
    recent_errors=(),
    recovery=None,
)
DRIVE = {"node_name": "node1", "drive_name": "/dev/nvme0n1", "tier": "1", "serial": "S64HNE0T1"}


def rows_of(*fixtures: str) -> dict[str, Any]:
    """Return the rows of the fixtures of the collectors *fixtures*."""
    found: dict[str, Any] = {}
    for name in fixtures:
        for table, answer in json.loads((FIXTURES / f"{name}.json").read_text()).items():
            found[table] = TABLES[table].decode(json.dumps(answer).encode()).rows
    return found


def samples(**rows: Any) -> dict[tuple[str, ...], float]:
    """Return the values on the page by name and labels, without that of the system."""
    inventory = join(rows, system_name="north", identity=None, taken_at=AT)
    rendered = Renderer(FAMILIES).render(inventory, REPORT)
    page = PageBuilder(FAMILIES).page([rendered], Format.CLASSIC).plain(b"").read().decode()
    return {
        key(one.name.removesuffix("_total"), **one.labels): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, ...]:
    others = sorted(label for label in labels if label != "system_name")
    return (name, *(f"{label}={labels[label]}" for label in others))


def test_names_are_the_33_of_the_vendor_in_its_order() -> None:
    names = [family.name for family in FAMILIES]

    assert len(names) == len(set(names)) == 33
    assert all(re.fullmatch(r"vergeos_(vsan|drive)_[a-z_]+", name) for name in names)


def test_drive_outside_the_vsan_has_no_series_and_absent_values_are_zero() -> None:
    page = samples(**rows_of("physical_drives"))

    assert page[key("vergeos_drive_power_on_hours", **DRIVE)] == 17533
    assert page[key("vergeos_drive_util", **DRIVE)] == 8.59
    assert not any("/dev/sdb" in part for name in page for part in name)
    worn = DRIVE | {"drive_name": "/dev/sda", "tier": "0", "serial": 'WD-"9"'}
    assert page[key("vergeos_drive_wear_level", **worn)] == 0
    assert key("vergeos_drive_read_ops", **worn) not in page  # no row of statistics
    assert page[key("vergeos_vsan_drive_states", tier="0", state="offline")] == 1


def test_tiers_of_clusters_need_a_status_and_a_tier_of_the_system() -> None:
    rows = rows_of("physical_drives", "storage_tiers", "cluster_tiers")
    page = samples(**rows)

    redundant = {name: value for name, value in page.items() if name[0] == "vergeos_vsan_redundant"}
    assert redundant == {
        key("vergeos_vsan_redundant", tier="0", status="online"): 1,
        key("vergeos_vsan_redundant", tier="1", status="noredundant"): 0,
        key("vergeos_vsan_redundant", tier="3", status="offline"): 0,
    }
    assert page[key("vergeos_vsan_fullwalk_progress", tier="1", status="noredundant")] == 34.5
    assert page[key("vergeos_vsan_tier_state", tier="1", status="noredundant")] == 1

    without = samples(**{name: some for name, some in rows.items() if name != "storage_tiers"})
    assert not any(name[0].startswith("vergeos_vsan_tier") for name in without)


def test_online_nodes_and_drives_are_those_of_the_cluster_of_the_tier() -> None:
    rows = rows_of("physical_drives", "storage_tiers")
    rows["cluster_status"] = {1: ClusterStatusRow(key=1, name="production", online_nodes=2)}

    page = samples(**rows)

    assert page[key("vergeos_vsan_nodes_online", tier="1", status="online")] == 2
    assert page[key("vergeos_vsan_drives_online", tier="1", status="online")] == 1
    assert page[key("vergeos_vsan_nodes_online", tier="0", status="online")] == 0  # not known


def test_dedupe_ratio_is_a_factor_and_space_is_in_bytes() -> None:
    page = samples(**rows_of("storage_tiers"))

    tier = {"tier": "1", "description": 'NVMe "fast", été'}
    assert page[key("vergeos_vsan_tier_dedupe_ratio", **tier)] == 1.45
    assert page[key("vergeos_vsan_tier_used_pct", **tier)] == 44
    assert page[key("vergeos_vsan_tier_capacity", tier="3", description="")] == 0

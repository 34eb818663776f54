"""The platform as tables: the worst rows first, and what is not known is no zero."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.collectors.certificates import CertificateRow
from exporter.collectors.cluster_status import ClusterStatusRow
from exporter.collectors.licenses import LicenseRow
from exporter.collectors.node_details import NodeDetailRow
from exporter.collectors.physical_drives import PhysicalDriveRow
from exporter.collectors.storage_tiers import StorageTierRow
from exporter.collectors.vnets import VnetRow
from exporter.console.capacity import cluster_uses, tier_uses
from exporter.console.platform.sheet import Sheet, SheetRow, moment, worst_first
from exporter.console.platform.sheets import SHEETS
from exporter.exposition.view import RenderView
from exporter.model import Cluster, Node
from tests.exposition.builders import AT, inventory, load, report, status, table

GIB = 1024


def sheet(name: str, rows: dict[str, Any], **changes: Any) -> Sheet:
    return SHEETS[name](RenderView(inventory(rows), report(**changes)))


def cell(one: Sheet, column: str, row: int = 0) -> Any:
    place = [each.title for each in one.columns].index(column)
    return one.rows[row].values[place]


def nodes(**changes: Any) -> dict[str, Any]:
    return {
        "clusters": {1: Cluster(1, "harbour")},
        "nodes": {
            1: Node(1, "node1", 1, 101, maintenance=False, status=None),
            2: Node(2, "node2", 1, 102, maintenance=False, status=None),
        },
        "machine_status": {101: status(101), 102: status(102)},
        "machine_stats": {101: load(50.0, 100), 102: load(20.0, 100)},
        "node_details": {
            1: NodeDetailRow(id=1, cores=10, ram=64 * GIB, yb_version="26.1"),
            2: NodeDetailRow(id=2, cores=30, ram=64 * GIB, yb_version="26.1"),
        },
        "cluster_status": {
            1: ClusterStatusRow(
                name="harbour", status_state="online", total_nodes=2, online_nodes=2,
                online_ram=128 * GIB, used_ram=80 * GIB, ram_overcommit_pct=0,
            )
        },
        **changes,
    }  # fmt: skip


def test_nodes() -> None:
    found = sheet("nodes", nodes())

    assert [row.values[0] for row in found.rows] == ["node1", "node2"]
    assert cell(found, "CPU") == 0.5
    assert cell(found, "Memory") == 64 * 2**30
    assert cell(found, "Cluster") == "harbour"
    assert not any(row.problem for row in found.rows)


def test_node_that_does_not_run_is_first_and_has_no_load() -> None:
    off = status(102, running=False, word="offline")

    found = sheet("nodes", nodes(machine_status={101: status(101), 102: off}))

    assert (found.rows[0].values[0], found.rows[0].tone) == ("node2", "critical")
    assert cell(found, "CPU") is None


def test_node_in_maintenance_that_needs_a_restart_is_a_warning() -> None:
    rows = nodes()
    rows["nodes"][2] = replace(rows["nodes"][2], maintenance=True)
    rows["node_details"][2] = NodeDetailRow(id=2, need_restart=True)

    found = sheet("nodes", rows)

    assert found.rows[0].problem == "maintenance, needs a restart"
    assert (found.rows[0].tone, cell(found, "Memory")) == ("warning", None)


def test_headroom_of_a_cluster() -> None:
    found = sheet("clusters", nodes())

    assert cell(found, "Left without the largest node") == -16 * 2**30
    assert found.rows[0].problem == "not every VM could run without its largest node"
    assert cell(found, "CPU") == pytest.approx((10 * 0.5 + 30 * 0.2) / 40)


def test_cpu_of_a_cluster_is_unknown_without_the_load_of_a_node() -> None:
    (one,) = cluster_uses(_view(nodes(machine_stats={101: load(50.0, 100)}))) or ()

    assert one.cpu_ratio is None


def test_name_of_a_cluster_that_labels_escape_keeps_its_headroom() -> None:
    name = 'a "b" \\ c'
    rows = nodes(clusters={1: Cluster(1, name)})
    rows["cluster_status"][1].name = name

    (one,) = cluster_uses(_view(rows)) or ()

    assert one.headroom_bytes == -16 * 2**30


def _view(rows: dict[str, Any]) -> RenderView:
    return RenderView(inventory(rows), report())


@pytest.mark.parametrize(("used", "tone"), [(79, "ok"), (80, "warning"), (95, "critical")])
def test_storage_tier(used: int, tone: str) -> None:
    rows = {"storage_tiers": {1: StorageTierRow(tier=1, capacity=100, used=used)}}

    (one,) = tier_uses(_view(rows)) or ()
    found = sheet("storage", rows)

    assert (one.ratio, one.tone) == (used / 100, tone)
    assert bool(found.rows[0].problem) is (tone != "ok")


def test_drives_with_a_problem_are_first() -> None:
    rows = {
        "machine_drive_phys": {
            1: PhysicalDriveRow(path="/dev/a", statuslist="online", vsan_tier=1),
            2: PhysicalDriveRow(path="/dev/b", statuslist="online", temp_warn=True),
            3: PhysicalDriveRow(path="/dev/c", statuslist="offline"),
        }
    }

    found = sheet("drives", rows)

    assert [(row.values[1], row.problem) for row in found.rows] == [
        ("/dev/c", "its status is offline"),
        ("/dev/b", "SMART: temperature"),
        ("/dev/a", ""),
    ]
    assert [row.values[1] for row in found.search("OFF dev").rows] == ["/dev/c"]


def test_network_that_waits_for_its_rules() -> None:
    rows = {"vnets": {1: VnetRow(name="DMZ", need_fw_apply=True, enabled=True)}}

    assert sheet("networks", rows).rows[0].problem == "waits for firewall rules"


def test_certificates_and_licenses_that_end() -> None:
    now, day = AT.timestamp(), 86_400
    rows = {
        "certificates": {
            1: CertificateRow(domain="a", valid=True, expires=now + 90 * day),
            2: CertificateRow(domain="b", valid=True, expires=now + 20 * day),
            3: CertificateRow(domain="c", valid=False, expires=now - day),
        },
        "licenses": {1: LicenseRow(name="p", valid_from=now - day, valid_until=1e300)},
    }

    found = sheet("certificates", rows)

    assert [(row.values[0], row.problem) for row in found.rows] == [
        ("c", "not valid, expired"),
        ("b", "expires soon"),
        ("a", ""),
    ]
    assert cell(sheet("licenses", rows), "Valid until") is None


@pytest.mark.parametrize("name", SHEETS)
def test_without_rows_a_table_says_why(name: str) -> None:
    off = SHEETS[name](RenderView(None, report(tables=())))
    empty = sheet(name, {})

    assert off.rows == []
    assert "is not polled: its collector is off" in off.absent
    assert empty.absent


def test_error_of_a_table_is_the_reason() -> None:
    broken = table("machine_drive_phys", success=False, error="403: forbidden")

    found = sheet("drives", {}, tables=(broken,))

    assert found.absent == "machine_drive_phys cannot be read: 403: forbidden"


def test_table_that_is_out_of_date_is_not_empty() -> None:
    found = sheet("drives", {}, tables=(table("machine_drive_phys"),))

    assert found.absent == "machine_drive_phys is out of date"


@given(st.none() | st.floats() | st.integers(-(10**30), 10**30).map(float))
def test_any_number_is_a_moment_or_none(value: float | None) -> None:
    found = moment(value)

    assert found is None or isinstance(found, datetime)


def test_moment_is_in_utc() -> None:
    assert moment(86_400) == datetime(1970, 1, 2, tzinfo=UTC)


def test_worst_rows_are_first_and_others_keep_their_order() -> None:
    rows = [SheetRow((n,), tone) for n, tone in enumerate(["ok", "warning", "ok", "critical"])]

    assert [row.values[0] for row in worst_first(rows)] == [3, 1, 0, 2]

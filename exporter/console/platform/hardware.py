"""Nodes, clusters, storage tiers and drives as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.collectors.cluster_status import CLUSTER_STATUS
from exporter.collectors.cluster_tiers import CLUSTER_TIERS
from exporter.collectors.node_details import NODE_DETAILS, NodeDetailRow, temperature_limits
from exporter.collectors.nodes import NODES
from exporter.collectors.physical_drives import MACHINE_DRIVE_PHYS, ONLINE, PhysicalDriveRow
from exporter.collectors.storage_tiers import STORAGE_TIERS
from exporter.collectors.vms import MACHINE_STATS
from exporter.console.capacity import ClusterUse, TierUse, cluster_uses, tier_uses
from exporter.console.platform.sheet import Column, Kind, Sheet, SheetRow, judged, worst_first
from exporter.console.table_access import absence
from exporter.console.tones import CRITICAL, OK, WARNING
from exporter.exposition.view import RenderView, escape
from exporter.formatting import counted
from exporter.model import Node
from exporter.vergeos.rows import MIB, key_number

GOOD_TIER = "online"


def nodes(view: RenderView) -> Sheet:
    """Return each physical node."""
    details, loads = view.rows(NODE_DETAILS.name), view.rows(MACHINE_STATS.name)
    limits = temperature_limits(view)
    names = (name for _, name in limits.identities)
    hottest = {name: one.celsius for name, one in zip(names, limits.objects, strict=True)}
    rows = [
        _node(view, node, details.get(key), loads.get(node.machine or 0), hottest)
        for key, node in view.inventory.nodes.items()
    ]
    columns = (
        Column("Node"), Column("Cluster"), Column("Status"), Column("CPU", Kind.RATIO),
        Column("Memory used", Kind.RATIO), Column("Memory", Kind.BYTES),
        Column("Hottest core", Kind.CELSIUS), Column("Maintenance", Kind.YES_NO),
        Column("Version"),
    )  # fmt: skip
    absent = "" if rows else absence(view.inventory, view.report, NODES.name)
    return Sheet("nodes", "Nodes", columns, worst_first(rows), absent)


def _node(
    view: RenderView,
    node: Node,
    detail: NodeDetailRow | None,
    load: Any,
    limits: Mapping[str, int | None],
) -> SheetRow:
    status, runs = node.status, node.status is not None and node.status.running is not False
    load = load if runs else None
    hot = (load.core_temp_top or None) if load is not None else None
    limit = limits.get(escape(node.name))
    needs_restart = detail is not None and detail.need_restart
    return judged(
        (
            node.name,
            view.clusters[node.cluster],
            status.word if status is not None else None,
            load.total_cpu / 100 if load is not None and load.total_cpu is not None else None,
            load.ram_pct / 100 if load is not None and load.ram_pct is not None else None,
            detail.ram * MIB if detail is not None and detail.ram else None,
            hot,
            node.maintenance,
            detail.yb_version if detail is not None else None,
        ),
        (CRITICAL, "it does not run" if status is not None and status.running is False else ""),
        (WARNING, "maintenance" if node.maintenance else ""),
        (WARNING, "not connected to the vSAN" if _is_without_vsan(detail) else ""),
        (WARNING, "needs a restart" if needs_restart else ""),
        (WARNING, f"hotter than {limit} °C" if hot and limit and hot > limit else ""),
    )


def _is_without_vsan(detail: NodeDetailRow | None) -> bool:
    return detail is not None and detail.vsan_connected is False


def clusters(view: RenderView) -> Sheet:
    """Return each cluster with its headroom."""
    found = cluster_uses(view)
    columns = (
        Column("Cluster"), Column("Status"), Column("Nodes online", Kind.NUMBER),
        Column("Nodes", Kind.NUMBER), Column("Memory assigned", Kind.BYTES),
        Column("Memory online", Kind.BYTES), Column("Assigned", Kind.RATIO),
        Column("Left without the largest node", Kind.BYTES), Column("CPU", Kind.RATIO),
        Column("Cores assigned", Kind.NUMBER), Column("Cores online", Kind.NUMBER),
    )  # fmt: skip
    absent = "" if found else absence(view.inventory, view.report, CLUSTER_STATUS.name)
    rows = worst_first(_cluster(one) for one in found or ())
    return Sheet("clusters", "Clusters", columns, rows, absent)


def _cluster(one: ClusterUse) -> SheetRow:
    online, total, headroom = one.nodes_online, one.nodes_total, one.headroom_bytes
    lacks = online is not None and total is not None and online < total
    return judged(
        (
            one.name, one.status, online, total, one.used_bytes, one.online_bytes,
            one.memory_ratio, headroom, one.cpu_ratio, one.cores_used, one.cores_online,
        ),
        (CRITICAL, "all of its memory is assigned" if one.memory_tone == CRITICAL else ""),
        (WARNING, f"{counted((total or 0) - (online or 0), 'node')} not online" if lacks else ""),
        (
            WARNING,
            "not every VM could run without its largest node"
            if headroom is not None and headroom < 0
            else "",
        ),
    )  # fmt: skip


def storage(view: RenderView) -> Sheet:
    """Return each storage tier of the whole system."""
    found: Sequence[TierUse] | None = tier_uses(view)
    columns = (
        Column("Tier"), Column("Description"), Column("Used", Kind.BYTES),
        Column("Capacity", Kind.BYTES), Column("Full", Kind.RATIO),
    )  # fmt: skip
    rows = [
        judged(
            (one.number, one.description, one.used_bytes, one.capacity_bytes, one.ratio),
            (one.tone if one.tone != OK else WARNING, "almost full" if one.tone != OK else ""),
        )
        for one in found or ()
    ]
    absent = "" if found else absence(view.inventory, view.report, STORAGE_TIERS.name)
    return Sheet("storage", "Storage tiers", columns, worst_first(rows), absent)


def tiers(view: RenderView) -> Sheet:
    """Return the state of each storage tier in each cluster."""
    found = [row for row in view.rows(CLUSTER_TIERS.name).values() if row.has_storage]
    columns = (
        Column("Cluster"), Column("Tier", Kind.NUMBER), Column("Status"),
        Column("Redundant", Kind.YES_NO), Column("Encrypted", Kind.YES_NO),
        Column("Repairs", Kind.NUMBER), Column("Bad drives", Kind.NUMBER),
        Column("Full walk", Kind.YES_NO),
    )  # fmt: skip
    rows = [
        judged(
            (
                view.clusters[key_number(row.cluster)], row.tier, row.tier_status, row.redundant,
                row.encrypted, row.repairs, row.bad_drives, row.fullwalk,
            ),
            (CRITICAL, f"its status is {row.tier_status}" if row.tier_status != GOOD_TIER else ""),
            (WARNING, "not redundant" if row.redundant is False and not row.fullwalk else ""),
            (WARNING, "bad drives" if row.bad_drives else ""),
        )
        for row in found
    ]  # fmt: skip
    absent = "" if found else absence(view.inventory, view.report, CLUSTER_TIERS.name)
    return Sheet("tiers", "Storage tiers of clusters", columns, worst_first(rows), absent)


def drives(view: RenderView) -> Sheet:
    """Return each physical drive."""
    found = view.rows(MACHINE_DRIVE_PHYS.name).values()
    columns = (
        Column("Node"), Column("Drive"), Column("Status"), Column("Tier", Kind.NUMBER),
        Column("Model"), Column("Serial number"), Column("Size", Kind.BYTES),
        Column("Temperature", Kind.CELSIUS), Column("Wear", Kind.RATIO),
    )  # fmt: skip
    absent = "" if found else absence(view.inventory, view.report, MACHINE_DRIVE_PHYS.name)
    return Sheet("drives", "Drives", columns, worst_first(map(_drive, found)), absent)


def _drive(row: PhysicalDriveRow) -> SheetRow:
    errors = (row.vsan_read_errors or 0) + (row.vsan_write_errors or 0) if row.is_in_vsan else 0
    is_known = bool(row.status)
    return judged(
        (
            row.node_display, row.drive_name, row.status or None,
            row.vsan_tier if row.is_in_vsan else None, row.model, row.serial, row.size,
            row.temp or None, row.wear_level / 100 if row.wear_level is not None else None,
        ),
        (CRITICAL, f"its status is {row.status}" if is_known and row.status != ONLINE else ""),
        (WARNING, ", ".join(f"SMART: {name.replace('_', ' ')}" for name in row.warnings)),
        (WARNING, counted(errors, "vSAN error") if errors else ""),
    )  # fmt: skip

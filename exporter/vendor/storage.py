"""
vSAN tiers and physical drives, as the vendor's exporter shows them.

The labels of a cluster's tiers lack the cluster: of two tiers with the same number and status the
first is shown, where the vendor's exporter answers no scrape at all.
"""

from collections import Counter
from typing import NamedTuple

from exporter.collectors.cluster_status import CLUSTER_STATUS
from exporter.collectors.cluster_tiers import CLUSTER_TIERS, ClusterTierRow
from exporter.collectors.disks import MACHINE_DRIVE_STATS
from exporter.collectors.physical_drives import (
    MACHINE_DRIVE_PHYS,
    NO_DRIVES,
    PhysicalDriveRow,
    drives_by_tier,
)
from exporter.collectors.storage_tiers import STORAGE_TIERS, StorageTierRow
from exporter.exposition.collector import each
from exporter.exposition.view import Identity, Items, RenderView, escape
from exporter.vendor.families import flag, or_zero, vendor_counter, vendor_gauge, vendor_group
from exporter.vergeos.rows import key_number


def _system_tiers(view: RenderView) -> Items:
    rows: list[StorageTierRow] = list(view.rows(STORAGE_TIERS.name).values())
    return Items([(view.system, row.number, escape(row.description or "")) for row in rows], rows)


def _cluster_tiers(view: RenderView) -> Items:
    """Return the tiers that have a status, without those that the system does not list."""
    known = {row.tier for row in view.rows(STORAGE_TIERS.name).values()}
    rows: list[ClusterTierRow] = [
        row
        for row in view.rows(CLUSTER_TIERS.name).values()
        if row.tier_status and row.tier in known
    ]
    return Items(
        [(view.system, str(row.tier), escape(row.tier_status or "")) for row in rows], rows
    )


class _Online(NamedTuple):
    nodes: int
    """Of the tier's cluster."""
    drives: int


def _online(view: RenderView) -> Items:
    tiers, drives = _cluster_tiers(view), drives_by_tier(view)
    clusters = view.rows(CLUSTER_STATUS.name)
    found = []
    for row in tiers.objects:
        cluster = key_number(row.cluster)
        status = clusters.get(cluster or 0)
        nodes = status.online_nodes if status is not None else None
        found.append(_Online(nodes or 0, drives.get((cluster, row.tier), NO_DRIVES).online))
    return Items(tiers.identities, found)


def _vsan_drives(view: RenderView) -> list[PhysicalDriveRow]:
    return [row for row in view.rows(MACHINE_DRIVE_PHYS.name).values() if row.is_in_vsan]


def _identity(view: RenderView, row: PhysicalDriveRow) -> Identity:
    texts = row.node_display or "", row.path or "", str(row.vsan_tier), row.serial or ""
    return view.system, *map(escape, texts)


def _drives(view: RenderView) -> Items:
    rows = _vsan_drives(view)
    return Items([_identity(view, row) for row in rows], rows)


def _drive_loads(view: RenderView) -> Items:
    drives, stats = _drives(view), view.rows(MACHINE_DRIVE_STATS.name)
    keys = [key_number(row.parent_drive) or 0 for row in drives.objects]
    return Items(drives.identities, [stats.get(key) for key in keys]).known()


def _drive_states(view: RenderView) -> Items:
    counted = Counter((str(row.vsan_tier), row.status) for row in _vsan_drives(view))
    return Items(
        [(view.system, tier, escape(state)) for tier, state in counted], list(counted.values())
    )


_DRIVE_LABELS = "system_name node_name drive_name tier serial"
_SYSTEM_TIER = vendor_group(
    "vsan tier", "system_name tier description", STORAGE_TIERS.name, _system_tiers
)
_TIER = vendor_group(
    "cluster tier",
    "system_name tier status",
    f"{STORAGE_TIERS.name} {CLUSTER_TIERS.name}",
    _cluster_tiers,
)
_ONLINE = vendor_group(
    "cluster tier's nodes and drives",
    "system_name tier status",
    f"{STORAGE_TIERS.name} {CLUSTER_TIERS.name} {CLUSTER_STATUS.name} {MACHINE_DRIVE_PHYS.name}"
    " nodes",
    _online,
)
_DRIVE = vendor_group("drive", _DRIVE_LABELS, MACHINE_DRIVE_PHYS.name, _drives)
_LOAD = vendor_group(
    "drive load",
    _DRIVE_LABELS,
    f"{MACHINE_DRIVE_PHYS.name} {MACHINE_DRIVE_STATS.name}",
    _drive_loads,
)
_STATE = vendor_group(
    "drive state", "system_name tier state", MACHINE_DRIVE_PHYS.name, _drive_states
)

FAMILIES = (
    vendor_gauge("vsan_tier_capacity", _SYSTEM_TIER, "Size of the tier in bytes",
                 or_zero("capacity")),
    vendor_gauge("vsan_tier_used", _SYSTEM_TIER, "Used space of the tier in bytes",
                 or_zero("used")),
    vendor_gauge("vsan_tier_used_pct", _SYSTEM_TIER, "Used space of the tier in percent",
                 or_zero("used_pct")),
    vendor_gauge("vsan_tier_allocated", _SYSTEM_TIER, "Allocated space of the tier in bytes",
                 or_zero("allocated")),
    vendor_gauge("vsan_tier_dedupe_ratio", _SYSTEM_TIER,
                 "How many times as large the data is before deduplication as after it",
                 each(lambda row: (row.dedupe_ratio or 0) / 100)),
    vendor_counter("vsan_tier_transaction", _TIER, "Number of the tier's current transaction",
                   or_zero("transaction")),
    vendor_gauge("vsan_tier_repairs", _TIER, "Repairs of the tier", or_zero("repairs")),
    vendor_gauge("vsan_tier_state", _TIER,
                 "1 while the tier is busy with a walk or repairs; the vendor reads it as healthy",
                 flag(lambda row: row.working)),
    vendor_gauge("vsan_bad_drives", _TIER, "Drives that are not available", or_zero("bad_drives")),
    vendor_gauge("vsan_encryption_status", _TIER, "1 if the tier is encrypted",
                 flag(lambda row: row.encrypted)),
    vendor_gauge("vsan_redundant", _TIER, "1 if the tier is redundant",
                 flag(lambda row: row.redundant)),
    vendor_gauge("vsan_last_walk_time_ms", _TIER, "Duration of the last walk in milliseconds",
                 or_zero("last_walk_time_ms")),
    vendor_gauge("vsan_last_fullwalk_time_ms", _TIER,
                 "Duration of the last full walk in milliseconds",
                 or_zero("last_fullwalk_time_ms")),
    vendor_gauge("vsan_fullwalk_status", _TIER, "1 during a full walk",
                 flag(lambda row: row.fullwalk)),
    vendor_gauge("vsan_fullwalk_progress", _TIER,
                 "Progress of the full walk as VergeOS reports it; sources differ on the scale",
                 or_zero("progress")),
    vendor_gauge("vsan_cur_space_throttle_ms", _TIER,
                 "Delay of each write because of little space, in milliseconds",
                 or_zero("cur_space_throttle_ms")),
    vendor_counter("drive_read_ops", _LOAD, "Read operations of the drive", or_zero("reads")),
    vendor_counter("drive_write_ops", _LOAD, "Write operations of the drive", or_zero("writes")),
    vendor_counter("drive_read_bytes", _LOAD, "Bytes read from the drive", or_zero("read_bytes")),
    vendor_counter("drive_write_bytes", _LOAD, "Bytes written to the drive",
                   or_zero("write_bytes")),
    vendor_gauge("drive_util", _LOAD, "Share of time in which the drive was busy, in percent",
                 or_zero("util")),
    vendor_gauge("drive_service_time", _LOAD, "Average service time in milliseconds",
                 or_zero("service_time")),
    vendor_gauge("drive_temperature", _DRIVE, "Temperature of the drive in °C", or_zero("temp")),
    vendor_gauge("drive_wear_level", _DRIVE, "Rated writes that are used up, in percent",
                 or_zero("wear_level")),
    vendor_counter("drive_power_on_hours", _DRIVE, "Hours of operation", or_zero("hours")),
    vendor_counter("drive_reallocated_sectors", _DRIVE, "Bad sectors that the drive has replaced",
                   or_zero("realloc_sectors")),
    vendor_counter("drive_read_errors", _DRIVE, "Reads of the vSAN that the drive failed",
                   or_zero("vsan_read_errors")),
    vendor_counter("drive_write_errors", _DRIVE, "Writes of the vSAN that the drive failed",
                   or_zero("vsan_write_errors")),
    vendor_gauge("drive_repairs", _DRIVE, "Blocks of the drive that the vSAN is repairing",
                 or_zero("vsan_repairing")),
    vendor_gauge("drive_throttle", _DRIVE,
                 "Limit for writes to the drive in bytes per second; 0 if there is none",
                 or_zero("vsan_throttle")),
    vendor_gauge("vsan_drive_states", _STATE, "Drives of the tier by state", each(float)),
    vendor_gauge("vsan_nodes_online", _ONLINE, "Online nodes of the tier's cluster",
                 or_zero("nodes")),
    vendor_gauge("vsan_drives_online", _ONLINE, "Online drives of the tier", or_zero("drives")),
)  # fmt: skip

"""
Physical drives, from ``machine_drive_phys``: health, wear, vSAN errors and I/O.

The counters of I/O are rows of ``machine_drive_stats``, which the collector of disks polls. VergeOS
reads SMART values every half an hour. ``vsan_repair_estimate`` is left out: sources differ on its
unit.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from exporter.collectors.cluster_tiers import CLUSTER_TIERS, TIER, cluster_tiers
from exporter.collectors.collector import Collector
from exporter.collectors.disks import MACHINE_DRIVE_STATS
from exporter.exposition.collector import counter, divide, each, gauge, group, info, scale
from exporter.exposition.view import Identity, Items, RenderView, escape
from exporter.vergeos.rows import Count, Name, Reference, Row, Whole, joined, key_number, lower_case
from exporter.vergeos.tables import Importance, Pace, Table

HOUR = 3600
MICROSECONDS = 1_000_000
NO_TIER = -1
"""The tier of a drive that is not in the vSAN."""
ONLINE = "online"
WARNINGS = {
    "temperature": "temp_warn",
    "wear": "wear_level_warn",
    "power_on_time": "hours_warn",
    "reallocated_sectors": "realloc_sectors_warn",
    "pending_sectors": "current_pending_sector_warn",
    "uncorrectable_sectors": "offline_uncorrectable_warn",
}
"""The SMART values that VergeOS has limits for, and the flag that one is exceeded."""


class PhysicalDriveRow(Row, gc=False):
    """A row of ``machine_drive_phys`` with the drive's node and status."""

    parent_drive: Reference = None
    path: Name | None = None
    size: Count | None = None
    model: Name | None = None
    fw: Name | None = None
    serial: Name | None = None
    location: Name | None = None
    temp: Whole | None = None
    temp_warn: bool | None = None
    realloc_sectors: Count | None = None
    realloc_sectors_warn: bool | None = None
    wear_level: Count | None = None
    wear_level_warn: bool | None = None
    hours: Count | None = None
    hours_warn: bool | None = None
    current_pending_sector: float | None = None
    current_pending_sector_warn: bool | None = None
    offline_uncorrectable: float | None = None
    offline_uncorrectable_warn: bool | None = None
    vsan_tier: Whole | None = None
    vsan_used: Count | None = None
    vsan_max: Count | None = None
    vsan_read_errors: Count | None = None
    vsan_write_errors: Count | None = None
    vsan_avg_latency: Count | None = None
    vsan_max_latency: Count | None = None
    vsan_repairing: Count | None = None
    vsan_throttle: Count | None = None
    vsan_online_since: Count | None = None
    node_display: Annotated[Name | None, joined("parent_drive#machine#name as node_display")] = None
    statuslist: Annotated[Name | None, joined("parent_drive#status#status as statuslist")] = None

    @property
    def is_in_vsan(self) -> bool:
        return self.vsan_tier is not None and self.vsan_tier > NO_TIER

    @property
    def drive_name(self) -> str:
        return self.path or f"#{self.key}"

    @property
    def status(self) -> str:
        return lower_case(self.statuslist)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the SMART values that exceed the limits of VergeOS."""
        return tuple(name for name, flag in WARNINGS.items() if getattr(self, flag))


MACHINE_DRIVE_PHYS = Table(
    "machine_drive_phys",
    "machine_drive_phys",
    Pace.RARE,
    PhysicalDriveRow,
    importance=Importance.LOW,
    may_be_hidden=True,
)


def identity_of(view: RenderView, row: PhysicalDriveRow) -> Identity:
    """Return the labels of a drive."""
    node, serial = escape(row.node_display or ""), escape(row.serial or "")
    return view.system, node, escape(row.drive_name), serial


def drives(view: RenderView) -> Items:
    """Return every physical drive."""
    name = MACHINE_DRIVE_PHYS.name

    def found() -> Items:
        rows = list(view.rows(name).values())
        return Items([identity_of(view, row) for row in rows], rows)

    return view.keep("physical drives", view.sources(name), found)


def vsan_drives(view: RenderView) -> Items:
    """Return the physical drives that are in the vSAN."""
    every = drives(view)
    return Items(
        every.identities, [row if row.is_in_vsan else None for row in every.objects]
    ).known()


def drive_loads(view: RenderView) -> Items:
    """Return the I/O counters of each physical drive that has some."""
    every, stats = drives(view), view.rows(MACHINE_DRIVE_STATS.name)
    return Items(
        every.identities,
        [stats.get(key_number(row.parent_drive) or 0) for row in every.objects],
    ).known()


class SmartWarning(NamedTuple):
    """Whether a SMART value exceeds its limit."""

    is_on: bool | None


def drive_warnings(view: RenderView) -> Items:
    """Return the warnings of each drive, one for each SMART value that has a limit."""
    every = drives(view)
    pairs = list(zip(every.identities, every.objects, strict=True))
    return Items(
        [(*identity, name) for identity, _ in pairs for name in WARNINGS],
        [SmartWarning(getattr(row, flag)) for _, row in pairs for flag in WARNINGS.values()],
    )


class TierDrives(NamedTuple):
    """The drives of a storage tier of a cluster."""

    total: int
    online: int


NO_DRIVES = TierDrives(0, 0)


def drives_by_tier(view: RenderView) -> Mapping[tuple[int | None, int | None], TierDrives]:
    """
    Return the number of drives by cluster and tier.

    VergeOS can list the online drives of a row of ``cluster_tiers`` in an expression, but a release
    that does not understand it might refuse the whole list, which recovery needs.
    """
    cluster_of = {node.name: node.cluster for node in view.inventory.nodes.values()}
    found: dict[tuple[int | None, int | None], TierDrives] = {}
    for row in view.rows(MACHINE_DRIVE_PHYS.name).values():
        place = cluster_of.get(row.node_display), row.vsan_tier
        total, online = found.get(place, NO_DRIVES)
        found[place] = TierDrives(total + 1, online + (row.status == ONLINE))
    return found


def tier_drives(view: RenderView) -> Items:
    """Return the number of drives of each storage tier of each cluster."""
    found, tiers = drives_by_tier(view), cluster_tiers(view)
    if not found:
        return Items([], [])
    places = [(key_number(row.cluster), row.tier) for row in tiers.objects]
    return Items(tiers.identities, [found.get(place, NO_DRIVES) for place in places])


def _online_since(rows: Sequence[Any]) -> list[float | None]:
    return [float(row.vsan_online_since) if row.vsan_online_since else None for row in rows]


_LABELS = "system_name node_name drive serial"
DRIVE = group("physical drive", _LABELS, MACHINE_DRIVE_PHYS.name, drives)
VSAN_DRIVE = group("vSAN drive", _LABELS, MACHINE_DRIVE_PHYS.name, vsan_drives)
WARNING = group("drive warning", f"{_LABELS} smart_value", MACHINE_DRIVE_PHYS.name, drive_warnings)
LOAD = group(
    "physical drive load",
    _LABELS,
    f"{MACHINE_DRIVE_PHYS.name} {MACHINE_DRIVE_STATS.name}",
    drive_loads,
)
TIER_DRIVES = group(
    "drives of a storage tier",
    " ".join(TIER.labels),
    f"{CLUSTER_TIERS.name} clusters nodes {MACHINE_DRIVE_PHYS.name}",
    tier_drives,
)

FAMILIES = (
    info("drive_info", DRIVE, "machine_drive_phys.parent_drive#status#status",
         "Model, place and status of the physical drive; storage_tier is empty outside the vSAN",
         {
             "status": each(lambda row: row.status or "unknown"),
             "storage_tier": each(lambda row: str(row.vsan_tier) if row.is_in_vsan else ""),
             "model": each(lambda row: row.model or ""),
             "firmware": each(lambda row: row.fw or ""),
             "slot": each(lambda row: row.location or ""),
         }),
    gauge("drive_size_bytes", DRIVE, "machine_drive_phys.size", "Size of the physical drive",
          "size"),
    gauge("drive_temperature_celsius", DRIVE, "machine_drive_phys.temp",
          "Temperature of the physical drive", "temp"),
    gauge("drive_wear_ratio", DRIVE, "machine_drive_phys.wear_level",
          "Share of the SSD's rated writes that is used up, 0 to 1", divide("wear_level", 100)),
    gauge("drive_power_on_seconds", DRIVE, "machine_drive_phys.hours",
            "Time that the physical drive has been powered on in its life", scale("hours", HOUR)),
    gauge("drive_reallocated_sectors", DRIVE, "machine_drive_phys.realloc_sectors",
          "Bad sectors that the physical drive has replaced", "realloc_sectors"),
    gauge("drive_pending_sectors", DRIVE, "machine_drive_phys.current_pending_sector",
          "Sectors that the physical drive could not read and may replace",
          "current_pending_sector"),
    gauge("drive_uncorrectable_sectors", DRIVE, "machine_drive_phys.offline_uncorrectable",
          "Sectors that the physical drive found unreadable in its own tests",
          "offline_uncorrectable"),
    gauge("drive_smart_warning", WARNING, "machine_drive_phys.temp_warn",
          "1 if the SMART value exceeds the limit of VergeOS", "is_on"),
    gauge("drive_vsan_size_bytes", VSAN_DRIVE, "machine_drive_phys.vsan_max",
          "Space of the physical drive that the vSAN may use", "vsan_max"),
    gauge("drive_vsan_used_bytes", VSAN_DRIVE, "machine_drive_phys.vsan_used",
          "Space of the physical drive that the vSAN uses", "vsan_used"),
    counter("drive_vsan_read_errors_total", VSAN_DRIVE, "machine_drive_phys.vsan_read_errors",
            "Reads of the vSAN that the physical drive failed", "vsan_read_errors"),
    counter("drive_vsan_write_errors_total", VSAN_DRIVE, "machine_drive_phys.vsan_write_errors",
            "Writes of the vSAN that the physical drive failed", "vsan_write_errors"),
    gauge("drive_vsan_average_latency_seconds", VSAN_DRIVE, "machine_drive_phys.vsan_avg_latency",
          "Average latency of the vSAN's operations on the physical drive",
          divide("vsan_avg_latency", MICROSECONDS)),
    gauge("drive_vsan_max_latency_seconds", VSAN_DRIVE, "machine_drive_phys.vsan_max_latency",
          "Longest latency of the vSAN's operations on the physical drive",
          divide("vsan_max_latency", MICROSECONDS)),
    gauge("drive_vsan_repairing_blocks", VSAN_DRIVE, "machine_drive_phys.vsan_repairing",
          "Blocks of the physical drive that the vSAN is repairing", "vsan_repairing"),
    gauge("drive_vsan_throttle_bytes_per_second", VSAN_DRIVE, "machine_drive_phys.vsan_throttle",
          "Limit that the vSAN sets for writes to the physical drive; 0 if there is none",
          "vsan_throttle"),
    gauge("drive_vsan_online_timestamp_seconds", VSAN_DRIVE, "machine_drive_phys.vsan_online_since",
          "When the physical drive came online in the vSAN", _online_since),
    counter("drive_reads_total", LOAD, "machine_drive_stats.reads",
            "Read operations of the physical drive", "reads"),
    counter("drive_writes_total", LOAD, "machine_drive_stats.writes",
            "Write operations of the physical drive", "writes"),
    counter("drive_read_bytes_total", LOAD, "machine_drive_stats.read_bytes",
            "Bytes read from the physical drive", "read_bytes"),
    counter("drive_written_bytes_total", LOAD, "machine_drive_stats.write_bytes",
            "Bytes written to the physical drive", "write_bytes"),
    gauge("drive_utilization_ratio", LOAD, "machine_drive_stats.util",
          "Share of time in which the physical drive was busy, 0 to 1", divide("util", 100)),
    gauge("drive_service_time_seconds", LOAD, "machine_drive_stats.service_time",
          "Average service time of the physical drive's operations", divide("service_time", 1000)),
    gauge("cluster_tier_drives", TIER_DRIVES, "machine_drive_phys.vsan_tier",
          "Physical drives of the storage tier", "total"),
    gauge("cluster_tier_online_drives", TIER_DRIVES,
          "machine_drive_phys.parent_drive#status#status",
          "Physical drives of the storage tier that are online", "online"),
)  # fmt: skip

COLLECTOR = Collector("physical_drives", (MACHINE_DRIVE_PHYS,), FAMILIES)

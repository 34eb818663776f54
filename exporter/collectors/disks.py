"""Disks of VMs: size, placement and I/O, from ``machine_drives`` and ``machine_drive_stats``."""

from operator import attrgetter

from exporter.collectors.collector import Collector
from exporter.collectors.devices import DeviceRow, by_machine, clean_device, devices_of_vms
from exporter.exposition.collector import VM, counter, divide, gauge, group, info
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Count, Lost, Name, Reference, Row, Whole, shared
from exporter.vergeos.tables import Pace, Table


class DriveRow(DeviceRow, gc=False):
    """A row of ``machine_drives``."""

    media: Name | None = None
    interface: Name | None = None
    preferred_tier: Whole | Name | None = None
    disksize: Whole | None = None
    used_bytes: Whole | None = None


class DriveStatsRow(Row, gc=False):
    """A row of ``machine_drive_stats``; percent and milliseconds."""

    parent_drive: Reference = None
    reads: Count | None = None
    writes: Count | None = None
    read_bytes: Count | None = None
    write_bytes: Count | None = None
    util: float | None = None
    service_time: float | None = None


def _disk(row: DriveRow, key: int, _: Lost) -> DriveRow:
    clean_device(row, key)
    row.media, row.interface = shared(row.media), shared(row.interface)
    row.preferred_tier = shared("" if row.preferred_tier is None else str(row.preferred_tier))
    return row


MACHINE_DRIVES = Table(
    "machine_drives", "machine_drives", Pace.INVENTORY, DriveRow, _disk, by_machine, turn=1
)
MACHINE_DRIVE_STATS = Table(
    "machine_drive_stats",
    "machine_drive_stats",
    Pace.SLOW,
    DriveStatsRow,
    key=attrgetter("parent_drive"),
)
"""Of the disks of VMs and of the physical drives of nodes."""


def vm_disks(view: RenderView) -> Items:
    """Return the disks of each VM."""
    table = MACHINE_DRIVES.name
    return view.keep("disks", view.sources("vms", table), lambda: devices_of_vms(view, table))


def disk_loads(view: RenderView) -> Items:
    """Return the I/O counters of each disk that has some."""
    stats, disks = view.rows(MACHINE_DRIVE_STATS.name), vm_disks(view)
    found = list(map(stats.get, map(attrgetter("key"), disks.objects)))
    return Items(disks.identities, found).known()


DISK = group("disk", f"{VM} disk", "vms machine_drives", vm_disks)
DISK_LOAD = group("disk load", f"{VM} disk", "vms machine_drives machine_drive_stats", disk_loads)

FAMILIES = (
    info("vm_disk_info", DISK, "machine_drives",
         "Attributes that may change during a disk's life",
         {"storage_tier": "preferred_tier", "media": "media", "interface": "interface"}),
    gauge("vm_disk_size_bytes", DISK, "machine_drives.disksize", "Size of the disk", "disksize"),
    gauge("vm_disk_used_bytes", DISK, "machine_drives.used_bytes",
          "Space that the disk uses on its tier", "used_bytes"),
    counter("vm_disk_reads_total", DISK_LOAD, "machine_drive_stats.reads",
            "Read operations of the disk", "reads"),
    counter("vm_disk_writes_total", DISK_LOAD, "machine_drive_stats.writes",
            "Write operations of the disk", "writes"),
    counter("vm_disk_read_bytes_total", DISK_LOAD, "machine_drive_stats.read_bytes",
            "Bytes read from the disk", "read_bytes"),
    counter("vm_disk_written_bytes_total", DISK_LOAD, "machine_drive_stats.write_bytes",
            "Bytes written to the disk", "write_bytes"),
    gauge("vm_disk_utilization_ratio", DISK_LOAD, "machine_drive_stats.util",
          "Share of time in which the disk was busy, 0 to 1", divide("util", 100)),
    gauge("vm_disk_service_time_seconds", DISK_LOAD, "machine_drive_stats.service_time",
          "Average service time of the disk's operations", divide("service_time", 1000)),
)  # fmt: skip

COLLECTOR = Collector("disks", (MACHINE_DRIVES, MACHINE_DRIVE_STATS), FAMILIES)

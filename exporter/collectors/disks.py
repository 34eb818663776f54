"""Disks of VMs: size, placement and I/O, from ``machine_drives`` and ``machine_drive_stats``."""

from operator import attrgetter

import msgspec

from exporter.collectors.collector import Collector
from exporter.collectors.names import by_machine
from exporter.exposition.collector import VM, counter, gauge, group, info
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import Disk, DiskStats
from exporter.vergeos.rows import (
    Count,
    Name,
    Reference,
    Row,
    TableRows,
    Whole,
    decode,
    percent,
    required_key,
    scaled,
    shared,
)
from exporter.vergeos.tables import Pace, Table


class DriveRow(Row, gc=False):
    """A row of ``machine_drives``."""

    machine: Reference = None
    name: Name | None = None
    media: str | None = None
    interface: str | None = None
    preferred_tier: Whole | str | None = None
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


_DRIVE = msgspec.json.Decoder(DriveRow, strict=False)
_DRIVE_STATS = msgspec.json.Decoder(DriveStatsRow, strict=False)


def disks(body: bytes, path: str) -> TableRows[dict[int, tuple[Disk, ...]]]:
    """Return disks by machine, each with a name that is unique within its machine."""
    decoded = decode(body, path, _DRIVE, _disk)
    return decoded.with_rows(by_machine(decoded.rows.values()), decoded.count)


def disk_stats(body: bytes, path: str) -> TableRows[dict[int, DiskStats]]:
    """Return I/O counters by the key of the disk."""
    return decode(body, path, _DRIVE_STATS, _disk_stats, key=attrgetter("parent_drive"))


def _disk(row: DriveRow, key: int) -> Disk:
    return Disk(
        key=key,
        machine=required_key(row.machine, "machine", key),
        name=shared(row.name),
        media=shared(row.media),
        interface=shared(row.interface),
        tier=shared("" if row.preferred_tier is None else str(row.preferred_tier)),
        size_bytes=row.disksize,
        used_bytes=row.used_bytes,
    )


def _disk_stats(row: DriveStatsRow, disk: int) -> DiskStats:
    return DiskStats(
        disk=disk,
        reads=row.reads,
        writes=row.writes,
        read_bytes=row.read_bytes,
        written_bytes=row.write_bytes,
        utilization_ratio=percent(row.util),
        service_time_seconds=scaled(row.service_time, 1000),
    )


MACHINE_DRIVES = Table("machine_drives", "machine_drives", Pace.SLOW, DriveRow, disks, turn=1)
MACHINE_DRIVE_STATS = Table(
    "machine_drive_stats",
    "machine_drive_stats",
    Pace.SLOW,
    DriveStatsRow,
    disk_stats,
    where="physical eq false",
)


def vm_disks(view: RenderView) -> Items:
    """Return the disks of each VM."""

    def compute() -> Items:
        return Items(
            [(*identity, escape(disk.name)) for identity, vm in view.vms for disk in vm.disks],
            [disk for vm in view.vms.things for disk in vm.disks],
        )

    return view.keep("disks", view.sources("vms", "machine_drives"), compute)


def disk_loads(view: RenderView) -> Items:
    """Return the I/O counters of each disk that has some."""
    stats, disks = view.rows(MACHINE_DRIVE_STATS.name), vm_disks(view)
    return Items(disks.identities, [stats.get(disk.key) for disk in disks.things]).known()


DISK = group("disk", f"{VM} disk", "vms machine_drives", vm_disks)
DISK_LOAD = group("disk load", f"{VM} disk", "vms machine_drives machine_drive_stats", disk_loads)

FAMILIES = (
    info("vm_disk_info", DISK, "machine_drives",
         "Attributes that may change during a disk's life",
         {"tier": "tier", "media": "media", "interface": "interface"}),
    gauge("vm_disk_size_bytes", DISK, "machine_drives.disksize", "Size of the disk", "size_bytes"),
    gauge("vm_disk_used_bytes", DISK, "machine_drives.used_bytes",
          "Space that the disk uses on its tier", "used_bytes"),
    counter("vm_disk_reads_total", DISK_LOAD, "machine_drive_stats.reads",
            "Read operations of the disk", "reads"),
    counter("vm_disk_writes_total", DISK_LOAD, "machine_drive_stats.writes",
            "Write operations of the disk", "writes"),
    counter("vm_disk_read_bytes_total", DISK_LOAD, "machine_drive_stats.read_bytes",
            "Bytes read from the disk", "read_bytes"),
    counter("vm_disk_written_bytes_total", DISK_LOAD, "machine_drive_stats.write_bytes",
            "Bytes written to the disk", "written_bytes"),
    gauge("vm_disk_utilization_ratio", DISK_LOAD, "machine_drive_stats.util",
          "Share of time in which the disk was busy, 0 to 1", "utilization_ratio"),
    gauge("vm_disk_service_time_seconds", DISK_LOAD, "machine_drive_stats.service_time",
          "Average service time of the disk's operations", "service_time_seconds"),
)  # fmt: skip

COLLECTOR = Collector("disks", (MACHINE_DRIVES, MACHINE_DRIVE_STATS), FAMILIES)

"""
The table ``machine_drive_phys``: the hardware of the drives of nodes.

Fields: what the vendor's exporter requests.
"""

from collections.abc import Iterable

from exporter.simulator.api.tables.columns import (
    Column,
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
    live,
)
from exporter.simulator.world.machines import Drive

KEY_OFFSET = 4000
"""Keys differ from those of ``machine_drives``, so that a wrong join shows."""
WARMING = 3.0
"""Degrees by which the mean load of its node warms a drive."""
LIMITED = (
    *("temp", "realloc_sectors", "wear_level", "hours"),
    *("current_pending_sector", "offline_uncorrectable"),
)
"""The values that have a flag, ``…_warn``."""


def _drives(view: RequestView) -> Iterable[Drive]:
    for node in view.world.nodes.values():
        yield from (drive for drive in node.machine.drives if drive.hardware is not None)


def _used(drive: Drive, view: RequestView) -> int:
    """Return the used bytes of a drive: the share that is used of its tier."""
    for tier in view.world.clusters[drive.machine.cluster or 0].tiers:
        if str(tier.number) == drive.tier and tier.capacity_bytes:
            return drive.size_bytes * tier.used(view.age) // tier.capacity_bytes
    return 0


def _latency(factor: float) -> Column:
    return live(
        lambda drive, view: int(
            factor * drive.hardware.latency_microseconds * (0.6 + view.rate(drive.machine))
        )
    )


_MACHINE_DRIVE_PHYS = Table(
    name="machine_drive_phys",
    rows=_drives,
    columns={
        "$key": computed(lambda drive: KEY_OFFSET + drive.key),
        "parent_drive": attribute("key", leads_to="machine_drives"),
        "path": attribute("hardware.path"),
        "all_paths": attribute("hardware.path"),
        "modified": live(lambda _drive, view: int(view.stamp)),
        "size": attribute("size_bytes"),
        "model": attribute("hardware.model"),
        "fw": attribute("hardware.firmware"),
        "serial": computed(lambda drive: drive.serial.upper()),
        "temp": live(
            lambda drive, view: int(
                drive.hardware.base_temperature + WARMING * view.rate(drive.machine)
            )
        ),
        "encrypted": constant(value=True),
        "realloc_sectors": constant(0),
        "wear_level": live(lambda drive, view: drive.hardware.wear_percent(view.age)),
        "hours": live(lambda drive, view: drive.hardware.hours(view.age)),
        "current_pending_sector": constant(0.0),
        "offline_uncorrectable": constant(0.0),
        **{f"{name}_warn": constant(value=False) for name in LIMITED},
        "smart": constant(value=True),
        "vsan_driveid": attribute("order"),
        "vsan_tier": computed(lambda drive: int(drive.tier)),
        "vsan_used": live(_used),
        "vsan_max": attribute("size_bytes"),
        "vsan_read_errors": constant(0),
        "vsan_write_errors": constant(0),
        "vsan_avg_latency": _latency(1.0),
        "vsan_max_latency": _latency(14.0),
        "vsan_repairing": constant(0),
        "vsan_repair_estimate": constant(0),
        "vsan_last_error": constant(""),
        "vsan_throttle": constant(0),
        "vsan_path": attribute("hardware.path"),
        "vsan_online_since": live(lambda drive, view: int(view.status(drive.machine).started)),
        "spare": constant(value=False),
        "swap": constant(value=False),
        "swap_size": constant(0),
        "boot": constant(value=False),
        "boot_size": constant(0),
        "ybpart": constant(value=False),
        "ybpart_size": constant(0),
        "encryption_key": constant(""),
        "enclosure_slot": attribute("hardware.slot"),
        "locate_status": constant("off"),
        "location": computed(lambda drive: f"slot {drive.hardware.slot}"),
        "bus": constant("nvme"),
    },
    links={"parent_drive": Link("machine_drives", lambda drive, _view: drive)},
)


TABLES = (_MACHINE_DRIVE_PHYS,)

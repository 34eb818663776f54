"""
The tables ``machine_drives``, ``machine_drive_stats`` and ``machine_drive_status``.

Fields: docs/vergeos-api.md, and what pyvergeos requests.
"""

from collections.abc import Iterable

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
    counter,
    current_rate,
    live,
    written,
)
from exporter.simulator.world.machines import Drive

BYTES_PER_READ, BYTES_PER_WRITE = 16_384, 12_288


def _drives(view: RequestView) -> Iterable[Drive]:
    return (drive for machine in view.world.machines.values() for drive in machine.drives)


def _counted(drive: Drive) -> Drive | None:
    return drive if drive.machine.status.started > 0 and drive.attached else None


def _status(drive: Drive, view: RequestView) -> str:
    return "online" if view.status(drive.machine).running and drive.attached else "offline"


_MACHINE_DRIVES = Table(
    name="machine_drives",
    rows=_drives,
    columns={
        "$key": attribute("key"),
        "machine": attribute("machine.key", leads_to="machines"),
        "orderid": attribute("order"),
        "name": attribute("name"),
        "description": written("description", default=""),
        "disksize": attribute("size_bytes"),
        "used_bytes": computed(lambda drive: None if drive.media == "cdrom" else drive.used_bytes),
        "interface": attribute("interface"),
        "media": attribute("media"),
        "media_source": written("media_source", default=None),
        "preferred_tier": attribute("tier"),
        "enabled": written("enabled", default=True),
        "readonly": computed(lambda drive: drive.columns.get("readonly", drive.media == "cdrom")),
        "optimize": written("optimize", default="general"),
        "serial": attribute("serial"),
        "fsync": written("fsync", default=""),
        "discard": written("discard", default=True),
        "advanced": written("advanced", default=""),
        "preserve_drive_format": written("preserve_drive_format", default=False),
        "asset": written("asset", default=""),
        "stats": attribute("key", leads_to="machine_drive_stats"),
        "status": attribute("key", leads_to="machine_drive_status"),
    },
    links={
        "machine": Link("machines", lambda drive, _view: drive.machine),
        "status": Link("machine_drive_status", lambda drive, _view: drive),
        "stats": Link("machine_drive_stats", lambda drive, _view: _counted(drive)),
    },
    default=("$key", "machine", "name", "disksize", "media"),
)


_DRIVE_STATS = Table(
    name="machine_drive_stats",
    rows=lambda view: [drive for drive in _drives(view) if _counted(drive)],
    columns={
        "$key": attribute("key"),
        "parent_drive": attribute("key", leads_to="machine_drives"),
        "reads": live(counter("reads_per_second")),
        "writes": live(counter("writes_per_second")),
        "read_bytes": live(
            lambda x, view: (
                int(x.reads_per_second * view.active_seconds(x.machine)) * BYTES_PER_READ
            )
        ),
        "write_bytes": live(
            lambda x, view: (
                int(x.writes_per_second * view.active_seconds(x.machine)) * BYTES_PER_WRITE
            )
        ),
        "rops": live(current_rate("reads_per_second")),
        "wops": live(current_rate("writes_per_second")),
        "rbps": live(current_rate("reads_per_second", BYTES_PER_READ)),
        "wbps": live(current_rate("writes_per_second", BYTES_PER_WRITE)),
        "totalbps": live(current_rate("reads_per_second", BYTES_PER_READ)),
        "service_time": live(lambda x, view: round(0.2 + 0.9 * view.rate(x.machine), 3)),
        "util": live(
            lambda x, view: round(min(100.0, x.writes_per_second * view.rate(x.machine) / 8), 2)
        ),
        "physical": attribute("physical"),
        "used_bytes": attribute("used_bytes"),
        "max_bytes": attribute("size_bytes"),
        "last_update": live(lambda x, view: view.last_update(x.machine)),
        "up_since": computed(lambda drive: int(drive.machine.status.started)),
        "bulk_update": constant(value=False),
    },
    links={"parent_drive": Link("machine_drives", lambda drive, _view: drive)},
)


_DRIVE_STATUS = Table(
    name="machine_drive_status",
    rows=lambda view: sorted(_drives(view), key=lambda drive: not drive.physical),
    columns={
        "$key": attribute("key"),
        "drive": attribute("key", leads_to="machine_drives"),
        "status": live(_status),
        "state": live(_status),
        "status_info": constant(""),
    },
    links={"drive": Link("machine_drives", lambda drive, _view: drive)},
)
"""The drives of nodes come first: a fault concerns the first row unless it names another."""


TABLES = (_MACHINE_DRIVES, _DRIVE_STATUS, _DRIVE_STATS)

"""The tables' rows, joined into one picture of a cloud."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from exporter.model import VM, Identity, Inventory
from exporter.vergeos import tables


def join(
    rows: Mapping[str, Any], *, system_name: str, identity: Identity | None, taken_at: datetime
) -> Inventory:
    """
    Return the picture that *rows* draw.

    Args:
        rows: By table name, what `rows.py` made of the newest answer that may still be believed.
            A table that is missing here leaves its part of the picture unknown.
        system_name: What this cloud is called in the metrics.
        identity: What this cloud calls itself, once it has said so.
        taken_at: When the older of the essential tables was read.

    """
    status = rows.get(tables.MACHINE_STATUS.name, {})
    guests = rows.get(tables.GUESTS.name, {})
    stats = rows.get(tables.MACHINE_STATS.name, {})
    nics = rows.get(tables.MACHINE_NICS.name, {})
    disks = rows.get(tables.MACHINE_DRIVES.name, {})
    nodes = rows.get(tables.NODES.name, {})
    return Inventory(
        system_name=system_name,
        identity=identity,
        taken_at=taken_at,
        sources=rows,
        vms=tuple(
            VM(
                config,
                status.get(config.machine),
                guests.get(config.machine),
                stats.get(config.machine),
                nics.get(config.machine, ()),
                disks.get(config.machine, ()),
            )
            for config in rows.get(tables.VMS.name, ())
        ),
        disk_stats=rows.get(tables.MACHINE_DRIVE_STATS.name, {}),
        vm_snapshot_count=rows.get(tables.VM_SNAPSHOTS.name),
        clusters=rows.get(tables.CLUSTERS.name, {}),
        nodes={
            key: msgspec.structs.replace(node, status=status.get(node.machine))
            for key, node in nodes.items()
        },
        tags=rows.get(tables.TAG_MEMBERS.name),
    )

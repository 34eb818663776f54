"""Join the rows of all tables to one inventory."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.nodes import NODES
from exporter.collectors.platform_status import platform_status
from exporter.collectors.vms import MACHINE_STATUS, VMS
from exporter.model import VM, Identity, Inventory
from exporter.status_updates import newest_by_node, statuses_of_vms, updated_rows
from exporter.vergeos.recovery_rows import TAG_MEMBERS


def join(
    rows: Mapping[str, Any], *, system_name: str, identity: Identity | None, taken_at: datetime
) -> Inventory:
    """
    Return the inventory made of *rows*.

    Args:
        rows: The rows of each fresh table by its name. What a missing table would have given is
            unknown in the inventory.
        system_name: The system's name in the metrics.
        identity: The system's own name and version, once known.
        taken_at: When the older of the essential tables was polled.

    """
    status = rows.get(MACHINE_STATUS.name, {})
    vms = tuple(VM(config, status.get(config.machine)) for config in rows.get(VMS.name, ()))
    return Inventory(
        system_name=system_name,
        identity=identity,
        taken_at=taken_at,
        sources=rows,
        vms=vms,
        clusters=rows.get(CLUSTERS.name, {}),
        nodes={
            key: msgspec.structs.replace(node, status=status.get(node.machine))
            for key, node in rows.get(NODES.name, {}).items()
        },
        tags=rows.get(TAG_MEMBERS.name),
        platform=platform_status(rows),
        status_updated_at=newest_by_node(updated_rows(statuses_of_vms(vms))),
    )

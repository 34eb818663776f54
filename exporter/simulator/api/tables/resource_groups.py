"""The table ``resource_groups``: pools of devices of nodes. Fields: what pyvergeos requests."""

from exporter.simulator.api.tables.columns import (
    RequestView,
    Table,
    attribute,
    live,
    written,
)
from exporter.simulator.world.machines import Device, ResourceGroup


def _used(group: ResourceGroup, view: RequestView) -> list[Device]:
    """Return the devices of machines that come from *group*."""
    return [
        device
        for machine in view.world.machines.values()
        for device in machine.devices
        if device.resource_group == group.uuid
    ]


_RESOURCE_GROUPS = Table(
    name="resource_groups",
    rows=lambda view: view.world.resource_groups.values(),
    find=lambda view, key: view.world.resource_groups.get(key),
    columns={
        "$key": attribute("uuid"),
        "uuid": attribute("uuid"),
        "name": attribute("name"),
        "type": attribute("kind"),
        "description": written("description", default=""),
        "class": written("class", default="unknown"),
        "enabled": written("enabled", default=True),
        "created": attribute("created"),
        "modified": attribute("modified"),
        "resources": live(_used),
    },
    default=("$key", "uuid", "name", "type", "description", "class", "enabled"),
    hidden_from_all=("resources",),
)


TABLES = (_RESOURCE_GROUPS,)

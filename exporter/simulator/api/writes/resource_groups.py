"""Writes to ``resource_groups``, whose key is a UUID."""

from collections.abc import Mapping

from exporter.simulator.api.messages import Answer, error
from exporter.simulator.api.writes.write import (
    BLOB,
    FLAG,
    TEXT,
    RefusedError,
    Write,
    Writer,
    created,
    missing,
    name_in_use,
    required,
    values,
    words,
)
from exporter.simulator.world.machines import ResourceGroup

CLASSES = [
    "gpu",
    "vgpu",
    "storage",
    "hid",
    "usb",
    "network",
    "media",
    "audio",
    "fpga",
    "pci",
    "unknown",
]
COLUMNS = {
    "name": TEXT,
    "type": words(
        "node_pci_devices",
        "node_sriov_nic_devices",
        "node_usb_devices",
        "node_host_gpu_devices",
        "node_nvidia_vgpu_devices",
    ),
    "class": words(*CLASSES),
    "description": TEXT,
    "enabled": FLAG,
    "settings_args": BLOB,
}


def _create(write: Write) -> Answer:
    required(write, "name", "type")
    found, world = values(COLUMNS, write), write.world
    name, kind, now = found.pop("name"), found.pop("type"), int(world.now)
    _refuse_taken(write, name)
    group = ResourceGroup(world.builder.uuid(), name, kind, now, now, found)
    world.resource_groups[group.uuid] = group
    _log(write, "resource_group_created", name)
    return created("resource_groups", group.uuid)


def _change(write: Write) -> Answer:
    group, found = _existing(write), values(COLUMNS, write)
    name = found.pop("name", group.name)
    if name != group.name:
        _refuse_taken(write, name)
    group.name, group.kind = name, found.pop("type", group.kind)
    group.modified = int(write.world.now)
    group.columns.update(found)
    _log(write, "resource_group_changed", name)
    return Answer()


def _delete(write: Write) -> Answer:
    group = _existing(write)
    machines = write.world.machines.values()
    if any(one.resource_group == group.uuid for machine in machines for one in machine.devices):
        raise RefusedError(error(409, "Error: resource group is in use\n"))
    del write.world.resource_groups[group.uuid]
    _log(write, "resource_group_deleted", group.name)
    return Answer()


def _existing(write: Write) -> ResourceGroup:
    group = write.world.resource_groups.get(write.key)
    if group is None:
        raise missing("resource_groups", write.key)
    return group


def _refuse_taken(write: Write, name: str) -> None:
    if any(group.name == name for group in write.world.resource_groups.values()):
        raise name_in_use()


def _log(write: Write, event: str, name: str) -> None:
    world = write.world
    world.platform_log.record(event, at=world.now, name=name, object_type="other", user=write.user)


WRITES: Mapping[tuple[str, str], Writer] = {
    ("POST", "resource_groups"): _create,
    ("PUT", "resource_groups"): _change,
    ("DELETE", "resource_groups"): _delete,
}

"""Writes to ``vms``: VMs are created, configured and deleted."""

from collections.abc import Mapping
from typing import Any

from exporter.simulator.api.messages import Answer, error
from exporter.simulator.api.writes.write import (
    FLAG,
    NUMBER,
    TEXT,
    Column,
    RefusedError,
    Write,
    Writer,
    created,
    invalid_argument,
    missing,
    name_in_use,
    reference,
    required,
    values,
    words,
)
from exporter.simulator.world import lifecycle
from exporter.simulator.world.machines import VM

SIZES = {"cpu_cores": "cores", "ram": "memory_mb"}
"""Columns that wait for a restart while the VM runs, and their names in the world."""

ATTRIBUTES: Mapping[str, Column] = {
    "cluster": reference("clusters"),
    "cluster_failover": reference("clusters"),
    "description": TEXT,
    "disable_powercycle": FLAG,
    "enabled": FLAG,
    "guest_agent": FLAG,
    "ha_group": TEXT,
    "machine_type": TEXT,
    "migration_method": TEXT,
    "need_restart": FLAG,
    "on_power_loss": words("power_on", "last_state", "leave_off"),
    "os_description": TEXT,
    "os_family": words("linux", "windows", "freebsd", "other"),
    "preferred_node": reference("nodes"),
    "snapshot_profile": reference("snapshot_profiles"),
    "uefi": FLAG,
}
"""Columns that are attributes of the VM or its machine."""

STORED: Mapping[str, Column] = {
    "advanced": TEXT,
    "allow_export": FLAG,
    "allow_hotplug": FLAG,
    "boot_delay": NUMBER,
    "boot_order": TEXT,
    "cloudinit_datasource": words("none", "config_drive_v2", "nocloud"),
    "console": words("vnc", "spice", "serial", "none"),
    "cpu_type": TEXT,
    "disable_hypervisor": FLAG,
    "iommu": FLAG,
    "nested_virtualization": FLAG,
    "note": TEXT,
    "power_cycle_timeout": NUMBER,
    "rtc_base": TEXT,
    "secure_boot": FLAG,
    "serial_port": FLAG,
    "sound": TEXT,
    "usb_legacy": FLAG,
    "video": TEXT,
}
"""Columns that are shown as they were written."""

COLUMNS: Mapping[str, Column] = {
    "name": TEXT,
    "cpu_cores": NUMBER,
    "ram": NUMBER,
    **ATTRIBUTES,
    **STORED,
}


def _create(write: Write) -> Answer:
    required(write, "name")
    found = _checked(write, None)
    world = write.world
    cluster = found.pop("cluster", None) or next(iter(world.clusters))
    vm = lifecycle.create(world, found.pop("name"), cluster=cluster, user=write.user)
    _configure(write, vm, found)
    return created("vms", vm.key)


def _change(write: Write) -> Answer:
    vm = _existing(write)
    found = _checked(write, vm)
    name = found.pop("name", vm.name)
    if name != vm.name:
        write.world.renames(vm, name, user=write.user)
    if found:
        _configure(write, vm, found)
    return Answer()


def _delete(write: Write) -> Answer:
    vm = _existing(write)
    if vm.machine.status.running:
        raise RefusedError(error(422, "Virtual Machine must be stopped to delete\n"))
    write.world.deletes(vm, user=write.user)
    return Answer()


def _existing(write: Write) -> VM:
    vm = write.world.vms.get(int(write.key))
    if vm is None:
        raise missing("vms", write.key)
    return vm


def _checked(write: Write, vm: VM | None) -> dict[str, Any]:
    """Return the valid values of the body for *vm*, or for a new VM."""
    found = values(COLUMNS, write)
    name = found.get("name")
    if name is not None:
        if not name:
            raise invalid_argument()
        if any(other.name == name for other in write.world.live_vms() if other is not vm):
            raise name_in_use()
    if any(found.get(column, 1) < 1 for column in SIZES):
        raise invalid_argument()
    return found


def _configure(write: Write, vm: VM, found: Mapping[str, Any]) -> None:
    lifecycle.configure(
        write.world,
        vm,
        user=write.user,
        sizes={SIZES[name]: value for name, value in found.items() if name in SIZES},
        attributes={name: value for name, value in found.items() if name in ATTRIBUTES},
        columns={name: value for name, value in found.items() if name in STORED},
    )


WRITES: Mapping[tuple[str, str], Writer] = {
    ("POST", "vms"): _create,
    ("PUT", "vms"): _change,
    ("DELETE", "vms"): _delete,
}

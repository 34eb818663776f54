"""Changes of VMs that operators order: configuration, parts, snapshots, clones and restores."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exporter.simulator.world.builder import role_of
from exporter.simulator.world.machines import VM, Device, Drive, Machine, Nic, Part, Status
from exporter.simulator.world.world import World

KIND_NAMES: Mapping[type, str] = {Drive: "Drive", Nic: "NIC", Device: "Device"}
OF_SNAPSHOTS = ("snapshot_description", "quiesced", "expires")
NEVER_RAN = Status(word="stopped", running=False, state="offline", since=0.0, started=0.0)


def create(world: World, name: str, *, cluster: int, user: str) -> VM:
    """Create a VM without drives and NICs, which is off."""
    vm = world.builder.empty_vm(
        role=role_of(name), cluster=cluster, name=name, created=world.now, creator=user
    )
    world.adopt(vm)
    world.power.record(vm.machine, "created", user=user)
    return vm


def configure(
    world: World,
    vm: VM,
    *,
    user: str,
    sizes: Mapping[str, int],
    attributes: Mapping[str, Any],
    columns: Mapping[str, Any],
) -> None:
    """Change the configuration of *vm*; new *sizes* wait for a restart while it runs."""
    if sizes:
        world.power.resize(vm.machine, **sizes)
    vm.columns.update(columns)
    world.changes(vm, user=user, **attributes)


# Parts.


def add(world: World, part: Part, *, user: str) -> None:
    """Add *part* to its machine; a machine that runs attaches it at its next start."""
    machine = part.machine
    part.attached = not machine.status.running
    siblings(part).append(part)
    world.power.record(machine, "part_added", user=user, part=described(part))


def remove(world: World, part: Part, *, user: str) -> None:
    """Take *part* from its machine."""
    siblings(part).remove(part)
    world.power.record(part.machine, "part_removed", user=user, part=described(part))


def attach(world: World, part: Part, *, attached: bool, user: str) -> None:
    """Plug *part* into its running machine, or unplug it."""
    part.attached = attached
    event = "part_attached" if attached else "part_detached"
    world.power.record(part.machine, event, user=user, part=described(part))


def siblings(part: Part) -> list[Any]:
    """Return the list of the machine that *part* belongs to."""
    machine = part.machine
    match part:
        case Drive():
            return machine.drives
        case Nic():
            return machine.nics
        case Device():
            return machine.devices


def described(part: Part) -> str:
    """Return what the log calls *part*."""
    return f"{KIND_NAMES[type(part)]} '{part.name}'"


# Copies.


def clone(world: World, vm: VM, name: str, *, keep_macs: bool, user: str) -> VM:
    """Make a VM like *vm*, or like the one that it is a snapshot of; the clone is off."""
    copy = _copy(world, vm, name, keep_macs=keep_macs)
    copy.uuid, copy.creator, copy.created_from = world.builder.uuid(), user, "clone"
    copy.is_snapshot, copy.snapshot_of, copy.owner, copy.service = False, None, None, None
    world.adopt(copy)
    world.power.record(vm.machine, "cloned", user=user, clone=name)
    world.power.record(copy.machine, "created", user=user)
    return copy


def take_snapshot(
    world: World,
    vm: VM,
    name: str,
    *,
    description: str,
    expires: int,
    quiesced: bool,
    user: str,
) -> VM:
    """Copy *vm* into a row of ``vms`` that cannot be started; 0: it never *expires*."""
    copy = _copy(world, vm, name, keep_macs=True)
    copy.is_snapshot, copy.snapshot_of, copy.owner = True, vm.key, f"vms/{vm.key}"
    copy.columns |= {"snapshot_description": description, "quiesced": quiesced}
    world.adopt(copy)
    _expire(world, copy, expires)
    world.power.record(vm.machine, "snapshot_taken", user=user, snapshot=name)
    return copy


def change_snapshot(world: World, snapshot: VM, changes: Mapping[str, Any], *, user: str) -> None:
    """Change the name, the description and when *snapshot* expires."""
    snapshot.name = snapshot.machine.name = changes.get("name", snapshot.name)
    if "description" in changes:
        snapshot.columns["snapshot_description"] = changes["description"]
    if "expires" in changes:
        _expire(world, snapshot, changes["expires"])
    _record_snapshot(world, snapshot, "snapshot_changed", user)


def delete_snapshot(world: World, snapshot: VM, *, user: str = "system") -> None:
    """Delete a snapshot that was taken by hand."""
    _record_snapshot(world, snapshot, "snapshot_deleted", user)
    del world.vms[snapshot.key], world.machines[snapshot.machine.key]


def _expire(world: World, snapshot: VM, at: int) -> None:
    snapshot.columns["expires"] = at

    def expire() -> None:
        if world.vms.get(snapshot.key) is snapshot and snapshot.columns["expires"] == at:
            delete_snapshot(world, snapshot)

    if at:
        world.at(at, expire)


def _record_snapshot(world: World, snapshot: VM, event: str, user: str) -> None:
    owner = world.vms.get(snapshot.snapshot_of or 0, snapshot)
    world.power.record(owner.machine, event, user=user, snapshot=snapshot.name)


def restore(world: World, vm: VM, snapshot: VM, *, user: str) -> None:
    """Give *vm*, which is off, the configuration and the parts of *snapshot*."""
    machine, source = vm.machine, snapshot.machine
    world.power.resize(
        machine, cores=source.configured_cores, memory_mb=source.configured_memory_mb
    )
    _copy_parts(world, source, machine, keep_macs=True)
    machine.guest = source.guest
    for column in ("description", "os_family", "os_description", "machine_type", "uefi"):
        setattr(vm, column, getattr(snapshot, column))
    vm.guest_agent, vm.columns = snapshot.guest_agent, _without_snapshot(snapshot)
    vm.modified = int(world.now)
    world.power.record(machine, "restored", user=user, snapshot=snapshot.name)


def _copy(world: World, vm: VM, name: str, *, keep_macs: bool) -> VM:
    source = vm.machine
    machine = replace(
        source,
        key=world.keys.next("machines"),
        name=name,
        status=NEVER_RAN,
        idle_since=0.0,
        plan=0,
        restart_with_node=None,
        cores=source.configured_cores,
        memory_mb=source.configured_memory_mb,
        new_cores=None,
        new_memory_mb=None,
        need_restart=False,
    )
    _copy_parts(world, source, machine, keep_macs=keep_macs)
    return replace(
        vm,
        key=world.keys.next("vms"),
        machine=machine,
        name=name,
        created=int(world.now),
        modified=int(world.now),
        columns=_without_snapshot(vm),
    )


def _without_snapshot(vm: VM) -> dict[str, Any]:
    """Return the columns of a VM without those that only a snapshot has."""
    return {name: value for name, value in vm.columns.items() if name not in OF_SNAPSHOTS}


def _copy_parts(world: World, source: Machine, target: Machine, *, keep_macs: bool) -> None:
    builder, keys = world.builder, world.keys
    target.drives = [
        replace(
            drive,
            key=keys.next("machine_drives"),
            machine=target,
            serial=builder.serial(),
            attached=True,
            columns=dict(drive.columns),
        )
        for drive in source.drives
    ]
    target.nics = [
        replace(
            nic,
            key=keys.next("machine_nics"),
            machine=target,
            mac=nic.mac if keep_macs else builder.mac(),
            attached=True,
            columns=dict(nic.columns),
        )
        for nic in source.nics
    ]
    target.devices = [
        replace(
            device,
            key=keys.next("machine_devices"),
            machine=target,
            attached=True,
            columns=dict(device.columns),
        )
        for device in source.devices
    ]

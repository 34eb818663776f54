"""
Which rows of an inventory recovery may judge by.

A VM of which a deciding value could not be read was not seen in that poll: its row is there, and
shows nothing. The same holds of a node. No other VM or node is concerned.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import attrgetter

from msgspec.structs import replace

from exporter.model import VM, Inventory, MachineStatus, Node

OF_VM = frozenset(
    {
        "name", "uuid", "is_snapshot", "enabled", "cluster", "ha_group", "on_power_loss",
        "service", "disable_powercycle",
    }
)  # fmt: skip
"""Fields of ``vms`` that decide whether a VM is enrolled, crashed and may be started."""
OF_STATUS = frozenset(
    {"running", "powerstate", "status", "state", "node", "started", "last_update"}
)
"""Fields of ``machine_status`` that decide whether a machine is up, and where."""
OF_NODE = frozenset({"name", "machine", "maintenance"})
"""Fields of ``nodes`` that decide which log rows are about a node, and whether it is well."""
_STATUS = attrgetter("status")
_UNREADABLE = attrgetter("unreadable")
_UNREADABLE_OF_CONFIG = attrgetter("config.unreadable")


def unreadable_clusters(inventory: Inventory) -> AbstractSet[int]:
    """Return the clusters whose names, which enrolment rules may use, could not be read."""
    return {key for key, cluster in inventory.clusters.items() if cluster.unreadable}


def is_config_readable(vm: VM, clusters: AbstractSet[int]) -> bool:
    """Return whether the configuration of *vm* is known; *clusters* are the unreadable ones."""
    unreadable = vm.config.unreadable
    return not (unreadable and unreadable & OF_VM) and vm.config.cluster not in clusters


def is_status_readable(status: MachineStatus | None) -> bool:
    """Return whether a machine's status is known, as far as it has one."""
    return status is None or not (status.unreadable and status.unreadable & OF_STATUS)


def readable_vms(
    inventory: Inventory, uuids_before: Callable[[], Mapping[int, str]]
) -> Sequence[VM]:
    """
    Return the VMs as they may be judged: without a status where a deciding value is unreadable.

    Args:
        uuids_before: Returns the UUIDs of VMs, by key, for rows whose own is unreadable.

    """
    if is_all_readable(inventory):
        return inventory.vms
    clusters, uuids = unreadable_clusters(inventory), uuids_before()
    return [
        vm
        if is_config_readable(vm, clusters) and is_status_readable(vm.status)
        else _not_seen(vm, uuids)
        for vm in inventory.vms
    ]


def not_seen(vms: Sequence[VM], inventory: Inventory) -> AbstractSet[int]:
    """Return the keys of those of the `readable_vms` of *inventory* that show nothing."""
    if vms is inventory.vms:
        return frozenset()
    both = zip(vms, inventory.vms, strict=True)
    return {vm.config.key for vm, reported in both if vm is not reported}


def is_all_readable(inventory: Inventory) -> bool:
    """Return whether every value of the VMs and of the names of their clusters was read."""
    statuses = filter(None, map(_STATUS, inventory.vms))  # each poll looks at each VM
    return not (
        unreadable_clusters(inventory)
        or any(map(_UNREADABLE_OF_CONFIG, inventory.vms))
        or any(map(_UNREADABLE, statuses))
    )


def as_recorded(inventory: Inventory, before: Inventory | None) -> Inventory:
    """Return *inventory* as it was judged, with what was recorded *before* of unreadable rows."""
    nodes = readable_nodes(inventory)
    if is_all_readable(inventory) and len(nodes) == len(inventory.nodes):
        return inventory
    unreadable = unreadable_clusters(inventory)
    configs = {vm.config.key: vm.config for vm in before.vms} if before is not None else {}
    clusters = before.clusters if before is not None else {}
    vms = []
    for vm in inventory.vms:
        is_known = is_config_readable(vm, unreadable)
        config = vm.config if is_known else configs.get(vm.config.key)
        if config is not None:
            is_seen = is_known and is_status_readable(vm.status)
            vms.append(VM(config, vm.status if is_seen else None))
    return replace(
        inventory,
        vms=tuple(vms),
        nodes=nodes,
        clusters={
            key: clusters.get(key, cluster) if cluster.unreadable else cluster
            for key, cluster in inventory.clusters.items()
        },
    )


def readable_nodes(inventory: Inventory) -> Mapping[int, Node]:
    """Return the nodes of which every deciding value was read."""
    return {
        key: node
        for key, node in inventory.nodes.items()
        if not node.unreadable & OF_NODE and is_status_readable(node.status)
    }


def _not_seen(vm: VM, uuids: Mapping[int, str]) -> VM:
    config = vm.config
    if "uuid" in config.unreadable:
        config = replace(config, uuid=uuids.get(config.key, ""))
    return VM(config, None)

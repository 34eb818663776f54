"""Facts of an inventory, and which of them changed from one inventory to the next."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from exporter.model import VM, Inventory, MachineStatus, Node
from exporter.recovery.model.history import FactKind, FactValues, NodeFact, StatusFact, VMFact

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
NO_TAGS: frozenset[str] = frozenset()
Tags = Mapping[int, frozenset[str]]
NewFact = tuple[FactKind, str, str | None]
"""Kind, key and value as JSON; ``None`` if it is gone."""


def encode(value: object) -> str:
    """Return *value* as JSON."""
    return _encode(value).decode()


def all_facts(inventory: Inventory, tags: Tags) -> Iterator[tuple[FactKind, str, str]]:
    """Yield every fact of *inventory*."""
    for vm in inventory.vms:
        key = str(vm.config.key)
        yield FactKind.VM, key, encode(vm_fact(vm, tags))
        if vm.status is not None:
            yield FactKind.STATUS, key, encode(status_fact(vm.status))
    for node in inventory.nodes.values():
        yield FactKind.NODE, str(node.key), encode(node_fact(node))
    for cluster in inventory.clusters.values():
        yield FactKind.CLUSTER, str(cluster.key), encode(cluster.name)
    yield FactKind.PLATFORM, "", encode(inventory.platform)


def changed_since(base: FactValues, inventory: Inventory, tags: Tags) -> Iterator[NewFact]:
    """Yield the facts of *inventory* that *base*, the newest ones in the journal, has not."""
    seen = set()
    for kind, key, value in all_facts(inventory, tags):
        seen.add((kind, key))
        if base.get((kind, key)) != value:
            yield kind, key, value
    of_inventory = {
        FactKind.VM,
        FactKind.STATUS,
        FactKind.NODE,
        FactKind.CLUSTER,
        FactKind.PLATFORM,
    }
    yield from ((*one, None) for one in base if one[0] in of_inventory and one not in seen)


def changed(
    before: Inventory, after: Inventory, tags_before: Tags, tags: Tags
) -> Iterator[NewFact]:
    """Yield the facts that changed from one inventory to the next."""
    if [vm.config.key for vm in before.vms] == [vm.config.key for vm in after.vms]:
        retagged = tags is not tags_before
        pairs: Sequence[tuple[VM | None, VM | None]] = [
            (old, new)
            for old, new in zip(before.vms, after.vms, strict=True)
            if retagged or old.config is not new.config or not _is_same(old.status, new.status)
        ]
    else:
        olds, news = ({vm.config.key: vm for vm in one.vms} for one in (before, after))
        pairs = [(olds.get(key), news.get(key)) for key in sorted({*olds, *news})]
    for old, new in pairs:
        yield from _vm_changes(old, new, tags_before, tags)
    yield from _differing(
        FactKind.NODE, before.nodes, after.nodes, lambda one: encode(node_fact(one))
    )
    yield from _differing(
        FactKind.CLUSTER, before.clusters, after.clusters, lambda one: encode(one.name)
    )
    if before.platform != after.platform:
        yield FactKind.PLATFORM, "", encode(after.platform)


def vm_fact(vm: VM, tags: Tags) -> VMFact:
    """Return what recovery reads of the configuration of *vm*."""
    config = vm.config
    return VMFact(
        config.machine,
        config.name,
        config.uuid,
        config.enabled,
        config.memory_bytes,
        config.cluster,
        config.failover_cluster,
        config.ha_group,
        config.on_power_loss,
        config.service,
        config.disable_powercycle,
        tuple(sorted(tags.get(config.key, NO_TAGS))),
    )


def status_fact(status: MachineStatus) -> StatusFact:
    """Return what recovery reads of *status*."""
    return StatusFact(
        status.running,
        status.powered_on,
        status.word,
        status.state,
        status.node,
        status.started_at,
    )


def node_fact(node: Node) -> NodeFact:
    """Return what recovery reads of *node*."""
    status = status_fact(node.status) if node.status is not None else None
    return NodeFact(node.name, node.cluster, node.machine, node.maintenance, status)


def _vm_changes(old: VM | None, new: VM | None, tags_before: Tags, tags: Tags) -> Iterator[NewFact]:
    if new is None:
        assert old is not None  # noqa: S101 - one of the two inventories has it
        yield FactKind.VM, str(old.config.key), None
        if old.status is not None:
            yield FactKind.STATUS, str(old.config.key), None
        return
    key = new.config.key
    if (
        old is None
        or (old.config is not new.config and vm_fact(old, tags_before) != vm_fact(new, tags))
        or tags.get(key, NO_TAGS) != tags_before.get(key, NO_TAGS)
    ):
        yield FactKind.VM, str(key), encode(vm_fact(new, tags))
    was = old.status if old is not None else None
    if not _is_same(was, new.status):
        status = encode(status_fact(new.status)) if new.status is not None else None
        yield FactKind.STATUS, str(key), status


def _is_same(was: MachineStatus | None, now: MachineStatus | None) -> bool:
    """Return whether the facts of two status rows are equal."""
    return was is now or (
        was is not None
        and now is not None
        and was.word == now.word
        and was.running == now.running
        and was.node == now.node
        and was.started_at == now.started_at
        and was.powered_on == now.powered_on
        and was.state == now.state
    )


def _differing(
    kind: FactKind,
    before: Mapping[int, T],
    after: Mapping[int, T],
    text: Callable[[T], str],
) -> Iterator[NewFact]:
    """Yield the values that differ by their text: a status row changes at every poll."""
    for key, one in after.items():
        known = before.get(key)
        if known is not one and (known is None or text(known) != text(one)):
            yield kind, str(key), text(one)
    yield from ((kind, str(key), None) for key in before if key not in after)

"""The VMs of all systems as entries: what lists, counts and pages of VMs are made of."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from exporter.collectors.guests import GUESTS
from exporter.collectors.vms import MACHINE_STATS
from exporter.console.vm_condition import Condition, condition_of
from exporter.exposition.view import Names
from exporter.model import VM, Inventory, RecoveryVM, SystemState
from exporter.vergeos.recovery_rows import UNREADABLE_TAG

NO_TAGS: frozenset[str] = frozenset()


class VMEntry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One VM as lists show it."""

    system: str
    key: int
    """Of ``vms``; unique in its system."""
    name: str
    uuid: str
    machine: int
    condition: Condition
    status: str
    """As VergeOS spells it; empty if it is unknown."""
    node: str
    """The name of the node it runs on, or ran on last; empty if that is unknown."""
    cluster: str
    tags: tuple[str, ...]
    """Sorted, each as ``category/name``."""
    addresses: tuple[str, ...]
    """As the guest agent reports them."""
    os: str
    cores: int | None
    memory_bytes: int | None
    cpu_ratio: float | None
    """Use of its cores, 0 to 1; ``None`` if it is off or unknown."""
    memory_used_ratio: float | None
    """As the guest agent reports it, 0 to 1."""
    recovery_state: str
    """One of recovery's states; empty if recovery is off or does not know the VM."""
    policy: str
    """The policy of an enrolled VM; ``no`` if it is monitored only; empty without recovery."""
    cause: str
    """The cause of its diagnosis: a word; empty without a diagnosis."""
    detail: str
    """The evidence for that cause."""
    failed_guard: str
    """The guard that forbids an action on a VM that crashed; else empty."""
    since: datetime | None
    """When it entered its recovery state."""
    down_since: datetime | None
    """If it does not run, when it was last seen running, or when it was first seen."""

    @property
    def is_enrolled(self) -> bool:
        """Whether recovery may act on it."""
        return self.policy not in ("", "no", "ignore")


class Fleet:
    """
    The entries of all systems.

    They are made for the newest inventory of each system only when they are asked for, and kept
    until there is a newer one.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[object, ...], tuple[VMEntry, ...]]] = {}
        self._all: tuple[VMEntry, ...] = ()

    def entries(self, states: Iterable[SystemState]) -> tuple[VMEntry, ...]:
        """
        Return the entry of each VM, in the order of the systems and of the VMs' keys.

        It is the same tuple as before while nothing is newer.
        """
        known, self._known = self._known, {}
        for state in states:
            name, recovery = state.report.system_name, state.report.recovery
            sources = (state.inventory, recovery)
            before = known.get(name)
            if before is None or before[0][0] is not sources[0] or before[0][1] is not sources[1]:
                before = sources, tuple(_entries(state))
            self._known[name] = before
        now = list(self._known.values())
        if len(now) != len(known) or any(
            one is not other for one, other in zip(now, known.values(), strict=True)
        ):
            self._all = tuple(entry for _, entries in now for entry in entries)
        return self._all


def count_conditions(entries: Iterable[VMEntry]) -> Mapping[Condition, int]:
    """Return how many VMs are in each condition, the worst first; none with 0."""
    counts = Counter(entry.condition for entry in entries)
    return {condition: counts[condition] for condition in Condition if counts[condition]}


def _entries(state: SystemState) -> Iterator[VMEntry]:
    inventory, report = state.inventory, state.report
    if inventory is None:
        return
    recoveries: Mapping[int, RecoveryVM] = (
        {one.key: one for one in report.recovery.vms} if report.recovery is not None else {}
    )
    clusters, nodes = Names("cluster", inventory.clusters), Names("node", inventory.nodes)
    guests, stats = rows_of(inventory, GUESTS.name), rows_of(inventory, MACHINE_STATS.name)
    tags = inventory.tags or {}
    for vm in inventory.vms:
        yield _entry(
            vm,
            recoveries.get(vm.config.key),
            system=report.system_name,
            cluster=clusters[vm.config.cluster],
            node=nodes[vm.status.node] if vm.status is not None else "",
            tags=tuple(sorted(tags.get(vm.config.key, NO_TAGS) - {UNREADABLE_TAG})),
            guest=guests.get(vm.config.machine),
            stats=stats.get(vm.config.machine),
        )


def _entry(
    vm: VM,
    recovery: RecoveryVM | None,
    *,
    system: str,
    cluster: str,
    node: str,
    tags: tuple[str, ...],
    guest: Any,
    stats: Any,
) -> VMEntry:
    config, status = vm.config, vm.status
    runs = status is not None and status.running is True
    info = guest.agent_guest_info if guest is not None else None
    return VMEntry(
        system=system,
        key=config.key,
        name=config.name,
        uuid=config.uuid,
        machine=config.machine,
        condition=condition_of(vm, recovery),
        status=status.word if status is not None else "",
        node=node,
        cluster=cluster,
        tags=tags,
        addresses=tuple(info.addresses) if info is not None else (),
        os=config.os_family,
        cores=config.cpu_cores,
        memory_bytes=config.memory_bytes,
        cpu_ratio=cpu_ratio(stats) if runs else None,
        memory_used_ratio=memory_ratio(info) if runs else None,
        recovery_state=recovery.state if recovery is not None else "",
        policy=recovery.policy if recovery is not None else "",
        cause=recovery.cause if recovery is not None else "",
        detail=recovery.detail if recovery is not None else "",
        failed_guard=recovery.failed_guard if recovery is not None else "",
        since=recovery.since if recovery is not None else None,
        down_since=recovery.down_since if recovery is not None else None,
    )


def rows_of(inventory: Inventory, table: str) -> Mapping[int, Any]:
    """Return the rows of a table by their machine; none while it is not fresh."""
    found: Any = inventory.sources.get(table)
    return found or {}


def cpu_ratio(stats: Any) -> float | None:
    """Return the use of a VM's cores, by its row of ``machine_stats``."""
    return None if stats is None or stats.total_cpu is None else stats.total_cpu / 100


def memory_ratio(info: Any) -> float | None:
    """Return the use of a VM's memory, by what its guest agent reports."""
    memory = info.meminfo if info is not None else None
    if memory is None or not memory.ram_total or memory.ram_used is None:
        return None
    ratio: float = memory.ram_used / memory.ram_total
    return ratio


def entry_of(entries: Sequence[VMEntry], system: str, key: int) -> VMEntry | None:
    """Return the entry of one VM."""
    return next((one for one in entries if one.key == key and one.system == system), None)

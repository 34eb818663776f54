"""
The things in a picture, each with the label values that identify it.

A `Items` holds things and their identities, already escaped; which metrics are read from
a thing is the catalogue's business.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from operator import is_
from typing import Any

import msgspec

from exporter.model import (
    KNOWN_STATUS_WORDS,
    VM,
    Cluster,
    Inventory,
    Node,
    SystemReport,
    VMConfig,
)

REPORT = "report"
"""Not a table, but what is known of all of them."""
IDENTITY = "identity"
NO_STATUS = "unknown"
NEW_WORD = "other"
NO = "no"
"""The policy of VMs that recovery only looks at."""

Identity = tuple[str, ...]

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@lru_cache(maxsize=4096)  # a fleet's words, and the names of its disks, are few
def escape(value: str) -> str:
    """Return *value* as it stands between the quotes of a label."""
    return value.translate(_ESCAPES)


@dataclass(frozen=True, slots=True)
class Items:
    """
    Things of one kind, and in the same order what identifies each.

    Two lists and not one of pairs: they are compared and read by the ten thousand, and VMs'
    identities are the same list from one view to the next.
    """

    identities: list[Identity]
    things: list[Any]

    def known(self) -> "Items":
        """Return the things that are not None."""
        if None not in self.things:
            return self
        known = [thing is not None for thing in self.things]
        return Items(list(compress(self.identities, known)), list(compress(self.things, known)))

    def __iter__(self) -> Iterator[tuple[Identity, Any]]:
        return zip(self.identities, self.things, strict=True)


class PlacedVM(msgspec.Struct, frozen=True, gc=False):
    """A VM with what may change in its life."""

    config: VMConfig
    cluster: str
    node: str
    agent_version: str


class PlacedNode(msgspec.Struct, frozen=True, gc=False):
    """A node with the name of its cluster."""

    node: Node
    cluster: str


class Names(dict[int | None, str]):
    """Names by key; a key without a name is still worth showing, and no key is no name."""

    def __init__(self, kind: str, things: Mapping[int, Cluster] | Mapping[int, Node]) -> None:
        super().__init__({None: ""})
        self._kind = kind
        for key, thing in things.items():
            self[key] = thing.name

    def __missing__(self, key: int | None) -> str:
        return f"{self._kind}_{key}"


class RenderView:
    """
    A snapshot and its report, with the identity of each VM worked out once.

    Args:
        before: The view before this one; what has not changed since is taken over.

    """

    def __init__(
        self,
        inventory: Inventory | None,
        report: SystemReport,
        *,
        before: "RenderView | None" = None,
    ) -> None:
        self.inventory = inventory
        self.report = report
        self.system = escape(report.system_name)
        if before is not None and before.system == self.system:
            self.system = before.system  # the very same object, so that it compares as a source
        self.vms = Items(self._identities(before), list(inventory.vms if inventory else ()))
        self.clusters = Names("cluster", inventory.clusters if inventory else {})
        self.nodes = Names("node", inventory.nodes if inventory else {})
        self.guests = self.of_vms([vm.guest if _may_run(vm) else None for vm in self.vms.things])
        self.filesystems = self._filesystems(before)
        self.disks = self._disks(before)

    def of_vms(self, things: Sequence[Any]) -> Items:
        """Return *things*, one for each VM, where they are known."""
        return Items(self.vms.identities, list(things)).known()

    def sources(self, tables: frozenset[str]) -> tuple[object, ...]:
        """Return the objects that *tables* are now, and the name that is on every series."""
        known: dict[str, object] = dict(self.inventory.sources) if self.inventory else {}
        # What a cloud said of itself is believed however old it is, unlike a table.
        known[IDENTITY] = self.inventory.identity if self.inventory else None
        known[REPORT] = self.report
        return (self.system, *(known.get(table) for table in sorted(tables)))

    def has(self, table: str) -> bool:
        """Return whether the picture rests on *table*."""
        return self.inventory is not None and table in self.inventory.sources

    def _identities(self, before: "RenderView | None") -> list[Identity]:
        if before is not None and self._as_in(before, "vms"):
            return before.vms.identities
        return [
            (self.system, str(vm.config.key), escape(vm.config.name))
            for vm in (self.inventory.vms if self.inventory else ())
        ]

    def _filesystems(self, before: "RenderView | None") -> Items:
        if before is not None and before.guests == self.guests:
            return before.filesystems
        return Items(
            [
                (*identity, escape(filesystem.mountpoint))
                for identity, guest in self.guests
                for filesystem in guest.filesystems
            ],
            [filesystem for guest in self.guests.things for filesystem in guest.filesystems],
        )

    def _disks(self, before: "RenderView | None") -> Items:
        if before is not None and self._as_in(before, "vms", "machine_drives"):
            return before.disks
        return Items(
            [(*identity, escape(disk.name)) for identity, vm in self.vms for disk in vm.disks],
            [disk for vm in self.vms.things for disk in vm.disks],
        )

    def _as_in(self, before: "RenderView", *tables: str) -> bool:
        """Return whether *tables* are the very same objects that they were."""
        return identical(self.sources(frozenset(tables)), before.sources(frozenset(tables)))


def identical(ours: tuple[object, ...], theirs: tuple[object, ...]) -> bool:
    """Return whether these are the very same objects, without looking into them."""
    return all(map(is_, ours, theirs))


def systems(view: RenderView) -> Items:
    """Return the cloud's report."""
    return Items([(view.system,)], [view.report])


def readings(view: RenderView) -> Items:
    """Return the report of each table."""
    tables = view.report.tables
    return Items([(view.system, table.table) for table in tables], list(tables))


def recoveries(view: RenderView) -> Items:
    """Return how recovery stands, where it is not off."""
    return Items([(view.system,)], [view.report.recovery]).known()


def recovery_vms(view: RenderView) -> Items:
    """Return the VMs that recovery looks at."""
    vms = view.report.recovery.vms if view.report.recovery else ()
    return Items([(view.system, str(vm.key), escape(vm.name)) for vm in vms], list(vms))


def recovery_states(view: RenderView) -> Items:
    """Return how many of the VMs that recovery looks after are in each of its states."""
    vms = view.report.recovery.vms if view.report.recovery else ()
    counts = Counter(vm.state for vm in vms if vm.policy != NO)
    return Items([(view.system, state) for state in sorted(counts)],
                   [counts[state] for state in sorted(counts)])  # fmt: skip


def last_actions(view: RenderView) -> Items:
    """Return the last action on each VM that was acted upon."""
    found = view.report.recovery.last_actions if view.report.recovery else ()
    return Items(
        [(view.system, str(one.vm_key), escape(one.vm_name)) for one in found], list(found)
    )


def budgets_remaining(view: RenderView) -> Items:
    """Return what is left of the budgets of VMs that were acted upon."""
    found = view.report.recovery.budgets_remaining if view.report.recovery else ()
    return Items(
        [
            (view.system, str(one.vm_key), escape(one.vm_name), f"{one.window_seconds:g}")
            for one in found
        ],
        [one.left for one in found],
    )


def versions(view: RenderView) -> Items:
    """Return what the cloud calls itself, once it has said so."""
    identity = view.inventory.identity if view.inventory else None
    return Items([(view.system,)], [identity]).known()


def snapshots(view: RenderView) -> Items:
    """Return the number of snapshots of VMs."""
    count = view.inventory.vm_snapshot_count if view.inventory else None
    return Items([(view.system,)], [count]).known()


def nodes(view: RenderView) -> Items:
    """Return the physical nodes."""
    found = list(view.inventory.nodes.values() if view.inventory else ())
    return Items(
        [(view.system, escape(node.name)) for node in found],
        [PlacedNode(node, view.clusters[node.cluster]) for node in found],
    )


def node_states(view: RenderView) -> Items:
    """Return the live state of each node that has one."""
    found = view.inventory.nodes.values() if view.inventory else ()
    return Items(
        [(view.system, escape(node.name)) for node in found],
        [node.status for node in found],
    ).known()


def cluster_words(view: RenderView) -> Items:
    """Return the number of VMs for each cluster and status word, zeros included."""
    if not view.has("vms") or not view.has("machine_status"):
        return Items([], [])
    counts = Counter(
        [(vm.config.cluster, vm.status.word if vm.status else NO_STATUS) for vm in view.vms.things]
    )
    totals: Counter[tuple[str, str]] = Counter()
    for (key, word), count in counts.items():
        shown = word if word in KNOWN_STATUS_WORDS or word == NO_STATUS else NEW_WORD
        totals[view.clusters[key], shown] += count
    named = {name for key, name in view.clusters.items() if key is not None}
    clusters = sorted({cluster for cluster, _ in totals} | named)
    words = sorted({*KNOWN_STATUS_WORDS, NO_STATUS, NEW_WORD})
    return Items(
        [(view.system, escape(cluster), word) for cluster in clusters for word in words],
        [totals[cluster, word] for cluster in clusters for word in words],
    )


def configs(view: RenderView) -> Items:
    """Return each VM as it is meant to be."""
    return view.of_vms([vm.config for vm in view.vms.things])


def places(view: RenderView) -> Items:
    """Return each VM with the names of where it is."""
    clusters, nodes = view.clusters, view.nodes
    return view.of_vms(
        [
            PlacedVM(vm.config, clusters[vm.config.cluster], "", "")
            if vm.status is None
            else PlacedVM(
                vm.config,
                clusters[vm.config.cluster],
                nodes[vm.status.node],
                vm.status.agent_version,
            )
            for vm in view.vms.things
        ]
    )


def states(view: RenderView) -> Items:
    """Return the live state of each VM that has one."""
    return view.of_vms([vm.status for vm in view.vms.things])


def guests(view: RenderView) -> Items:
    """Return what guests say of themselves, while they run."""
    return view.guests


def filesystems(view: RenderView) -> Items:
    """Return the filesystems of each guest that reports them, while it runs."""
    return view.filesystems


def loads(view: RenderView) -> Items:
    """Return how busy each VM is; the platform keeps rows of VMs that are off, and we do not."""
    return view.of_vms([vm.stats if _may_run(vm) else None for vm in view.vms.things])


def _may_run(vm: VM) -> bool:
    return vm.status is not None and vm.status.running is not False


def nics(view: RenderView) -> Items:
    """Return the network cards of each VM."""
    return Items(
        [(*identity, escape(nic.name)) for identity, vm in view.vms for nic in vm.nics],
        [nic for vm in view.vms.things for nic in vm.nics],
    )


def disks(view: RenderView) -> Items:
    """Return the disks of each VM."""
    return view.disks


def disk_loads(view: RenderView) -> Items:
    """Return the statistics of each disk that has some."""
    stats = view.inventory.disk_stats if view.inventory else {}
    return Items(view.disks.identities, [stats.get(disk.key) for disk in view.disks.things]).known()

"""
The things in a picture, each with the label values that identify it.

A `Members` holds things and their identities, already escaped; which metrics are read from
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
    KNOWN_WORDS,
    VM,
    Cluster,
    Node,
    Snapshot,
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
class Members:
    """
    Things of one kind, and in the same order what identifies each.

    Two lists and not one of pairs: they are compared and read by the ten thousand, and VMs'
    identities are the same list from one scene to the next.
    """

    identities: list[Identity]
    things: list[Any]

    def known(self) -> "Members":
        """Return the things that are not None."""
        if None not in self.things:
            return self
        known = [thing is not None for thing in self.things]
        return Members(list(compress(self.identities, known)), list(compress(self.things, known)))

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


class Scene:
    """
    A snapshot and its report, with the identity of each VM worked out once.

    Args:
        before: The scene before this one; what has not changed since is taken over.

    """

    def __init__(
        self, snapshot: Snapshot | None, report: SystemReport, *, before: "Scene | None" = None
    ) -> None:
        self.snapshot = snapshot
        self.report = report
        self.system = escape(report.system_name)
        if before is not None and before.system == self.system:
            self.system = before.system  # the very same object, so that it compares as a source
        self.vms = Members(self._identities(before), list(snapshot.vms if snapshot else ()))
        self.clusters = Names("cluster", snapshot.clusters if snapshot else {})
        self.nodes = Names("node", snapshot.nodes if snapshot else {})
        self.guests = self.of_vms([vm.guest if _may_run(vm) else None for vm in self.vms.things])
        self.filesystems = self._filesystems(before)
        self.disks = self._disks(before)

    def of_vms(self, things: Sequence[Any]) -> Members:
        """Return *things*, one for each VM, where they are known."""
        return Members(self.vms.identities, list(things)).known()

    def sources(self, tables: frozenset[str]) -> tuple[object, ...]:
        """Return the objects that *tables* are now, and the name that is on every series."""
        known: dict[str, object] = dict(self.snapshot.sources) if self.snapshot else {}
        # What a cloud said of itself is believed however old it is, unlike a table.
        known[IDENTITY] = self.snapshot.identity if self.snapshot else None
        known[REPORT] = self.report
        return (self.system, *(known.get(table) for table in sorted(tables)))

    def has(self, table: str) -> bool:
        """Return whether the picture rests on *table*."""
        return self.snapshot is not None and table in self.snapshot.sources

    def _identities(self, before: "Scene | None") -> list[Identity]:
        if before is not None and self._as_in(before, "vms"):
            return before.vms.identities
        return [
            (self.system, str(vm.config.key), escape(vm.config.name))
            for vm in (self.snapshot.vms if self.snapshot else ())
        ]

    def _filesystems(self, before: "Scene | None") -> Members:
        if before is not None and before.guests == self.guests:
            return before.filesystems
        return Members(
            [
                (*identity, escape(filesystem.mountpoint))
                for identity, guest in self.guests
                for filesystem in guest.filesystems
            ],
            [filesystem for guest in self.guests.things for filesystem in guest.filesystems],
        )

    def _disks(self, before: "Scene | None") -> Members:
        if before is not None and self._as_in(before, "vms", "machine_drives"):
            return before.disks
        return Members(
            [(*identity, escape(disk.name)) for identity, vm in self.vms for disk in vm.disks],
            [disk for vm in self.vms.things for disk in vm.disks],
        )

    def _as_in(self, before: "Scene", *tables: str) -> bool:
        """Return whether *tables* are the very same objects that they were."""
        return identical(self.sources(frozenset(tables)), before.sources(frozenset(tables)))


def identical(ours: tuple[object, ...], theirs: tuple[object, ...]) -> bool:
    """Return whether these are the very same objects, without looking into them."""
    return all(map(is_, ours, theirs))


def systems(scene: Scene) -> Members:
    """Return the cloud's report."""
    return Members([(scene.system,)], [scene.report])


def readings(scene: Scene) -> Members:
    """Return the report of each table."""
    tables = scene.report.tables
    return Members([(scene.system, table.table) for table in tables], list(tables))


def recoveries(scene: Scene) -> Members:
    """Return how recovery stands, where it is not off."""
    return Members([(scene.system,)], [scene.report.recovery]).known()


def cared_vms(scene: Scene) -> Members:
    """Return the VMs that recovery looks at."""
    vms = scene.report.recovery.vms if scene.report.recovery else ()
    return Members([(scene.system, str(vm.key), escape(vm.name)) for vm in vms], list(vms))


def cared_states(scene: Scene) -> Members:
    """Return how many of the VMs that recovery looks after are in each of its states."""
    vms = scene.report.recovery.vms if scene.report.recovery else ()
    counts = Counter(vm.state for vm in vms if vm.policy != NO)
    return Members([(scene.system, state) for state in sorted(counts)],
                   [counts[state] for state in sorted(counts)])  # fmt: skip


def last_actions(scene: Scene) -> Members:
    """Return the last action on each VM that was acted upon."""
    found = scene.report.recovery.last_actions if scene.report.recovery else ()
    return Members(
        [(scene.system, str(one.vm_key), escape(one.vm_name)) for one in found], list(found)
    )


def allowances(scene: Scene) -> Members:
    """Return what is left of the budgets of VMs that were acted upon."""
    found = scene.report.recovery.allowances if scene.report.recovery else ()
    return Members(
        [
            (scene.system, str(one.vm_key), escape(one.vm_name), f"{one.window_seconds:g}")
            for one in found
        ],
        [one.left for one in found],
    )


def versions(scene: Scene) -> Members:
    """Return what the cloud calls itself, once it has said so."""
    identity = scene.snapshot.identity if scene.snapshot else None
    return Members([(scene.system,)], [identity]).known()


def snapshots(scene: Scene) -> Members:
    """Return the number of snapshots of VMs."""
    count = scene.snapshot.vm_snapshot_count if scene.snapshot else None
    return Members([(scene.system,)], [count]).known()


def nodes(scene: Scene) -> Members:
    """Return the physical nodes."""
    found = list(scene.snapshot.nodes.values() if scene.snapshot else ())
    return Members(
        [(scene.system, escape(node.name)) for node in found],
        [PlacedNode(node, scene.clusters[node.cluster]) for node in found],
    )


def node_states(scene: Scene) -> Members:
    """Return the live state of each node that has one."""
    found = scene.snapshot.nodes.values() if scene.snapshot else ()
    return Members(
        [(scene.system, escape(node.name)) for node in found],
        [node.status for node in found],
    ).known()


def cluster_words(scene: Scene) -> Members:
    """Return the number of VMs for each cluster and status word, zeros included."""
    if not scene.has("vms") or not scene.has("machine_status"):
        return Members([], [])
    counts = Counter(
        [(vm.config.cluster, vm.status.word if vm.status else NO_STATUS) for vm in scene.vms.things]
    )
    totals: Counter[tuple[str, str]] = Counter()
    for (key, word), count in counts.items():
        shown = word if word in KNOWN_WORDS or word == NO_STATUS else NEW_WORD
        totals[scene.clusters[key], shown] += count
    named = {name for key, name in scene.clusters.items() if key is not None}
    clusters = sorted({cluster for cluster, _ in totals} | named)
    words = sorted({*KNOWN_WORDS, NO_STATUS, NEW_WORD})
    return Members(
        [(scene.system, escape(cluster), word) for cluster in clusters for word in words],
        [totals[cluster, word] for cluster in clusters for word in words],
    )


def configs(scene: Scene) -> Members:
    """Return each VM as it is meant to be."""
    return scene.of_vms([vm.config for vm in scene.vms.things])


def places(scene: Scene) -> Members:
    """Return each VM with the names of where it is."""
    clusters, nodes = scene.clusters, scene.nodes
    return scene.of_vms(
        [
            PlacedVM(vm.config, clusters[vm.config.cluster], "", "")
            if vm.status is None
            else PlacedVM(
                vm.config,
                clusters[vm.config.cluster],
                nodes[vm.status.node],
                vm.status.agent_version,
            )
            for vm in scene.vms.things
        ]
    )


def states(scene: Scene) -> Members:
    """Return the live state of each VM that has one."""
    return scene.of_vms([vm.status for vm in scene.vms.things])


def guests(scene: Scene) -> Members:
    """Return what guests say of themselves, while they run."""
    return scene.guests


def filesystems(scene: Scene) -> Members:
    """Return the filesystems of each guest that reports them, while it runs."""
    return scene.filesystems


def loads(scene: Scene) -> Members:
    """Return how busy each VM is; the platform keeps rows of VMs that are off, and we do not."""
    return scene.of_vms([vm.stats if _may_run(vm) else None for vm in scene.vms.things])


def _may_run(vm: VM) -> bool:
    return vm.status is not None and vm.status.running is not False


def nics(scene: Scene) -> Members:
    """Return the network cards of each VM."""
    return Members(
        [(*identity, escape(nic.name)) for identity, vm in scene.vms for nic in vm.nics],
        [nic for vm in scene.vms.things for nic in vm.nics],
    )


def disks(scene: Scene) -> Members:
    """Return the disks of each VM."""
    return scene.disks


def disk_loads(scene: Scene) -> Members:
    """Return the statistics of each disk that has some."""
    stats = scene.snapshot.disk_stats if scene.snapshot else {}
    return Members(
        scene.disks.identities, [stats.get(disk.key) for disk in scene.disks.things]
    ).known()

"""
The things in a picture, each with the label values that identify it.

A `Member` is the identity of a thing, already escaped, and the thing; which metrics
are read from it is the catalogue's business.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.model import (
    KNOWN_WORDS,
    VM,
    Cluster,
    MachineStatus,
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

Identity = tuple[str, ...]
Member = tuple[Identity, Any]

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def escape(value: str) -> str:
    """Return *value* as it stands between the quotes of a label."""
    return value.translate(_ESCAPES)


class PlacedVM(NamedTuple):
    """A VM with what may change in its life."""

    config: VMConfig
    cluster: str
    node: str
    agent_version: str


class PlacedNode(NamedTuple):
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
        self.identities = self._identities(before)
        self.vms: list[tuple[Identity, VM]] = (
            list(zip(self.identities, snapshot.vms, strict=True)) if snapshot else []
        )
        self.clusters = Names("cluster", snapshot.clusters if snapshot else {})
        self.nodes = Names("node", snapshot.nodes if snapshot else {})

        self.guests: list[Member] = [
            (identity, vm.guest)
            for identity, vm in self.vms
            if vm.guest is not None and vm.status is not None and vm.status.running is not False
        ]
        self.filesystems = self._filesystems(before)

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

    def _filesystems(self, before: "Scene | None") -> list[Member]:
        if before is not None and before.guests == self.guests:
            return before.filesystems
        return [
            ((*identity, escape(filesystem.mountpoint)), filesystem)
            for identity, guest in self.guests
            for filesystem in guest.filesystems
        ]

    def _identities(self, before: "Scene | None") -> list[Identity]:
        vms = frozenset({"vms"})
        if before is not None and all(
            one is other for one, other in zip(self.sources(vms), before.sources(vms), strict=True)
        ):
            return before.identities
        return [
            (self.system, str(vm.config.key), escape(vm.config.name))
            for vm in (self.snapshot.vms if self.snapshot else ())
        ]


def systems(scene: Scene) -> list[Member]:
    """Return the cloud's report."""
    return [((scene.system,), scene.report)]


def readings(scene: Scene) -> list[Member]:
    """Return the report of each table."""
    return [((scene.system, table.table), table) for table in scene.report.tables]


def versions(scene: Scene) -> list[Member]:
    """Return what the cloud calls itself, once it has said so."""
    if scene.snapshot is None or scene.snapshot.identity is None:
        return []
    return [((scene.system,), scene.snapshot.identity)]


def snapshots(scene: Scene) -> list[Member]:
    """Return the number of snapshots of VMs."""
    return [((scene.system,), scene.snapshot.vm_snapshot_count)] if scene.snapshot else []


def nodes(scene: Scene) -> list[Member]:
    """Return the physical nodes."""
    return [
        (
            (scene.system, escape(node.name)),
            PlacedNode(node, scene.clusters[node.cluster]),
        )
        for node in (scene.snapshot.nodes.values() if scene.snapshot else ())
    ]


def node_states(scene: Scene) -> list[Member]:
    """Return the live state of each node that has one."""
    return [
        ((scene.system, escape(node.name)), node.status)
        for node in (scene.snapshot.nodes.values() if scene.snapshot else ())
        if node.status is not None
    ]


def cluster_words(scene: Scene) -> list[Member]:
    """Return the number of VMs for each cluster and status word, zeros included."""
    if not scene.has("vms") or not scene.has("machine_status"):
        return []
    counts = Counter((vm.config.cluster, _word(vm.status)) for _, vm in scene.vms)
    totals: Counter[tuple[str, str]] = Counter()
    for (key, word), count in counts.items():
        totals[scene.clusters[key], word] += count
    named = {name for key, name in scene.clusters.items() if key is not None}
    clusters = {cluster for cluster, _ in totals} | named
    words = sorted({*KNOWN_WORDS, NO_STATUS, NEW_WORD})
    return [
        ((scene.system, escape(cluster), word), totals[cluster, word])
        for cluster in sorted(clusters)
        for word in words
    ]


def _word(status: MachineStatus | None) -> str:
    if status is None or status.word == NO_STATUS:
        return NO_STATUS
    return status.word if status.word in KNOWN_WORDS else NEW_WORD


def configs(scene: Scene) -> list[Member]:
    """Return each VM as it is meant to be."""
    return [(identity, vm.config) for identity, vm in scene.vms]


def places(scene: Scene) -> list[Member]:
    """Return each VM with the names of where it is."""
    clusters, nodes = scene.clusters, scene.nodes
    return [
        (
            identity,
            PlacedVM(vm.config, clusters[vm.config.cluster], "", "")
            if vm.status is None
            else PlacedVM(
                vm.config,
                clusters[vm.config.cluster],
                nodes[vm.status.node],
                vm.status.agent_version,
            ),
        )
        for identity, vm in scene.vms
    ]


def states(scene: Scene) -> list[Member]:
    """Return the live state of each VM that has one."""
    return [(identity, vm.status) for identity, vm in scene.vms if vm.status is not None]


def guests(scene: Scene) -> list[Member]:
    """Return what guests say of themselves, while they run."""
    return scene.guests


def filesystems(scene: Scene) -> list[Member]:
    """Return the filesystems of each guest that reports them, while it runs."""
    return scene.filesystems


def loads(scene: Scene) -> list[Member]:
    """Return how busy each VM is; the platform keeps rows of VMs that are off, and we do not."""
    return [
        (identity, vm.stats)
        for identity, vm in scene.vms
        if vm.stats is not None and vm.status is not None and vm.status.running is not False
    ]


def nics(scene: Scene) -> list[Member]:
    """Return the network cards of each VM."""
    return [((*identity, escape(nic.name)), nic) for identity, vm in scene.vms for nic in vm.nics]


def disks(scene: Scene) -> list[Member]:
    """Return the disks of each VM."""
    return [
        ((*identity, escape(disk.name)), disk) for identity, vm in scene.vms for disk in vm.disks
    ]


def disk_loads(scene: Scene) -> list[Member]:
    """Return the statistics of each disk that has some."""
    stats = scene.snapshot.disk_stats if scene.snapshot else {}
    return [
        ((*identity, escape(disk.name)), stats[disk.key])
        for identity, vm in scene.vms
        for disk in vm.disks
        if disk.key in stats
    ]

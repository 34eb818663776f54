"""How full a system is: storage tiers, and memory and CPU of clusters."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from exporter.collectors.cluster_headroom import headrooms
from exporter.collectors.cluster_status import CLUSTER_STATUS, ClusterStatusRow
from exporter.collectors.node_details import NODE_DETAILS
from exporter.collectors.storage_tiers import STORAGE_TIERS, storage_tiers
from exporter.collectors.vms import MACHINE_STATS
from exporter.console.fleet import rows_of
from exporter.console.tones import CRITICAL, OK, WARNING
from exporter.exposition.view import RenderView, escape
from exporter.model import Inventory
from exporter.vergeos.rows import MIB

NEARLY_FULL, FULL = 0.80, 0.95
"""Of a storage tier, as the doctor judges it."""


class TierUse(NamedTuple):
    """A storage tier of the whole system."""

    number: str
    description: str
    used_bytes: int | None
    capacity_bytes: int | None
    ratio: float | None
    """Used, 0 to 1."""
    tone: str


class ClusterUse(NamedTuple):
    """The memory, cores and nodes of a cluster."""

    name: str
    status: str
    nodes_online: int | None
    nodes_total: int | None
    used_bytes: int | None
    """Memory that is assigned to machines."""
    online_bytes: int | None
    """Memory of the nodes that are online."""
    headroom_bytes: int | None
    """Memory that would be left without the largest node; negative if not every VM could run."""
    cores_used: int | None
    cores_online: int | None
    cpu_ratio: float | None
    """Use of the CPUs of its nodes that run, 0 to 1; None if that of one is not known."""

    @property
    def memory_ratio(self) -> float | None:
        """The share of the memory that is assigned, 0 to 1."""
        if self.used_bytes is None or not self.online_bytes:
            return None
        return self.used_bytes / self.online_bytes

    @property
    def memory_tone(self) -> str:
        """Whether every VM can run, also without the largest node."""
        ratio = self.memory_ratio
        if ratio is not None and ratio >= 1:
            return CRITICAL
        is_short = self.headroom_bytes is not None and self.headroom_bytes < 0
        return WARNING if is_short else OK


def tier_uses(view: RenderView) -> Sequence[TierUse] | None:
    """Return each storage tier that has storage; None if the tiers are not known."""
    if not view.rows(STORAGE_TIERS.name):
        return None
    return [
        TierUse(
            row.number,
            row.description or "",
            row.used,
            row.capacity,
            row.used_share,
            _tone_of_storage(row.used_share),
        )
        for row in sorted(storage_tiers(view).objects, key=lambda row: row.number)
    ]


def _tone_of_storage(ratio: float | None) -> str:
    if ratio is None or ratio < NEARLY_FULL:
        return OK
    return CRITICAL if ratio >= FULL else WARNING


def cluster_uses(view: RenderView) -> Sequence[ClusterUse] | None:
    """Return each cluster; None if their status is not known."""
    rows: Mapping[int, ClusterStatusRow] = view.rows(CLUSTER_STATUS.name)
    if not rows:
        return None
    found = headrooms(view)
    names = (name for _, name in found.identities)
    headroom = dict(zip(names, found.objects, strict=True))
    return [_cluster_use(view.inventory, key, row, headroom) for key, row in rows.items()]


def _cluster_use(
    inventory: Inventory, key: int, row: ClusterStatusRow, headroom: Mapping[str, int]
) -> ClusterUse:
    name = row.name or f"#{key}"
    return ClusterUse(
        name,
        row.status_state or "",
        row.online_nodes,
        row.total_nodes,
        _bytes(row.used_ram),
        _bytes(row.online_ram),
        _bytes(headroom.get(escape(name))),
        row.used_cores,
        row.online_cores,
        _cpu_ratio(inventory, key),
    )


def _bytes(megabytes: int | None) -> int | None:
    return None if megabytes is None else megabytes * MIB


def _cpu_ratio(inventory: Inventory, cluster: int) -> float | None:
    """Return the use of the CPUs of a cluster, each node by the number of its cores."""
    details: Mapping[int, Any] = rows_of(inventory, NODE_DETAILS.name)
    stats = rows_of(inventory, MACHINE_STATS.name)
    used = cores = 0.0
    for key, node in inventory.nodes.items():
        if node.cluster != cluster or node.status is None or not node.status.running:
            continue
        detail, load = details.get(key), stats.get(node.machine or 0)
        if detail is None or not detail.cores or load is None or load.total_cpu is None:
            return None
        used += detail.cores * load.total_cpu / 100
        cores += detail.cores
    return used / cores if cores else None

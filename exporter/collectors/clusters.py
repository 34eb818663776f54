"""Clusters: their names, and how many VMs of each status they have."""

from collections import Counter

from exporter.collectors.collector import Collector
from exporter.exposition.collector import each, gauge, group
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import KNOWN_STATUS_WORDS, Cluster
from exporter.vergeos.rows import Name, Row
from exporter.vergeos.tables import Importance, Pace, Table


class ClusterRow(Row, gc=False):
    """A row of ``clusters``."""

    name: Name | None = None


CLUSTERS = Table(
    "clusters",
    "clusters",
    Pace.INVENTORY,
    ClusterRow,
    lambda row, key: Cluster(key, row.name or f"#{key}"),
    importance=Importance.HIGH,
    keeps_stale_rows=True,
)
NO_STATUS = "unknown"
NEW_WORD = "other"


def status_counts(view: RenderView) -> Items:
    """Return the number of VMs by cluster and status word, zeros included."""
    known = {"vms", "machine_status"} <= view.inventory.sources.keys()
    if not known or view.awaits(CLUSTERS.name):
        return Items([], [])
    counts = Counter(
        [(vm.config.cluster, vm.status.word if vm.status else NO_STATUS) for vm in view.vms.objects]
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


STATUS_COUNT = group(
    "status in a cluster",
    "system_name cluster_name status",
    "vms machine_status clusters",
    status_counts,
)

FAMILIES = (
    gauge("cluster_vms", STATUS_COUNT, "machine_status.status",
          "VMs of this cluster by status; unknown counts VMs without a status, other counts "
          "statuses that this version does not know", each(float)),
)  # fmt: skip

COLLECTOR = Collector("clusters", (CLUSTERS,), FAMILIES)

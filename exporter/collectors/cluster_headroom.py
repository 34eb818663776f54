"""
Headroom: whether the memory of a cluster still suffices after the loss of its largest node.

It is the memory of the online nodes, less the memory that is assigned to machines, less the memory
that is installed in the largest node that runs. What VMs of other clusters take when they fail over
is not counted. A cluster that overcommits its memory has no such number, since it is not known how
VergeOS then counts what is free; nor is there one while an input is missing, or while the status of
the cluster and those of its nodes disagree on how many are online.
"""

from collections.abc import Iterable

from exporter.collectors.cluster_status import CLUSTER_STATUS, ClusterStatusRow
from exporter.collectors.collector import Collector
from exporter.collectors.node_details import NODE_DETAILS
from exporter.exposition.collector import each, gauge, group
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import MIB


def headroom_mb(cluster: ClusterStatusRow, running: Iterable[int | None]) -> int | None:
    """
    Return the headroom in MB; negative if memory is missing, None if it is not known.

    Args:
        running: The memory of each node of the cluster that runs, in MB.

    """
    sizes = list(running)
    known = [size for size in sizes if size]
    if cluster.online_ram is None or cluster.used_ram is None or cluster.ram_overcommit_pct != 0:
        return None
    if not known or len(known) < len(sizes) or len(sizes) != cluster.online_nodes:
        return None
    return cluster.online_ram - cluster.used_ram - max(known)


def headrooms(view: RenderView) -> Items:
    """Return the headroom of each cluster, where it is known."""
    details = view.rows(NODE_DETAILS.name)
    running: dict[int, list[int | None]] = {}
    for key, node in view.inventory.nodes.items():
        if node.cluster is not None and node.status is not None and node.status.running:
            detail = details.get(key)
            running.setdefault(node.cluster, []).append(detail.ram if detail else None)
    rows = view.rows(CLUSTER_STATUS.name)
    return Items(
        [(view.system, escape(row.name or f"#{key}")) for key, row in rows.items()],
        [headroom_mb(row, running.get(key, ())) for key, row in rows.items()],
    ).known()


HEADROOM = group(
    "headroom of a cluster",
    "system_name cluster_name",
    "cluster_status nodes node_details machine_status",
    headrooms,
)

FAMILIES = (
    gauge("cluster_memory_headroom_bytes", HEADROOM,
          "clusters.status#online_ram, clusters.status#used_ram, nodes.ram",
          "Memory that the cluster would have left if its largest node failed: that of its online "
          "nodes, less what is assigned to machines, less that of the largest node; negative if "
          "not every VM could run. Absent if the cluster overcommits its memory",
          each(lambda mb: mb * MIB)),
)  # fmt: skip

COLLECTOR = Collector("cluster_headroom", (), FAMILIES)

"""
Cluster status: nodes, memory and cores of each cluster.

VergeOS joins the status to each row of the list request of ``clusters``, which is polled anyway for
the names of the clusters: this collector adds fields to that request, and no request. The fields
are those that VergeOS' Python SDK asks for. ``phys_ram_used`` is left out: sources differ on its
unit.
"""

from typing import Annotated

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import gauge, group, info, or_unknown, scale
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import MIB, Name, Row, Whole, joined
from exporter.vergeos.tables import Importance, Pace, Table


def _status(field: str, alias: str = "") -> msgspec.Meta:
    return joined(f"status#{field} as {alias or field}")


class ClusterStatusRow(Row, gc=False):
    """A row of ``clusters`` with its status; memory in MB."""

    name: Name | None = None
    status_state: Annotated[Name | None, _status("status", "status_state")] = None
    total_nodes: Annotated[Whole | None, _status("total_nodes")] = None
    online_nodes: Annotated[Whole | None, _status("online_nodes")] = None
    running_machines: Annotated[Whole | None, _status("running_machines")] = None
    total_ram: Annotated[Whole | None, _status("total_ram")] = None
    online_ram: Annotated[Whole | None, _status("online_ram")] = None
    used_ram: Annotated[Whole | None, _status("used_ram")] = None
    total_cores: Annotated[Whole | None, _status("total_cores")] = None
    online_cores: Annotated[Whole | None, _status("online_cores")] = None
    used_cores: Annotated[Whole | None, _status("used_cores")] = None
    ram_overcommit_pct: float | None = None


CLUSTER_STATUS = Table(
    "cluster_status",
    "clusters",
    Pace.INVENTORY,
    ClusterStatusRow,
    importance=Importance.LOW,
)


def clusters(view: RenderView) -> Items:
    """Return each cluster by the name that other metrics give it."""
    rows = view.rows(CLUSTER_STATUS.name)
    return Items(
        [(view.system, escape(row.name or f"#{key}")) for key, row in rows.items()],
        list(rows.values()),
    )


CLUSTER = group("cluster", "system_name cluster_name", CLUSTER_STATUS.name, clusters)

FAMILIES = (
    info("cluster_status_info", CLUSTER, "clusters.status#status",
         "The cluster's status", {"status": or_unknown("status_state")}),
    gauge("cluster_nodes", CLUSTER, "clusters.status#total_nodes",
          "Nodes of the cluster", "total_nodes"),
    gauge("cluster_online_nodes", CLUSTER, "clusters.status#online_nodes",
          "Nodes of the cluster that are online", "online_nodes"),
    gauge("cluster_running_machines", CLUSTER, "clusters.status#running_machines",
          "Running machines of the cluster: VMs, tenant nodes and routers", "running_machines"),
    gauge("cluster_memory_bytes", CLUSTER, "clusters.status#total_ram",
          "Memory of all nodes of the cluster", scale("total_ram", MIB)),
    gauge("cluster_online_memory_bytes", CLUSTER, "clusters.status#online_ram",
          "Memory of the cluster's online nodes", scale("online_ram", MIB)),
    gauge("cluster_used_memory_bytes", CLUSTER, "clusters.status#used_ram",
          "Memory of the cluster that is assigned to machines", scale("used_ram", MIB)),
    gauge("cluster_cpu_cores", CLUSTER, "clusters.status#total_cores",
          "CPU cores of all nodes of the cluster", "total_cores"),
    gauge("cluster_online_cpu_cores", CLUSTER, "clusters.status#online_cores",
          "CPU cores of the cluster's online nodes", "online_cores"),
    gauge("cluster_used_cpu_cores", CLUSTER, "clusters.status#used_cores",
          "CPU cores of the cluster that are assigned to machines", "used_cores"),
)  # fmt: skip

COLLECTOR = Collector("cluster_status", (CLUSTER_STATUS,), FAMILIES)

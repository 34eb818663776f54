"""
Cluster status: nodes, memory and cores of each cluster.

VergeOS joins the status to each row of the list request of ``clusters``, which is polled anyway for
the names of the clusters: this collector adds fields to that request, and no request. The fields
are those that VergeOS' SDKs ask for. There is no metric of ``phys_ram_used``: sources differ on its
unit.
"""

from typing import Annotated

from exporter.collectors.collector import Collector
from exporter.exposition.collector import divide, gauge, group, info, or_unknown, scale
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import MIB, Name, Row, Whole, joined_status
from exporter.vergeos.tables import Importance, Pace, Table


class ClusterStatusRow(Row, gc=False):
    """A row of ``clusters`` with its status; memory in MB."""

    name: Name | None = None
    status_state: Annotated[Name | None, joined_status("status", "status_state")] = None
    total_nodes: Annotated[Whole | None, joined_status("total_nodes")] = None
    online_nodes: Annotated[Whole | None, joined_status("online_nodes")] = None
    running_machines: Annotated[Whole | None, joined_status("running_machines")] = None
    total_ram: Annotated[Whole | None, joined_status("total_ram")] = None
    online_ram: Annotated[Whole | None, joined_status("online_ram")] = None
    used_ram: Annotated[Whole | None, joined_status("used_ram")] = None
    total_cores: Annotated[Whole | None, joined_status("total_cores")] = None
    online_cores: Annotated[Whole | None, joined_status("online_cores")] = None
    used_cores: Annotated[Whole | None, joined_status("used_cores")] = None
    status_health: Annotated[Name | None, joined_status("state", "status_health")] = None
    phys_ram_used: Annotated[Whole | None, joined_status("phys_ram_used")] = None
    """For the vendor's page only, which shows it as it is."""
    ram_overcommit_pct: float | None = None
    target_ram_pct: float | None = None
    enabled: bool | None = None
    ram_per_unit: Whole | None = None
    cores_per_unit: Whole | None = None
    max_core_temp: Whole | None = None


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
    gauge("cluster_enabled", CLUSTER, "clusters.enabled", "1 if the cluster is enabled", "enabled"),
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
    gauge("cluster_memory_target_ratio", CLUSTER, "clusters.target_ram_pct",
          "Share of the cluster's memory that is to be used at most, as configured, 0 to 1",
          divide("target_ram_pct", 100)),
    gauge("cluster_memory_overcommit_ratio", CLUSTER, "clusters.ram_overcommit_pct",
          "Configured overcommit of the cluster's memory; 0 if it assigns no more than it has",
          divide("ram_overcommit_pct", 100)),
    gauge("cluster_cpu_cores", CLUSTER, "clusters.status#total_cores",
          "CPU cores of all nodes of the cluster", "total_cores"),
    gauge("cluster_online_cpu_cores", CLUSTER, "clusters.status#online_cores",
          "CPU cores of the cluster's online nodes", "online_cores"),
    gauge("cluster_used_cpu_cores", CLUSTER, "clusters.status#used_cores",
          "CPU cores of the cluster that are assigned to machines", "used_cores"),
)  # fmt: skip

COLLECTOR = Collector("cluster_status", (CLUSTER_STATUS,), FAMILIES)

"""
Clusters, as the vendor's exporter shows them; memory in MB.

Only ``phys_ram_used`` is as VergeOS sends it: sources differ on its unit.
"""

from exporter.collectors.cluster_status import CLUSTER_STATUS
from exporter.exposition.collector import each
from exporter.exposition.view import Items, RenderView, escape
from exporter.vendor.families import flag, or_zero, vendor_gauge, vendor_group


def _clusters(view: RenderView) -> Items:
    rows = list(view.rows(CLUSTER_STATUS.name).values())
    return Items([(view.system, escape(row.name or "")) for row in rows], rows)


def _number(view: RenderView) -> Items:
    if CLUSTER_STATUS.name not in view.inventory.sources:
        return Items([], [])
    return Items([(view.system,)], [len(view.rows(CLUSTER_STATUS.name))])


_CLUSTER = vendor_group("cluster", "system_name cluster", CLUSTER_STATUS.name, _clusters)
_CLUSTERS = vendor_group("clusters", "system_name", CLUSTER_STATUS.name, _number)

FAMILIES = (
    vendor_gauge("cluster_status", _CLUSTER, "1 if a node of the cluster is online",
                 flag(lambda row: bool(row.online_nodes))),
    vendor_gauge("cluster_total_ram", _CLUSTER, "Memory of all nodes in MB", or_zero("total_ram")),
    vendor_gauge("cluster_used_ram", _CLUSTER, "Memory that is assigned to machines, in MB",
                 or_zero("used_ram")),
    vendor_gauge("cluster_cores_total", _CLUSTER, "CPU cores of all nodes",
                 or_zero("total_cores")),
    vendor_gauge("cluster_used_cores", _CLUSTER, "CPU cores that are assigned to machines",
                 or_zero("used_cores")),
    vendor_gauge("cluster_running_machines", _CLUSTER, "Machines of any kind that run",
                 or_zero("running_machines")),
    vendor_gauge("cluster_health", _CLUSTER, "1 if the state of the cluster is online",
                 flag(lambda row: row.status_health == "online")),
    vendor_gauge("clusters_total", _CLUSTERS, "Clusters of the system", each(float)),
    vendor_gauge("cluster_enabled", _CLUSTER, "1 if the cluster is enabled",
                 flag(lambda row: row.enabled)),
    vendor_gauge("cluster_ram_per_unit", _CLUSTER, "Memory of a billing unit in MB",
                 or_zero("ram_per_unit")),
    vendor_gauge("cluster_cores_per_unit", _CLUSTER, "CPU cores of a billing unit",
                 or_zero("cores_per_unit")),
    vendor_gauge("cluster_target_ram_pct", _CLUSTER,
                 "Configured maximum use of the memory in percent", or_zero("target_ram_pct")),
    vendor_gauge("cluster_total_nodes", _CLUSTER, "Nodes of the cluster", or_zero("total_nodes")),
    vendor_gauge("cluster_online_nodes", _CLUSTER, "Nodes that are online",
                 or_zero("online_nodes")),
    vendor_gauge("cluster_online_ram", _CLUSTER, "Memory of the nodes that are online, in MB",
                 or_zero("online_ram")),
    vendor_gauge("cluster_online_cores", _CLUSTER, "CPU cores of the nodes that are online",
                 or_zero("online_cores")),
    vendor_gauge("cluster_phys_ram_used", _CLUSTER,
                 "Memory that machines have touched, in the unit of VergeOS",
                 or_zero("phys_ram_used")),
)  # fmt: skip

"""Clusters, as the vendor's exporter shows them; memory in MB."""

from exporter.collectors.cluster_status import CLUSTER_STATUS
from exporter.exposition.view import Items, RenderView, escape
from exporter.vendor.families import flag, or_zero, vendor_gauge, vendor_group


def _clusters(view: RenderView) -> Items:
    rows = list(view.rows(CLUSTER_STATUS.name).values())
    return Items([(view.system, escape(row.name or "")) for row in rows], rows)


_CLUSTER = vendor_group("cluster", "system_name cluster", CLUSTER_STATUS.name, _clusters)

FAMILIES = (
    vendor_gauge("cluster_status", _CLUSTER, "1 if a node of the cluster is online",
                 flag(lambda row: bool(row.online_nodes))),
    vendor_gauge("cluster_total_ram", _CLUSTER, "Memory of all nodes in MB", or_zero("total_ram")),
)  # fmt: skip

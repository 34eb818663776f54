"""Faults of clusters."""

from exporter.simulator.api.fault_types import row_fault

FAULTS = {
    "cluster_reduced": row_fault(
        "a cluster reports a node less than it has online",
        cluster_status={
            "status": "reduced",
            "state": "warning",
            "online_nodes": lambda cluster, _view: len(cluster.nodes) - 1,
        },
    ),
}

"""Checks of clusters."""

from collections.abc import Iterator, Mapping
from typing import Any

from exporter.collectors.cluster_status import CLUSTER_STATUS, ClusterStatusRow
from exporter.doctor.check import Check
from exporter.model import Finding, Inventory, Level


def _clusters(inventory: Inventory) -> Iterator[Finding]:
    rows: Mapping[int, ClusterStatusRow] = _rows(inventory)
    for key, row in rows.items():
        online, total = row.online_nodes, row.total_nodes
        if online is not None and total is not None and online < total:
            yield Finding(
                Level.WARNING, row.name or f"#{key}", f"{online} of {total} nodes are online"
            )


def _rows(inventory: Inventory) -> Any:
    return inventory.sources[CLUSTER_STATUS.name]


CHECKS = (
    Check(
        "clusters",
        "Every node of every cluster is online.",
        (CLUSTER_STATUS.name,),
        _clusters,
        "Find out why the node is offline, and repair it.",
        "VergeClusterReduced",
        "A cluster has fewer nodes online than it has.",
    ),
)

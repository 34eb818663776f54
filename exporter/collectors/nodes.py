"""Physical nodes: cluster, maintenance mode and status."""

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import gauge, group, info
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import Node
from exporter.vergeos.rows import Name, Reference, Row, key_number
from exporter.vergeos.tables import Importance, Pace, Table


class NodeRow(Row, gc=False):
    """A row of ``nodes``. Its key is ``id``; some releases name it ``$key``."""

    id: Reference = None
    name: Name | None = None
    cluster: Reference = None
    machine: Reference = None
    maintenance: bool | None = None


def _node(row: NodeRow, key: int) -> Node:
    return Node(
        key=key,
        name=row.name or f"#{key}",
        cluster=key_number(row.cluster),
        machine=key_number(row.machine),
        maintenance=row.maintenance,
        status=None,
    )


NODES = Table(
    "nodes",
    "nodes",
    Pace.INVENTORY,
    NodeRow,
    _node,
    key=lambda row: row.id or row.key,
    where="physical eq true",
    importance=Importance.HIGH,
)


class PlacedNode(msgspec.Struct, frozen=True, gc=False):
    """A node with the name of its cluster."""

    node: Node
    cluster: str


def physical_nodes(view: RenderView) -> Items:
    """Return the nodes with the names of their clusters."""
    found = view.inventory.nodes.values()
    return Items(
        [(view.system, escape(node.name)) for node in found],
        [PlacedNode(node, view.clusters[node.cluster]) for node in found],
    )


def node_states(view: RenderView) -> Items:
    """Return the live state of each node that has one."""
    found = view.inventory.nodes.values()
    return Items(
        [(view.system, escape(node.name)) for node in found], [node.status for node in found]
    ).known()


NODE = group("node", "system_name node_name", "nodes clusters", physical_nodes)
NODE_STATE = group("node state", "system_name node_name", "nodes machine_status", node_states)

FAMILIES = (
    info("node_info", NODE, "nodes.cluster", "Cluster of a physical node",
         {"cluster_name": "cluster"}),
    gauge("node_maintenance", NODE, "nodes.maintenance",
          "1 while the node is in maintenance mode", "node.maintenance"),
    gauge("node_running", NODE_STATE, "machine_status.running",
          "1 while the node is running", "running"),
    info("node_status_info", NODE_STATE, "machine_status.status",
         "Status of the node", {"status": "word"}),
)  # fmt: skip

COLLECTOR = Collector("nodes", (NODES,), FAMILIES)

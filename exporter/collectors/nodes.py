"""Physical nodes: cluster, maintenance mode and status."""

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import gauge, group, info
from exporter.exposition.view import FROZEN, UPDATED, Items, RenderView, escape
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


class NodeUpdates(msgspec.Struct, frozen=True, gc=False):
    """How VergeOS updates the status of the VMs that run on a node."""

    newest: float
    frozen: bool


def node_updates(view: RenderView) -> Items:
    """Return the updates of each node on which VMs run."""
    newest = view.inventory.status_updated_at
    frozen = view.inventory.frozen.nodes
    found = [node for node in view.inventory.nodes.values() if node.key in newest]
    return Items(
        [(view.system, escape(node.name)) for node in found],
        [NodeUpdates(newest[node.key], node.key in frozen) for node in found],
    )


NODE = group("node", "system_name node_name", "nodes clusters", physical_nodes)
NODE_UPDATES = group(
    "node status updates", "system_name node_name", f"nodes {UPDATED} {FROZEN}", node_updates
)
NODE_STATE = group("node state", "system_name node_name", "nodes machine_status", node_states)

FAMILIES = (
    info("node_info", NODE, "nodes.cluster", "Cluster of a physical node",
         {"cluster_name": "cluster"}),
    gauge("node_maintenance", NODE, "nodes.maintenance",
          "1 while the node is in maintenance mode", "node.maintenance"),
    gauge("node_running", NODE_STATE, "machine_status.running",
          "1 while the node is running", "running"),
    gauge("node_status_update_timestamp_seconds", NODE_UPDATES, "machine_status.last_update",
          "When VergeOS last updated the status of a VM that runs on the node, by its own clock",
          "newest"),
    gauge("node_status_frozen", NODE_UPDATES, "machine_status.last_update",
          "1 while VergeOS updates no status of the VMs that run on the node; absent while none "
          "runs", "frozen"),
    info("node_status_info", NODE_STATE, "machine_status.status",
         "Status of the node", {"status": "word"}),
)  # fmt: skip

COLLECTOR = Collector("nodes", (NODES,), FAMILIES)

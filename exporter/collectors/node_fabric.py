"""
The core fabric, by which the nodes reach each other, from ``machine_nic_fabric_status``.

VergeOS gives each NIC of the core network a score: twice its speed in Gbit/s, if both paths to each
other node are there.
"""

from exporter.collectors.collector import Collector
from exporter.collectors.node_nics import nics_by_key
from exporter.exposition.collector import gauge, group, info
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import Lost, Name, Reference, Row, key_number, label_word, required_key
from exporter.vergeos.tables import Importance, Pace, Table


class FabricRow(Row, gc=False):
    """A row of ``machine_nic_fabric_status``."""

    parent_nic: Reference = None
    status: Name | None = None
    max_score: float | None = None
    min_score: float | None = None


def _fabric(row: FabricRow, key: int, _: Lost) -> FabricRow:
    row.parent_nic = required_key(row.parent_nic, "parent_nic", key)
    row.status = label_word(row.status)
    return row


NODE_FABRIC = Table(
    "machine_nic_fabric_status", "machine_nic_fabric_status", Pace.RARE, FabricRow, _fabric,
    importance=Importance.LOW, may_be_hidden=True,
)  # fmt: skip


def fabric(view: RenderView) -> Items:
    """Return the fabric status of each NIC of a node."""
    names = nics_by_key(view.inventory)
    found = [
        (names[nic], row)
        for row in view.rows(NODE_FABRIC.name).values()
        if (nic := key_number(row.parent_nic)) is not None and nic in names
    ]
    return Items(
        [(view.system, escape(node), escape(nic)) for (node, nic), _ in found],
        [row for _, row in found],
    )


FABRIC = group(
    "fabric of a NIC",
    "system_name node_name nic",
    f"nodes machine_nics {NODE_FABRIC.name}",
    fabric,
)

FAMILIES = (
    info("node_fabric_info", FABRIC, "machine_nic_fabric_status.status",
         "Status of the core fabric at the node's NIC; it should be confirmed",
         {"status": "status"}),
    gauge("node_fabric_max_score", FABRIC, "machine_nic_fabric_status.max_score",
          "Best score of the paths to the other nodes", "max_score"),
    gauge("node_fabric_min_score", FABRIC, "machine_nic_fabric_status.min_score",
          "Worst score of the paths to the other nodes; below the best one a path is slower or "
          "lost one direction", "min_score"),
)  # fmt: skip

COLLECTOR = Collector("node_fabric", (NODE_FABRIC,), FAMILIES)

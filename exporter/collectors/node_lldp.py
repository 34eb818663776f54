"""The switches that the physical nodes are connected to, from ``node_lldp_neighbors``."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from exporter.collectors.collector import Collector
from exporter.collectors.node_details import of_nodes
from exporter.exposition.collector import each, gauge, group
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Lost, Reference, Row, key_number, required_key
from exporter.vergeos.tables import Importance, Pace, Table


class LldpRow(Row, gc=False):
    """A row of ``node_lldp_neighbors``: what one NIC of a node hears from its switch."""

    node: Reference = None
    nic: Reference = None
    chassis: Any = None
    """An object that describes the switch; after conversion its name."""


def _neighbor(row: LldpRow, key: int, _: Lost) -> LldpRow:
    row.node = required_key(row.node, "node", key)
    row.chassis = _name(row.chassis)
    return row


def _name(chassis: Any) -> str:
    """Return the name of a switch, or what else identifies it; empty if nothing does."""
    if not isinstance(chassis, dict):
        return ""
    found = (chassis.get(field) for field in ("name", "ChassisID"))
    return next((one for one in found if one and isinstance(one, str)), "")


NODE_LLDP = Table(
    "node_lldp_neighbors", "node_lldp_neighbors", Pace.HOURLY, LldpRow, _neighbor,
    importance=Importance.LOW, may_be_hidden=True,
)  # fmt: skip


class Uplinks(NamedTuple):
    """How a node is connected."""

    nics: int
    """NICs that hear a switch."""
    switches: tuple[str, ...]


def uplinks(rows: Iterable[LldpRow], node: int) -> Uplinks | None:
    """Return how *node* is connected; None if none of its NICs hears a switch with a name."""
    heard = [(key_number(row.nic), row.chassis) for row in rows if row.node == node and row.chassis]
    nics = {nic for nic, _ in heard if nic is not None}
    return Uplinks(len(nics), tuple(sorted({switch for _, switch in heard}))) if nics else None


def all_uplinks(view: RenderView) -> Items:
    """Return how each node is connected."""
    rows = view.rows(NODE_LLDP.name).values()
    return of_nodes(view, [uplinks(rows, key) for key in view.inventory.nodes])


UPLINKS = group("switches of a node", "system_name node_name", "nodes node_lldp_neighbors",
                all_uplinks)  # fmt: skip

FAMILIES = (
    gauge("node_lldp_nics", UPLINKS, "node_lldp_neighbors.nic",
          "NICs of the node that hear a switch by LLDP", "nics"),
    gauge("node_lldp_switches", UPLINKS, "node_lldp_neighbors.chassis",
          "Switches that the NICs of the node hear by LLDP; with one only, its failure isolates "
          "the node", each(lambda one: len(one.switches))),
)  # fmt: skip

COLLECTOR = Collector("node_lldp", (NODE_LLDP,), FAMILIES)

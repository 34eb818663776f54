"""Checks of the network between the nodes: the core fabric, and the switches they depend on."""

from collections.abc import Iterator, Mapping
from typing import Any

from exporter.collectors.nics import MACHINE_NICS
from exporter.collectors.node_fabric import NODE_FABRIC, FabricRow
from exporter.collectors.node_lldp import NODE_LLDP, LldpRow, uplinks
from exporter.collectors.node_nics import nics_by_key
from exporter.collectors.nodes import NODES
from exporter.collectors.vms import MACHINE_STATUS
from exporter.doctor.check import Check
from exporter.model import Finding, Inventory, Level
from exporter.vergeos.rows import UNKNOWN_WORD, key_number

CONFIRMED = "confirmed"
ENOUGH = 2
"""NICs of a node that could be connected to different switches."""


def _fabric(inventory: Inventory) -> Iterator[Finding]:
    for nic, row in _of_nics(inventory):
        if row.status not in (CONFIRMED, UNKNOWN_WORD):
            yield Finding(Level.WARNING, nic, f"its fabric status is {row.status}")


def _fabric_speed(inventory: Inventory) -> Iterator[Finding]:
    """Look only at NICs whose paths are all there: of others, the status says it already."""
    for nic, row in _of_nics(inventory):
        low, high = row.min_score, row.max_score
        if row.status == CONFIRMED and low is not None and high is not None and low < high:
            yield Finding(
                Level.WARNING, nic, f"its worst path has the score {low:g}, its best one {high:g}"
            )


def _of_nics(inventory: Inventory) -> Iterator[tuple[str, FabricRow]]:
    """Yield the row of each NIC with its name, but for the NICs of nodes that do not run."""
    rows: Mapping[int, FabricRow] = _rows(inventory, NODE_FABRIC.name)
    names = nics_by_key(inventory)
    down = {
        node.name
        for node in inventory.nodes.values()
        if node.status is not None and node.status.running is False
    }
    for row in rows.values():
        key = key_number(row.parent_nic)
        if key is None or key not in names:
            yield f"NIC #{key}", row
            continue
        node, nic = names[key]
        if node not in down:
            yield f"{node} {nic}", row


def _lldp_diversity(inventory: Inventory) -> Iterator[Finding]:
    rows: Mapping[int, LldpRow] = _rows(inventory, NODE_LLDP.name)
    for key, node in inventory.nodes.items():
        found = uplinks(rows.values(), key)
        if found is not None and found.nics >= ENOUGH and len(found.switches) == 1:
            yield Finding(
                Level.WARNING,
                node.name,
                f"its {found.nics} NICs are connected to {found.switches[0]} only",
            )


def _rows(inventory: Inventory, table: str) -> Any:
    return inventory.sources[table]


_FABRIC_TABLES = (NODES.name, MACHINE_NICS.name, NODE_FABRIC.name, MACHINE_STATUS.name)

CHECKS = (
    Check(
        "fabric",
        "Every NIC of the core network reaches all other nodes on both paths.",
        _FABRIC_TABLES,
        _fabric,
        "Look at the cable, the transceiver and the switch port of the NIC.",
        "VergeFabricDegraded",
        "A path of the core fabric between nodes is lost.",
    ),
    Check(
        "fabric_speed",
        "The paths of each NIC of the core network are equally fast.",
        _FABRIC_TABLES,
        _fabric_speed,
        "Compare the link speeds of the nodes' core NICs and of their switch ports.",
        "VergeFabricSlow",
        "A path of the core fabric is slower than the others.",
    ),
    Check(
        "lldp_diversity",
        "Every node is connected to more than one switch.",
        (NODES.name, NODE_LLDP.name),
        _lldp_diversity,
        "Connect one of the node's NICs to another switch.",
        "VergeNodeSingleSwitch",
        "A node is connected to one switch only.",
    ),
)

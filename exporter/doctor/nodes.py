"""
Checks of nodes: their status, versions, drivers and memory modules.

A node that does not run is no finding here: the check of clusters shows it, and VergeNodeOffline
alerts.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from exporter.collectors.node_details import NODE_DETAILS, NodeDetailRow
from exporter.collectors.node_memory import NODE_MEMORY, DimmRow
from exporter.collectors.nodes import NODES
from exporter.collectors.vms import MACHINE_STATUS
from exporter.doctor.check import Check
from exporter.model import Finding, Inventory, Level, Node
from exporter.vergeos.rows import UNKNOWN_WORD, key_number

ORDINARY = ("running", "online")
"""Statuses of a node that works."""
HEALTHY = ("online", UNKNOWN_WORD)
"""Statuses of a memory module that show nothing wrong."""


def _nodes(inventory: Inventory) -> Iterator[Finding]:
    for node, row in _detailed(inventory):
        status = node.status
        if status is not None and status.running is False:
            continue
        wrong = []
        word = UNKNOWN_WORD if status is None else status.word
        if word not in (*ORDINARY, UNKNOWN_WORD) and not node.maintenance:
            wrong.append(f"its status is {word}")
        if row.vsan_connected is False:
            wrong.append("it is not connected to the vSAN")
        if row.need_restart:
            reason = f" ({row.restart_reason})" if row.restart_reason else ""
            wrong.append(f"it needs a restart{reason}")
        if wrong:
            yield Finding(Level.WARNING, node.name, ", ".join(wrong))


def _versions(inventory: Inventory) -> Iterator[Finding]:
    found = [(node, row.yb_version) for node, row in _detailed(inventory) if row.yb_version]
    counts = Counter(version for _, version in found)
    if not counts:
        return
    usual = max(counts, key=lambda version: (counts[version], _numbers(version)))
    for node, version in found:
        if version != usual:
            yield Finding(
                Level.WARNING,
                node.name,
                f"it runs {version}, and {counts[usual]} of {len(found)} nodes run {usual}",
            )


def _numbers(version: str) -> list[int]:
    """Return the numbers in a version, by which it is newer or older than another."""
    return [int(number) for number in re.findall(r"[0-9]{1,9}", version)]


def _driver_reload(inventory: Inventory) -> Iterator[Finding]:
    for node, row in _detailed(inventory):
        if row.reload_drivers_required:
            yield Finding(Level.WARNING, node.name, "its drivers have to be loaded again")


def _dimm_health(inventory: Inventory) -> Iterator[Finding]:
    rows: Mapping[int, DimmRow] = _rows(inventory, NODE_MEMORY.name)
    for row in rows.values():
        if row.status in HEALTHY:
            continue
        node = inventory.nodes.get(key_number(row.node) or 0)
        name = node.name if node is not None else f"#{row.node}"
        info = f": {row.status_info}" if row.status_info else ""
        yield Finding(Level.WARNING, f"{name} {row.place}", f"its status is {row.status}{info}")


def _detailed(inventory: Inventory) -> Iterator[tuple[Node, NodeDetailRow]]:
    """Yield each node with its row of details."""
    rows: Mapping[int, NodeDetailRow] = _rows(inventory, NODE_DETAILS.name)
    for key, node in inventory.nodes.items():
        if key in rows:
            yield node, rows[key]


def _rows(inventory: Inventory, table: str) -> Any:
    return inventory.sources[table]


CHECKS = (
    Check(
        "nodes",
        "Every node that runs has the status running, is connected to the vSAN and needs no "
        "restart.",
        (NODES.name, NODE_DETAILS.name, MACHINE_STATUS.name),
        _nodes,
        "Put the node into maintenance and restart it; if it is not connected to the vSAN, look at "
        "its core network first.",
        "VergeNodeImpaired",
        "A node needs a restart, is not connected to the vSAN, or has an unusual status.",
    ),
    Check(
        "versions",
        "All nodes run the same version of VergeOS.",
        (NODES.name, NODE_DETAILS.name),
        _versions,
        "Finish the update: restart the node in maintenance, so that it starts the version of the "
        "others.",
        "VergeNodeVersionsDiffer",
        "A node runs another version of VergeOS than the others.",
    ),
    Check(
        "driver_reload",
        "No node has drivers that have to be loaded again.",
        (NODES.name, NODE_DETAILS.name),
        _driver_reload,
        "Put the node into maintenance, and reload its drivers.",
        "VergeNodeDriverReload",
        "Drivers of a node have to be loaded again.",
    ),
    Check(
        "dimm_health",
        "Every memory module of every node is online.",
        (NODES.name, NODE_MEMORY.name),
        _dimm_health,
        "Put the node into maintenance, and replace the memory module.",
        "VergeMemoryModuleFailing",
        "A memory module of a node is failing.",
    ),
)

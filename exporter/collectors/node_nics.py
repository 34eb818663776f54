"""
NICs of the physical nodes, from the rows of ``machine_nics`` that are read for the NICs of VMs.

They are missing while the collector nics is off.
"""

from collections.abc import Mapping
from itertools import repeat
from operator import attrgetter
from typing import Any

from exporter.collectors.collector import Collector
from exporter.collectors.nics import MACHINE_NICS, MEGABITS_PER_BYTE
from exporter.exposition.collector import counter, divide, each, gauge, group, info
from exporter.exposition.view import Identity, Items, RenderView, escape
from exporter.model import Inventory


def node_nics(view: RenderView) -> Items:
    """Return the NICs of each node."""
    nodes = view.inventory.nodes.values()
    rows = view.rows(MACHINE_NICS.name)
    owners: list[Identity] = [(view.system, escape(node.name)) for node in nodes]
    nics = list(map(rows.get, [node.machine or 0 for node in nodes], repeat(())))
    return view.parts("node nics", owners, nics, attrgetter("name"))


def nics_by_key(inventory: Inventory) -> Mapping[int, tuple[str, str]]:
    """Return the names of node and NIC by the key of the NIC, for the NICs of nodes."""
    rows: Any = inventory.sources.get(MACHINE_NICS.name) or {}
    return {
        nic.key: (node.name, nic.name)
        for node in inventory.nodes.values()
        for nic in rows.get(node.machine, ())
    }


_UP = {"up": True, "down": False, "lowerlayerdown": False}

NODE_NIC = group("node NIC", "system_name node_name nic", "nodes machine_nics", node_nics)

FAMILIES = (
    info("node_nic_status_info", NODE_NIC, "machine_nics.status.status",
         "Link status of the node's NIC", {"status": "status.status"}),
    gauge("node_nic_up", NODE_NIC, "machine_nics.status.status",
          "1 if the NIC has a link, 0 if it has none; absent if VergeOS does not know",
          each(lambda nic: _UP.get(nic.status.status))),
    gauge("node_nic_speed_bytes_per_second", NODE_NIC, "machine_nics.status.speed",
          "Speed of the node's NIC", divide("status.speed", MEGABITS_PER_BYTE)),
    counter("node_nic_receive_bytes_total", NODE_NIC, "machine_nics.stats.rx_bytes",
            "Bytes that the node's NIC received", "stats.rx_bytes"),
    counter("node_nic_transmit_bytes_total", NODE_NIC, "machine_nics.stats.tx_bytes",
            "Bytes that the node's NIC sent", "stats.tx_bytes"),
    counter("node_nic_receive_packets_total", NODE_NIC, "machine_nics.stats.rx_pckts",
            "Packets that the node's NIC received", "stats.rx_pckts"),
    counter("node_nic_transmit_packets_total", NODE_NIC, "machine_nics.stats.tx_pckts",
            "Packets that the node's NIC sent", "stats.tx_pckts"),
)  # fmt: skip

COLLECTOR = Collector("node_nics", (), FAMILIES)

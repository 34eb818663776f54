"""
Physical nodes and their NICs, as the vendor's exporter shows them; memory in MB.

Its quirks: ``node_ipmi_status`` is 1 for the word ok, which VergeOS is not known to use, and a node
without statistics has a load of 0, but no temperature.
"""

from collections import Counter

from exporter.collectors.nics import MACHINE_NICS, NicStats
from exporter.collectors.node_details import NODE_DETAILS
from exporter.collectors.node_loads import Hosted, hosted_by_node
from exporter.collectors.nodes import NODES
from exporter.collectors.vms import MACHINE_STATS, MACHINE_STATUS, StatsRow
from exporter.exposition.collector import divide, each
from exporter.exposition.view import Identity, Items, RenderView, escape
from exporter.model import Node
from exporter.vendor.families import (
    flag,
    or_zero,
    vendor_counter,
    vendor_gauge,
    vendor_group,
)
from exporter.vergeos.rows import MIB

EVERY_CLUSTER = "all"


def _cluster(view: RenderView, node: Node) -> str:
    """Return the name of the node's cluster; an unknown one is called by its key."""
    return view.clusters[node.cluster or 0]


def _labels(view: RenderView) -> list[Identity]:
    return [
        (view.system, escape(_cluster(view, node)), escape(node.name))
        for node in view.inventory.nodes.values()
    ]


def _numbers(view: RenderView) -> Items:
    if NODES.name not in view.inventory.sources:
        return Items([], [])
    nodes = view.inventory.nodes.values()
    counts = Counter(_cluster(view, node) for node in nodes)
    return Items(
        [(view.system, escape(name)) for name in (*counts, EVERY_CLUSTER)],
        [*counts.values(), len(nodes)],
    )


def _details(view: RenderView) -> Items:
    rows = view.rows(NODE_DETAILS.name)
    return Items(_labels(view), [rows.get(key) for key in view.inventory.nodes]).known()


_NO_STATS = StatsRow()


def _loads(view: RenderView) -> Items:
    if MACHINE_STATS.name not in view.inventory.sources:
        return Items([], [])
    rows = view.rows(MACHINE_STATS.name)
    found = [rows.get(node.machine or 0, _NO_STATS) for node in view.inventory.nodes.values()]
    return Items(_labels(view), found)


def _hosted(view: RenderView) -> Items:
    if MACHINE_STATUS.name not in view.inventory.sources:
        return Items([], [])
    itself = {node.machine for node in view.inventory.nodes.values()}
    totals = hosted_by_node(view.rows(MACHINE_STATUS.name).values(), itself)
    return Items(_labels(view), [totals.get(key, Hosted()) for key in view.inventory.nodes])


def _cores(view: RenderView) -> Items:
    loads = _loads(view)
    found = [
        ((*identity, str(core)), use)
        for identity, row in zip(loads.identities, loads.objects, strict=True)
        for core, use in enumerate(row.core_usagelist or ())
        if use is not None
    ]
    return Items([identity for identity, _ in found], [use for _, use in found])


def _nics(view: RenderView) -> Items:
    rows = view.rows(MACHINE_NICS.name)
    found = [
        ((*identity, escape(nic.name)), nic)
        for identity, node in zip(_labels(view), view.inventory.nodes.values(), strict=True)
        for nic in rows.get(node.machine or 0, ())
    ]
    return Items([identity for identity, _ in found], [nic for _, nic in found])


def _counted_nics(view: RenderView) -> Items:
    """Return the counters of the NICs that have any."""
    nics = _nics(view)
    counted = [nic.stats if nic.stats != NicStats() else None for nic in nics.objects]
    return Items(nics.identities, counted).known()


_NODE_TABLES = f"{NODES.name} clusters"
_NODE_LABELS = "system_name cluster node_name"
_NODES = vendor_group("nodes", "system_name cluster", _NODE_TABLES, _numbers)
_DETAIL = vendor_group("node detail", _NODE_LABELS, f"{_NODE_TABLES} {NODE_DETAILS.name}", _details)
_LOAD = vendor_group("node load", _NODE_LABELS, f"{_NODE_TABLES} {MACHINE_STATS.name}", _loads)
_HOSTED = vendor_group(
    "machines of a node", _NODE_LABELS, f"{_NODE_TABLES} {MACHINE_STATUS.name}", _hosted
)
_CORE = vendor_group(
    "core", f"{_NODE_LABELS} core_id", f"{_NODE_TABLES} {MACHINE_STATS.name}", _cores
)
_NIC_LABELS = f"{_NODE_LABELS} interface"
_NIC = vendor_group("node NIC", _NIC_LABELS, f"{_NODE_TABLES} {MACHINE_NICS.name}", _nics)
_TRAFFIC = vendor_group(
    "traffic of a node NIC", _NIC_LABELS, f"{_NODE_TABLES} {MACHINE_NICS.name}", _counted_nics
)

FAMILIES = (
    vendor_gauge("nodes_total", _NODES, "Nodes of each cluster, and of all", each(float)),
    vendor_gauge("node_ipmi_status", _DETAIL, "1 if the status of IPMI is the word ok",
                 flag(lambda row: row.ipmi_status == "ok")),
    vendor_gauge("node_ram_total", _DETAIL, "Memory of the node in MB", or_zero("ram")),
    vendor_gauge("node_ram_allocated", _DETAIL, "Memory of the node for VMs, in MB",
                 or_zero("vm_ram")),
    vendor_gauge("node_cpu_total", _LOAD, "CPU use in percent", or_zero("total_cpu")),
    vendor_gauge("node_cpu_user", _LOAD, "CPU use by processes in percent", or_zero("user_cpu")),
    vendor_gauge("node_cpu_system", _LOAD, "CPU use by the kernel in percent",
                 or_zero("system_cpu")),
    vendor_gauge("node_cpu_iowait", _LOAD, "CPU time that waits for storage, in percent",
                 or_zero("iowait_cpu")),
    vendor_gauge("node_cpu_core_usage", _CORE, "Use of each CPU core in percent", each(float)),
    vendor_gauge("node_core_temp", _LOAD, "Mean temperature of the CPU cores in Celsius",
                 each(lambda row: row.core_temp or None)),
    vendor_gauge("node_ram_used", _LOAD, "Memory in use in MB", or_zero("ram_used")),
    vendor_gauge("node_ram_pct", _LOAD, "Memory in use in percent", or_zero("ram_pct")),
    vendor_gauge("node_running_cores", _HOSTED, "CPU cores of the machines that run on the node",
                 "cpu_cores"),
    vendor_gauge("node_running_ram", _HOSTED,
                 "Memory of the machines that run on the node, in MB", divide("memory_bytes", MIB)),
    vendor_counter("nic_tx_packets_total", _TRAFFIC, "Packets that the NIC sent",
                   or_zero("tx_pckts")),
    vendor_counter("nic_rx_packets_total", _TRAFFIC, "Packets that the NIC received",
                   or_zero("rx_pckts")),
    vendor_counter("nic_tx_bytes_total", _TRAFFIC, "Bytes that the NIC sent", or_zero("tx_bytes")),
    vendor_counter("nic_rx_bytes_total", _TRAFFIC, "Bytes that the NIC received",
                   or_zero("rx_bytes")),
    vendor_gauge("nic_status", _NIC, "1 if the NIC has a link",
                 flag(lambda nic: nic.status.status == "up")),
)  # fmt: skip

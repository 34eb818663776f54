"""
Load of the physical nodes, and what runs on each of them.

It is in rows of ``machine_stats`` and ``machine_status`` that are read for the VMs anyway: those
tables have a row for every machine, and a node is one.
"""

from collections.abc import Iterable, Mapping

import msgspec

from exporter.collectors.collector import Collector
from exporter.collectors.node_details import of_nodes
from exporter.collectors.vms import MACHINE_STATS, MACHINE_STATUS
from exporter.exposition.collector import Read, divide, each, gauge, group, scale
from exporter.exposition.view import Items, RenderView
from exporter.model import MachineStatus
from exporter.vergeos.rows import MIB


def node_loads(view: RenderView) -> Items:
    """Return the load of each node that may run."""
    rows = view.rows(MACHINE_STATS.name)
    return of_nodes(
        view,
        [
            rows.get(node.machine or 0)
            if node.status and node.status.running is not False
            else None
            for node in view.inventory.nodes.values()
        ],
    )


class Hosted(msgspec.Struct, gc=False):
    """What the machines have that run on a node."""

    machines: int = 0
    cpu_cores: int = 0
    memory_bytes: int = 0


def hosted(view: RenderView) -> Items:
    """Return what runs on each node."""
    if MACHINE_STATUS.name not in view.inventory.sources:
        return Items([], [])
    nodes = view.inventory.nodes
    itself = {node.machine for node in nodes.values()}
    totals = hosted_by_node(view.rows(MACHINE_STATUS.name).values(), itself)
    return of_nodes(view, [totals.get(key, Hosted()) for key in nodes])


def hosted_by_node(
    statuses: Iterable[MachineStatus], itself: set[int | None]
) -> Mapping[int | None, Hosted]:
    """
    Return what runs on each node, by its key.

    Args:
        itself: The machines that are nodes.

    """
    totals: dict[int | None, Hosted] = {}
    for status in statuses:
        node = status.node
        if node is None or not status.running or status.machine in itself:
            continue
        total = totals.get(node)
        if total is None:
            total = totals[node] = Hosted()
        total.machines += 1
        total.cpu_cores += status.running_cpu_cores or 0
        total.memory_bytes += status.running_memory_bytes or 0
    return totals


def _celsius(attribute: str) -> Read:
    """Return a reader of a temperature; VergeOS writes 0 where there is no sensor."""
    return each(lambda row: getattr(row, attribute) or None)


_LABELS = "system_name node_name"
LOAD = group("node load", _LABELS, "nodes machine_status machine_stats", node_loads)
HOSTED = group("machines of a node", _LABELS, "nodes machine_status", hosted)

FAMILIES = (
    gauge("node_cpu_usage_ratio", LOAD, "machine_stats.total_cpu",
          "Share of the node's CPU time in use, 0 to 1", divide("total_cpu", 100)),
    gauge("node_cpu_user_ratio", LOAD, "machine_stats.user_cpu",
          "Share of the node's CPU time that processes use, VMs among them, 0 to 1",
          divide("user_cpu", 100)),
    gauge("node_cpu_system_ratio", LOAD, "machine_stats.system_cpu",
          "Share of the node's CPU time that its kernel uses, 0 to 1", divide("system_cpu", 100)),
    gauge("node_cpu_iowait_ratio", LOAD, "machine_stats.iowait_cpu",
          "Share of the node's CPU time that waits for storage, 0 to 1",
          divide("iowait_cpu", 100)),
    gauge("node_memory_used_bytes", LOAD, "machine_stats.ram_used",
          "Memory of the node that is in use", scale("ram_used", MIB)),
    gauge("node_core_temperature_celsius", LOAD, "machine_stats.core_temp",
          "Mean temperature of the node's CPU cores", _celsius("core_temp")),
    gauge("node_core_temperature_top_celsius", LOAD, "machine_stats.core_temp_top",
          "Temperature of the node's hottest CPU core", _celsius("core_temp_top")),
    gauge("node_running_machines", HOSTED, "machine_status.node",
          "Machines that run on the node: VMs, tenant nodes and routers", "machines"),
    gauge("node_running_cpu_cores", HOSTED, "machine_status.running_cores",
          "CPU cores of the machines that run on the node", "cpu_cores"),
    gauge("node_running_memory_bytes", HOSTED, "machine_status.running_ram",
          "Memory of the machines that run on the node", "memory_bytes"),
)  # fmt: skip

COLLECTOR = Collector("node_loads", (), FAMILIES)

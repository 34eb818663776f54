"""
Physical nodes in detail: memory, cores, versions, IPMI, and what asks for a restart.

These fields come with the request for ``nodes`` that is made anyway for the names of the nodes.
"""

from enum import StrEnum
from typing import NamedTuple

from exporter.collectors.cluster_status import CLUSTER_STATUS, ClusterStatusRow
from exporter.collectors.collector import Collector
from exporter.collectors.nodes import NODES
from exporter.exposition.collector import gauge, group, info, or_unknown, scale
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import MIB, Lost, Name, Reference, Row, Whole, label_word
from exporter.vergeos.tables import Importance, Table

IpmiStatus = StrEnum("IpmiStatus", "OFFLINE READY CONNECTING ERROR")
"""The values of ``nodes.ipmi_status``, in lower case, that VergeOS 26 is known to use."""


class NodeDetailRow(Row, gc=False):
    """A row of ``nodes``; memory in MB, temperatures in degrees Celsius."""

    id: Reference = None
    model: Name | None = None
    cpu: Name | None = None
    cores: Whole | None = None
    ram: Whole | None = None
    vm_ram: Whole | None = None
    yb_version: Name | None = None
    os_version: Name | None = None
    kernel_version: Name | None = None
    appserver_version: Name | None = None
    vsan_version: Name | None = None
    qemu_version: Name | None = None
    vsan_connected: bool | None = None
    need_restart: bool | None = None
    restart_reason: Name | None = None
    reload_drivers_required: bool | None = None
    ipmi_status: Name | None = None
    ipmi_sel_used: Whole | None = None
    ipmi_sel_free: Whole | None = None
    max_core_temp: Whole | None = None


def _details(row: NodeDetailRow, _: int, __: Lost) -> NodeDetailRow:
    row.ipmi_status = label_word(row.ipmi_status)
    return row


NODE_DETAILS = Table(
    "node_details",
    NODES.endpoint,
    NODES.pace,
    NodeDetailRow,
    _details,
    key=NODES.key,
    where=NODES.where,
    importance=Importance.LOW,
)


def details(view: RenderView) -> Items:
    """Return the row of each node."""
    rows = view.rows(NODE_DETAILS.name)
    return of_nodes(view, [rows.get(key) for key in view.inventory.nodes])


def of_nodes(view: RenderView, objects: list[object]) -> Items:
    """Return *objects*, one for each node, where they are known."""
    nodes = view.inventory.nodes.values()
    return Items([(view.system, escape(node.name)) for node in nodes], objects).known()


def waiting(view: RenderView) -> Items:
    """Return the nodes that need a restart."""
    rows = view.rows(NODE_DETAILS.name)
    found = [rows.get(key) for key in view.inventory.nodes]
    return of_nodes(view, [row if row and row.need_restart else None for row in found])


class TemperatureLimit(NamedTuple):
    """How hot a core of a node may become."""

    celsius: int | None


def temperature_limits(view: RenderView) -> Items:
    """Return the limit of each node; its own counts before that of its cluster."""
    rows, clusters = view.rows(NODE_DETAILS.name), view.rows(CLUSTER_STATUS.name)
    return of_nodes(
        view,
        [
            TemperatureLimit(_limit(rows.get(key), clusters.get(node.cluster or 0)))
            for key, node in view.inventory.nodes.items()
        ],
    )


def _limit(row: NodeDetailRow | None, cluster: ClusterStatusRow | None) -> int | None:
    """Return the limit in degrees Celsius; VergeOS writes 0 where there is none."""
    own = row.max_core_temp if row is not None else None
    return own or (cluster.max_core_temp if cluster is not None else None) or None


_LABELS = "system_name node_name"
DETAIL = group("node detail", _LABELS, "nodes node_details", details)
WAITING = group("node that needs a restart", _LABELS, "nodes node_details", waiting)
LIMIT = group(
    "node temperature limit", _LABELS, "nodes node_details cluster_status", temperature_limits
)

FAMILIES = (
    info("node_hardware_info", DETAIL, "nodes.model", "Model and CPU of the node",
         {"model": or_unknown("model"), "cpu": or_unknown("cpu")}),
    info("node_version_info", DETAIL, "nodes.yb_version",
         "Versions that run on the node; all nodes of a system should have the same",
         {
             "version": or_unknown("yb_version"),
             "os_version": or_unknown("os_version"),
             "kernel_version": or_unknown("kernel_version"),
             "appserver_version": or_unknown("appserver_version"),
             "vsan_version": or_unknown("vsan_version"),
             "qemu_version": or_unknown("qemu_version"),
         }),
    gauge("node_cpu_cores", DETAIL, "nodes.cores", "CPU cores of the node", "cores"),
    gauge("node_memory_bytes", DETAIL, "nodes.ram",
          "Memory that is installed in the node", scale("ram", MIB)),
    gauge("node_vm_memory_bytes", DETAIL, "nodes.vm_ram",
          "Memory of the node that VMs may use", scale("vm_ram", MIB)),
    gauge("node_vsan_connected", DETAIL, "nodes.vsan_connected",
          "1 while the node is connected to the vSAN", "vsan_connected"),
    gauge("node_need_restart", DETAIL, "nodes.need_restart",
          "1 if the node has to be restarted", "need_restart"),
    info("node_restart_info", WAITING, "nodes.restart_reason",
         "Why the node has to be restarted; absent if it does not",
         {"reason": or_unknown("restart_reason")}),
    gauge("node_drivers_reload_required", DETAIL, "nodes.reload_drivers_required",
          "1 if drivers of the node have to be loaded again, for which it has to be in maintenance",
          "reload_drivers_required"),
    info("node_ipmi_info", DETAIL, "nodes.ipmi_status",
         "Status of the node's IPMI, by which VergeOS restarts a node that hangs",
         {"status": "ipmi_status"}),
    gauge("node_ipmi_log_records", DETAIL, "nodes.ipmi_sel_used",
          "Records in the event log of the node's IPMI", "ipmi_sel_used"),
    gauge("node_ipmi_log_free_records", DETAIL, "nodes.ipmi_sel_free",
          "Records for which the event log of the node's IPMI has room; when it is full, events "
          "are lost", "ipmi_sel_free"),
    gauge("node_core_temperature_limit_celsius", LIMIT,
          "nodes.max_core_temp, clusters.max_core_temp",
          "How hot a core of the node may become, as set for the node or its cluster", "celsius"),
)  # fmt: skip

COLLECTOR = Collector("node_details", (NODE_DETAILS,), FAMILIES)

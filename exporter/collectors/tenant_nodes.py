"""
Nodes of tenants, from ``tenant_nodes``.

Their status and load are rows of ``machine_status`` and ``machine_stats``, which are read with
those of all machines.
"""

from operator import attrgetter

import msgspec

from exporter.collectors.collector import Collector
from exporter.collectors.tenants import LABELS, of_tenants
from exporter.collectors.vms import MACHINE_STATS, MACHINE_STATUS, StatsRow
from exporter.exposition.collector import divide, gauge, group, info, scale
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import MachineStatus
from exporter.vergeos.rows import MIB, Lost, Name, Reference, Row, Whole, key_number, required_key
from exporter.vergeos.tables import Importance, Pace, Table

PERCENT = 100


class TenantNodeRow(Row, gc=False):
    """A row of ``tenant_nodes``; memory in MB."""

    tenant: Reference = None
    name: Name | None = None
    enabled: bool | None = None
    machine: Reference = None
    is_snapshot: bool | None = None
    cpu_cores: Whole | None = None
    ram: Whole | None = None


def _tenant_node(row: TenantNodeRow, key: int, _: Lost) -> TenantNodeRow | None:
    if row.is_snapshot:
        return None
    row.tenant, row.machine = required_key(row.tenant, "tenant", key), key_number(row.machine)
    row.name = row.name or f"#{key}"
    return row


TENANT_NODES = Table(
    "tenant_nodes",
    "tenant_nodes",
    Pace.RARE,
    TenantNodeRow,
    _tenant_node,
    may_be_hidden=True,
    importance=Importance.LOW,
)


class RunningNode(msgspec.Struct, frozen=True, gc=False):
    """The status of a tenant's node, and the name of the node that it runs on."""

    status: MachineStatus
    node: str


def tenant_nodes(view: RenderView) -> Items:
    """Return each node of each tenant."""
    return of_tenants(view, view.rows(TENANT_NODES.name).values(), lambda row: (escape(row.name),))


def node_states(view: RenderView) -> Items:
    """Return the status of each node of a tenant."""
    nodes, statuses = tenant_nodes(view), view.rows(MACHINE_STATUS.name)
    found = [statuses.get(row.machine) for row in nodes.objects]
    return Items(
        nodes.identities,
        [status and RunningNode(status, view.nodes[status.node]) for status in found],
    ).known()


def node_loads(view: RenderView) -> Items:
    """Return the load of each node of a tenant that runs; VergeOS keeps the rows of others."""
    nodes = tenant_nodes(view)
    statuses, stats = view.rows(MACHINE_STATUS.name), view.rows(MACHINE_STATS.name)

    def load(machine: int) -> StatsRow | None:
        status = statuses.get(machine)
        return stats.get(machine) if status is not None and status.running else None

    machines = map(attrgetter("machine"), nodes.objects)
    return Items(nodes.identities, [load(machine) for machine in machines]).known()


NODE_LABELS = f"{LABELS} tenant_node"
TENANT_NODE = group("tenant's node", NODE_LABELS, "tenants tenant_nodes", tenant_nodes)
NODE_STATE = group(
    "state of a tenant's node", NODE_LABELS, "tenants tenant_nodes machine_status nodes",
    node_states,
)  # fmt: skip
NODE_LOAD = group(
    "load of a tenant's node", NODE_LABELS, "tenants tenant_nodes machine_status machine_stats",
    node_loads,
)  # fmt: skip

FAMILIES = (
    gauge("tenant_node_enabled", TENANT_NODE, "tenant_nodes.enabled",
          "1 if the tenant's node is enabled", "enabled"),
    gauge("tenant_node_cpu_cores", TENANT_NODE, "tenant_nodes.cpu_cores",
          "CPU cores of the tenant's node", "cpu_cores"),
    gauge("tenant_node_memory_bytes", TENANT_NODE, "tenant_nodes.ram",
          "Memory of the tenant's node", scale("ram", MIB)),
    gauge("tenant_node_running", NODE_STATE, "machine_status.running",
          "1 while the tenant's node is running", "status.running"),
    info("tenant_node_status_info", NODE_STATE, "machine_status.status",
         "Status of the tenant's node, and the node that it runs on",
         {"status": "status.word", "node_name": "node"}),
    gauge("tenant_node_cpu_usage_ratio", NODE_LOAD, "machine_stats.total_cpu",
          "CPU usage of the tenant's node, 1 being all of its cores", divide("total_cpu", PERCENT)),
    gauge("tenant_node_memory_used_bytes", NODE_LOAD, "machine_stats.ram_used",
          "Memory that the tenant's node uses", scale("ram_used", MIB)),
)  # fmt: skip

COLLECTOR = Collector("tenant_nodes", (TENANT_NODES,), FAMILIES)

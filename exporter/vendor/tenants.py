"""
Tenants, as the vendor's exporter shows them, without their snapshots.

Its quirks: the label ``tier`` is the key of a storage tier and not its number, and a tenant without
nodes or without layer-2 networks has no count of them.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from exporter.collectors.tenant_networks import TENANT_LAYER2_VNETS
from exporter.collectors.tenant_nodes import TENANT_NODES
from exporter.collectors.tenant_stats import TENANT_STATS
from exporter.collectors.tenant_storage import TENANT_STORAGE
from exporter.collectors.tenants import TENANTS
from exporter.collectors.vms import MACHINE_STATS, MACHINE_STATUS
from exporter.exposition.collector import Read, each
from exporter.exposition.view import Items, RenderView, escape
from exporter.vendor.families import flag, ones, or_zero, vendor_gauge, vendor_group
from exporter.vergeos.rows import MIB, key_number


def _mib(attribute: str) -> Read:
    """Return a reader of a number of MB in bytes, 0 where there is none."""
    get = attrgetter(attribute)
    return each(lambda item: float((get(item) or 0) * MIB))


def _total(view: RenderView) -> Items:
    if TENANTS.name not in view.inventory.sources:
        return Items([], [])
    return Items([(view.system,)], [len(view.rows(TENANTS.name))])


def _with_status(view: RenderView) -> Items:
    rows = [row for row in view.rows(TENANTS.name).values() if row.running is not None]
    return Items([(view.system, escape(row.name)) for row in rows], rows)


def _statuses(view: RenderView) -> Items:
    rows = [row for row in view.rows(TENANTS.name).values() if row.tenant_status]
    return Items([(view.system, escape(row.name), escape(row.tenant_status)) for row in rows], rows)


def _of_tenants(
    view: RenderView, rows: Iterable[Any], labels: Callable[[Any], tuple[str, ...]] = lambda _: ()
) -> Items:
    known = view.rows(TENANTS.name)
    found = [row for row in rows if row.tenant in known]
    return Items(
        [(view.system, escape(known[row.tenant].name), *labels(row)) for row in found], found
    )


def _loads(view: RenderView) -> Items:
    return _of_tenants(view, view.rows(TENANT_STATS.name).values())


def _gpus(view: RenderView) -> Items:
    return _of_tenants(view, [one for one in view.rows(TENANT_STATS.name).values() if one.has_gpus])


def _nodes(view: RenderView) -> Items:
    rows = view.rows(TENANT_NODES.name).values()
    return _of_tenants(view, rows, lambda row: (escape(row.name),))


def _of_machines(view: RenderView, table: str) -> Items:
    """Return the row of *table* of each tenant node's machine."""
    nodes, rows = _nodes(view), view.rows(table)
    return Items(nodes.identities, [rows.get(node.machine) for node in nodes.objects]).known()


def _storage(view: RenderView) -> Items:
    rows = view.rows(TENANT_STORAGE.name).values()
    return _of_tenants(view, rows, lambda row: (str(key_number(row.tier) or 0),))


def _counts(view: RenderView, table: str) -> Items:
    """Return how many rows of *table* each tenant has, if it has any."""
    known = view.rows(TENANTS.name)
    counts = Counter(key_number(row.tenant) for row in view.rows(table).values())
    found = [key for key in known if counts[key]]
    return Items(
        [(view.system, escape(known[key].name)) for key in found], [counts[key] for key in found]
    )


_LABELS = "system_name tenant_name"
_NODE_LABELS = f"{_LABELS} node_name"
_TOTAL = vendor_group("tenants", "system_name", "tenants", _total)
_TENANT = vendor_group("tenant", _LABELS, "tenants", _with_status)
_STATUS = vendor_group("tenant status", f"{_LABELS} status", "tenants", _statuses)
_LOAD = vendor_group("tenant load", _LABELS, "tenants tenant_stats", _loads)
_GPUS = vendor_group("tenant GPUs", _LABELS, "tenants tenant_stats", _gpus)
_NODE = vendor_group("tenant node", _NODE_LABELS, "tenants tenant_nodes", _nodes)
_NODE_STATE = vendor_group(
    "tenant node state", _NODE_LABELS, "tenants tenant_nodes machine_status",
    lambda view: _of_machines(view, MACHINE_STATUS.name),
)  # fmt: skip
_NODE_LOAD = vendor_group(
    "tenant node load", _NODE_LABELS, "tenants tenant_nodes machine_stats",
    lambda view: _of_machines(view, MACHINE_STATS.name),
)  # fmt: skip
_NODES = vendor_group(
    "tenant nodes", _LABELS, "tenants tenant_nodes", lambda view: _counts(view, TENANT_NODES.name)
)
_STORAGE = vendor_group("tenant storage", f"{_LABELS} tier", "tenants tenant_storage", _storage)
_LAYER2 = vendor_group(
    "tenant networks", _LABELS, "tenants tenant_layer2_vnets",
    lambda view: _counts(view, TENANT_LAYER2_VNETS.name),
)  # fmt: skip

FAMILIES = (
    vendor_gauge("tenants_total", _TOTAL, "Tenants without snapshots", each(float)),
    vendor_gauge("tenant_running", _TENANT, "1 while the tenant is running",
                 flag(lambda row: row.running)),
    vendor_gauge("tenant_status", _STATUS, "Status of the tenant, as a label", ones),
    vendor_gauge("tenant_cpu_usage_pct", _LOAD, "CPU usage of the tenant in percent",
                 or_zero("total_cpu")),
    vendor_gauge("tenant_cpu_cores", _LOAD, "CPU cores of the tenant", or_zero("core_count")),
    vendor_gauge("tenant_ram_used_bytes", _LOAD, "Memory that the tenant uses", _mib("ram_used")),
    vendor_gauge("tenant_ram_allocated_bytes", _LOAD, "Memory that is assigned to the tenant",
                 _mib("ram_allocated")),
    vendor_gauge("tenant_ram_usage_pct", _LOAD, "Memory that the tenant uses, in percent",
                 or_zero("ram_pct")),
    vendor_gauge("tenant_ip_count", _LOAD, "IP addresses of the tenant", or_zero("ip_count")),
    vendor_gauge("tenant_nodes_total", _NODES, "Nodes of the tenant", each(float)),
    vendor_gauge("tenant_vgpus_used", _GPUS, "Virtual GPUs that the tenant uses",
                 or_zero("vgpus_used")),
    vendor_gauge("tenant_vgpus_total", _GPUS, "Virtual GPUs of the tenant",
                 or_zero("vgpus_total")),
    vendor_gauge("tenant_gpus_used", _GPUS, "GPUs that the tenant uses", or_zero("gpus_used")),
    vendor_gauge("tenant_gpus_total", _GPUS, "GPUs of the tenant", or_zero("gpus_total")),
    vendor_gauge("tenant_node_cpu_cores", _NODE, "CPU cores of the tenant's node",
                 or_zero("cpu_cores")),
    vendor_gauge("tenant_node_ram_bytes", _NODE, "Memory of the tenant's node", _mib("ram")),
    vendor_gauge("tenant_node_enabled", _NODE, "1 if the tenant's node is enabled",
                 flag(lambda row: row.enabled)),
    vendor_gauge("tenant_node_running", _NODE_STATE, "1 while the tenant's node is running",
                 flag(lambda status: status.running)),
    vendor_gauge("tenant_node_cpu_usage_pct", _NODE_LOAD,
                 "CPU usage of the tenant's node in percent", or_zero("total_cpu")),
    vendor_gauge("tenant_node_ram_used_bytes", _NODE_LOAD, "Memory that the tenant's node uses",
                 _mib("ram_used")),
    vendor_gauge("tenant_node_ram_usage_pct", _NODE_LOAD,
                 "Memory that the tenant's node uses, in percent", or_zero("ram_pct")),
    vendor_gauge("tenant_storage_provisioned_bytes", _STORAGE,
                 "Storage that is given to the tenant in the tier", or_zero("provisioned")),
    vendor_gauge("tenant_storage_used_bytes", _STORAGE, "Storage that the tenant uses in the tier",
                 or_zero("used")),
    vendor_gauge("tenant_storage_allocated_bytes", _STORAGE,
                 "Storage that is allocated by the tenant in the tier", or_zero("allocated")),
    vendor_gauge("tenant_storage_used_pct", _STORAGE,
                 "Storage that the tenant uses in the tier, in percent", or_zero("used_pct")),
    vendor_gauge("tenant_layer2_networks_total", _LAYER2,
                 "Layer-2 networks that the tenant may use", each(float)),
)  # fmt: skip

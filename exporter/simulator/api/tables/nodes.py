"""The table ``nodes``: the physical hosts. Fields: docs/vergeos-api.md."""

from exporter.simulator.api.tables.columns import (
    Link,
    Table,
    attribute,
    by_key,
    computed,
    constant,
    live,
)

_NODES = Table(
    name="nodes",
    rows=lambda view: view.world.nodes.values(),
    find=by_key(lambda view: view.world.nodes),
    columns={
        "$key": attribute("key"),
        "id": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "physical": constant(value=True),
        "cluster": attribute("cluster", leads_to="clusters"),
        "machine": attribute("machine.key", leads_to="machines"),
        "model": attribute("model"),
        "asset_tag": attribute("serial"),
        "cpu": constant("AMD EPYC 9354 32-Core Processor"),
        "cpu_speed": constant("3250"),
        "cores": attribute("cores"),
        "iommu": constant(value=True),
        "ram": attribute("memory_mb"),
        "overcommit": constant(0),
        "vm_ram": attribute("used_mb"),
        "failover_ram": computed(lambda node: node.memory_mb - node.usable_mb),
        "yb_version": live(lambda _node, view: view.world.version),
        "os_version": live(lambda _node, view: view.world.version),
        "kernel_version": constant("6.12.34"),
        "appserver_version": live(lambda _node, view: view.world.version),
        "vsan_version": live(lambda _node, view: view.world.version),
        "qemu_version": constant("9.2.3"),
        "vsan_nodeid": attribute("key"),
        "vsan_connected": attribute("alive"),
        "maintenance": attribute("maintenance"),
        "need_restart": constant(value=False),
        "restart_reason": constant(""),
        "ipmi_address": computed(lambda node: f"10.0.9.{node.key % 250 + 1}"),
        "ipmi_status": constant("ready"),
        "ipmi_status_info": constant(""),
        "max_core_temp": constant(90),
        "note": constant(""),
    },
    links={
        "cluster": Link("clusters", lambda node, view: view.world.clusters.get(node.cluster)),
        "machine": Link("machines", lambda node, _view: node.machine),
    },
    default=("id", "name", "physical", "cluster", "machine", "maintenance"),
    hidden_from_all=("$key",),
)


TABLES = (_NODES,)

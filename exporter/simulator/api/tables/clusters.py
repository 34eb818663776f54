"""
The tables ``clusters`` and ``cluster_status``.

Fields: what the vendor's exporter and pyvergeos request. ``*_ram`` are MB; ``phys_ram_used`` and
``phys_vram_used`` are bytes, as in the vendor's SDK and HELP texts (its metrics.md says MB).
"""

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    by_key,
    computed,
    constant,
    live,
)
from exporter.simulator.api.tables.machine_stats import memory_used_mb
from exporter.simulator.world.machines import Cluster, Machine, Node

MIB = 1024**2


def _online(cluster: Cluster) -> list[Node]:
    return [node for node in cluster.nodes if node.alive]


def _running_on(cluster: Cluster) -> list[Machine]:
    """Return the machines that run on the online nodes; one that migrates is counted once."""
    return [
        machine
        for node in _online(cluster)
        for machine in node.hosted.values()
        if machine.status.running and machine.status.node == node.key
    ]


def _cluster_status(cluster: Cluster) -> str:
    online = len(_online(cluster))
    if online == len(cluster.nodes):
        return "online"
    return "reduced" if online else "offline"


def _physical_memory(cluster: Cluster, view: RequestView) -> int:
    """Return the memory that running machines have touched, in MB."""
    return sum(memory_used_mb(machine, view) for machine in _running_on(cluster))


def _physical_cpu(cluster: Cluster, view: RequestView) -> int:
    """Return the CPU use of the online nodes, in percent."""
    online = _online(cluster)
    used = sum(100 * node.machine.load.cpu(view.now) for node in online)
    return round(used / max(1, len(online)))


_CLUSTERS = Table(
    name="clusters",
    rows=lambda view: view.world.clusters.values(),
    find=by_key(lambda view: view.world.clusters),
    columns={
        "$key": attribute("key"),
        "id": computed(lambda cluster: f"{cluster.key:040x}"),
        "system": constant("self"),
        "name": attribute("name"),
        "description": attribute("description"),
        "enabled": constant(value=True),
        "created": live(lambda _cluster, view: int(view.world.started_at) - 80_000_000),
        "storage": constant(value=True),
        "compute": constant(value=True),
        "kvm_nested": constant(value=False),
        "allow_nested_virt_migration": constant(value=False),
        "allow_vgpu_migration": constant(value=False),
        "enable_split_lock_detection": constant(value=False),
        "recommended_cpu_type": constant("EPYC-Genoa"),
        "default_cpu": constant("host"),
        "disable_cpu_security_mitigations": constant(value=False),
        "spec_store_bypass_disable": constant(""),
        "disable_smt": constant(value=False),
        "disable_sleep": constant(value=True),
        "enable_nvme_power_management": constant(value=False),
        "x86_energy_perf_policy": constant("performance"),
        "scaling_governor": constant("performance"),
        "ram_per_unit": constant(4096),
        "cores_per_unit": constant(1),
        "cost_per_unit": constant(0.0),
        "price_per_unit": constant(0.0),
        "max_ram_per_vm": constant(262_144),
        "max_cores_per_vm": constant(32),
        "storage_cachesize": constant(8192),
        "storage_buffersize": constant(2048),
        "storage_hugepages": constant(value=False),
        "target_ram_pct": constant(80.0),
        "ram_overcommit_pct": constant(0.0),
        "swap_tier": constant(-1),
        "swap_per_drive": constant(0),
        "log_filter": constant(""),
        "max_core_temp": constant(90),
        "max_core_temp_warn_perc": constant(10),
        "critical_core_temp": constant(100),
        "status": attribute("key", leads_to="cluster_status"),
    },
    links={"status": Link("cluster_status", lambda cluster, _view: cluster)},
)


_CLUSTER_STATUS = Table(
    name="cluster_status",
    rows=lambda view: view.world.clusters.values(),
    find=by_key(lambda view: view.world.clusters),
    columns={
        "$key": attribute("key"),
        "cluster": attribute("key", leads_to="clusters"),
        "status": computed(_cluster_status),
        "status_info": constant(""),
        "state": computed(
            lambda x: {"online": "online", "reduced": "warning"}.get(_cluster_status(x), "offline")
        ),
        "last_update": live(lambda _cluster, view: int(view.stamp)),
        "total_nodes": computed(lambda x: len(x.nodes)),
        "online_nodes": computed(lambda x: len(_online(x))),
        "running_machines": computed(lambda x: len(_running_on(x))),
        # In MB.
        "total_ram": computed(lambda x: sum(node.memory_mb for node in x.nodes)),
        "online_ram": computed(lambda x: sum(node.memory_mb for node in _online(x))),
        "used_ram": computed(lambda x: sum(machine.memory_mb for machine in _running_on(x))),
        "total_cores": computed(lambda x: sum(node.cores for node in x.nodes)),
        "online_cores": computed(lambda x: sum(node.cores for node in _online(x))),
        "used_cores": computed(lambda x: sum(machine.cores for machine in _running_on(x))),
        # In bytes, as the vendor's SDK and its HELP text have it; its metrics.md has MB.
        "phys_ram_used": live(lambda x, view: _physical_memory(x, view) * MIB),
        "phys_vram_used": constant(0),
        "phys_total_cpu": live(_physical_cpu),
    },
    links={"cluster": Link("clusters", lambda cluster, _view: cluster)},
)


TABLES = (_CLUSTERS, _CLUSTER_STATUS)

"""
The tables of tenants: ``tenants`` and their status, nodes, storage, load and networks.

Fields: what the vendor's exporter and pyvergeos request. A tenant's status follows from its nodes.
``tenant_storage.tier`` is the key of a storage tier and not its number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from exporter.simulator.api.tables.columns import (
    Column,
    Link,
    RequestView,
    Table,
    attribute,
    by_key,
    computed,
    constant,
    live,
)
from exporter.simulator.world.machines import Status
from exporter.simulator.world.storage import SystemTier, system_tiers
from exporter.simulator.world.tenants import (
    SAMPLE_SECONDS,
    Layer2Network,
    Tenant,
    TenantNode,
    TenantSample,
    TenantStorage,
    samples,
)

TIER_NUMBERS = range(6)


def _real(view: RequestView) -> list[Tenant]:
    """Return the tenants without snapshots."""
    return [tenant for tenant in view.world.tenants.values() if not tenant.is_snapshot]


def _nodes(view: RequestView) -> Iterable[TenantNode]:
    return (node for tenant in view.world.tenants.values() for node in tenant.nodes)


def _storage(view: RequestView) -> Iterable[TenantStorage]:
    return (row for tenant in view.world.tenants.values() for row in tenant.storage)


def _layer2(view: RequestView) -> Iterable[Layer2Network]:
    return (row for tenant in view.world.tenants.values() for row in tenant.layer2)


def _samples(view: RequestView) -> Iterable[TenantSample]:
    return samples(_real(view), view.stamp)


def _newest(view: RequestView) -> Iterable[TenantSample]:
    number = int(view.stamp) // SAMPLE_SECONDS
    return (sample for sample in _samples(view) if sample.number == number)


def _statuses(tenant: Tenant, view: RequestView) -> list[Status]:
    return [view.status(node.machine) for node in tenant.nodes]


def _running(tenant: Tenant, view: RequestView) -> bool:
    return any(status.running for status in _statuses(tenant, view))


def _status(tenant: Tenant, view: RequestView) -> str:
    statuses = _statuses(tenant, view)
    if all(status.running for status in statuses) and statuses:
        return "online"
    if any(status.running for status in statuses):
        return "reduced"
    return "nodesoffline" if any(status.wanted for status in statuses) else "offline"


def _state(tenant: Tenant, view: RequestView) -> str:
    return {"reduced": "warning", "nodesoffline": "error"}.get(word := _status(tenant, view), word)


def states(view: RequestView) -> Iterable[str]:
    """Return the state of each tenant."""
    return (_state(tenant, view) for tenant in _real(view))


def _started(tenant: Tenant, view: RequestView) -> int:
    return int(max((status.started for status in _statuses(tenant, view)), default=0.0))


_TENANTS = Table(
    name="tenants",
    rows=lambda view: view.world.tenants.values(),
    find=by_key(lambda view: view.world.tenants),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "url": computed(lambda tenant: f"{tenant.name}.example.com"),
        "uuid": attribute("uuid"),
        "vnet": attribute("network.key", leads_to="vnets"),
        "ui_address": constant(None),
        "oidc_application": constant(None),
        "is_snapshot": attribute("is_snapshot"),
        "isolate": constant(value=False),
        "expose_cloud_snapshots": constant(value=True),
        "allow_branding": constant(value=False),
        "change_password": constant(value=False),
        "theme_access": constant(value=False),
        "help_url": constant(""),
        "note": constant(""),
        "creator": constant("admin"),
        "created": attribute("created"),
        "status": attribute("key", leads_to="tenant_status"),
    },
    links={
        "vnet": Link("vnets", lambda tenant, _view: tenant.network),
        "status": Link(
            "tenant_status", lambda tenant, _view: None if tenant.is_snapshot else tenant
        ),
    },
)

_TENANT_STATUS = Table(
    name="tenant_status",
    rows=_real,
    columns={
        "$key": attribute("key"),
        "tenant": attribute("key", leads_to="tenants"),
        "running": live(_running),
        "starting": constant(value=False),
        "stopping": constant(value=False),
        "migrating": constant(value=False),
        "started": live(_started),
        "stopped": constant(0),
        "status": live(_status),
        "state": live(_state),
        "last_update": live(lambda _tenant, view: int(view.stamp)),
    },
    links={"tenant": Link("tenants", lambda tenant, _view: tenant)},
)

_TENANT_NODES = Table(
    name="tenant_nodes",
    rows=_nodes,
    columns={
        "$key": attribute("key"),
        "tenant": attribute("tenant.key", leads_to="tenants"),
        "nodeid": attribute("number"),
        "name": attribute("name"),
        "description": constant(""),
        "enabled": constant(value=True),
        "machine": attribute("machine.key", leads_to="machines"),
        "is_snapshot": constant(value=False),
        "cpu_cores": attribute("machine.cores"),
        "ram": attribute("machine.memory_mb"),
        "cluster": attribute("machine.cluster", leads_to="clusters"),
        "cluster_failover": constant(None),
        "preferred_node": constant(None),
        "ha_group": constant(""),
        "on_power_loss": constant("last_state"),
        "creator": constant("admin"),
        "created": attribute("tenant.created"),
        "modified": attribute("tenant.created"),
    },
    links={
        "tenant": Link("tenants", lambda node, _view: node.tenant),
        "machine": Link("machines", lambda node, _view: node.machine),
        "cluster": Link(
            "clusters", lambda node, view: view.world.clusters.get(node.machine.cluster)
        ),
    },
)


def _tier(row: TenantStorage, view: RequestView) -> SystemTier | None:
    tiers = (tier for cluster in view.world.clusters.values() for tier in cluster.tiers)
    return next(iter(system_tiers(tier for tier in tiers if tier.number == row.tier)), None)


_TENANT_STORAGE = Table(
    name="tenant_storage",
    rows=_storage,
    columns={
        "$key": attribute("key"),
        "tenant": attribute("tenant.key", leads_to="tenants"),
        "tier": attribute("tier", leads_to="storage_tiers"),
        "provisioned": attribute("provisioned_bytes"),
        "used": attribute("used_bytes"),
        "allocated": attribute("used_bytes"),
        "used_pct": computed(lambda row: round(100 * row.used_share)),
        "last_update": live(lambda _row, view: int(view.stamp)),
    },
    links={
        "tenant": Link("tenants", lambda row, _view: row.tenant),
        "tier": Link("storage_tiers", _tier),
    },
)


def _of_tier(number: int, read: Any) -> Column:
    """Return a column of a sample about the tenant's storage in one tier."""

    def found(sample: TenantSample) -> int:
        rows = [row for row in sample.tenant.storage if row.tier == number]
        return read(rows[0]) if rows else 0

    return computed(found)


_SAMPLES = Table(
    name="tenant_stats_history_short",
    rows=_samples,
    columns={
        "$key": attribute("key"),
        "tenant": attribute("tenant.key", leads_to="tenants"),
        "timestamp": attribute("at"),
        "total_cpu": attribute("cpu_percent"),
        "core_count": attribute("tenant.cores"),
        "ram_used": attribute("memory_mb"),
        "vram_used": constant(0),
        "ram_allocated": attribute("tenant.memory_mb"),
        "ram_pct": computed(lambda x: round(100 * x.memory_mb / x.tenant.memory_mb)),
        "ip_count": computed(lambda x: 2 + x.tenant.key % 5),
        "gpus_used": computed(lambda x: min(1, x.tenant.gpus)),
        "gpus_total": attribute("tenant.gpus"),
        "gpus_pct": computed(lambda x: 50 if x.tenant.gpus else 0),
        "vgpus_used": computed(lambda x: min(1, x.tenant.vgpus)),
        "vgpus_total": attribute("tenant.vgpus"),
        "vgpus_pct": computed(lambda x: 25 if x.tenant.vgpus else 0),
    }
    | {
        f"tier{number}_{name}": _of_tier(number, read)
        for number in TIER_NUMBERS
        for name, read in {
            "provisioned": lambda row: row.provisioned_bytes,
            "used": lambda row: row.used_bytes,
            "allocated": lambda row: row.used_bytes,
            "pct": lambda row: round(100 * row.used_share),
        }.items()
    },
    links={"tenant": Link("tenants", lambda sample, _view: sample.tenant)},
)

_TENANT_STATS = Table(
    name="tenant_stats",
    rows=lambda view: [
        one for one in _samples(view) if one.number == int(view.stamp) // SAMPLE_SECONDS
    ],
    columns={
        "$key": attribute("tenant.key"),
        "tenant": attribute("tenant.key", leads_to="tenants"),
        "ram_used": attribute("memory_mb"),
        "last_update": attribute("at"),
    },
    links={"tenant": Link("tenants", lambda sample, _view: sample.tenant)},
)

_LAYER2 = Table(
    name="tenant_layer2_vnets",
    rows=_layer2,
    columns={
        "$key": attribute("key"),
        "tenant": attribute("tenant.key", leads_to="tenants"),
        "vnet": attribute("network.key", leads_to="vnets"),
        "enabled": constant(value=True),
    },
    links={
        "tenant": Link("tenants", lambda row, _view: row.tenant),
        "vnet": Link("vnets", lambda row, _view: row.network),
    },
)


@dataclass(frozen=True, slots=True)
class _Dashboard:
    """The only row of ``tenant_dashboard``."""

    key: int = 1


def _tenants_in(state: str) -> Column:
    return live(lambda _row, view: list(states(view)).count(state))


def _nodes_in(state: str) -> Column:
    return live(
        lambda _row, view: sum(view.status(one.machine).state == state for one in _nodes(view))
    )


_DASHBOARD = Table(
    name="tenant_dashboard",
    rows=lambda _view: (_Dashboard(),),
    columns={
        "$key": attribute("key"),
        "tenants_count": live(lambda _row, view: len(_real(view))),
        "tenants_online": _tenants_in("online"),
        "tenants_warn": _tenants_in("warning"),
        "tenants_error": _tenants_in("error"),
        "nodes_count": live(lambda _row, view: len(list(_nodes(view)))),
        "nodes_online": _nodes_in("online"),
        "nodes_warn": _nodes_in("warning"),
        "nodes_error": _nodes_in("error"),
        "storage_count": live(lambda _row, view: len(list(_storage(view)))),
        "snapshots_count": live(lambda _row, view: len(view.world.tenants) - len(_real(view))),
        "cloud_snapshots_count": constant(0),
    },
)

TABLES = (
    _TENANTS,
    _TENANT_STATUS,
    _TENANT_NODES,
    _TENANT_STORAGE,
    _SAMPLES,
    _TENANT_STATS,
    _LAYER2,
    _DASHBOARD,
)

"""
The tables ``cluster_tiers``, ``cluster_tier_status`` and ``cluster_tier_stats``.

Fields: what the vendor's exporter and pyvergeos request. ``progress`` is a percentage, as in the
Python SDK; the Go SDK says that it is a fraction.
"""

from collections.abc import Iterator

from exporter.simulator.api.faults import Fault
from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    constant,
    live,
)
from exporter.simulator.api.tables.storage_tiers import io_columns
from exporter.simulator.world.storage import StorageTier, SystemTier

STATES = {"online": "online", "offline": "offline", "outofspace": "error"}
"""The ``state`` of a status; ``warning`` for all others."""
MINUTE = 60.0


def _tiers(view: RequestView) -> Iterator[StorageTier]:
    for cluster in view.world.clusters.values():
        yield from cluster.tiers


def _fault(tier: StorageTier, view: RequestView) -> Fault | None:
    for fault in view.world.faults.active("storage_tier"):
        name = view.world.clusters[tier.cluster].name
        if fault["cluster"] in ("", name) and fault["tier"] == tier.number:
            return fault
    return None


def _status(tier: StorageTier, view: RequestView) -> str:
    fault = _fault(tier, view)
    return tier.status if fault is None else str(fault["word"])


def _state(tier: StorageTier, view: RequestView) -> str:
    return STATES.get(_status(tier, view), "warning")


def _repairs(tier: StorageTier, view: RequestView) -> int:
    fault = _fault(tier, view)
    minutes = (view.now - view.world.started_at) / MINUTE
    return tier.repairs + (int(fault["repairs_per_minute"] * minutes) if fault else 0)


def _used_percent(tier: StorageTier, view: RequestView) -> int:
    return round(100 * tier.used(view.age) / tier.capacity_bytes) if tier.capacity_bytes else 0


def _allocated(tier: StorageTier, view: RequestView) -> int:
    return min(tier.capacity_bytes, 3 * tier.used(view.age) // 2)


_CLUSTER_TIERS = Table(
    name="cluster_tiers",
    rows=_tiers,
    columns={
        "$key": attribute("key"),
        "cluster": attribute("cluster", leads_to="clusters"),
        "tier": attribute("number"),
        "description": constant(""),
        "cost_per_gb": constant(0.0),
        "price_per_gb": constant(0.0),
        "status": attribute("key", leads_to="cluster_tier_status"),
        "stats": attribute("key", leads_to="cluster_tier_stats"),
    },
    links={
        "cluster": Link("clusters", lambda tier, view: view.world.clusters.get(tier.cluster)),
        "status": Link("cluster_tier_status", lambda tier, _view: tier),
        "stats": Link("cluster_tier_stats", lambda tier, _view: tier),
    },
)

_CLUSTER_TIER_STATUS = Table(
    name="cluster_tier_status",
    rows=_tiers,
    columns={
        "$key": attribute("key"),
        "tier": attribute("key", leads_to="cluster_tiers"),
        "status": live(_status),
        "state": live(_state),
        "capacity": attribute("capacity_bytes"),
        "used": live(lambda tier, view: tier.used(view.age)),
        "used_pct": live(_used_percent),
        "allocated": live(_allocated),
        "redundant": live(lambda tier, view: _status(tier, view) != "noredundant"),
        "encrypted": constant(value=True),
        "working": constant(value=False),
        "last_walk_time_ms": constant(41_000),
        "last_fullwalk_time_ms": constant(95_000),
        "transaction": live(lambda _tier, view: int(view.now) // 10),
        "transaction_start_stamp": live(lambda _tier, view: int(view.now) // 10 * 10),
        "repairs": live(_repairs),
        "bad_drives": constant(0.0),
        "fullwalk": constant(value=False),
        "progress": constant(0.0),
        "index_unique": constant(0),
        "state_timestamp": live(lambda _tier, view: int(view.world.started_at)),
        "cur_space_throttle_ms": constant(0.0),
    },
    links={"tier": Link("cluster_tiers", lambda tier, _view: tier)},
)


_CLUSTER_TIER_STATS = Table(
    name="cluster_tier_stats",
    rows=_tiers,
    columns={
        "$key": attribute("key"),
        "tier": attribute("key", leads_to="cluster_tiers"),
        **io_columns(lambda tier: SystemTier(tier.number, (tier,))),
    },
    links={"tier": Link("cluster_tiers", lambda tier, _view: tier)},
)


TABLES = (_CLUSTER_TIERS, _CLUSTER_TIER_STATUS, _CLUSTER_TIER_STATS)

"""
The tables ``storage_tiers`` and ``storage_tier_stats``: the storage tiers of the whole system.

Fields: what the vendor's exporter requests. The key of a tier is its number, 0 included.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exporter.simulator.api.tables.columns import (
    Column,
    Link,
    RequestView,
    Table,
    attribute,
    live,
)
from exporter.simulator.api.tables.machine_drives import BYTES_PER_READ, BYTES_PER_WRITE
from exporter.simulator.world.storage import (
    READS_PER_DRIVE,
    WRITES_PER_DRIVE,
    SystemTier,
    system_tiers,
)

DESCRIPTIONS = {0: "Metadata", 1: "NVMe"}


def _tiers(view: RequestView) -> Sequence[SystemTier]:
    return system_tiers(tier for one in view.world.clusters.values() for tier in one.tiers)


def _used_percent(tier: SystemTier, view: RequestView) -> int:
    return round(100 * tier.used(view.age) / tier.capacity_bytes) if tier.capacity_bytes else 0


def io_columns(tier_of: Callable[[Any], SystemTier]) -> Mapping[str, Column]:
    """Return the columns with the I/O of a tier; *tier_of* returns that of a row's object."""

    def total(per_drive: int, factor: int = 1) -> Column:
        return live(
            lambda row, view: (
                factor
                * tier_of(row).operations(per_drive, start=view.world.started_at, at=view.stamp)
            )
        )

    def rate(per_drive: int, factor: int = 1) -> Column:
        return live(
            lambda row, view: factor * tier_of(row).operations_per_second(per_drive, view.now)
        )

    return {
        "reads": total(READS_PER_DRIVE),
        "writes": total(WRITES_PER_DRIVE),
        "read_bytes": total(READS_PER_DRIVE, BYTES_PER_READ),
        "write_bytes": total(WRITES_PER_DRIVE, BYTES_PER_WRITE),
        "rops": rate(READS_PER_DRIVE),
        "wops": rate(WRITES_PER_DRIVE),
        "rbps": rate(READS_PER_DRIVE, BYTES_PER_READ),
        "wbps": rate(WRITES_PER_DRIVE, BYTES_PER_WRITE),
    }


_STORAGE_TIERS = Table(
    name="storage_tiers",
    rows=_tiers,
    columns={
        "$key": attribute("key"),
        "tier": attribute("number"),
        "description": live(lambda tier, _view: DESCRIPTIONS.get(tier.number, "")),
        "capacity": attribute("capacity_bytes"),
        "used": live(lambda tier, view: tier.used(view.age)),
        "allocated": live(
            lambda tier, view: min(tier.capacity_bytes, 3 * tier.used(view.age) // 2)
        ),
        "used_inflated": live(lambda tier, view: tier.used(view.age) * tier.dedupe_percent // 100),
        "dedupe_ratio": attribute("dedupe_percent"),
        "used_pct": live(_used_percent),
        "modified": live(lambda _tier, view: int(view.stamp)),
        "stats": attribute("key", leads_to="storage_tier_stats"),
    },
    links={"stats": Link("storage_tier_stats", lambda tier, _view: tier)},
)

_STORAGE_TIER_STATS = Table(
    name="storage_tier_stats",
    rows=_tiers,
    columns={
        "$key": attribute("key"),
        "parent_tier": attribute("key", leads_to="storage_tiers"),
        **io_columns(lambda tier: tier),
    },
    links={"parent_tier": Link("storage_tiers", lambda tier, _view: tier)},
)


TABLES = (_STORAGE_TIERS, _STORAGE_TIER_STATS)

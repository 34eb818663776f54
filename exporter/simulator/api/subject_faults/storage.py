"""Faults of storage tiers and of physical drives."""

from collections.abc import Callable, Mapping
from typing import Any

from exporter.simulator.api.fault_types import FaultType, row_fault

MINUTE = 60.0
REPAIRS_AT_FIRST, REPAIRS_PER_MINUTE = 5_000, 40


def _full(percent: int) -> Mapping[str, Any]:
    return {
        "used": lambda tier, _view: tier.capacity_bytes * percent // 100,
        "used_pct": percent,
    }


def _tier_full(percent: int) -> FaultType:
    values = _full(percent)
    return row_fault(
        f"a storage tier is {percent} % full, in its clusters and in the whole system",
        storage_tiers=values,
        cluster_tier_status=values,
    )


def _growing(at_first: int, per_minute: int) -> Callable[[Any, Any], int]:
    """Return a value that has been growing since the world began."""
    return lambda _thing, view: (
        at_first + int(per_minute * (view.now - view.world.started_at) / MINUTE)
    )


FAULTS = {
    "tier_nearly_full": _tier_full(85),
    "tier_full": _tier_full(97),
    "tier_out_of_space": row_fault(
        "a storage tier of a cluster accepts no more writes",
        cluster_tier_status={"status": "outofspace", "state": "error"},
    ),
    "tier_not_redundant": row_fault(
        "a storage tier of a cluster has only one copy of some data",
        cluster_tier_status={"status": "noredundant", "state": "warning", "redundant": False},
    ),
    "tier_repairing": row_fault(
        "a storage tier of a cluster has more to repair every minute",
        cluster_tier_status={
            "status": "repairing",
            "state": "warning",
            "working": True,
            "repairs": _growing(REPAIRS_AT_FIRST, REPAIRS_PER_MINUTE),
        },
    ),
    "tier_throttled": row_fault(
        "VergeOS slows writes to a storage tier of a cluster",
        cluster_tier_status={"cur_space_throttle_ms": 10.0},
    ),
    "drive_failing": row_fault(
        "a physical drive replaces bad sectors and fails reads",
        machine_drive_phys={
            "realloc_sectors": 24,
            "realloc_sectors_warn": True,
            "current_pending_sector": 8.0,
            "current_pending_sector_warn": True,
            "vsan_read_errors": _growing(3, 1),
            "vsan_last_error": "read error",
        },
    ),
    "drive_offline": row_fault(
        "a physical drive is offline",
        machine_drive_status={"status": "offline", "state": "offline"},
    ),
    "drive_worn": row_fault(
        "a physical drive has used up its rated writes",
        machine_drive_phys={"wear_level": 97, "wear_level_warn": True},
    ),
    "drive_wearing_out": row_fault(
        "a physical drive will have used up its rated writes within three months",
        machine_drive_phys={"wear_level": 80, "hours": 6_000},
    ),
    "drive_hot": row_fault(
        "a physical drive is hot",
        machine_drive_phys={"temp": 58, "temp_warn": True},
    ),
}

"""
All checks, in the order in which they are printed.

A module with new checks is added to `_MODULES`.
"""

from exporter.doctor import (
    accounts,
    alarms,
    clusters,
    connectivity,
    expiry,
    fabric,
    networks,
    nodes,
    snapshot_profiles,
    storage,
    updates,
    vsan_journal,
)
from exporter.doctor.check import Check

_MODULES = (
    accounts,
    alarms,
    clusters,
    connectivity,
    expiry,
    fabric,
    networks,
    nodes,
    snapshot_profiles,
    storage,
    updates,
    vsan_journal,
)
ORDER = (
    "connectivity", "clusters", "nodes", "storage", "alarms", "updates", "versions", "fabric",
    "fabric_speed", "networks", "certificates", "licenses", "drive_smart", "dimm_health",
    "vsan_journal", "driver_reload", "admin_users", "mfa", "snapshot_profiles",
    "updates_available", "network_pending", "mtu", "lldp_diversity",
)  # fmt: skip
"""The checks of ``vrg doctor``."""
CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (check for module in _MODULES for check in module.CHECKS),
        key=lambda check: ORDER.index(check.name),
    )
)

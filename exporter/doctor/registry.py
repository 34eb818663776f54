"""All checks, in the order in which they are printed."""

from exporter.doctor import accounts, alarms, clusters, expiry, networks, snapshot_profiles, updates
from exporter.doctor.check import Check

CHECKS: tuple[Check, ...] = tuple(
    check
    for module in (
        clusters,
        networks,
        alarms,
        updates,
        expiry,
        accounts,
        snapshot_profiles,
    )
    for check in module.CHECKS
)

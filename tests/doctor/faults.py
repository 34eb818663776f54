"""The fault of the simulator that causes a finding of each check, at each of its levels."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from exporter.doctor.check import Check
from exporter.doctor.registry import CHECKS
from exporter.model import Level


class Cause(NamedTuple):
    """A fault, and its parameters."""

    fault: str
    parameters: Mapping[str, Any] = {}


CAUSES: Mapping[tuple[str, Level], Cause] = {
    ("connectivity", Level.CRITICAL): Cause("status", {"code": 503, "text": "out of order"}),
    ("clusters", Level.WARNING): Cause("cluster_reduced"),
    ("nodes", Level.WARNING): Cause("node_needs_restart"),
    ("storage", Level.WARNING): Cause("tier_nearly_full"),
    ("storage", Level.CRITICAL): Cause("tier_full"),
    ("alarms", Level.WARNING): Cause("alarm_raised", {"level": "error"}),
    ("alarms", Level.CRITICAL): Cause("alarm_raised", {"level": "critical"}),
    ("updates", Level.WARNING): Cause("reboot_required"),
    ("versions", Level.WARNING): Cause("node_version_drift"),
    ("fabric", Level.WARNING): Cause("fabric_degraded"),
    ("fabric_speed", Level.WARNING): Cause("fabric_slow"),
    ("networks", Level.WARNING): Cause("vnet_unresponsive"),
    ("certificates", Level.WARNING): Cause("certificate_expiring"),
    ("certificates", Level.CRITICAL): Cause("certificate_invalid"),
    ("licenses", Level.WARNING): Cause("license_expiring"),
    ("licenses", Level.CRITICAL): Cause("license_expired"),
    ("drive_smart", Level.WARNING): Cause("drive_failing"),
    ("dimm_health", Level.WARNING): Cause("dimm_failed"),
    ("driver_reload", Level.WARNING): Cause("drivers_reload_required"),
    ("admin_users", Level.WARNING): Cause("only_one_admin"),
    ("mfa", Level.WARNING): Cause("admin_without_mfa"),
    ("snapshot_profiles", Level.WARNING): Cause("no_snapshot_profiles"),
    ("updates_available", Level.WARNING): Cause("update_available"),
    ("network_pending", Level.WARNING): Cause("vnet_pending_rules"),
    ("mtu", Level.WARNING): Cause("mtu_small"),
    ("lldp_diversity", Level.WARNING): Cause("lldp_one_switch"),
}
"""By check and level; a check without one fails a test."""


class Expected(NamedTuple):
    """A finding that a fault has to cause."""

    check: Check
    level: Level

    def __str__(self) -> str:
        return f"{self.check.name}-{self.level}"

    @property
    def cause(self) -> Cause:
        return CAUSES[self.check.name, self.level]


def expected_findings() -> Iterator[Expected]:
    """Yield every check with each of its levels."""
    for check in CHECKS:
        if not check.always_skipped:
            yield from (Expected(check, level) for level in check.levels)

"""All rules, by the file that has them."""

from tools.alert_rules import (
    doctor,
    exporter,
    networks,
    nodes,
    protection,
    recovery,
    storage,
    tenants,
    vms,
)
from tools.alert_rules.model import Group

_WRITTEN = (
    Group("vms", "VMs and nodes", vms.ALERTS, vms.RECORDINGS),
    Group("nodes", "Hardware of nodes, and memory of clusters", nodes.ALERTS),
    Group("storage", "Storage tiers and physical drives", storage.ALERTS),
    Group("networks", "Virtual networks", networks.ALERTS),
    Group("tenants", "Tenants", tenants.ALERTS),
    Group("protection", "Snapshots, replication and API keys", protection.ALERTS),
    Group("recovery", "Recovery", recovery.ALERTS),
    Group("exporter", "Vergewatch itself, and its connection to each system", exporter.ALERTS),
)
"""The groups whose rules are written one by one."""
_NAMES = frozenset(alert.name for group in _WRITTEN for alert in group.alerts)
GROUPS = (
    *_WRITTEN,
    Group("doctor", "The platform, as the doctor checks it", doctor.alerts(elsewhere=_NAMES)),
)
ALERTS = tuple(alert for group in GROUPS for alert in group.alerts)

"""All rules, by the file that has them."""

from tools.alert_rules import exporter, networks, protection, recovery, tenants, vms
from tools.alert_rules.model import Group

GROUPS = (
    Group("vms", "VMs and nodes", vms.ALERTS, vms.RECORDINGS),
    Group("networks", "Virtual networks", networks.ALERTS),
    Group("tenants", "Tenants", tenants.ALERTS),
    Group("protection", "Snapshots, replication and API keys", protection.ALERTS),
    Group("recovery", "Recovery", recovery.ALERTS),
    Group("exporter", "Vergewatch itself, and its connection to each system", exporter.ALERTS),
)
ALERTS = tuple(alert for group in GROUPS for alert in group.alerts)

"""The simulated tables of VergeOS, one module per subject."""

from collections.abc import Mapping
from importlib import import_module

from exporter.simulator.api.tables.columns import Table

_SUBJECTS = (
    "alarms",
    "certificates",
    "cluster_tiers",
    "clusters",
    "dashboard",
    "logs",
    "machine_devices",
    "machine_drive_phys",
    "machine_drives",
    "machine_nics",
    "machine_stats",
    "machine_status",
    "machines",
    "node_fabric",
    "node_gpus",
    "node_lldp",
    "node_memory",
    "nodes",
    "resource_groups",
    "settings",
    "site_syncs",
    "snapshots",
    "storage_tiers",
    "system",
    "tags",
    "tasks",
    "tenants",
    "updates",
    "users",
    "vms",
    "vnets",
)
"""Modules of this package with a tuple ``TABLES``; a new module is added here."""

TABLES: Mapping[str, Table] = {
    table.name: table
    for subject in _SUBJECTS
    for table in import_module(f"{__name__}.{subject}").TABLES
}

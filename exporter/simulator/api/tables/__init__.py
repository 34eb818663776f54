"""The simulated tables of VergeOS, one module per subject."""

from collections.abc import Mapping
from importlib import import_module

from exporter.simulator.api.tables.columns import Table

_SUBJECTS = (
    "alarms",
    "cluster_tiers",
    "clusters",
    "logs",
    "machine_devices",
    "machine_drive_phys",
    "machine_drives",
    "machine_nics",
    "machine_stats",
    "machine_status",
    "machines",
    "nodes",
    "settings",
    "storage_tiers",
    "system",
    "tags",
    "tasks",
    "updates",
    "users",
    "vms",
)
"""Modules of this package with a tuple ``TABLES``; a new module is added here."""

TABLES: Mapping[str, Table] = {
    table.name: table
    for subject in _SUBJECTS
    for table in import_module(f"{__name__}.{subject}").TABLES
}

"""The writes to tables, one module per subject; each has a mapping ``WRITES``."""

from collections.abc import Mapping
from importlib import import_module

from exporter.simulator.api.writes.write import Writer

_SUBJECTS = (
    "alarms",
    "devices",
    "drives",
    "machine_status",
    "nics",
    "resource_groups",
    "settings",
    "snapshots",
    "tags",
    "vms",
)
"""Modules of this package; a new module is added here."""

WRITES: Mapping[tuple[str, str], Writer] = {
    operation: writer
    for subject in _SUBJECTS
    for operation, writer in import_module(f"{__name__}.{subject}").WRITES.items()
}
"""What executes a method on a table, such as ``("PUT", "vms")``."""

"""Faults of the platform, one module per subject: each changes rows of its tables."""

from collections.abc import Mapping
from importlib import import_module

from exporter.simulator.api.fault_types import FaultType

_SUBJECTS = (
    "accounts",
    "alarms",
    "certificates",
    "clusters",
    "networks",
    "nodes",
    "protection",
    "storage",
    "tenants",
    "updates",
)
"""Modules of this package with a mapping ``FAULTS``; a new module is added here."""

SUBJECT_FAULTS: Mapping[str, FaultType] = {
    name: fault
    for subject in _SUBJECTS
    for name, fault in import_module(f"{__name__}.{subject}").FAULTS.items()
}

"""Entries of VMs: one that runs, unless a test changes it."""

from typing import Any

from exporter.console.fleet import VMEntry
from exporter.console.vm_condition import Condition


def vm(name: str = "web-01", **changes: Any) -> VMEntry:
    values: dict[str, Any] = {
        "system": "production",
        "key": 1,
        "name": name,
        "uuid": "00000000-0000-4000-8000-000000000001",
        "machine": 11,
        "condition": Condition.RUNNING,
        "status": "running",
        "node": "node1",
        "cluster": "harbour",
        "tags": ("environment/production",),
        "addresses": ("10.0.0.7",),
        "os": "linux",
        "cores": 4,
        "memory_bytes": 8 * 2**30,
        "cpu_ratio": 0.25,
        "memory_used_ratio": None,
        "recovery_state": "healthy",
        "policy": "on-failure",
        "cause": "",
        "detail": "",
        "failed_guard": "",
        "since": None,
        "down_since": None,
    }
    return VMEntry(**{**values, **changes})

"""What an alert consists of."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from exporter.alerting.alerts import DEFINITIONS, AlertName

MUTING = "2m"
"""``keep_firing_for`` of alerts that mute others: it bridges a restart of the daemon."""
MUTED = "4m"
"""
``keep_firing_for`` of alerts that others mute.

It is longer than `MUTING` and than the wait of VergeSystemDataStale: Alertmanager sends no
"resolved" for an alert that ends while it is muted.
"""
FOR = "{for}"
"""In a description, stands for the wait of the alert."""

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


class Severity(StrEnum):
    """How urgently an alert needs a response."""

    CRITICAL = "critical"
    """Needs an immediate response."""
    WARNING = "warning"
    """Needs a response in working hours."""
    INFO = "info"
    """No notification; dashboards show it."""
    NONE = "none"
    """Internal: the watchdog, and what only mutes other alerts."""


class Layer(StrEnum):
    """What an alert is about. Routes and inhibitions match it."""

    VM = "vm"
    NODE = "node"
    PLATFORM = "platform"
    """Of VergeOS, but no VM and no node: what the doctor checks."""
    SYSTEM = "system"
    EXPORTER = "exporter"
    RECOVERY = "recovery"
    INHIBITOR = "inhibitor"


_DASHBOARDS = {Layer.NODE: "nodes", Layer.PLATFORM: "doctor", Layer.RECOVERY: "recovery"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    An alert rule; docs/runbooks has a page with its name.

    Durations are written like in Prometheus, such as ``5m``; without one, the rule has none.
    """

    name: str
    severity: Severity
    layer: Layer
    identity: tuple[str, ...]
    """The labels of the expression's result."""
    expr: str
    for_: str = ""
    keep_firing_for: str = ""
    summary: str
    """One sentence without labels: notifications of many alerts have it as their title."""
    description: str
    """What is wrong where, and what to run: a template of Prometheus, and `FOR`."""

    @property
    def dashboard(self) -> str:
        """Path of the dashboard that shows more: a template of Prometheus."""
        path = f"/d/vergewatch-{self._dashboard}"
        if "system_name" in self.identity:
            path += "?var-system={{ $labels.system_name | urlquery }}"
        if "vm_name" in self.identity:
            path += "&var-vm={{ $labels.vm_name | urlquery }}"
        return path

    @property
    def _dashboard(self) -> str:
        if "vnet_name" in self.identity:
            return "networks"
        if "tenant_name" in self.identity:
            return "tenants"
        if "vm_name" in self.identity:
            return "vm"
        if {"storage_tier", "drive"} & set(self.identity):
            return "storage"
        return _DASHBOARDS.get(self.layer, "exporter")


def defined(name: AlertName) -> dict[str, Any]:
    """Return the fields of a rule whose alert the daemon posts too: both must have the same."""
    definition = DEFINITIONS[name]
    return {
        "name": str(name),
        "severity": Severity(definition.severity),
        "layer": Layer(definition.layer),
        "summary": definition.summary,
    }


class Recording(NamedTuple):
    """A recording rule."""

    name: str
    """``level:metric:operations``."""
    labels: tuple[str, ...]
    expr: str
    comment: str


class Group(NamedTuple):
    """The rules of one file, the recording rules first."""

    name: str
    title: str
    alerts: tuple[Alert, ...]
    recordings: tuple[Recording, ...] = ()


class Inhibition(NamedTuple):
    """While one of the *sources* fires, the *targets* with the same *equal* labels are muted."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    equal: tuple[str, ...]


def seconds(duration: str) -> int:
    """Return the seconds of a duration such as ``5m`` or ``1h30m``; 0 for an empty one."""
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([dhms])", duration))

"""What an alert consists of."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from exporter.alerting.definitions import DEFINITIONS, AlertName, Links, dashboard_name

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


_PLACEHOLDER = re.compile(r"\{(\w+)\}")


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
    """The title: which object, and what is wrong with it. ``{label}`` stands for the label."""
    description: str
    """What is wrong where, and what to run: a template of Prometheus, and `FOR`."""

    @property
    def title(self) -> str:
        """The summary as a template of Prometheus."""
        return _PLACEHOLDER.sub(r"{{ $labels.\1 }}", self.summary)

    @property
    def title_in_docs(self) -> str:
        """The summary as Markdown, with the names of the labels."""
        return _PLACEHOLDER.sub(r"`\1`", self.summary)

    def dashboard(self, links: Links) -> str:
        """Return the link to the dashboard that shows more: a template of Prometheus."""
        variables = {"system_name": "system", "vm_name": "vm"}
        quoted = {
            name: f"{{{{ $labels.{label} | urlquery }}}}"
            for label, name in variables.items()
            if label in self.identity
        }
        return links.dashboard(dashboard_name(self.layer, self.identity), quoted)


def defined(name: AlertName) -> dict[str, Any]:
    """Return the fields of a rule whose alert the daemon posts too: both must have the same."""
    definition = DEFINITIONS[name]
    return {
        "name": str(name),
        "severity": Severity(definition.severity),
        "layer": Layer(definition.layer),
        "identity": definition.identity,
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

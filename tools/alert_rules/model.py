"""What an alert consists of."""

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How urgently an alert needs a response."""

    CRITICAL = "critical"
    """Needs an immediate response."""
    WARNING = "warning"
    """Needs a response in working hours."""
    INFO = "info"
    """No notification; dashboards show it."""
    NONE = "none"
    """Machinery: a sign of life, or what mutes others."""


class Layer(StrEnum):
    """What an alert is about; routes and inhibitions go by it."""

    VM = "vm"
    NODE = "node"
    SYSTEM = "system"
    EXPORTER = "exporter"
    RECOVERY = "recovery"
    INHIBITOR = "inhibitor"


class Step(NamedTuple):
    """Something to do in the first minutes."""

    text: str
    """What to do, and what the answer means."""
    command: str = ""
    """A command of ours, or of the machine that we run on."""
    promql: str = ""


class Runbook(NamedTuple):
    """The sections of a runbook page, in Markdown."""

    meaning: str
    impact: str
    steps: tuple[Step, ...]
    automation: str
    mitigation: tuple[str, ...]
    """From the safe to the risky, each with how to undo it."""
    noise: str


class Alert(NamedTuple):
    """An alert; rendering adds its inhibitions."""

    name: str
    severity: Severity
    layer: Layer
    identity: tuple[str, ...]
    """The labels that its expression has; two alerts that agree in them are one."""
    expr: str
    summary: str
    """The same for every instance of it."""
    description: str
    """Who, what, since when: a template."""
    dashboard: str
    """The path of the page that shows more: a template."""
    quiet: str
    """How false alarms are avoided."""
    runbook: Runbook
    wait_seconds: float = 0
    """``for``: how long the expression must hold before the alert fires."""
    linger_seconds: float = 0
    """``keep_firing_for``: how long it fires after the expression ends."""


class Recording(NamedTuple):
    """An expression that is worth a name."""

    name: str
    """``level:metric:operations``."""
    labels: tuple[str, ...]
    expr: str
    why: str


class Group(NamedTuple):
    """Rules that are evaluated together, the recordings first."""

    name: str
    recordings: tuple[Recording, ...]
    alerts: tuple[Alert, ...]


class Inhibition(NamedTuple):
    """While one of the *sources* fires, the *targets* that agree in *equal* are muted."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    equal: tuple[str, ...]
    why: str

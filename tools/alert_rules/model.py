"""What an alert consists of."""

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """What an alert asks of people."""

    CRITICAL = "critical"
    """Somebody has to get up."""
    WARNING = "warning"
    """Somebody has to look at it, in working hours."""
    INFO = "info"
    """Nobody is told; dashboards show it."""
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
    """What to tell the person who was woken; Markdown."""

    meaning: str
    impact: str
    steps: tuple[Step, ...]
    automation: str
    mitigation: tuple[str, ...]
    """From the safe to the risky, each with how to undo it."""
    noise: str


class Alert(NamedTuple):
    """An alert, as its author thinks of it; what mutes it is added when it is rendered."""

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
    """Why it does not cry wolf."""
    runbook: Runbook
    wait_seconds: float = 0
    """``for``: how long it must hold before anybody hears of it."""
    linger_seconds: float = 0
    """``keep_firing_for``: how long it goes on when it holds no longer."""


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

"""What the daemon tells of itself: its process, its settings and its plan of requests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple


class LoopLag(NamedTuple):
    """By how much timers of the event loop were late."""

    longest_seconds: float
    mean_seconds: float
    measured: int
    """The number of measurements: two per second, at most those of the last minute."""


class ReloadResult(NamedTuple):
    """What the last reload did."""

    at: datetime
    applied: Sequence[str]
    """The settings that changed and are in force."""
    needs_restart: Sequence[str]
    """The settings that changed and are not in force."""
    error: str
    """Why it was rejected; empty if it was not."""


class SystemPlan(NamedTuple):
    """What the requests of one system are planned from."""

    per_hour: int
    """Requests that VergeOS allows in an hour."""
    reserve: float
    """The share of them that polling leaves to recovery, 0 to 1."""
    wanted_seconds: Mapping[str, float]
    """The interval of each table where the limit does not matter."""


class SettingLine(NamedTuple):
    """One line of the effective configuration."""

    depth: int
    text: str
    """As YAML: ``name:`` or ``name: value``; a secret is not in it."""


class DaemonFacts(NamedTuple):
    """The daemon, as the page Data shows it."""

    version: str
    python: str
    started_at: datetime
    resident_bytes: int | None
    lag: LoopLag | None
    """None before the first measurement."""
    reload: ReloadResult | None
    """None if there was no reload."""
    settings: Sequence[SettingLine]
    plans: Mapping[str, SystemPlan]
    """By the name of the system."""

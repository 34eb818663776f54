"""
Words that become bands, colours and texts: statuses, states, readiness.

Grafana's state timeline wants one series with a number per VM, the metrics have one series whose
label changes. `coded` turns the latter into the former, `texts` turns the numbers back.
"""

from collections.abc import Iterable
from typing import NamedTuple

from exporter.recovery.report import presentation
from tools.dashboards.queries import series

GREEN = "green"
LIGHT_GREEN = "light-green"
YELLOW = "yellow"
ORANGE = "orange"
RED = "red"
DARK_RED = "semi-dark-red"
BLUE = "blue"
LIGHT_BLUE = "light-blue"
PURPLE = "purple"
GREY = "#a7adb8"
DARK_GREY = "#737a87"


class Meaning(NamedTuple):
    """Words that are shown as one."""

    code: int
    text: str
    colour: str
    words: tuple[str, ...]


def _meanings(*rows: tuple[str, str, str]) -> tuple[Meaning, ...]:
    """Give *rows* of (text, colour, words) their numbers, from 1."""
    return tuple(
        Meaning(code, text, colour, tuple(words.split()))
        for code, (text, colour, words) in enumerate(rows, start=1)
    )


STATUSES = _meanings(
    ("Running", GREEN, "running needsrefresh needsrestart driversreloading"),
    ("Starting", LIGHT_BLUE, "starting initializing importing"),
    ("Migrating", BLUE, "initmigrate startmigrate migrating migratecomplete"),
    ("Stopping", GREY, "stopping hibernating"),
    ("Stopped", DARK_GREY, "stopped"),
    ("Hibernated", PURPLE, "hibernated"),
    ("Maintenance", PURPLE, "maintenance leavingmaintenance"),
    ("Waiting", ORANGE, "waitingforresources unlicensed"),
    ("Unresponsive", RED, "unresponsive"),
    ("Error", DARK_RED, "error"),
)
"""Statuses of a VM or a node in VergeOS."""

TROUBLE = ("waitingforresources", "unlicensed", "unresponsive", "error")
"""Statuses that indicate a problem."""

STATES = _meanings(
    ("Not yet seen up", GREY, "baseline"),
    ("Healthy", GREEN, "healthy"),
    ("Suspect", YELLOW, "suspect"),
    ("Handled by VergeOS", LIGHT_BLUE, "platform"),
    ("Stopped on purpose", DARK_GREY, "stopped"),
    ("Down, unknown reason", PURPLE, "unknown"),
    ("Backoff", ORANGE, "backoff"),
    ("Held", ORANGE, "held"),
    ("Acting", BLUE, "acting"),
    ("Verifying", BLUE, "verifying"),
    ("Outcome unknown", RED, "indeterminate"),
    ("On probation", LIGHT_GREEN, "probation"),
    ("Quarantined", DARK_RED, "quarantined"),
)
"""Recovery states."""

CALM_STATES = tuple(sorted(presentation.CALM_STATES))
"""States that need no attention."""

READINESS = _meanings(
    ("Active", GREEN, "active"),
    ("Circuit breaker half open", LIGHT_GREEN, "circuit_breaker_half_open"),
    ("Warming up", LIGHT_BLUE, "warming_up"),
    ("Paused", BLUE, "paused"),
    ("Disarmed", PURPLE, "disarmed"),
    ("Circuit breaker open", ORANGE, "circuit_breaker_open"),
    ("Degraded", ORANGE, "degraded"),
    ("Journal down", RED, "journal_down"),
    ("Internal error", DARK_RED, "broken"),
)
"""Readiness of recovery."""

OTHER = 0
"""The code of a word that is in none of the meanings."""


def coded(meanings: Iterable[Meaning], metric: str, *matchers: str, label: str, by: str) -> str:
    """Return PromQL for the code of the word that *metric* has as its *label*."""
    known = "|".join(word for meaning in meanings for word in meaning.words)
    choices = [
        f"{meaning.code} * {series(metric, *matchers, _among(label, meaning.words))}"
        for meaning in meanings
    ]
    strange = series(metric, *matchers, f'{label}!~"{known}"')
    return f"max by ({by}) ({' or '.join([*choices, f'{OTHER} * {strange}'])})"


def among(label: str, words: Iterable[str]) -> str:
    """Return a matcher for any of *words*."""
    return _among(label, tuple(words))


def _among(label: str, words: tuple[str, ...]) -> str:
    if len(words) == 1:
        return f'{label}="{words[0]}"'
    return f'{label}=~"{"|".join(words)}"'

"""How states and readiness are presented: label, tone and order, for every user interface."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.states import State


class Tone(StrEnum):
    """The meaning of a color; each user interface maps tones to its own colors."""

    GOOD = "good"
    MOVING = "moving"
    QUIET = "quiet"
    WARN = "warn"
    BAD = "bad"


class Presentation(NamedTuple):
    """The presentation of one value."""

    label: str
    tone: Tone
    trouble: bool
    """Whether a list of VMs in trouble includes the state."""


STATES: Mapping[str, Tone] = {
    State.QUARANTINED: Tone.BAD,
    State.UNKNOWN: Tone.BAD,
    State.HELD: Tone.WARN,
    State.INDETERMINATE: Tone.WARN,
    State.BACKOFF: Tone.WARN,
    State.ACTING: Tone.MOVING,
    State.VERIFYING: Tone.MOVING,
    State.PLATFORM: Tone.WARN,
    State.SUSPECT: Tone.MOVING,
    State.PROBATION: Tone.GOOD,
    State.STOPPED: Tone.QUIET,
    State.BASELINE: Tone.QUIET,
    State.HEALTHY: Tone.GOOD,
}
"""The states of a VM, the most urgent first."""

CALM_STATES = (State.STOPPED, State.BASELINE, State.HEALTHY)
"""States that need no attention."""

URGENCY: Mapping[str, int] = {state: order for order, state in enumerate(STATES)}

READINESS: Mapping[str, Tone] = {
    ReadinessState.BROKEN: Tone.BAD,
    ReadinessState.JOURNAL_DOWN: Tone.BAD,
    ReadinessState.CIRCUIT_BREAKER_OPEN: Tone.BAD,
    ReadinessState.RIVAL: Tone.BAD,
    ReadinessState.DISARMED: Tone.WARN,
    ReadinessState.PAUSED: Tone.WARN,
    ReadinessState.DEGRADED: Tone.WARN,
    ReadinessState.CIRCUIT_BREAKER_HALF_OPEN: Tone.WARN,
    ReadinessState.STANDBY: Tone.GOOD,
    ReadinessState.PLATFORM_UPDATE: Tone.MOVING,
    ReadinessState.WARMING_UP: Tone.MOVING,
    ReadinessState.ACTIVE: Tone.GOOD,
}
"""The readiness of a system, the worst first."""


def present_state(value: str) -> Presentation:
    """Return the presentation of a state; an unknown one comes from a newer daemon."""
    trouble = value in STATES and value not in CALM_STATES
    return Presentation(value, STATES.get(value, Tone.WARN), trouble)


def present_readiness(value: str) -> Presentation:
    """Return the presentation of a readiness; an unknown one comes from a newer daemon."""
    return Presentation(value.replace("_", " "), READINESS.get(value, Tone.WARN), trouble=False)

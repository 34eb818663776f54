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
    trouble: bool = False
    """Whether a list of VMs in trouble includes the state."""


STATES: Mapping[State, Presentation] = {
    State.QUARANTINED: Presentation("quarantined", Tone.BAD, trouble=True),
    State.UNKNOWN: Presentation("unknown", Tone.BAD, trouble=True),
    State.HELD: Presentation("held", Tone.WARN, trouble=True),
    State.INDETERMINATE: Presentation("indeterminate", Tone.WARN, trouble=True),
    State.BACKOFF: Presentation("backoff", Tone.WARN, trouble=True),
    State.ACTING: Presentation("acting", Tone.MOVING, trouble=True),
    State.VERIFYING: Presentation("verifying", Tone.MOVING, trouble=True),
    State.PLATFORM: Presentation("platform", Tone.WARN, trouble=True),
    State.SUSPECT: Presentation("suspect", Tone.MOVING, trouble=True),
    State.PROBATION: Presentation("probation", Tone.GOOD, trouble=True),
    State.STOPPED: Presentation("stopped", Tone.QUIET),
    State.BASELINE: Presentation("baseline", Tone.QUIET),
    State.HEALTHY: Presentation("healthy", Tone.GOOD),
}
"""The states of a VM, the most urgent first."""

URGENCY: Mapping[State, int] = {state: order for order, state in enumerate(STATES)}

READINESS: Mapping[ReadinessState, Presentation] = {
    ReadinessState.BROKEN: Presentation("broken", Tone.BAD),
    ReadinessState.JOURNAL_DOWN: Presentation("journal down", Tone.BAD),
    ReadinessState.CIRCUIT_BREAKER_OPEN: Presentation("circuit breaker open", Tone.BAD),
    ReadinessState.DISARMED: Presentation("disarmed", Tone.WARN),
    ReadinessState.PAUSED: Presentation("paused", Tone.WARN),
    ReadinessState.DEGRADED: Presentation("degraded", Tone.WARN),
    ReadinessState.CIRCUIT_BREAKER_HALF_OPEN: Presentation("circuit breaker half open", Tone.WARN),
    ReadinessState.WARMING_UP: Presentation("warming up", Tone.MOVING),
    ReadinessState.ACTIVE: Presentation("active", Tone.GOOD),
}
"""The readiness of a system, the worst first."""


def present_state(value: str) -> Presentation:
    """Return the presentation of a state; an unknown one comes from a newer daemon."""
    return _BY_STATE.get(value, Presentation(value, Tone.WARN))


def present_readiness(value: str) -> Presentation:
    """Return the presentation of a readiness; an unknown one comes from a newer daemon."""
    return _BY_READINESS.get(value, Presentation(value.replace("_", " "), Tone.WARN))


_BY_STATE: Mapping[str, Presentation] = {state.value: one for state, one in STATES.items()}
_BY_READINESS: Mapping[str, Presentation] = {
    readiness.value: one for readiness, one in READINESS.items()
}

"""
The states of a VM in recovery and the transitions between them.

A transition that the table does not list is a bug. docs/recovery.md has a diagram of the table.
"""

from collections.abc import Mapping
from enum import StrEnum


class ImpossibleTransitionError(Exception):
    """The table has no such transition: a bug, which disarms recovery."""


class State(StrEnum):
    """The recovery state of one VM."""

    BASELINE = "baseline"
    """Not yet seen up. A VM that was down when it was first seen has not crashed."""
    HEALTHY = "healthy"
    """Up, or in a harmless transition."""
    SUSPECT = "suspect"
    """Down or hung, but not yet confirmed or diagnosed."""
    PLATFORM = "platform"
    """Down; recovery waits for VergeOS high availability, which acts first."""
    STOPPED = "stopped"
    """Down on purpose."""
    UNKNOWN = "unknown"
    """Down for an unproven reason; an operator must act."""
    BACKOFF = "backoff"
    """Crashed; the pause after the last action is not over."""
    HELD = "held"
    """Crashed; a guard forbids the action."""
    ACTING = "acting"
    """An action is in the journal, and its request is being sent."""
    VERIFYING = "verifying"
    """VergeOS accepted the request; the VM is not up yet."""
    INDETERMINATE = "indeterminate"
    """It is unknown whether VergeOS received the request; the next polls verify it."""
    PROBATION = "probation"
    """Up again after an action, but not yet for long enough."""
    QUARANTINED = "quarantined"
    """Its restart budget or allowed actions are exhausted, or it flaps. An operator must act."""


class Event(StrEnum):
    """What changes the state of a VM."""

    SEEN_UP = "seen up"
    SEEN_DOWN = "seen down"
    SEEN_STOPPING = "seen stopping"
    SEEN_CHANGING = "seen changing"
    """It starts, migrates or is imported, and not because of recovery."""
    PLATFORM_CLAIMED = "claimed by the platform"
    PLATFORM_PASSED = "not claimed any longer"
    STOP_EXPLAINED = "stop explained"
    CAUSE_MISSING = "cause missing"
    CRASH_PROVEN = "crash proven"
    PAUSE_BEGUN = "pause begun"
    PAUSE_OVER = "pause over"
    BUDGET_SPENT = "budget spent"
    INTENT_COMMITTED = "intent committed"
    INTENT_ABANDONED = "intent abandoned"
    REQUEST_ACCEPTED = "request accepted"
    REQUEST_REFUSED = "request refused"
    ANSWER_LOST = "answer lost"
    SEEN_HELPED = "seen to have helped"
    STEP_DONE = "step done"
    """A kill succeeded: the VM is down, and the next action starts it."""
    TIME_UP = "time up"
    STAYED_UP = "stayed up"
    CLEARED = "cleared"
    """By an operator."""
    FLAPPED = "seen flapping"
    """It goes down again and again, never for long enough to be diagnosed."""


DOWN = (
    State.SUSPECT,
    State.PLATFORM,
    State.STOPPED,
    State.UNKNOWN,
    State.BACKOFF,
    State.HELD,
)
DIAGNOSED = (State.SUSPECT, State.PLATFORM, State.UNKNOWN, State.BACKOFF, State.HELD)
"""States in which each poll diagnoses the VM again."""
OPEN = (State.ACTING, State.VERIFYING, State.INDETERMINATE)
"""States with an open action, which is being verified."""

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.BASELINE, Event.SEEN_UP): State.HEALTHY,
    (State.BASELINE, Event.CAUSE_MISSING): State.UNKNOWN,  # in trouble before it was enrolled
    (State.HEALTHY, Event.SEEN_DOWN): State.SUSPECT,
    (State.HEALTHY, Event.SEEN_STOPPING): State.STOPPED,
    (State.PROBATION, Event.SEEN_DOWN): State.SUSPECT,
    (State.PROBATION, Event.SEEN_STOPPING): State.STOPPED,
    (State.PROBATION, Event.STAYED_UP): State.HEALTHY,
    # It runs, so every diagnosis made while it was down is void.
    **{(state, Event.SEEN_UP): State.HEALTHY for state in DOWN},
    **{(state, Event.SEEN_HELPED): State.PROBATION for state in DOWN},  # after a try of ours
    **{(state, Event.SEEN_CHANGING): State.SUSPECT for state in DOWN},
    **{(state, Event.SEEN_STOPPING): State.STOPPED for state in DOWN},
    # A diagnosis replaces the one before it; the newest evidence counts.
    **{(state, Event.PLATFORM_CLAIMED): State.PLATFORM for state in DIAGNOSED},
    **{(state, Event.STOP_EXPLAINED): State.STOPPED for state in DIAGNOSED},
    **{(state, Event.CAUSE_MISSING): State.UNKNOWN for state in DIAGNOSED},
    **{(state, Event.FLAPPED): State.QUARANTINED for state in DIAGNOSED},
    (State.PLATFORM, Event.PLATFORM_PASSED): State.SUSPECT,
    # Proven is not permitted: the guards decide where a crash leads.
    **{
        (state, Event.CRASH_PROVEN): State.HELD for state in DIAGNOSED if state is not State.BACKOFF
    },
    (State.HELD, Event.PAUSE_BEGUN): State.BACKOFF,
    (State.BACKOFF, Event.PAUSE_OVER): State.HELD,
    (State.HELD, Event.BUDGET_SPENT): State.QUARANTINED,
    (State.HELD, Event.INTENT_COMMITTED): State.ACTING,
    (State.ACTING, Event.INTENT_ABANDONED): State.SUSPECT,
    (State.ACTING, Event.REQUEST_ACCEPTED): State.VERIFYING,
    (State.ACTING, Event.REQUEST_REFUSED): State.SUSPECT,
    (State.ACTING, Event.ANSWER_LOST): State.INDETERMINATE,
    **{(state, Event.SEEN_HELPED): State.PROBATION for state in OPEN},
    **{(state, Event.SEEN_STOPPING): State.STOPPED for state in OPEN},  # by another user
    **{(state, Event.STEP_DONE): State.SUSPECT for state in OPEN},
    # No action is repeated on old evidence: the proof starts from the beginning.
    **{(state, Event.TIME_UP): State.SUSPECT for state in OPEN},
    # An operator's start always works; it does not refill a budget.
    (State.QUARANTINED, Event.SEEN_UP): State.PROBATION,
    (State.QUARANTINED, Event.CLEARED): State.SUSPECT,
}


def follow(state: State, event: Event) -> State:
    """
    Return the state that *event* leads to from *state*.

    Raises:
        ImpossibleTransitionError: The table has no such transition.

    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ImpossibleTransitionError(
            f"a VM that is {state.value} cannot have {event.value}"
        ) from None

"""An action is verified by what inventories after it show, and by nothing else."""

import pytest
from msgspec.structs import replace

from exporter.recovery.model.cases import Action, ObservedState, Outcome, Reply
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.verify import Finding, deadline_seconds, verify
from tests.recovery.test_edges import INTENT, LIMITS, TRIED

SENT_AT, DEADLINE = 100.0, 220.0
"""Of `INTENT`."""
STILL_OPEN = None
"""Instead of an outcome."""


def finding(
    observed: ObservedState,
    *,
    at: float = 150.0,
    action: Action = Action.POWER_ON,
    reply: Reply | None = Reply.ACCEPTED,
    extended: bool = False,
    state: State = State.VERIFYING,
) -> Finding:
    intent = replace(INTENT, action=action, reply=reply, extended=extended)
    case = replace(TRIED, observed=observed, state=state, word=str(observed))
    return verify(intent, case, LIMITS, at=at)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("observed", ObservedState)
def test_action_succeeded_once_the_vm_is_as_it_should_be(
    action: Action, observed: ObservedState
) -> None:
    wanted = ObservedState.DOWN if action is Action.KILL else ObservedState.UP
    is_stopped_again = action is Action.POWER_ON and observed in (
        ObservedState.STOPPING, ObservedState.HIBERNATED,
    )  # fmt: skip

    found = finding(observed, action=action)

    assert (found.outcome is Outcome.CONFIRMED) == (observed is wanted)
    assert (found.outcome is Outcome.FAILED) == is_stopped_again
    assert found.overruled == is_stopped_again
    assert not found.extend


@pytest.mark.parametrize("at", [SENT_AT - 1, SENT_AT])
def test_inventory_of_the_moment_of_the_request_shows_nothing(at: float) -> None:
    assert finding(ObservedState.UP, at=at).outcome is STILL_OPEN
    assert finding(ObservedState.HIBERNATED, at=at).outcome is STILL_OPEN


@pytest.mark.parametrize("state", [state for state in State if state not in OPEN])
@pytest.mark.parametrize(
    ("at", "outcome"),
    [(DEADLINE - 0.1, STILL_OPEN), (DEADLINE, Outcome.UNKNOWN), (DEADLINE + 1, Outcome.UNKNOWN)],
)
def test_vm_that_was_replaced_proves_nothing(
    state: State, at: float, outcome: Outcome | None
) -> None:
    assert finding(ObservedState.UP, at=at, state=state).outcome is outcome
    assert verify(INTENT, None, LIMITS, at=at).outcome is outcome


@pytest.mark.parametrize("state", OPEN)
def test_vm_with_an_open_action_is_verified_in_each_of_its_states(state: State) -> None:
    assert finding(ObservedState.UP, state=state).outcome is Outcome.CONFIRMED


@pytest.mark.parametrize(
    ("at", "reply", "observed", "outcome"),
    [
        (159.9, Reply.LOST, ObservedState.DOWN, STILL_OPEN),
        (160.0, Reply.LOST, ObservedState.DOWN, Outcome.UNKNOWN),
        (160.0, None, ObservedState.DOWN, Outcome.UNKNOWN),
        (160.0, Reply.LOST, ObservedState.BUSY, STILL_OPEN),
        (160.0, None, ObservedState.BUSY, STILL_OPEN),
        (160.0, Reply.ACCEPTED, ObservedState.DOWN, STILL_OPEN),
        (160.0, Reply.ALREADY, ObservedState.DOWN, STILL_OPEN),
        (DEADLINE - 0.1, Reply.ACCEPTED, ObservedState.DOWN, STILL_OPEN),
        (DEADLINE, Reply.ACCEPTED, ObservedState.DOWN, Outcome.FAILED),
        (DEADLINE, Reply.LOST, ObservedState.DOWN, Outcome.UNKNOWN),
        (DEADLINE, None, ObservedState.DOWN, Outcome.UNKNOWN),
    ],
)
def test_action_without_effect_fails_at_its_deadline_or_is_unknown_without_a_reply(
    at: float, reply: Reply | None, observed: ObservedState, outcome: Outcome | None
) -> None:
    found = finding(observed, at=at, reply=reply)

    assert found.outcome is outcome
    assert not found.extend


@pytest.mark.parametrize(
    ("action", "observed", "extended", "extends"),
    [
        (Action.POWER_ON, ObservedState.BUSY, False, True),
        (Action.RESET, ObservedState.STOPPING, False, True),
        (Action.KILL, ObservedState.BUSY, False, True),
        (Action.POWER_ON, ObservedState.BUSY, True, False),
        (Action.POWER_ON, ObservedState.DOWN, False, False),
        (Action.RESET, ObservedState.HUNG, False, False),
        (Action.RESET, ObservedState.WAITING, False, False),
    ],
)
def test_vm_in_transition_gets_more_time_once(
    action: Action, observed: ObservedState, *, extended: bool, extends: bool
) -> None:
    before = finding(observed, at=DEADLINE - 0.1, action=action, extended=extended)
    at_the_deadline = finding(observed, at=DEADLINE, action=action, extended=extended)

    assert (before.outcome, before.extend) == (STILL_OPEN, False)
    assert at_the_deadline.extend == extends
    assert at_the_deadline.outcome is (STILL_OPEN if extends else Outcome.FAILED)


@pytest.mark.parametrize("reply", [Reply.LOST, None])
def test_lost_reply_stays_unknown_after_the_extension(reply: Reply | None) -> None:
    found = finding(ObservedState.BUSY, at=DEADLINE, reply=reply, extended=True)

    assert found.outcome is Outcome.UNKNOWN


def test_start_has_other_time_than_the_other_actions() -> None:
    limits = Limits(verify_power_on_seconds=7.0, verify_reset_seconds=9.0)

    assert {action: deadline_seconds(action, limits) for action in Action} == {
        Action.POWER_ON: 7.0,
        Action.REBOOT: 9.0,
        Action.RESET: 9.0,
        Action.KILL: 9.0,
    }


def test_action_that_was_never_sent_is_abandoned_at_once() -> None:
    unsent = replace(INTENT, sent_at=None)

    assert verify(unsent, TRIED, LIMITS, at=0.0).outcome is Outcome.ABANDONED

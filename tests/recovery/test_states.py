import pytest

from exporter.recovery.model.states import (
    DIAGNOSED,
    DOWN,
    OPEN,
    TRANSITIONS,
    Event,
    ImpossibleTransitionError,
    State,
    follow,
)


def reachable(start: State) -> set[State]:
    found, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        for (before, _), after in TRANSITIONS.items():
            if before is state and after not in found:
                found.add(after)
                waiting.append(after)
    return found


def test_every_state_is_reachable() -> None:
    assert reachable(State.BASELINE) == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_left(state: State) -> None:
    assert State.HEALTHY in reachable(state)


@pytest.mark.parametrize("event", Event)
def test_every_event_has_a_transition(event: Event) -> None:
    assert any(known is event for _, known in TRANSITIONS)


def test_invalid_transition_has_an_error_message() -> None:
    with pytest.raises(ImpossibleTransitionError, match="a VM that is healthy cannot have crash"):
        follow(State.HEALTHY, Event.CRASH_PROVEN)


def test_only_a_proven_crash_leads_to_an_action() -> None:
    before = {state for (state, event) in TRANSITIONS if event is Event.INTENT_COMMITTED}
    ways = {event for (_, event), after in TRANSITIONS.items() if after is State.HELD}

    assert before == {State.HELD}
    assert ways == {Event.CRASH_PROVEN, Event.PAUSE_OVER}


def test_only_an_operator_or_a_start_ends_a_quarantine() -> None:
    ways = {event for (state, event) in TRANSITIONS if state is State.QUARANTINED}

    assert ways == {Event.SEEN_UP, Event.CLEARED}


@pytest.mark.parametrize("state", [State.BASELINE, State.STOPPED, State.QUARANTINED])
def test_vm_not_enrolled_does_not_reach_crashed(state: State) -> None:
    assert state not in DIAGNOSED
    with pytest.raises(ImpossibleTransitionError):
        follow(state, Event.CRASH_PROVEN)


@pytest.mark.parametrize("state", [*DOWN, State.QUARANTINED, State.BASELINE])
def test_running_vm_is_up_in_every_state(state: State) -> None:
    assert follow(state, Event.SEEN_UP) in (State.HEALTHY, State.PROBATION)


@pytest.mark.parametrize("state", OPEN)
def test_failed_action_requires_a_new_diagnosis(state: State) -> None:
    assert follow(state, Event.TIME_UP) is State.SUSPECT


WAYS = (
    (Event.SEEN_UP, "baseline", "healthy"),
    (Event.SEEN_UP, "suspect platform stopped unknown backoff held", "healthy"),
    (Event.SEEN_UP, "quarantined", "probation"),
    (Event.SEEN_DOWN, "healthy probation", "suspect"),
    (Event.SEEN_STOPPING, "healthy probation", "stopped"),
    (Event.SEEN_STOPPING, "suspect platform stopped unknown backoff held", "stopped"),
    (Event.SEEN_STOPPING, "acting verifying indeterminate", "stopped"),
    (Event.SEEN_CHANGING, "suspect platform stopped unknown backoff held", "suspect"),
    (Event.SEEN_HELPED, "suspect platform stopped unknown backoff held", "probation"),
    (Event.SEEN_HELPED, "acting verifying indeterminate", "probation"),
    (Event.PLATFORM_CLAIMED, "suspect platform unknown backoff held", "platform"),
    (Event.PLATFORM_PASSED, "platform", "suspect"),
    (Event.STOP_EXPLAINED, "suspect platform unknown backoff held", "stopped"),
    (Event.CAUSE_MISSING, "baseline suspect platform unknown backoff held", "unknown"),
    (Event.CRASH_PROVEN, "suspect platform unknown held", "held"),
    (Event.FLAPPED, "suspect platform unknown backoff held", "quarantined"),
    (Event.PAUSE_BEGUN, "held", "backoff"),
    (Event.PAUSE_OVER, "backoff", "held"),
    (Event.BUDGET_SPENT, "held", "quarantined"),
    (Event.INTENT_COMMITTED, "held", "acting"),
    (Event.INTENT_ABANDONED, "acting", "suspect"),
    (Event.REQUEST_ACCEPTED, "acting", "verifying"),
    (Event.REQUEST_REFUSED, "acting", "suspect"),
    (Event.ANSWER_LOST, "acting", "indeterminate"),
    (Event.STEP_DONE, "acting verifying indeterminate", "suspect"),
    (Event.TIME_UP, "acting verifying indeterminate", "suspect"),
    (Event.STAYED_UP, "probation", "healthy"),
    (Event.CLEARED, "quarantined", "suspect"),
)
"""Every event, the states in which it can occur, and where it leads."""


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_event_leads_where_it_should_or_is_a_bug(state: State, event: Event) -> None:
    after = [to for known, states, to in WAYS if known is event and state in states.split()]

    if after:
        assert [follow(state, event)] == after
    else:
        with pytest.raises(ImpossibleTransitionError):
            follow(state, event)


def test_state_is_down_diagnosed_or_open() -> None:
    assert set(DOWN) == {*DIAGNOSED, State.STOPPED}
    assert set(DIAGNOSED) == {
        *(State.SUSPECT, State.PLATFORM, State.UNKNOWN, State.BACKOFF, State.HELD)
    }
    assert set(OPEN) == {State.ACTING, State.VERIFYING, State.INDETERMINATE}

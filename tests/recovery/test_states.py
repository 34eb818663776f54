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

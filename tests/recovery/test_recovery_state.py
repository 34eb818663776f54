"""The recovery state is a value: neither a poll nor an action changes the state before it."""

import pytest

from exporter.recovery.model.cases import Case
from exporter.recovery.model.states import State
from tests.recovery.harness import Harness


@pytest.mark.parametrize("event", ["crash", "operator_stops", "nothing"])
def test_poll_leaves_previous_state_unchanged(event: str) -> None:
    harness = Harness().warm()
    if event == "crash":
        harness.world.crash("web-01")
    elif event == "operator_stops":
        harness.world.operator_stops(harness.world.vm("web-01"), graceful=False)
    for _ in range(12):
        before = harness.recovery.state
        copy = before._replace(cases=dict(before.cases))  # type: ignore[arg-type]

        harness.advance(harness.every)

        assert harness.recovery.state is not before
        assert before == copy


def test_crashed_vm_is_restarted_in_a_new_state() -> None:
    harness = Harness().warm()
    before = harness.recovery.state
    harness.world.crash("web-01")

    harness.advance(300)

    after = harness.recovery.state
    uuid = harness.case("web-01").uuid
    assert before.cases[uuid].state is State.HEALTHY
    assert after.cases[uuid].state is State.PROBATION


def test_cases_are_read_only() -> None:
    cases: dict[str, Case] = Harness().warm().recovery.state.cases  # type: ignore[assignment]

    with pytest.raises(TypeError):
        cases["uuid"] = next(iter(cases.values()))


def test_state_without_changed_cases_is_the_same_state() -> None:
    state = Harness().warm().recovery.state

    assert state.with_cases({}) is state


def test_unaffected_cases_are_shared_between_states() -> None:
    state = Harness().warm().recovery.state
    first, second, *_ = state.cases.values()

    changed = state.with_cases({first.uuid: second})

    assert changed.cases[first.uuid] is second
    assert changed.cases[second.uuid] is second
    assert state.cases[first.uuid] is first

"""How one inventory changes the case of a VM."""

import pytest
from msgspec.structs import asdict, replace

from exporter.model import VM
from exporter.recovery.model.cases import (
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    ObservedState,
    Policy,
)
from exporter.recovery.model.limits import HOUR, Limits
from exporter.recovery.model.states import DOWN as DOWN_STATES
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.lifecycle import (
    is_flapping,
    new_case,
    observe,
)
from tests.recovery.inventory_values import (
    DOWN,
    EVIDENCE,
    NO_EVIDENCE,
    case,
    config,
    down,
    moment,
    seen,
    vm,
)

LIMITS = Limits()
PROBATION = LIMITS.probation_seconds
STOPPED_VM = vm(**DOWN)


# A VM that is met.


def test_vm_first_seen_up_is_healthy_on_its_node() -> None:
    met = new_case(vm(node=3), ObservedState.UP, Policy.ALWAYS, moment(700.0))

    assert met == case(policy=Policy.ALWAYS, since=700.0, node=3)


def test_vm_first_seen_down_has_not_crashed_and_ran_on_no_node() -> None:
    met = new_case(vm(node=3, **DOWN), ObservedState.DOWN, Policy.ALWAYS, moment(700.0))

    assert met == case(
        policy=Policy.ALWAYS,
        since=700.0,
        state=State.BASELINE,
        observed=ObservedState.DOWN,
        word="stopped",
        node=None,
    )


def test_vm_first_seen_without_a_status_row_is_followed() -> None:
    met = new_case(VM(config(), None), ObservedState.GONE, Policy.NO, moment())

    assert (met.state, met.word, met.node) == (State.BASELINE, "", None)


# A VM that is not listed, or without a row.


@pytest.mark.parametrize("state", State)
def test_vm_that_three_inventories_lack_is_followed_no_longer_unless_an_action_is_open(
    state: State,
) -> None:
    before = case(state=state, missing=1)

    twice = observe(before, None, ObservedState.GONE, Policy.NO, moment(), LIMITS)
    assert twice is not None
    assert (twice.missing, twice.observed) == (2, ObservedState.GONE)
    thrice = observe(twice, None, ObservedState.GONE, Policy.NO, moment(), LIMITS)
    fourth = observe(
        replace(twice, missing=3), None, ObservedState.GONE, Policy.NO, moment(), LIMITS
    )

    assert (thrice is not None) is (state in OPEN)
    assert (fourth is not None) is (state in OPEN)


@pytest.mark.parametrize("of", [None, VM(config(), None)])
def test_vm_that_vanished_was_last_up_in_the_inventory_before(of: VM | None) -> None:
    after = observe(case(missing=1), of, ObservedState.GONE, Policy.NO, moment(1000.0), LIMITS)

    assert after is not None
    assert (after.up_at, after.up_clock) == (980.0, moment(1000.0).before_clock)
    assert after.missing == (0 if of else 2)
    assert after.observed is ObservedState.GONE
    assert after.policy is Policy.ON_FAILURE


@pytest.mark.parametrize("state", State)
def test_vm_that_is_disabled_or_ignored_is_dropped_unless_an_action_is_open(state: State) -> None:
    before = case(state=state)

    after = observe(before, vm(), ObservedState.INELIGIBLE, Policy.IGNORE, moment(), LIMITS)

    open_case = replace(before, observed=ObservedState.INELIGIBLE)
    assert after == (open_case if state in OPEN else None)


# Enrolment and replacement.


@pytest.mark.parametrize("state", [*DOWN_STATES, State.BASELINE])
def test_vm_enrolled_while_down_begins_anew_and_keeps_alerting(state: State) -> None:
    before = down(state, policy=Policy.NO, attempts=2)

    after = seen(before, ObservedState.DOWN)

    silent = state in (State.STOPPED, State.BASELINE)
    assert (after.state, after.since) == (State.BASELINE if silent else State.UNKNOWN, 1000.0)
    assert (after.policy, after.attempts, after.up_at) == (Policy.ON_FAILURE, 0, None)


@pytest.mark.parametrize("state", [State.HEALTHY, State.PROBATION])
@pytest.mark.parametrize(
    ("observed", "after"),
    [
        (ObservedState.DOWN, State.UNKNOWN),
        (ObservedState.HUNG, State.UNKNOWN),
        (ObservedState.STOPPING, State.BASELINE),
        (ObservedState.BUSY, State.BASELINE),
    ],
)
def test_vm_enrolled_in_the_inventory_in_which_it_goes_down_alerts(
    state: State, observed: ObservedState, after: State
) -> None:
    found = seen(case(state=state, policy=Policy.NO), observed)

    assert (found.state, found.policy) == (after, Policy.ON_FAILURE)


def test_vm_enrolled_when_it_is_up_again_is_healthy() -> None:
    after = seen(down(State.HELD, policy=Policy.NO), ObservedState.UP)

    assert after == case(since=1000.0)


def test_vm_enrolled_while_up_begins_anew() -> None:
    after = seen(case(policy=Policy.NO, helped_at=4.0), ObservedState.UP)

    assert after == case(since=1000.0)


@pytest.mark.parametrize("before", [down(State.HELD), case()])
def test_vm_replaced_by_another_of_its_uuid_begins_anew_without_a_crash(before: Case) -> None:
    other = VM(config(machine=555), STOPPED_VM.status)

    after = seen(before, ObservedState.DOWN, other)

    assert (after.state, after.machine, after.trouble_at) == (State.BASELINE, 555, None)


@pytest.mark.parametrize("state", [*OPEN, State.QUARANTINED])
@pytest.mark.parametrize("before", [Policy.NO, Policy.ON_FAILURE])
@pytest.mark.parametrize("now", [Policy.NO, Policy.ALWAYS])
def test_tags_that_go_and_come_end_neither_a_quarantine_nor_an_open_action(
    state: State, before: Policy, now: Policy
) -> None:
    after = seen(down(state, policy=before, attempts=2), ObservedState.DOWN, policy=now)

    assert (after.state, after.attempts) == (state, 2)
    returns = before is Policy.NO and now.acts and state in OPEN
    assert after.policy is (before if returns else now)  # it is met anew when the action is over


def test_policy_that_is_withdrawn_counts_at_once() -> None:
    after = seen(down(State.HELD), ObservedState.DOWN, policy=Policy.NO)

    assert (after.policy, after.state) == (Policy.NO, State.HELD)


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("observed", ObservedState)
def test_open_action_is_left_to_its_verification(state: State, observed: ObservedState) -> None:
    before = case(state=state, missing=1, observed=ObservedState.DOWN, trouble_at=980.0)
    changed = VM(config(key=9, name="new"), vm(word="starting").status)

    after = seen(before, observed, changed)

    if observed in (ObservedState.GONE, ObservedState.INELIGIBLE):
        assert after.state is state
        return
    assert after == replace(
        before,
        key=9,
        name="new",
        former_names=("web-1",),
        missing=0,
        observed=observed,
        word="starting",
    )


def test_vm_without_a_status_row_has_no_word() -> None:
    before = case(state=State.ACTING)

    assert seen(before, ObservedState.DOWN, VM(config(), None)).word == ""


def test_last_five_names_are_kept_newest_first() -> None:
    before = case(former_names=("a", "b", "c", "d", "e"))

    same = seen(before, ObservedState.UP)
    renamed = seen(before, ObservedState.UP, VM(config(name="new"), vm().status))

    assert same.former_names == ("a", "b", "c", "d", "e")
    assert (renamed.name, renamed.former_names) == ("new", ("web-1", "a", "b", "c", "d"))


# A VM that is up.


def test_vm_that_is_up_again_keeps_no_evidence_and_has_its_new_node() -> None:
    before = down(**EVIDENCE)

    after = seen(before, ObservedState.UP, vm(node=4))

    assert asdict(after) == asdict(before) | NO_EVIDENCE | {
        "state": State.HEALTHY,
        "since": 1000.0,
        "observed": ObservedState.UP,
        "word": "running",
        "node": 4,
    }


@pytest.mark.parametrize("state", DOWN_STATES)
@pytest.mark.parametrize("attempts", [0, 1])
def test_vm_that_comes_up_after_an_action_is_on_probation(state: State, attempts: int) -> None:
    after = seen(down(state, attempts=attempts), ObservedState.UP)

    assert (after.state, after.since, after.attempts) == (
        State.PROBATION if attempts else State.HEALTHY,
        1000.0,
        attempts,
    )


def test_healthy_vm_stays_healthy_since_it_was() -> None:
    after = seen(case(since=5.0, up_at=960.0), ObservedState.UP)

    assert after == case(since=5.0)


def test_vm_first_seen_down_is_healthy_when_it_comes_up() -> None:
    after = seen(case(state=State.BASELINE, observed=ObservedState.DOWN), ObservedState.UP)

    assert (after.state, after.since) == (State.HEALTHY, 1000.0)


@pytest.mark.parametrize("early", [-1.0, 0.0, 1.0])
def test_probation_ends_when_the_vm_stayed_up_for_its_whole_time(early: float) -> None:
    before = case(
        state=State.PROBATION,
        since=1000.0 - PROBATION + early,
        attempts=2,
        ladder_step=1,
        retry_at=1500.0,
    )

    after = seen(before, ObservedState.UP)

    over = case(since=1000.0)
    assert after == (before if early > 0 else over)


@pytest.mark.parametrize("attempts", [0, 3])
@pytest.mark.parametrize("calm", [False, True])
def test_quarantined_vm_that_is_up_gets_its_probation_once_it_no_longer_flaps(
    calm: bool, attempts: int
) -> None:
    last = 1000.0 - PROBATION + (0 if calm else 1)
    flapping = Diagnosis(DiagnosisKind.UNKNOWN, Cause.FLAPPING)
    losses = tuple(last - 10 * number for number in reversed(range(LIMITS.flap_losses)))
    before = down(State.QUARANTINED, losses=losses, diagnosis=flapping, attempts=attempts)

    after = seen(before, ObservedState.UP)

    assert after.state is (State.PROBATION if calm else State.QUARANTINED)
    assert after.diagnosis == (None if calm else flapping)
    assert after.up_at is None


@pytest.mark.parametrize(
    ("losses", "flaps"),
    [
        ((), False),
        ((960.0, 970.0, 980.0, 990.0), False),  # one too few
        ((950.0, 960.0, 970.0, 980.0, 990.0), True),
        ((1000.0 - HOUR, 960.0, 970.0, 980.0, 990.0), False),  # an hour ago
        ((1001.0 - HOUR, 960.0, 970.0, 980.0, 990.0), True),
        ((100.0, 110.0, 120.0, 130.0, 1000.0 - PROBATION), False),  # stays up since
        ((100.0, 110.0, 120.0, 130.0, 1001.0 - PROBATION), True),  # since the last, not the others
    ],
)
def test_vm_flaps_that_went_down_often_within_an_hour_and_did_not_stay_up(
    losses: tuple[float, ...], flaps: bool
) -> None:
    assert is_flapping(case(losses=losses), LIMITS, at=1000.0) is flaps

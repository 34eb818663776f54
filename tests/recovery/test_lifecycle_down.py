"""How an inventory changes the case of a VM that it shows down, hung or in transition."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM
from exporter.recovery.model.cases import (
    Cause,
    Diagnosis,
    DiagnosisKind,
    ObservedState,
    Policy,
)
from exporter.recovery.model.limits import HOUR, Limits
from exporter.recovery.model.states import State
from tests.recovery.inventory_values import (
    DOWN,
    EVERY,
    QUESTION,
    case,
    config,
    down,
    moment,
    seen,
    vm,
)

LIMITS = Limits()
STOPPED = Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON)
STOPPED_VM = vm(**DOWN)


# A VM that is down or hung.


@pytest.mark.parametrize("observed", [ObservedState.DOWN, ObservedState.HUNG])
@pytest.mark.parametrize("state", [State.HEALTHY, State.PROBATION])
def test_vm_seen_in_trouble_is_suspected_and_counted_as_lost(
    state: State, observed: ObservedState
) -> None:
    at = moment(5000.0)
    before = case(state=state, losses=(5000.0 - HOUR, 5001.0 - HOUR))

    after = seen(before, observed, STOPPED_VM, at=at)

    assert (after.state, after.since) == (State.SUSPECT, 5000.0)
    assert (after.up_at, after.up_clock) == (at.before_at, at.before_clock)
    assert (after.lost_at, after.lost_clock) == (at.at, at.clock)
    assert (after.trouble_at, after.times_observed) == (5000.0, 1)
    assert after.losses == (5001.0 - HOUR, 5000.0)
    assert after.hung_at == (5000.0 if observed is ObservedState.HUNG else None)
    assert after.max_gap_seconds == EVERY
    assert after.node == 1


def test_time_of_the_last_hang_is_kept_while_the_vm_is_down() -> None:
    assert seen(down(hung_at=700.0), ObservedState.DOWN).hung_at == 700.0


@pytest.mark.parametrize(
    ("before", "gap", "since", "times"),
    [
        ({}, EVERY, 980.0, 2),
        ({}, LIMITS.max_gap_seconds, 980.0, 2),
        ({}, LIMITS.max_gap_seconds + 1, 1000.0, 1),  # it may have been up in between
        ({"observed": ObservedState.HUNG}, EVERY, 1000.0, 1),
        ({"observed": ObservedState.UP}, EVERY, 1000.0, 1),
        ({"trouble_at": None, "times_observed": 0}, EVERY, 1000.0, 1),  # after an action
    ],
)
def test_confirmation_counts_inventories_that_show_the_same_trouble_without_a_gap(
    before: dict[str, Any], gap: float, since: float, times: int
) -> None:
    after = seen(replace(down(), **before), ObservedState.DOWN, at=moment(gap=gap))

    assert (after.trouble_at, after.times_observed) == (since, times)


@pytest.mark.parametrize(
    ("state", "policy", "after"),
    [
        (State.HELD, Policy.ON_FAILURE, State.SUSPECT),
        (State.BACKOFF, Policy.ON_FAILURE, State.SUSPECT),
        (State.PLATFORM, Policy.NO, State.SUSPECT),
        (State.HELD, Policy.NO, State.HELD),  # only reported: its alert stays
        (State.STOPPED, Policy.ON_FAILURE, State.STOPPED),
        (State.QUARANTINED, Policy.ON_FAILURE, State.QUARANTINED),
        (State.BASELINE, Policy.ON_FAILURE, State.BASELINE),
    ],
)
def test_diagnosis_is_made_again_when_the_trouble_begins_anew(
    state: State, policy: Policy, after: State
) -> None:
    before = down(state, policy=policy, observed=ObservedState.HUNG)

    found = seen(before, ObservedState.DOWN, policy=policy)

    assert (found.state, found.trouble_at) == (after, 1000.0)


def test_vm_that_stays_down_keeps_its_diagnosis_and_when_it_was_lost() -> None:
    before = down(State.HELD, losses=(980.0,), lost_clock=7.0)

    after = seen(before, ObservedState.DOWN)

    assert (after.state, after.lost_at, after.lost_clock) == (State.HELD, 980.0, 7.0)
    assert after.losses == (980.0,)


@pytest.mark.parametrize("state", [State.HELD, State.STOPPED, State.BASELINE])
def test_vm_that_was_not_up_is_not_lost_again(state: State) -> None:
    after = seen(down(state, lost_at=None), ObservedState.DOWN)

    assert (after.lost_at, after.losses) == (None, ())


def test_quarantined_vm_that_goes_down_again_is_lost_and_stays_quarantined() -> None:
    after = seen(down(State.QUARANTINED, lost_at=None), ObservedState.DOWN)
    again = seen(down(State.QUARANTINED, lost_at=900.0), ObservedState.DOWN)

    assert (after.state, after.lost_at, after.losses) == (State.QUARANTINED, 1000.0, (1000.0,))
    assert (again.lost_at, again.losses) == (900.0, ())


def test_quarantined_vm_that_ran_was_last_up_when_it_was_last_seen_running() -> None:
    before = case(state=State.QUARANTINED, losses=(960.0,))

    after = seen(before, ObservedState.DOWN)

    assert (after.up_at, after.up_clock) == (980.0, moment().before_clock)
    assert (after.max_gap_seconds, after.lost_at) == (EVERY, 1000.0)


# Since when it was up, and how long it was not observed then.


def test_time_when_it_was_last_up_stays_while_it_is_away() -> None:
    migrating = seen(case(), ObservedState.BUSY, at=moment(1000.0))

    after = seen(migrating, ObservedState.DOWN, at=moment(1020.0))

    assert (after.state, after.up_at) == (State.SUSPECT, 980.0)


@pytest.mark.parametrize("state", [State.HELD, State.BASELINE, State.QUARANTINED])
def test_vm_that_was_not_up_has_no_time_when_it_was(state: State) -> None:
    assert seen(down(state, up_at=None), ObservedState.DOWN).up_at is None


@pytest.mark.parametrize("gap", [0.5, 90.0])
def test_gap_in_which_it_went_down_is_kept(gap: float) -> None:
    first = seen(case(), ObservedState.DOWN, at=moment(1000.0, gap=gap))

    after = seen(first, ObservedState.DOWN, at=moment(1100.0, gap=100.0))

    assert after.max_gap_seconds == first.max_gap_seconds == gap  # it was down already


def test_longest_gap_counts_until_it_is_down() -> None:
    migrating = seen(case(), ObservedState.BUSY, at=moment(1000.0, gap=90.0))

    after = seen(migrating, ObservedState.DOWN, at=moment(1020.0))
    longer = seen(migrating, ObservedState.DOWN, at=moment(1100.0, gap=100.0))

    assert (after.max_gap_seconds, longer.max_gap_seconds) == (90.0, 100.0)


@pytest.mark.parametrize("state", [State.HELD, State.BASELINE])
def test_gap_does_not_count_for_a_vm_that_was_never_up(state: State) -> None:
    before = down(state, up_at=None, trouble_at=None)

    assert seen(before, ObservedState.DOWN).max_gap_seconds == 0.0


@pytest.mark.parametrize(
    ("observed", "poll", "gap"),
    [
        (ObservedState.GONE, EVERY, 60.0),
        (ObservedState.GONE, 90.0, 90.0),  # of the time of day, which saw more
        (ObservedState.BUSY, EVERY, EVERY),
    ],
)
@pytest.mark.parametrize("now", [ObservedState.DOWN, ObservedState.GONE])
def test_time_without_a_row_is_a_gap(
    observed: ObservedState, poll: float, gap: float, now: ObservedState
) -> None:
    before = case(observed=observed, up_at=940.0)

    after = seen(before, now, at=moment(1000.0, gap_seconds=poll))

    assert after.max_gap_seconds == gap


@pytest.mark.parametrize(
    ("known", "now", "gap"),
    [
        (50.0, 50.0, 5.0),
        (50.0, 70.0, 90.0),  # it was started, ran and went down between two inventories
        (None, 70.0, 5.0),
        (50.0, None, 5.0),
        (None, None, 5.0),
    ],
)
def test_vm_that_ran_unobserved_between_two_inventories_has_a_gap(
    known: float | None, now: float | None, gap: float
) -> None:
    before = down(started=known, max_gap_seconds=5.0)

    after = seen(before, ObservedState.DOWN, vm(started_at=now, **DOWN), at=moment(gap=90.0))

    assert after.max_gap_seconds == gap
    assert after.started == (now if now is not None else known)


def test_vm_without_a_status_row_has_no_new_start() -> None:
    before = down(started=50.0)

    assert seen(before, ObservedState.ERROR, VM(config(), None)).started == 50.0


# A VM that is neither up nor down.


@pytest.mark.parametrize(
    "observed", [ObservedState.WAITING, ObservedState.ERROR, ObservedState.INCONSISTENT]
)
def test_vm_in_a_strange_status_is_suspected_but_no_loss_of_a_vm_that_flaps(
    observed: ObservedState,
) -> None:
    after = seen(case(), observed, vm(word="odd"))

    assert (after.state, after.since, after.lost_at) == (State.SUSPECT, 1000.0, 1000.0)
    assert after.lost_clock == moment().clock
    assert (after.losses, after.trouble_at, after.times_observed) == ((), None, 0)
    assert after.words_since_up == ("odd",)


@pytest.mark.parametrize("state", [State.HEALTHY, State.PROBATION])
def test_migration_or_reboot_is_harmless(state: State) -> None:
    after = seen(case(state=state), ObservedState.BUSY, vm(word="migrating"))

    assert (after.state, after.lost_at, after.since) == (state, None, 0.0)


def test_every_word_since_it_was_up_is_kept_once_in_order() -> None:
    first = seen(case(), ObservedState.BUSY, vm(word="migrating"))
    second = seen(first, ObservedState.BUSY, vm(word="starting"))
    third = seen(second, ObservedState.BUSY, vm(word="migrating"))

    assert third.words_since_up == ("migrating", "starting")


@pytest.mark.parametrize("state", [State.BASELINE, State.QUARANTINED])
@pytest.mark.parametrize("observed", [ObservedState.STOPPING, ObservedState.BUSY])
def test_vm_not_seen_up_and_quarantined_vm_stay_so_in_transition(
    state: State, observed: ObservedState
) -> None:
    after = seen(down(state), observed)

    assert (after.state, after.diagnosis, after.trouble_at) == (state, None, None)


@pytest.mark.parametrize("state", [State.HELD, State.BACKOFF, State.PLATFORM, State.STOPPED])
def test_vm_that_starts_is_to_be_diagnosed_anew(state: State) -> None:
    after = seen(down(state), ObservedState.BUSY, vm(word="starting"))

    assert (after.state, after.trouble_at, after.times_observed) == (State.SUSPECT, None, 0)


@pytest.mark.parametrize(
    ("observed", "cause"),
    [
        (ObservedState.STOPPING, Cause.SEEN_STOPPING),
        (ObservedState.HIBERNATED, Cause.HIBERNATED),
    ],
)
@pytest.mark.parametrize("state", [State.HEALTHY, State.PROBATION, State.HELD])
def test_vm_seen_stopping_is_stopped_and_no_approval_counts_any_more(
    state: State, observed: ObservedState, cause: Cause
) -> None:
    after = seen(case(state=state, question=QUESTION), observed, vm(word="leaving"))

    assert after.state is State.STOPPED
    assert after.diagnosis == Diagnosis(DiagnosisKind.STOPPED, cause, "seen leaving")
    assert after.question == replace(QUESTION, withdrawn=True)


def test_vm_known_to_be_stopped_by_a_person_stays_so_when_it_is_seen_stopping() -> None:
    after = seen(down(State.STOPPED, diagnosis=STOPPED), ObservedState.STOPPING)

    assert (after.state, after.diagnosis) == (State.STOPPED, STOPPED)

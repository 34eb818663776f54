"""How a diagnosis, an action and an operator change the case of a VM."""

import pytest
from msgspec.structs import asdict, replace

from exporter.model import VM
from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Intent,
    ObservedState,
    Outcome,
    Policy,
    Question,
    Reply,
)
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import LogPosition
from exporter.recovery.model.states import OPEN, Event, State
from exporter.recovery.observe.lifecycle import (
    after_answer,
    after_outcome,
    after_restart,
    after_sending,
    apply_diagnosis,
    cleared,
    reset_evidence,
    restarted,
    step,
    without_last_loss,
)
from tests.recovery.inventory_values import (
    EVIDENCE,
    NO_EVIDENCE,
    POSITION,
    QUESTION,
    case,
    config,
    down,
    intent,
    vm,
)

LIMITS = Limits()
CAPACITY = LIMITS.capacity_backoff_seconds
CRASHED = Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED)
STOPPED = Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON)
PENDING = Diagnosis(DiagnosisKind.PENDING, Cause.NOT_LONG_ENOUGH)
UNKNOWN = Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNCLEAR)
PLATFORM = Diagnosis(DiagnosisKind.PLATFORM, Cause.NODE_IN_TROUBLE)


# Small steps.


def test_state_that_does_not_change_keeps_its_beginning() -> None:
    before = case(state=State.SUSPECT, since=4.0)

    assert step(before, Event.SEEN_CHANGING, at=9.0) is before
    assert step(before, Event.CAUSE_MISSING, at=9.0) == replace(
        before, state=State.UNKNOWN, since=9.0
    )


@pytest.mark.parametrize(
    ("lost_at", "losses", "left"),
    [
        (980.0, (900.0, 980.0), (900.0,)),
        (980.0, (900.0,), (900.0,)),
        (None, (900.0,), (900.0,)),
    ],
)
def test_only_the_loss_that_is_explained_is_forgotten(
    lost_at: float | None, losses: tuple[float, ...], left: tuple[float, ...]
) -> None:
    before = case(lost_at=lost_at, losses=losses)

    after = without_last_loss(before)

    assert after.losses == left
    assert (after is before) is (losses == left)


@pytest.mark.parametrize("of", [vm(node=6), VM(config(), None), None])
def test_vm_that_an_action_brought_back_is_on_probation_on_its_node(of: VM | None) -> None:
    before = down(State.VERIFYING, **EVIDENCE, attempts=1)

    after = restarted(before, of, at=1000.0)

    assert asdict(after) == asdict(before) | NO_EVIDENCE | {
        "state": State.PROBATION,
        "since": 1000.0,
        "node": 6 if of and of.status else None,
    }


@pytest.mark.parametrize("word", ["stopping", "hibernating", "hibernated"])
def test_word_that_shows_a_stop_is_no_evidence_to_be_shown_again(word: str) -> None:
    before = down(State.QUARANTINED, words_since_up=("starting", word, "migrating"))

    assert cleared(before, at=1000.0).words_since_up == (word,)


def test_evidence_is_to_be_shown_again() -> None:
    before = down(State.ACTING, **EVIDENCE, attempts=1)

    after = reset_evidence(before, Event.TIME_UP, at=1000.0)

    assert after == replace(
        before,
        state=State.SUSPECT,
        since=1000.0,
        trouble_at=None,
        times_observed=0,
        words_since_up=(),
        diagnosis=None,
    )


# Diagnoses.


@pytest.mark.parametrize(
    ("diagnosis", "state", "after"),
    [
        (CRASHED, State.SUSPECT, State.HELD),
        (CRASHED, State.HELD, State.HELD),
        (CRASHED, State.BACKOFF, State.BACKOFF),  # its pause goes on
        (STOPPED, State.SUSPECT, State.STOPPED),
        (STOPPED, State.BACKOFF, State.STOPPED),
        (PLATFORM, State.SUSPECT, State.PLATFORM),
        (PLATFORM, State.BACKOFF, State.PLATFORM),
        (UNKNOWN, State.SUSPECT, State.UNKNOWN),
        (UNKNOWN, State.HELD, State.UNKNOWN),
        (Diagnosis(DiagnosisKind.UNKNOWN, Cause.FLAPPING), State.SUSPECT, State.QUARANTINED),
        (PENDING, State.SUSPECT, State.SUSPECT),
        (PENDING, State.PLATFORM, State.SUSPECT),
        (PENDING, State.HELD, State.SUSPECT),
        (PENDING, State.UNKNOWN, State.SUSPECT),
    ],
)
def test_state_follows_from_the_newest_diagnosis(
    diagnosis: Diagnosis, state: State, after: State
) -> None:
    before = down(state, since=4.0, diagnosis=UNKNOWN, question=QUESTION)

    found = apply_diagnosis(before, diagnosis, at=1000.0)

    assert (found.state, found.since) == (after, 4.0 if after is state else 1000.0)
    assert found.diagnosis == diagnosis
    assert found.question is not None
    assert found.question.withdrawn is (diagnosis is STOPPED)


@pytest.mark.parametrize("state", [State.HELD, State.SUSPECT])
@pytest.mark.parametrize("policy", [Policy.NO, Policy.ON_FAILURE])
@pytest.mark.parametrize("diagnosis", [CRASHED, STOPPED, PLATFORM, PENDING])
def test_crash_that_is_only_reported_stays_reported_until_a_stop_explains_it(
    state: State, policy: Policy, diagnosis: Diagnosis
) -> None:
    before = down(state, policy=policy, diagnosis=UNKNOWN)

    after = apply_diagnosis(before, diagnosis, at=1000.0)

    stays = state is State.HELD and not policy.acts and diagnosis is not STOPPED
    assert (after is before) is stays
    assert (after.diagnosis == diagnosis) is not stays


def test_same_diagnosis_changes_nothing() -> None:
    before = down(State.HELD, diagnosis=CRASHED)

    assert apply_diagnosis(before, replace(CRASHED), at=1000.0) is before


@pytest.mark.parametrize("question", [None, replace(QUESTION, withdrawn=True)])
def test_stop_withdraws_no_question_that_is_not_open(question: Question | None) -> None:
    before = down(State.SUSPECT, question=question)

    assert apply_diagnosis(before, STOPPED, at=1000.0).question is question


# Actions.


def sent(before: Case, of: Intent, *, pause: float = 60.0) -> Case:
    return after_sending(before, of, LIMITS, at=1000.0, pause_seconds=pause)


@pytest.mark.parametrize(
    ("reply", "pause", "wait"),
    [
        (Reply.BUSY, 60.0, 60.0),
        (Reply.BUSY, 900.0, 900.0),
        (Reply.NO_CAPACITY, 60.0, CAPACITY),
        (Reply.NO_CAPACITY, 900.0, 900.0),
        (Reply.NOT_SENT, 900.0, CAPACITY),
        (Reply.FORBIDDEN, 900.0, CAPACITY),
    ],
)
def test_reply_that_others_cause_is_no_attempt_and_is_followed_by_a_wait(
    reply: Reply, pause: float, wait: float
) -> None:
    before = down(State.HELD, attempts=1, ladder_step=1, question=QUESTION)

    after = sent(before, intent(Action.KILL, reply=reply), pause=pause)

    assert after == replace(before, retry_at=1000.0 + wait, question=None)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("reply", [Reply.ACCEPTED, Reply.ALREADY, Reply.REFUSED, Reply.LOST, None])
@pytest.mark.parametrize("outcome", [None, Outcome.FAILED])
def test_attempt_counts_and_a_kill_that_may_work_is_followed_at_once_by_the_start(
    action: Action, reply: Reply | None, outcome: Outcome | None
) -> None:
    before = down(
        State.HELD,
        attempts=1,
        ladder_step=1,
        question=QUESTION,
        killed_position=LogPosition(1, 1),
        killed_at=7.0,
        kill_unanswered=True,
    )

    after = sent(before, intent(action, reply=reply, outcome=outcome))

    taken = action is not Action.POWER_ON and reply is Reply.ACCEPTED
    kills = action is Action.KILL and outcome is None and reply is not Reply.ALREADY
    expected = replace(before, attempts=2, question=None, ladder_step=2 if taken else 1)
    if kills:
        expected = replace(
            expected,
            retry_at=None,
            killed_position=POSITION,
            killed_at=1000.0,
            kill_unanswered=reply is not Reply.ACCEPTED,
        )
    else:
        expected = replace(expected, retry_at=1060.0)
    assert after == expected


@pytest.mark.parametrize(
    ("reply", "outcome", "state", "retry_at"),
    [
        (None, Outcome.ABANDONED, State.SUSPECT, 1000.0 + CAPACITY),  # it was not sent
        (Reply.NOT_SENT, Outcome.ABANDONED, State.SUSPECT, 1060.0),
        (None, Outcome.FAILED, State.SUSPECT, 1060.0),
        (Reply.REFUSED, Outcome.FAILED, State.SUSPECT, 1060.0),
        (Reply.ACCEPTED, None, State.VERIFYING, 1060.0),
        (Reply.ALREADY, None, State.VERIFYING, 1060.0),
        (Reply.LOST, None, State.INDETERMINATE, 1060.0),
    ],
)
def test_answer_leads_to_verification_or_to_a_new_proof(
    reply: Reply | None, outcome: Outcome | None, state: State, retry_at: float
) -> None:
    before = down(State.HELD, diagnosis=CRASHED, retry_at=1060.0)

    after = after_answer(before, intent(reply=reply, outcome=outcome), LIMITS, at=1000.0)

    assert (after.state, after.since, after.retry_at) == (state, 1000.0, retry_at)
    assert (after.diagnosis, after.trouble_at) == (
        (CRASHED, 980.0) if state in OPEN else (None, None)
    )


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("is_open", [False, True])
def test_new_process_verifies_open_actions_and_no_others(state: State, is_open: bool) -> None:
    before = down(state, since=4.0, diagnosis=CRASHED)

    after = after_restart(before, is_open=is_open, at=1000.0)

    if is_open is (state in OPEN):
        assert after is before
    elif is_open:
        assert after == replace(before, state=State.INDETERMINATE, since=1000.0)
    else:
        assert after == reset_evidence(before, Event.TIME_UP, at=1000.0)
        assert (after.state, after.diagnosis) == (State.SUSPECT, None)


def ended(before: Case, of: Intent, *, overruled: bool = False) -> Case:
    shown = vm(node=6, started_at=EVIDENCE["started"])
    return after_outcome(before, of, shown, LIMITS, at=1000.0, overruled=overruled)


@pytest.mark.parametrize("action", Action)
def test_confirmed_action_brought_the_vm_up_and_a_confirmed_kill_took_it_down(
    action: Action,
) -> None:
    before = down(State.VERIFYING, **EVIDENCE, attempts=1, retry_at=1060.0)

    after = ended(before, intent(action, outcome=Outcome.CONFIRMED))

    if action is Action.KILL:
        assert after == replace(
            before, state=State.SUSPECT, since=1000.0, trouble_at=1000.0, times_observed=1
        )
    else:
        assert after == replace(restarted(before, vm(node=6), at=1000.0), helped_at=1000.0)
        assert (after.state, after.node) == (State.PROBATION, 6)


@pytest.mark.parametrize("action", [Action.POWER_ON, Action.KILL])
@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN, Outcome.ABANDONED, None])
@pytest.mark.parametrize("retry_at", [None, 1010.0, 5000.0])
def test_action_that_did_not_help_requires_a_new_proof_and_a_pause_if_it_may_still_work(
    action: Action, outcome: Outcome | None, retry_at: float | None
) -> None:
    before = down(State.VERIFYING, **EVIDENCE, retry_at=retry_at)

    after = ended(before, intent(action, outcome=outcome))

    expected = reset_evidence(before, Event.TIME_UP, at=1000.0)
    if outcome is Outcome.FAILED and action is Action.KILL:  # it may still have an effect
        expected = replace(expected, kill_failed=True)
    if outcome in (Outcome.UNKNOWN, None):
        lost = 1000.0 + LIMITS.verify_lost_seconds
        expected = replace(expected, retry_at=max(retry_at or lost, lost))
    assert after == expected


def test_start_that_a_person_overruled_is_a_stop_that_may_undo_it() -> None:
    before = down(
        State.VERIFYING, diagnosis=CRASHED, question=QUESTION, observed=ObservedState.STOPPING
    )

    after = ended(before, intent(outcome=Outcome.FAILED), overruled=True)

    assert (after.state, after.since, after.helped_at) == (State.STOPPED, 1000.0, 1000.0)
    assert after.diagnosis is not None
    assert after.diagnosis.cause is Cause.SEEN_STOPPING
    assert after.question is not None
    assert after.question.withdrawn


@pytest.mark.parametrize("state", State)
def test_operator_clears_what_was_tried_and_ends_a_quarantine(state: State) -> None:
    before = down(
        state,
        diagnosis=UNKNOWN,
        attempts=3,
        ladder_step=2,
        retry_at=1060.0,
        losses=(980.0,),
        question=QUESTION,
    )

    after = cleared(before, at=1000.0)

    expected = replace(
        before,
        cleared_at=1000.0,
        attempts=0,
        ladder_step=0,
        retry_at=None,
        losses=(),
        question=None,
    )
    if state is State.QUARANTINED:
        expected = reset_evidence(expected, Event.CLEARED, at=1000.0)
        assert expected.state is State.SUSPECT
    assert after == expected

"""The lifecycle of a case: how polls, diagnoses and actions change it."""

from typing import NamedTuple

from msgspec.structs import replace

from exporter.model import VM
from exporter.recovery.model.cases import (
    UNCOUNTED_REPLIES,
    Action,
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Intent,
    ObservedState,
    Outcome,
    Policy,
    Reply,
)
from exporter.recovery.model.limits import HOUR, Limits
from exporter.recovery.model.states import DIAGNOSED, OPEN, Event, State, follow
from exporter.recovery.observe.inventory_checks import STOP_SHOWN

TROUBLE = (ObservedState.DOWN, ObservedState.HUNG)
STOPS = (ObservedState.STOPPING, ObservedState.HIBERNATED)
UP = frozenset({State.HEALTHY, State.PROBATION})
POLLS_WITHOUT_A_ROW = 3
FORMER_NAMES = 5
"""Names that are kept: rows of the logs may have them."""


class Moment(NamedTuple):
    """A valid inventory's place in time, and the place of the one before it."""

    at: float
    clock: float | None
    before_at: float
    before_clock: float | None
    gap_seconds: float
    """What lies between the two, by whichever clock saw most of it."""


def new_case(vm: VM, observed: ObservedState, policy: Policy, moment: Moment) -> Case:
    """Return the case of a VM that is seen for the first time, or enrolled just now."""
    status = vm.status
    up = observed is ObservedState.UP
    return Case(
        uuid=vm.config.uuid,
        key=vm.config.key,
        machine=vm.config.machine,
        name=vm.config.name,
        policy=policy,
        state=follow(State.BASELINE, Event.SEEN_UP) if up else State.BASELINE,
        since=moment.at,
        observed=observed,
        word=status.word if status else "",
        node=status.node if status and up else None,
    )


def observe(
    case: Case,
    vm: VM | None,
    observed: ObservedState,
    policy: Policy,
    moment: Moment,
    limits: Limits,
) -> Case | None:
    """
    Return the case after one more valid inventory; None when the VM is to be followed no longer.

    Args:
        vm: The VM in that inventory, if it was there.
        policy: What its owner says now.

    """
    if vm is None or observed is not ObservedState.HUNG:
        case = _no_longer_hung(case)
    if vm is None:
        missing = case.missing + 1
        if missing >= POLLS_WITHOUT_A_ROW and case.state not in OPEN:
            return None
        case = _seen_not_up(case, case.observed, moment)
        return replace(case, missing=missing, observed=ObservedState.GONE)
    if observed is ObservedState.GONE:
        # It is listed, so it is there; what becomes of it the row will tell when it comes back.
        return replace(_seen_not_up(case, case.observed, moment), missing=0, observed=observed)
    if observed is ObservedState.INELIGIBLE:
        return replace(case, observed=observed) if case.state in OPEN else None
    enrolled_now = policy.acts and not case.policy.acts
    # A quarantined VM stays quarantined while its tags are missing.
    keeps = case.state in OPEN or case.state is State.QUARANTINED
    if vm.config.machine != case.machine or (enrolled_now and not keeps):
        met = new_case(vm, observed, policy, moment)
        went_down = case.state in DIAGNOSED or (case.state in UP and observed in TROUBLE)
        in_trouble = enrolled_now and went_down and met.state is State.BASELINE
        return step(met, Event.CAUSE_MISSING, at=moment.at) if in_trouble else met
    before = case.observed
    case = replace(
        case,
        key=vm.config.key,
        name=vm.config.name,
        former_names=_former_names(case, vm.config.name),
        policy=case.policy if enrolled_now and case.state in OPEN else policy,
        missing=0,
        observed=observed,
        word=vm.status.word if vm.status else "",
    )
    if case.state in OPEN:
        return case
    if observed is ObservedState.UP:
        return _seen_up(case, vm, moment, limits)
    started_at = vm.status.started_at if vm.status is not None else None
    case = _seen_not_up(case, before, moment, started_at)
    if observed in TROUBLE:
        return _seen_in_trouble(case, before, moment, limits)
    return _seen_between(case, moment.at, moment.clock)


def _no_longer_hung(case: Case) -> Case:
    """Return a case that is not seen hung: what was written while it was may be why it goes off."""
    killed_by_us = case.killed_position is not None and not may_be_our_kill(case)
    if case.observed is not ObservedState.HUNG or killed_by_us:
        return case
    return replace(case, log_down=None, trouble_at=None, times_observed=0)


def _former_names(case: Case, name: str) -> tuple[str, ...]:
    if name == case.name:
        return case.former_names
    return (case.name, *case.former_names)[:FORMER_NAMES]


def step(case: Case, event: Event, *, at: float) -> Case:
    """Return the case after *event*; a state that does not change keeps its beginning."""
    state = follow(case.state, event)
    return case if state is case.state else replace(case, state=state, since=at)


def _seen_up(case: Case, vm: VM, moment: Moment, limits: Limits) -> Case:
    diagnosis = case.diagnosis
    case = _forget_trouble(case, vm.status.node if vm.status else None)
    match case.state:
        case State.HEALTHY:
            return case
        case State.PROBATION:
            if moment.at - case.since < limits.probation_seconds:
                return case
            case = step(case, Event.STAYED_UP, at=moment.at)
            return replace(case, attempts=0, ladder_step=0, retry_at=None)
        case State.QUARANTINED if is_flapping(case, limits, at=moment.at):
            return replace(case, diagnosis=diagnosis)
        case State.BASELINE | State.QUARANTINED:
            return step(case, Event.SEEN_UP, at=moment.at)
        case _:
            helped = Event.SEEN_HELPED if case.attempts else Event.SEEN_UP
            return step(case, helped, at=moment.at)


def _seen_not_up(
    case: Case, before: ObservedState, moment: Moment, started_at: float | None = None
) -> Case:
    """
    Remember when it was last up, and how long it was unobserved then.

    Args:
        before: What the inventory before showed of it; gone, it lacked its row since it was up.
        started_at: When VergeOS says that it was started last. If it was started since the
            inventory before, it ran unobserved in between.

    """
    if before is ObservedState.UP:
        case = replace(case, up_at=moment.before_at, up_clock=moment.before_clock)
    if started_at is not None:
        if case.observed in TROUBLE and _ran(case, started_at):
            case = _down_again(case, moment.before_at, at=moment.at, clock=moment.clock)
        if case.observed in (*TROUBLE, *STOPS) or case.started is None:
            case = replace(case, started=started_at)
    if case.up_at is not None and case.trouble_at is None:
        gap = max(case.max_gap_seconds, moment.gap_seconds)
        if before is ObservedState.GONE:
            gap = max(gap, moment.at - case.up_at)
        case = replace(case, max_gap_seconds=gap)
    return case


def _ran(case: Case, started_at: float | None) -> bool:
    """Return whether VergeOS says that it was started since that was noted last."""
    return case.started is not None and started_at is not None and started_at > case.started


def _down_again(case: Case, before_at: float, *, at: float, clock: float | None) -> Case:
    """
    Return the case of a VM that ran without a poll that saw it, and is down again.

    What explained the first time that it went down does not explain the second.

    Args:
        before_at: When it was still down.

    """
    if case.up_at is None or case.state not in (*DIAGNOSED, State.STOPPED):
        return replace(case, trouble_at=None, times_observed=0, log_down=None)
    was_stopped = case.state is State.STOPPED
    lost_at, lost_clock = (at, clock) if was_stopped else (case.lost_at, case.lost_clock)
    return replace(
        _forget_trouble(step(case, Event.SEEN_CHANGING, at=at), case.node),
        up_at=before_at,
        ran_unseen=True,
        words_since_up=tuple(one for one in case.words_since_up if one not in STOP_SHOWN),
        lost_at=lost_at,
        lost_clock=lost_clock,
    )


def _seen_in_trouble(case: Case, before: ObservedState, moment: Moment, limits: Limits) -> Case:
    hung = case.observed is ObservedState.HUNG
    watched = moment.gap_seconds <= limits.max_gap_seconds
    if before is case.observed and case.trouble_at is not None and watched:
        case = replace(case, times_observed=case.times_observed + 1)
    else:
        case = replace(case, trouble_at=moment.at, times_observed=1)
        if case.state in DIAGNOSED and not _is_proven_for_good(case):
            case = step(case, Event.SEEN_CHANGING, at=moment.at)
    if hung:
        case = replace(case, hung_at=moment.at)
    return _lost(case, at=moment.at, clock=moment.clock)


def _lost(case: Case, *, at: float, clock: float | None) -> Case:
    """Return the case of a VM in trouble, which may have been up until now."""
    if case.lost_at is not None or (case.state not in UP and case.state is not State.QUARANTINED):
        return case
    case = replace(case, lost_at=at, lost_clock=clock)
    if case.observed in TROUBLE:
        recent = (one for one in case.losses if one > at - HOUR)
        case = replace(case, losses=(*recent, at))
    return step(case, Event.SEEN_DOWN, at=at) if case.state in UP else case


def is_flapping(case: Case, limits: Limits, *, at: float) -> bool:
    """Return whether a VM went down often within an hour, and did not stay up since."""
    recent = [one for one in case.losses if one > at - HOUR]
    return len(recent) >= limits.flap_losses and at - recent[-1] < limits.probation_seconds


def without_last_loss(case: Case) -> Case:
    """Return the case of a VM whose going down is explained."""
    if case.lost_at not in case.losses:
        return case
    return replace(case, losses=tuple(one for one in case.losses if one != case.lost_at))


def _seen_between(case: Case, at: float, clock: float | None) -> Case:
    """Record a VM that is neither up nor in trouble, but on its way or strange."""
    words_since_up = (
        case.words_since_up
        if case.word in case.words_since_up
        else (*case.words_since_up, case.word)
    )
    case = replace(case, words_since_up=words_since_up, trouble_at=None, times_observed=0)
    if case.state in (State.BASELINE, State.QUARANTINED):
        return case
    stopping = case.observed is ObservedState.STOPPING
    by_us = stopping and may_be_our_kill(case) and case.state not in OPEN
    if case.observed is ObservedState.HIBERNATED or (stopping and not by_us):
        cause = Cause.SEEN_STOPPING if stopping else Cause.HIBERNATED
        if case.state is not State.STOPPED:  # where it is, more may be known than that
            case = replace(
                case, diagnosis=Diagnosis(DiagnosisKind.STOPPED, cause, f"seen {case.word}")
            )
        return step(_withdrawn(case), Event.SEEN_STOPPING, at=at)
    if case.state in UP:
        harmless = case.observed is ObservedState.BUSY
        return case if harmless else _lost(case, at=at, clock=clock)
    return step(case, Event.SEEN_CHANGING, at=at)


def may_be_our_kill(case: Case) -> bool:
    """Return whether a kill of ours may have an effect yet, so that a stop may be its."""
    return case.killed_position is not None and (case.kill_failed or case.kill_unanswered)


def stopped_again(case: Case, *, at: float) -> Case:
    """Return the case of a VM that is stopped again while its start is verified."""
    return _seen_between(case, at, None)


def restarted(case: Case, vm: VM | None, *, at: float) -> Case:
    """Return the case of a VM that an action of ours brought back."""
    node = vm.status.node if vm is not None and vm.status is not None else None
    return step(_forget_trouble(case, node), Event.SEEN_HELPED, at=at)


def reset_evidence(case: Case, event: Event, *, at: float) -> Case:
    """Return the case after *event*, with everything that spoke for a crash to be shown again."""
    words = tuple(word for word in case.words_since_up if word in STOP_SHOWN)
    case = replace(case, trouble_at=None, times_observed=0, words_since_up=words, diagnosis=None)
    return step(case, event, at=at)


def _forget_trouble(case: Case, node: int | None) -> Case:
    return replace(
        case,
        node=node,
        up_at=None,
        up_clock=None,
        log_from=None,
        log_up=None,
        log_down=None,
        lost_at=None,
        lost_clock=None,
        trouble_at=None,
        times_observed=0,
        words_since_up=(),
        max_gap_seconds=0.0,
        diagnosis=None,
        started=None,
        killed_position=None,
        killed_at=None,
        killed_until=None,
        kill_unanswered=False,
        kill_failed=False,
        ran_unseen=False,
        question=None,
    )


def _is_proven_for_good(case: Case) -> bool:
    """Return whether the crash is only reported, so that its proof need not be renewed."""
    return case.state is State.HELD and not case.policy.acts


EVENT_OF = {
    DiagnosisKind.CRASHED: Event.CRASH_PROVEN,
    DiagnosisKind.STOPPED: Event.STOP_EXPLAINED,
    DiagnosisKind.PLATFORM: Event.PLATFORM_CLAIMED,
    DiagnosisKind.UNKNOWN: Event.CAUSE_MISSING,
}


def apply_diagnosis(case: Case, diagnosis: Diagnosis, *, at: float) -> Case:
    """Return the case with its diagnosis, and in the state that follows from it."""
    if _is_proven_for_good(case) and diagnosis.kind is not DiagnosisKind.STOPPED:
        return case
    if diagnosis != case.diagnosis:
        case = replace(case, diagnosis=diagnosis)
    if diagnosis.kind is DiagnosisKind.CRASHED and case.state is State.BACKOFF:
        return case
    if diagnosis.kind is DiagnosisKind.STOPPED:
        case = _withdrawn(case)
    if diagnosis.cause is Cause.FLAPPING:
        return step(case, Event.FLAPPED, at=at)
    event = EVENT_OF.get(diagnosis.kind)
    if event is not None:
        return step(case, event, at=at)
    was_platform = case.state is State.PLATFORM
    return step(case, Event.PLATFORM_PASSED if was_platform else Event.SEEN_CHANGING, at=at)


def _withdrawn(case: Case) -> Case:
    """Return the case of a VM that was stopped on purpose: no approval is valid any more."""
    if case.question is None or case.question.withdrawn:
        return case
    return replace(case, question=replace(case.question, withdrawn=True))


def after_sending(
    case: Case, intent: Intent, limits: Limits, *, at: float, pause_seconds: float
) -> Case:
    """
    Return a case with one more action behind it.

    A step that was refused or lost was not taken: what is harder has to wait for it.

    Args:
        at: When it was sent.
        pause_seconds: How long to rest before the next.

    """
    case = replace(case, question=None)  # an approval is for one action
    if intent.reply is Reply.BUSY:
        return replace(case, retry_at=at + pause_seconds)
    if intent.reply is Reply.NO_CAPACITY:
        return replace(case, retry_at=at + max(limits.capacity_backoff_seconds, pause_seconds))
    if intent.reply in UNCOUNTED_REPLIES:
        return replace(case, retry_at=at + limits.capacity_backoff_seconds)
    accepted = intent.reply is Reply.ACCEPTED
    alive = intent.outcome is None and intent.reply is not Reply.ALREADY
    kills = intent.action is Action.KILL and alive
    return replace(
        case,
        attempts=case.attempts + 1,
        retry_at=None if kills else at + pause_seconds,
        ladder_step=case.ladder_step + (intent.action is not Action.POWER_ON and accepted),
        killed_position=intent.sent_position if kills else case.killed_position,
        killed_at=at if kills else case.killed_at,
        killed_until=None if kills else case.killed_until,
        kill_unanswered=not accepted if kills else case.kill_unanswered,
        kill_failed=case.kill_failed and not kills,
    )


def after_answer(case: Case, intent: Intent, limits: Limits, *, at: float) -> Case:
    """Return a case that was acted upon, in the state that the answer leads to."""
    case = step(case, Event.INTENT_COMMITTED, at=at)
    if intent.outcome is Outcome.ABANDONED and intent.reply is None:
        case = replace(case, retry_at=at + limits.capacity_backoff_seconds)
        return reset_evidence(case, Event.INTENT_ABANDONED, at=at)
    if intent.outcome is not None:
        return reset_evidence(case, Event.REQUEST_REFUSED, at=at)
    lost = intent.reply is Reply.LOST
    return step(case, Event.ANSWER_LOST if lost else Event.REQUEST_ACCEPTED, at=at)


def after_restart(case: Case, *, is_open: bool, at: float) -> Case:
    """
    Return a case as it stands when a new process takes it up.

    Args:
        is_open: Whether it has an intent that was sent and without a known outcome.

    """
    if is_open and case.state not in OPEN:
        return replace(case, state=State.INDETERMINATE, since=at)
    if not is_open and case.state in OPEN:
        return reset_evidence(case, Event.TIME_UP, at=at)
    return case


def after_outcome(
    case: Case, intent: Intent, vm: VM | None, limits: Limits, *, at: float, overruled: bool
) -> Case:
    """
    Return a case with an action whose outcome is known now.

    Args:
        vm: As the newest inventory shows it.
        overruled: Whether it was stopped again meanwhile.

    """
    outcome = intent.outcome or Outcome.UNKNOWN
    kills = intent.action is Action.KILL
    if outcome is Outcome.CONFIRMED and kills:
        return step(replace(case, trouble_at=at, times_observed=1), Event.STEP_DONE, at=at)
    if outcome is Outcome.CONFIRMED:
        return replace(restarted(case, vm, at=at), helped_at=at)
    started_at = vm.status.started_at if vm is not None and vm.status is not None else None
    if overruled:
        return replace(stopped_again(case, at=at), helped_at=at, started=started_at)
    if outcome is Outcome.FAILED and kills:
        case = replace(case, kill_failed=True)
    if outcome is Outcome.UNKNOWN:
        wait = at + limits.verify_lost_seconds
        case = replace(case, retry_at=max(case.retry_at or wait, wait))
    case = reset_evidence(case, Event.TIME_UP, at=at)
    if intent.sent_at is not None and not kills and _ran(case, started_at):
        case = replace(_down_again(case, intent.sent_at, at=at, clock=None), started=started_at)
    return case


def cleared(case: Case, *, at: float) -> Case:
    """Return a case of which an operator says that what was tried before counts no longer."""
    case = replace(case, cleared_at=at, attempts=0, ladder_step=0, retry_at=None)
    case = replace(case, losses=(), question=None)
    if case.state is not State.QUARANTINED:
        return case
    return reset_evidence(case, Event.CLEARED, at=at)

"""What an action of ours, and what came of it, makes of a VM's case."""

from msgspec.structs import replace

from exporter.model import VM
from exporter.recovery.decide.budgets import NOT_ITS_FAULT
from exporter.recovery.model.cases import Action, Case, Intent, Outcome, Reply
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN, Event, State
from exporter.recovery.observe.lifecycle import begin_anew, helped, step, stopped_again


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
    if intent.reply in NOT_ITS_FAULT:
        return replace(case, retry_at=at + limits.capacity_backoff_seconds)
    accepted = intent.reply is Reply.ACCEPTED
    alive = intent.outcome is None and intent.reply is not Reply.ALREADY
    kills = intent.action is Action.KILL and alive
    return replace(
        case,
        attempts=case.attempts + 1,
        retry_at=None if kills else at + pause_seconds,
        rung=case.rung + (intent.action is not Action.POWER_ON and accepted),
        killed_clock=intent.sent_clock if kills else case.killed_clock,
        kill_unanswered=not accepted if kills else case.kill_unanswered,
    )


def after_answer(case: Case, intent: Intent, limits: Limits, *, at: float) -> Case:
    """Return a case that was acted upon, in the state that the answer leads to."""
    case = step(case, Event.INTENT_COMMITTED, at=at)
    if intent.outcome is Outcome.ABANDONED and intent.reply is None:
        case = replace(case, retry_at=at + limits.capacity_backoff_seconds)
        return begin_anew(case, Event.INTENT_ABANDONED, at=at)
    if intent.outcome is not None:
        return begin_anew(case, Event.REQUEST_REFUSED, at=at)
    lost = intent.reply is Reply.LOST
    return step(case, Event.ANSWER_LOST if lost else Event.REQUEST_ACCEPTED, at=at)


def after_restart(case: Case, *, is_open: bool, at: float) -> Case:
    """
    Return a case as it stands when a new process takes it up.

    Args:
        is_open: Whether it has an intent that was sent and whose outcome nobody knows.

    """
    if is_open and case.state not in OPEN:
        return replace(case, state=State.INDETERMINATE, since=at)
    if not is_open and case.state in OPEN:
        return begin_anew(case, Event.TIME_UP, at=at)
    return case


def after_outcome(
    case: Case, intent: Intent, vm: VM | None, limits: Limits, *, at: float, overruled: bool
) -> Case:
    """
    Return a case with an action whose outcome is known now.

    Args:
        vm: As the newest picture shows it.
        overruled: Whether somebody stopped it again meanwhile.

    """
    outcome = intent.outcome or Outcome.UNKNOWN
    kills = intent.action is Action.KILL
    if outcome is Outcome.CONFIRMED and kills:
        return step(replace(case, trouble_at=at, times_observed=1), Event.STEP_DONE, at=at)
    if outcome is Outcome.CONFIRMED:
        return helped(case, vm, at=at)
    if overruled:
        return stopped_again(case, at=at)
    if outcome is Outcome.FAILED and kills:
        case = replace(case, killed_clock=None, kill_unanswered=False)
    if outcome is Outcome.UNKNOWN:
        wait = at + limits.verify_lost_seconds
        case = replace(case, retry_at=max(case.retry_at or 0.0, wait))
    return begin_anew(case, Event.TIME_UP, at=at)


def cleared(case: Case, *, at: float) -> Case:
    """Return a case of which a person says that what was tried before counts no longer."""
    case = replace(case, forgiven_at=at, attempts=0, rung=0, retry_at=None)
    if case.state is not State.QUARANTINED:
        return case
    return begin_anew(case, Event.CLEARED, at=at)

"""One plain sentence or two for each state: what happened, and what Vergewatch does about it."""

from collections.abc import Callable, Mapping

from exporter.formatting import counted, span
from exporter.recovery.model.cases import Action, Cause, Diagnosis, ObservedState, Outcome
from exporter.recovery.model.decision import BudgetUse, GuardName
from exporter.recovery.model.records import ActionRecord
from exporter.recovery.model.states import State
from exporter.recovery.report.context import ExplainContext
from exporter.recovery.report.messages import (
    CAUSES,
    NOT_MONITORED,
    OUTCOMES,
    REASONS,
    REFUSALS,
    VERBS,
    requested_or_done,
)
from exporter.recovery.report.teaching import blocking_text


def sentence(context: ExplainContext) -> str:
    """Return what happened to a VM, and what Vergewatch does about it."""
    return _SENTENCES[context.state](context)


def shared_reason(context: ExplainContext) -> str:
    """Return why a VM is in its state, in words that fit every VM with the same reason."""
    decision, diagnosis = context.decision, context.diagnosis
    held = context.state in (State.HELD, State.BACKOFF)
    if held and decision is not None and decision.failed_guard is not None:
        reason = REASONS[decision.failed_guard]
        if not reason.endswith(": {detail}"):  # it is the same for all VMs
            detail = next((one.detail for one in decision.guard_results if not one.passed), "")
            return reason.format(detail=detail)
        return reason.removesuffix(": {detail}")
    return CAUSES[diagnosis.cause] if diagnosis is not None else ""


def _not_monitored(context: ExplainContext) -> str:
    if context.gone:
        return f"{context.vm} is no longer in the inventory. Vergewatch takes no action."
    by = context.enrolment.because if context.enrolment is not None else ""
    reasons = [NOT_MONITORED[one].format(by=by) for one in context.not_monitored]
    why = ", and ".join(reasons) or "it was not seen yet"
    return f"{context.vm} is not monitored by recovery: {why}."


def _baseline(context: ExplainContext) -> str:
    first = next((one for one in context.changes if one.after is State.BASELINE), None)
    word = first.word if first is not None else context.word
    was = "down" if word in ("", "stopped") else f"in status {word}"
    when = f" at {context.time_of_day(first.time)}" if first is not None else ""
    return (
        f"{context.vm} was already {was} when Vergewatch first saw it{when}, so a crash cannot be "
        "proven. Vergewatch does not start it."
    )


def _healthy(context: ExplainContext) -> str:
    if context.observed not in (None, ObservedState.UP):
        return _changing(context)
    if context.downtime.ended is not None:
        return _came_back(context)
    if context.changes and context.changes[-1].before is None:
        since = context.time_of_day(context.changes[-1].time)
        return f"{context.vm} is up, without downtime since Vergewatch first saw it at {since}."
    return f"{context.vm} is up."


def _changing(context: ExplainContext) -> str:
    name, word = context.vm, context.word or "not reported"
    match context.observed:
        case ObservedState.GONE:
            return f"{name} was up, and the newest inventory has no status for it."
        case ObservedState.ERROR | ObservedState.INCONSISTENT:
            return (
                f"{name} was up, and its status is now {word}, which is neither up nor down. "
                "Vergewatch waits for a clear status."
            )
        case _:
            return f"{name} was up, and its status is {word}. Vergewatch takes no action."


def _came_back(context: ExplainContext) -> str:
    downtime = context.downtime
    ended = "an unknown time" if downtime.ended is None else context.time_of_day(downtime.ended)
    if downtime.actions:
        return f"{_crash(context)}. {_actions(context)}, and it has been up since {ended}."
    if downtime.began is None:
        return f"{context.vm} is up. It came back without Vergewatch."
    began = context.time_of_day(downtime.began)
    why = _because(_last_diagnosis(context))
    return (
        f"{context.vm} is up. It was down from {began} to {ended}{why}. "
        "It came back without Vergewatch."
    )


def _last_diagnosis(context: ExplainContext) -> Diagnosis | None:
    """Return why a VM was down that is up again; who stopped it is known only from the log."""
    downtime, decision = context.downtime, context.decision
    known, began, ended = downtime.diagnosis, downtime.began, downtime.ended
    if known is None or known.cause is not Cause.SEEN_STOPPING or decision is None:
        return known
    read = began is not None and ended is not None and began <= decision.time <= ended
    return decision.diagnosis if read else known


def _suspect(context: ExplainContext) -> str:
    diagnosis = context.diagnosis
    if diagnosis is None or diagnosis.cause is Cause.NOT_LONG_ENOUGH:
        detail = f" ({diagnosis.detail})" if diagnosis is not None and diagnosis.detail else ""
        doing = f"Vergewatch is confirming the failure{detail}"
    else:
        doing = f"The diagnosis is pending{_because(diagnosis)}"
    return f"{_down(context)}. {_story(context)}{doing}."


def _platform(context: ExplainContext) -> str:
    waits = "Vergewatch waits for VergeOS high availability, which acts first."
    return f"{_down(context)}{_because(context.diagnosis)}. {waits}"


def _stopped(context: ExplainContext) -> str:
    why = _because(context.diagnosis) or ": it was stopped on purpose"
    return f"{_down(context)}{why}. Vergewatch does not start it."


def _unknown(context: ExplainContext) -> str:
    why = _because(context.diagnosis)
    return (
        f"{_down(context)}, and the cause is unknown{why}. {_story(context)}"
        f"Vergewatch does not start it. An operator must check it and start it.{_teach(context)}"
    )


def _teach(context: ExplainContext) -> str:
    """Return how to teach what the row means that makes the cause unknown, if one does."""
    diagnosis = context.diagnosis
    blocks = diagnosis is not None and diagnosis.cause is Cause.LOGS_UNCLEAR
    if diagnosis is None or not blocks or not diagnosis.template:
        return ""
    return f" {blocking_text(diagnosis.template, context.blocked)}"


def _held(context: ExplainContext) -> str:
    decision = context.decision
    happened = f"{_crash(context)}. {_story(context)}"
    if decision is None or decision.failed_guard in (None, GuardName.CRASHED):
        return f"{happened}Vergewatch decides with the next inventory."
    if decision.failed_guard is GuardName.MODE_PERMITS and not decision.asks:
        done = VERBS[decision.action][1] if decision.action is not None else "acted"
        when = context.time_of_day(context.decided or decision.time)
        return (
            f"{happened}In enforce mode, Vergewatch would have {done} at {when}. "
            f"The mode is {decision.mode}, so an operator must start it."
        )
    assert decision.failed_guard is not None  # noqa: S101 - checked above
    detail = next((one.detail for one in decision.guard_results if not one.passed), "")
    reason = REASONS[decision.failed_guard].format(detail=detail)
    return f"{happened}Vergewatch does not {_verb(context)} now because {reason}."


def _acting(context: ExplainContext) -> str:
    return f"{_crash(context)}. Vergewatch is about to {_verb(context)}."


def _verifying(context: ExplainContext) -> str:
    downtime = context.downtime
    done = _done(context, downtime.actions[-1]) if downtime.actions else "acted"
    return f"{_crash(context)}. Vergewatch {done} and checks that it comes up."


def _indeterminate(context: ExplainContext) -> str:
    downtime = context.downtime
    when = f" at {context.time_of_day(downtime.actions[-1].prepared)}" if downtime.actions else ""
    return (
        f"{_crash(context)}. Vergewatch asked VergeOS to {_verb(context)}{when} and got "
        "no reply. It does not repeat the request; the next polls show whether it was carried out."
    )


def _probation(context: ExplainContext) -> str:
    downtime = context.downtime
    if downtime.ended is None:
        return f"{context.vm} is up again. Vergewatch checks that it stays up."
    if downtime.was_quarantined:
        return (
            f"{context.vm} was quarantined. It was started without Vergewatch and has been up "
            f"since {context.time_of_day(downtime.ended)}. Its restart budget is not refilled."
        )
    return _came_back(context)


def _quarantined(context: ExplainContext) -> str:
    ends = (
        "Vergewatch takes no more action until the VM is started, or an operator runs "
        f"`vergewatch recovery clear {context.vm} --reason ...`"
    )
    diagnosis = context.diagnosis
    if diagnosis is not None and diagnosis.cause is Cause.FLAPPING:
        return f"{context.vm} is flapping{_because(diagnosis)}. {ends}."
    spent = _spent_budget(context)
    if spent is None:
        if context.hung:
            happened = f"{_crash(context)}, and every allowed action was tried"
        else:
            happened = f"{context.vm} is down again after every allowed action was tried"
        return f"{happened}. {ends}."
    sent = [one for one in context.actions if one.sent][: spent.used]
    period, began = span(spent.seconds), context.downtime.began
    when = f" at {context.time_of_day(began)}" if began is not None else ""
    if len(sent) == spent.used and all(one.intent.outcome is Outcome.CONFIRMED for one in sent):
        times = counted(spent.used, "time")
        happened = f"crashed again{when} after Vergewatch restarted it {times} within {period}"
    else:
        happened = f"is down again after {counted(spent.used, 'action')} within {period}"
    return f"{context.vm} {happened}. {ends}."


def _spent_budget(context: ExplainContext) -> BudgetUse | None:
    results = context.decision.guard_results if context.decision is not None else ()
    budgets = (one for result in results if not result.passed for one in result.budgets)
    return next((one for one in budgets if one.used >= one.limit), None)


_SENTENCES: Mapping[State | None, Callable[[ExplainContext], str]] = {
    None: _not_monitored,
    State.BASELINE: _baseline,
    State.HEALTHY: _healthy,
    State.SUSPECT: _suspect,
    State.PLATFORM: _platform,
    State.STOPPED: _stopped,
    State.UNKNOWN: _unknown,
    State.BACKOFF: _held,
    State.HELD: _held,
    State.ACTING: _acting,
    State.VERIFYING: _verifying,
    State.INDETERMINATE: _indeterminate,
    State.PROBATION: _probation,
    State.QUARANTINED: _quarantined,
}


def _down(context: ExplainContext) -> str:
    what = "unresponsive" if context.hung else "down"
    began = context.downtime.began
    if began is None:
        return f"{context.vm} is {what}"
    return f"{context.vm} has been {what} since {context.time_of_day(began)}"


def _crash(context: ExplainContext) -> str:
    what = "became unresponsive" if context.hung else "crashed"
    began = context.downtime.began
    when = f" at {context.time_of_day(began)}" if began is not None else ""
    return f"{context.vm} {what}{when}"


def _story(context: ExplainContext) -> str:
    """Return what was tried since the VM went down, as a sentence; empty if nothing was."""
    return f"{_actions(context)}. " if context.downtime.actions else ""


def _actions(context: ExplainContext) -> str:
    """Return the actions in order, with the outcome of each but a last one that succeeded."""
    parts, downtime = [], context.downtime
    for number, one in enumerate(downtime.actions, start=1):
        outcome, reply = one.intent.outcome, one.intent.reply
        result = ""
        if outcome is Outcome.FAILED and reply is not None and reply in REFUSALS:
            result = REFUSALS[reply]
        elif outcome is not None and outcome is not Outcome.CONFIRMED:
            result = OUTCOMES[outcome]
        elif outcome is Outcome.CONFIRMED and number < len(downtime.actions):
            result = "" if one.intent.action is Action.KILL else OUTCOMES[outcome]
        parts.append(_done(context, one) + (f", {result}" if result else ""))
    return f"Vergewatch {', then '.join(parts)}"


def _done(context: ExplainContext, one: ActionRecord) -> str:
    return f"{requested_or_done(one.intent)} at {context.time_of_day(one.prepared)}"


def _verb(context: ExplainContext) -> str:
    action = context.decision.action if context.decision is not None else None
    if action is not None:
        return VERBS[action][0]
    return "act on it" if context.hung else "start it"


def _because(diagnosis: Diagnosis | None) -> str:
    """Return the cause with its evidence, after a colon."""
    if diagnosis is None:
        return ""
    return f": {CAUSES[diagnosis.cause]}" + (f" ({diagnosis.detail})" if diagnosis.detail else "")

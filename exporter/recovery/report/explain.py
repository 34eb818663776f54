"""
The explanation of one VM's recovery state.

It is made of journal records only: the same records give the same bytes at any later time.
"""

from datetime import datetime

import msgspec

from exporter.recovery.model.cases import Action, Diagnosis
from exporter.recovery.model.decision import GuardName, GuardResult
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from exporter.recovery.observe.lifecycle import UP
from exporter.recovery.report.context import ExplainContext
from exporter.recovery.report.events import NOT_MONITORED, TimelineEvent, action_event, change_event
from exporter.recovery.report.sentences import sentence

HISTORY_EVENTS = 20


class Explanation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The recovery state of a VM, and the reasons for it."""

    system: str
    vm: str
    vm_key: int
    uuid: str
    state: str
    sentence: str
    """What happened and what Vergewatch does about it."""
    diagnosis: Diagnosis | None = None
    blocked: int = 0
    """How many diagnoses were unknown because of rows like that of the diagnosis."""
    enrolled: bool | None = None
    """``None``: not known."""
    policy: str = ""
    policy_source: str = ""
    """The tag or setting that the policy comes from."""
    suppressed_by: str = ""
    """Why Vergewatch would not act if the VM crashed now; empty if it would."""
    action: Action | None = None
    """The action that the decision is about."""
    failed_guard: GuardName | None = None
    """The first guard that forbids the action."""
    mode: Mode | None = None
    decision: int | None = None
    """Number of the decision in the journal; ``None`` if an earlier one has the same result."""
    decided: datetime | None = None
    """Time of the first decision with this result."""
    as_of: datetime | None = None
    """Time of the newest decision, which the guard results belong to."""
    guards: tuple[GuardResult, ...] = ()
    """Results of the newest decision, in the order of the guards."""
    fixes: tuple[str, ...] = ()
    """What has to change before Vergewatch acts."""
    history: tuple[TimelineEvent, ...] = ()
    """Newest first."""


def explain(context: ExplainContext) -> Explanation:
    """Return the recovery state of a VM, and the reasons for it."""
    decision, enrolment = context.decision, context.enrolment
    text = sentence(context)
    if context.unseen:
        text = f"{context.system}: {context.unseen}. Last known state: {text}"
    guards = decision.guard_results if decision is not None else ()
    enrolled_then = next((one for one in guards if one.guard is GuardName.ENROLLED), None)
    enrolled = enrolled_then.passed if enrolled_then is not None else None
    events = [
        *(change_event(one, context.system) for one in context.changes),
        *(action_event(one, context.system) for one in context.actions),
    ]
    events.sort(key=lambda event: event.time, reverse=True)
    return Explanation(
        system=context.system,
        vm=context.vm,
        vm_key=context.vm_key,
        uuid=context.uuid,
        state=context.state.value if context.state is not None else NOT_MONITORED,
        sentence=text,
        diagnosis=context.diagnosis,
        blocked=context.blocked,
        enrolled=enrolment.policy.acts if enrolment is not None else enrolled,
        policy=enrolment.policy.value if enrolment is not None else "",
        policy_source=enrolment.because if enrolment is not None else "",
        suppressed_by=context.suppressed_by if context.state in UP else "",
        action=decision.action if decision is not None else None,
        failed_guard=decision.failed_guard if decision is not None else None,
        mode=decision.mode if decision is not None else None,
        decision=context.number,
        decided=context.decided or (decision.time if decision is not None else None),
        as_of=decision.time if decision is not None else None,
        guards=guards,
        fixes=_fixes(context),
        history=tuple(events[:HISTORY_EVENTS]),
    )


def _fixes(context: ExplainContext) -> tuple[str, ...]:
    if context.state in UP or context.gone:
        return ()
    if context.state is None:
        return ()  # the sentence names what keeps it from being monitored
    if context.state is State.BASELINE:
        return ("start the VM once",)
    decision = context.decision
    failed = [one for one in decision.guard_results if not one.passed] if decision else []
    if any(one.guard is GuardName.CRASHED for one in failed):
        # The next action is of no interest before a crash is proven.
        failed = [one for one in failed if one.guard is not GuardName.ACTION_ALLOWED]
    if context.state is State.QUARANTINED:
        # `clear` ends the backoff too, and waiting does not end the quarantine.
        failed = [one for one in failed if one.guard is not GuardName.BACKOFF_ELAPSED]
    return tuple(dict.fromkeys(one.fix for one in failed if one.fix))

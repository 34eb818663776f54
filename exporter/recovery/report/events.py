"""The timeline of recovery: journal records as lines of text."""

from datetime import datetime

import msgspec

from exporter.formatting import lasting
from exporter.recovery.model.commands import Command
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord
from exporter.recovery.report.messages import COMMANDS, VERBS, requested_or_done

NOT_MONITORED = "not monitored"


class TimelineEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One event of the timeline."""

    time: datetime
    system: str
    vm: str
    """Empty for an event that concerns the whole system."""
    kind: str
    """``change``, ``decision``, ``action`` or ``command``."""
    text: str


def change_event(change: Change, system: str) -> TimelineEvent:
    """Return the event of a state change."""
    before = change.before.value if change.before is not None else NOT_MONITORED
    after = change.after.value if change.after is not None else NOT_MONITORED
    diagnosis = change.diagnosis
    why = f" ({diagnosis.cause}: {diagnosis.detail})" if diagnosis is not None else ""
    text = f"{before} → {after}{why}"
    return TimelineEvent(time=change.time, system=system, vm=change.name, kind="change", text=text)


def action_event(record: ActionRecord, system: str) -> TimelineEvent:
    """Return the event of an action."""
    intent = record.intent
    done = requested_or_done(intent) if record.sent else f"prepared to {VERBS[intent.action][0]}"
    outcome = "outcome not known yet"
    if intent.outcome is not None:
        outcome = f"{intent.outcome}" + (f", {intent.detail}" if intent.detail else "")
    if record.time_to_service_seconds is not None:
        outcome += f"; its service worked again after {lasting(record.time_to_service_seconds)}"
    return TimelineEvent(
        time=record.prepared, system=system, vm=intent.name, kind="action",
        text=f"{done} (action {intent.id}): {outcome}",
    )  # fmt: skip


def decision_event(record: DecisionRecord, system: str) -> TimelineEvent:
    """Return the event of a decision."""
    decision = record.decision
    failed = decision.failed_guard
    if failed is None:
        result = "every guard passed"
    else:
        detail = next((f" ({one.detail})" for one in decision.guard_results if not one.passed), "")
        result = f"{failed}: no{detail}"
    return TimelineEvent(
        time=decision.time, system=system, vm=decision.name, kind="decision",
        text=f"decision {record.number}: {result}",
    )  # fmt: skip


def command_event(command: Command, system: str, *, vm: str = "") -> TimelineEvent:
    """Return the event of an operator's command."""
    lasts = f" for {lasting(command.until - command.at)}" if command.until is not None else ""
    about = f" “{command.template}”" if command.template else ""
    means = f" = {command.means}" if command.means else ""
    done = COMMANDS[command.kind].format(question=command.question)
    text = f"{command.owner} {done}{about}{means}{lasts}: {command.reason}"
    return TimelineEvent(time=command.time, system=system, vm=vm, kind="command", text=text)

"""What happened, line by line: the journal's rows as a log that people read."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from exporter.formatting import lasting
from exporter.recovery.model.cases import Cause, Diagnosis, DiagnosisKind, Intent, Outcome
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.ports import Change
from exporter.recovery.report.messages import ORDERS, VERBS, asked_or_done


class Attempt(Protocol):
    """An intent, as the journal has it."""

    @property
    def intent(self) -> Intent: ...
    @property
    def prepared(self) -> datetime: ...
    @property
    def closed(self) -> datetime | None: ...


class Numbered(Protocol):
    """A decision, as the journal has it."""

    @property
    def number(self) -> int: ...
    @property
    def decision(self) -> Decision: ...


class TimelineEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Something that happened, as a line of a log."""

    time: datetime
    system: str
    vm: str
    """Empty where it is about a whole cloud."""
    kind: str
    """``change``, ``decision``, ``action`` or ``order``."""
    text: str


def was_sent(attempt: Attempt) -> bool:
    """Return whether VergeOS was asked for it, as far as anybody knows."""
    return attempt.intent.sent_at is not None and attempt.intent.outcome is not Outcome.ABANDONED


def judged_so(detail: str) -> Diagnosis | None:
    """Return the diagnosis that a change was written down with."""
    cause, colon, rest = detail.partition(": ")
    if not colon or cause not in list(Cause):
        return None
    return Diagnosis(DiagnosisKind.UNKNOWN, Cause(cause), rest)


def history(
    changes: Iterable[Change], attempts: Iterable[Attempt], system: str
) -> list[TimelineEvent]:
    """Return what happened to a VM, newest first."""
    lines = [
        *(line_of_change(one, system) for one in changes),
        *(line_of_attempt(one, system) for one in attempts),
    ]
    return sorted(lines, key=lambda line: line.time, reverse=True)


def line_of_change(change: Change, system: str) -> TimelineEvent:
    """Return the line that tells of a step from one state to another."""
    before = change.before.value if change.before is not None else "not looked at"
    after = change.after.value if change.after is not None else "not looked at"
    why = f" ({change.detail})" if change.detail else ""
    text = f"{before} → {after}{why}"
    return TimelineEvent(time=change.time, system=system, vm=change.name, kind="change", text=text)


def line_of_attempt(attempt: Attempt, system: str) -> TimelineEvent:
    """Return the line that tells of an action."""
    intent = attempt.intent
    done = f"was about to {VERBS[intent.action][0]}"
    if was_sent(attempt):
        done = asked_or_done(intent)
    what = f"{done} (intent {intent.id})"
    if intent.outcome is None:
        text = f"{what}: not known yet what came of it"
    else:
        text = f"{what}: {intent.outcome}" + (f", {intent.detail}" if intent.detail else "")
    return TimelineEvent(
        time=attempt.prepared, system=system, vm=intent.name, kind="action", text=text
    )


def line_of_decision(record: Numbered, system: str) -> TimelineEvent:
    """Return the line that tells of a decision."""
    decision = record.decision
    says = next((f" ({one.detail})" for one in decision.guard_results if not one.passed), "")
    text = f"decision {record.number}: {decision.failed_guard}{says}"
    return TimelineEvent(
        time=decision.time, system=system, vm=decision.name, kind="decision", text=text
    )


def line_of_order(command: Command, system: str, *, vm: str = "") -> TimelineEvent:
    """Return the line that tells of an order."""
    lasts = f" for {lasting(command.until - command.at)}" if command.until is not None else ""
    text = f"{command.owner} {ORDERS[command.kind]}{lasts}: {command.reason}"
    return TimelineEvent(time=command.time, system=system, vm=vm, kind="order", text=text)

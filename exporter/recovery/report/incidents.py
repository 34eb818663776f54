"""The downtimes of VMs in a period, put together from journal records."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise, zip_longest

import msgspec

from exporter.recovery.model.cases import (
    UNDIAGNOSED,
    Action,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Outcome,
)
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord, JournalRecords
from exporter.recovery.model.states import State
from exporter.recovery.observe.error_budget import UNDONE_SECONDS
from exporter.recovery.observe.lifecycle import UP

ACTION_FAILED = "action_failed"
"""The reason of a missed start where recovery acted without success."""
NEEDS_NO_START = (DiagnosisKind.STOPPED, DiagnosisKind.PENDING)
"""Diagnoses of downtimes that need no start: stops on purpose, and what was up again at once."""


NO_HOLD = (None, GuardName.ENROLLED, GuardName.NO_OPEN_ACTION)
"""Failed guards of decisions that hold no VM: recovery acts on it, or has nothing to do with it."""


class End(StrEnum):
    """How an incident ended."""

    STILL_DOWN = "still down"
    VERGEWATCH = "started by Vergewatch"
    OTHER = "started without Vergewatch"
    """By an operator, the guest or a script."""
    PLATFORM = "started by VergeOS"
    """By high availability."""
    RELEASED = "no longer monitored"


class Confirmation(StrEnum):
    """Whether an action was right, by what people did later."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_KNOWN = "not known"


class Hold(msgspec.Struct, frozen=True, gc=False):
    """A reason why recovery did not act in a downtime, and for how long it did not."""

    reason: str
    """A guard, or the cause where a crash is not proven."""
    seconds: float


class Incident(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One downtime of a VM."""

    vm: str
    vm_key: int
    uuid: str
    began: datetime
    ended: datetime | None = None
    end: End = End.STILL_DOWN
    started_by: str = ""
    """The person who had it started, as far as VergeOS' log shows that."""
    diagnosis: Diagnosis | None = None
    """The last one; ``None`` or ``pending`` if the incident ended before one was made."""
    would_have_acted: datetime | None = None
    """When only the mode forbade the action."""
    acted: datetime | None = None
    helped: bool | None = None
    """``None``: no action, or its outcome is not known yet."""
    time_to_service_seconds: float | None = None
    """From the last action until the service worked again; ``None`` if that is not known."""
    avoidable_seconds: float = 0.0
    """Downtime after the action would have been taken, up to the end of the period."""
    confirmation: Confirmation | None = None
    """Whether the action was right, or would have been; ``None`` without one."""
    confirmed_by: str = ""
    """Who or what confirmed that; empty if it is not known."""
    missed: str = ""
    """Why recovery did not start a VM that a person had to start; empty if it was not so."""
    holds: tuple[Hold, ...] = ()
    """Why recovery did not act, in time order; each reason once."""
    templates: tuple[str, ...] = ()
    """Templates of the unknown log rows that blocked a diagnosis."""
    down_seconds: float = 0.0
    """Its downtime in the period."""
    with_seconds: float = 0.0
    """Its unwanted downtime in the period with recovery; in shadow mode an estimate."""
    without_seconds: float | None = 0.0
    """The same without recovery; ``None`` if it cannot be estimated."""

    @property
    def kind(self) -> DiagnosisKind:
        return (self.diagnosis or UNDIAGNOSED).kind

    @property
    def is_wrong(self) -> bool:
        return self.confirmation is Confirmation.WRONG


def incidents_of(
    records: JournalRecords,
    *,
    left_out: frozenset[str],
    since: datetime,
    until: datetime,
) -> list[Incident]:
    """
    Return the incidents of a period, oldest first, without the seconds of `scorecard`.

    What is recorded after the period still counts as what came of it.

    Args:
        left_out: UUIDs of VMs that do not count.

    """
    decisions = sorted(records.decisions, key=lambda one: one.decision.at)
    answers: dict[int, Command] = {}
    for command in sorted(records.answers, key=lambda one: one.at):
        known = answers.get(command.question or 0)
        if known is None or known.kind is not CommandKind.DENY:  # a denial is final
            answers[command.question or 0] = command
    downtimes = _downtimes(records, decisions, left_out)
    found = (
        incident
        for of_a_vm in downtimes.values()
        for incident in _incidents(of_a_vm, answers, since, until)
    )
    return sorted(
        (one for one in found if one.began < until and (one.ended is None or one.ended >= since)),
        key=lambda one: (one.began, one.vm, one.uuid),
    )


class _Downtime:
    """One downtime of a VM while its records are collected."""

    def __init__(self, first: Change | Decision, before: State | None) -> None:
        self.vm, self.vm_key, self.uuid = first.name, first.vm_key, first.uuid
        self.began, self.began_at, self.before = first.time, first.at, before
        self.ended: datetime | None = None
        self.ended_at = float("inf")
        self.after: State | None = None
        self.started_by = ""
        self.diagnosis: Diagnosis | None = None
        self.stopped_at: float | None = None
        self.templates: list[str] = []
        self.decisions: list[DecisionRecord] = []
        self.actions: list[ActionRecord] = []

    def note(self, diagnosis: Diagnosis) -> None:
        """Take note of a diagnosis."""
        if diagnosis.cause is Cause.LOGS_UNCLEAR and diagnosis.template:
            self.templates.append(diagnosis.template)

    @property
    def last_diagnosis(self) -> Diagnosis | None:
        return self.decisions[-1].decision.diagnosis if self.decisions else self.diagnosis


def _downtimes(
    records: JournalRecords, decisions: Iterable[DecisionRecord], left_out: frozenset[str]
) -> dict[str, list[_Downtime]]:
    """Return the downtimes by VM, oldest first, with the decisions and actions that they led to."""
    downtimes = _downtimes_by_changes(one for one in records.changes if one.uuid not in left_out)
    for record in decisions:
        if record.decision.uuid not in left_out:
            downtime = _downtime_of(downtimes, record.decision)
            downtime.decisions.append(record)
            downtime.note(record.decision.diagnosis)
    for action in sorted(records.actions, key=lambda one: one.intent.prepared_at):
        intent = action.intent
        for downtime in downtimes.get(intent.uuid, []) if action.sent else ():
            if downtime.began_at <= intent.prepared_at <= downtime.ended_at:
                downtime.actions.append(action)
                break
    return downtimes


def _downtimes_by_changes(changes: Iterable[Change]) -> dict[str, list[_Downtime]]:
    found: dict[str, list[_Downtime]] = {}
    for change in sorted(changes, key=lambda one: one.at):
        mine = found.setdefault(change.uuid, [])
        current = mine[-1] if mine and mine[-1].ended is None else None
        if change.after in UP or change.after in (None, State.BASELINE):
            if current is None and not mine:  # it began before the oldest record
                current = _Downtime(change, change.before)
                mine.append(current)
            if current is not None:
                current.ended, current.ended_at = change.time, change.at
                current.after, current.started_by = change.after, change.started_by
            continue
        if current is None:
            current = _Downtime(change, change.before)
            mine.append(current)
        diagnosis = change.diagnosis
        if diagnosis is not None and diagnosis.kind is not DiagnosisKind.PENDING:
            current.diagnosis = diagnosis
            current.note(diagnosis)
        if change.after is State.STOPPED and current.stopped_at is None:
            current.stopped_at = change.at
    return found


def _downtime_of(downtimes: dict[str, list[_Downtime]], decision: Decision) -> _Downtime:
    """Return the downtime that *decision* belongs to; one is only made about a VM that is down."""
    mine = downtimes.setdefault(decision.uuid, [])
    for downtime in mine:
        if decision.at < downtime.ended_at:
            if decision.at < downtime.began_at:
                downtime.began, downtime.began_at = decision.time, decision.at
            return downtime
    mine.append(_Downtime(decision, None))
    return mine[-1]


def _incidents(
    downtimes: Sequence[_Downtime], answers: Mapping[int, Command], since: datetime, until: datetime
) -> list[Incident]:
    # If only the end is recorded, it is the end of a downtime before the period.
    known = [one for one in downtimes if one.ended_at > one.began_at]
    return [
        _incident(one, after, answers, since, until) for one, after in zip_longest(known, known[1:])
    ]


def _incident(
    downtime: _Downtime,
    after: _Downtime | None,
    answers: Mapping[int, Command],
    since: datetime,
    until: datetime,
) -> Incident:
    would = _would_have_acted(downtime)
    acted = downtime.actions[0] if downtime.actions else None
    ended, end, helped = downtime.ended, _end(downtime), _helped(downtime)
    started_by = downtime.started_by if end is End.OTHER else ""
    confirmation, confirmed_by = None, ""
    decided_at = would.at if would is not None else acted.intent.prepared_at if acted else None
    if decided_at is not None:
        confirmation, confirmed_by = _confirmation(downtime, after, answers, decided_at)
    lost = 0.0
    if would is not None and confirmation is not Confirmation.WRONG:
        lost = (min(ended or until, until) - max(would.time, since)).total_seconds()
    holds = _holds(downtime.decisions, ended or until, since, until)
    diagnosis = downtime.last_diagnosis or UNDIAGNOSED
    missed = ""
    if started_by and would is None and diagnosis.kind not in NEEDS_NO_START:
        longest = max(holds, key=lambda one: one.seconds, default=None)
        missed = ACTION_FAILED if acted else longest.reason if longest else diagnosis.cause.value
    return Incident(
        vm=downtime.vm,
        vm_key=downtime.vm_key,
        uuid=downtime.uuid,
        began=downtime.began,
        ended=ended,
        end=end,
        started_by=started_by,
        diagnosis=downtime.last_diagnosis,
        would_have_acted=would.time if would is not None else None,
        acted=acted.prepared if acted is not None else None,
        helped=helped,
        time_to_service_seconds=(
            downtime.actions[-1].time_to_service_seconds if downtime.actions else None
        ),
        avoidable_seconds=max(0.0, lost),
        confirmation=confirmation,
        confirmed_by=confirmed_by,
        missed=missed,
        holds=holds,
        templates=tuple(dict.fromkeys(downtime.templates)),
    )


def _would_have_acted(downtime: _Downtime) -> Decision | None:
    """Return the first decision that only the mode forbade."""
    for record in downtime.decisions:
        decision = record.decision
        answered = decision.asks and downtime.actions
        if decision.failed_guard is GuardName.MODE_PERMITS and not answered:
            return decision
    return None


def _helped(downtime: _Downtime) -> bool | None:
    outcomes = [
        one.intent.outcome for one in downtime.actions if one.intent.action is not Action.KILL
    ]
    if not outcomes or (outcomes[-1] is None and downtime.ended is None):
        return None
    return outcomes[-1] is Outcome.CONFIRMED


def _end(downtime: _Downtime) -> End:
    if downtime.ended is None:
        return End.STILL_DOWN
    if downtime.after not in UP:
        return End.RELEASED
    if _helped(downtime):
        return End.VERGEWATCH
    diagnosis = downtime.diagnosis
    waited = diagnosis is not None and diagnosis.kind is DiagnosisKind.PLATFORM
    return End.PLATFORM if waited and not downtime.started_by else End.OTHER


def _confirmation(
    downtime: _Downtime,
    after: _Downtime | None,
    answers: Mapping[int, Command],
    decided_at: float,
) -> tuple[Confirmation, str]:
    """Return whether the action was right by what came of it, and what shows that."""
    wrong = _stopped_on_purpose(downtime, decided_at) or _undone(downtime, after)
    if wrong:
        return Confirmation.WRONG, wrong
    given = [answers[one.number] for one in downtime.decisions if one.number in answers]
    for answer in given:
        if answer.kind is CommandKind.DENY:
            return Confirmation.WRONG, f"{answer.owner} denied it: {answer.reason}"
    for answer in given:
        return Confirmation.RIGHT, f"{answer.owner} approved it: {answer.reason}"
    if _end(downtime) is End.OTHER and downtime.started_by:
        return Confirmation.RIGHT, f"{downtime.started_by} started the VM"
    return Confirmation.NOT_KNOWN, ""


def _stopped_on_purpose(downtime: _Downtime, decided_at: float) -> str:
    """Return why the VM was stopped on purpose, if that became known after the decision."""
    for record in downtime.decisions:
        decision = record.decision
        if decision.at > decided_at and decision.diagnosis.kind is DiagnosisKind.STOPPED:
            return _evidence(decision.diagnosis)
    late = downtime.stopped_at is not None and downtime.stopped_at > decided_at
    return _evidence(downtime.diagnosis) if late else ""


def _undone(downtime: _Downtime, after: _Downtime | None) -> str:
    """Return why the VM was stopped again soon after recovery started it."""
    if after is None or downtime.ended is None or _end(downtime) is not End.VERGEWATCH:
        return ""
    diagnosis = after.last_diagnosis
    stopped = diagnosis is not None and diagnosis.kind is DiagnosisKind.STOPPED
    if not stopped or after.began - downtime.ended > timedelta(seconds=UNDONE_SECONDS):
        return ""
    return f"it was stopped again right after the start: {_evidence(diagnosis)}"


def _evidence(diagnosis: Diagnosis | None) -> str:
    return (diagnosis.detail or diagnosis.cause.value) if diagnosis is not None else ""


def _holds(
    records: Sequence[DecisionRecord], ended: datetime, since: datetime, until: datetime
) -> tuple[Hold, ...]:
    """Return why recovery did not act, each reason with its time in the period."""
    seconds: dict[str, float] = {}
    times = [*(one.decision.time for one in records), ended]
    for record, (began, over) in zip(records, pairwise(times), strict=True):
        reason = _reason(record.decision)
        if reason:
            inside = (min(over, until) - max(began, since)).total_seconds()
            seconds[reason] = seconds.get(reason, 0.0) + max(0.0, inside)
    return tuple(Hold(*one) for one in seconds.items())


def _reason(decision: Decision) -> str:
    """Return why a VM that may have to be started is not; empty if that is not so."""
    guard = decision.failed_guard
    if decision.diagnosis.kind in NEEDS_NO_START or guard in NO_HOLD:
        return ""
    return decision.diagnosis.cause if guard is GuardName.CRASHED else str(guard)

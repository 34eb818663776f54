"""
What recovery did in a period or, in shadow mode, would have done.

For shadow mode the summary answers: which VMs would have been restarted and when, how much later
they came back without Vergewatch, and which restarts would have been wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest
from statistics import median

import msgspec

from exporter.recovery.model.cases import UNDIAGNOSED, Action, Diagnosis, DiagnosisKind, Outcome
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, JournalRecords
from exporter.recovery.model.states import State
from exporter.recovery.observe.lifecycle import UP


class End(StrEnum):
    """How an incident ended."""

    STILL_DOWN = "still down"
    VERGEWATCH = "started by Vergewatch"
    OTHER = "started without Vergewatch"
    """By an operator, the guest or a script."""
    PLATFORM = "started by VergeOS"
    """By high availability."""
    RELEASED = "no longer monitored"


class Incident(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One downtime of a VM."""

    vm: str
    vm_key: int
    uuid: str
    began: datetime
    ended: datetime | None = None
    end: End = End.STILL_DOWN
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
    wrong: str = ""
    """Why the action was wrong, as it turned out later; empty if it was not."""
    held_by: tuple[str, ...] = ()
    """The guards that forbade the action although the crash was proven, in time order."""


class RecoverySummary(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The summary of one system in a period."""

    system: str
    mode: str
    since: datetime
    until: datetime
    incidents: tuple[Incident, ...] = ()
    """Oldest first."""
    diagnoses: Mapping[str, int] = {}
    """Incidents by diagnosis; ``pending`` if they ended before one was made."""
    would_have_acted: int = 0
    recovered_otherwise: int = 0
    """Incidents of these that ended without Vergewatch."""
    still_down: int = 0
    """Incidents of these that have not ended."""
    avoidable_seconds: float = 0.0
    wrong: int = 0
    unknown: Mapping[str, int] = {}
    """Incidents with an unknown cause, by the reason why it is unknown."""
    held_by: Mapping[str, int] = {}
    """Proven crashes on which a guard forbade the action, by guard."""
    acted: int = 0
    helped: int = 0
    failed: int = 0
    not_enrolled: Mapping[str, int] = {}
    """Crashes of VMs that are not enrolled, by name."""
    recovery_seconds: float | None = None
    """Median downtime of the VMs that Vergewatch restarted."""
    worst_recovery_seconds: float | None = None
    time_to_service_seconds: float | None = None
    """Median time from an action until the service of the VM worked again."""


def summarize(
    records: JournalRecords,
    *,
    system: str,
    mode: str,
    since: datetime,
    until: datetime,
    monitored: frozenset[str] = frozenset(),
) -> RecoverySummary:
    """
    Return the summary of *records*.

    Args:
        monitored: UUIDs of the VMs that are monitored only. One of them still counts if a
            decision shows that it was enrolled in the period.

    """
    decisions = sorted((one.decision for one in records.decisions), key=lambda one: one.at)
    enrolled = {one.uuid for one in decisions if one.failed_guard is not GuardName.ENROLLED}
    crashed = (
        one.name
        for one in decisions
        if one.failed_guard is GuardName.ENROLLED and one.diagnosis.kind is DiagnosisKind.CRASHED
        if one.uuid not in enrolled  # else its tags were unreadable for a moment
    )
    downtimes = _downtimes(records, decisions, monitored - enrolled, until)
    found = (one for of_a_vm in downtimes.values() for one in _incidents(of_a_vm, until))
    incidents = sorted(
        (one for one in found if one.ended is None or one.ended >= since),
        key=lambda one: (one.began, one.vm, one.uuid),
    )
    would = [one for one in incidents if one.would_have_acted is not None]
    acted = [one for one in incidents if one.acted is not None]
    took = [
        (one.ended - one.began).total_seconds()
        for one in acted
        if one.end is End.VERGEWATCH and one.ended is not None
    ]
    served = [
        one.time_to_service_seconds for one in acted if one.time_to_service_seconds is not None
    ]
    diagnoses = [one.diagnosis or UNDIAGNOSED for one in incidents]
    return RecoverySummary(
        system=system,
        mode=mode,
        since=since,
        until=until,
        incidents=tuple(incidents),
        diagnoses=_counts(one.kind for one in diagnoses),
        would_have_acted=len(would),
        recovered_otherwise=sum(one.end in (End.OTHER, End.PLATFORM) for one in would),
        still_down=sum(one.end is End.STILL_DOWN for one in would),
        avoidable_seconds=sum(one.avoidable_seconds for one in would),
        wrong=sum(bool(one.wrong) for one in incidents),
        unknown=_counts(one.cause for one in diagnoses if one.kind is DiagnosisKind.UNKNOWN),
        held_by=_counts(guard for one in incidents for guard in one.held_by),
        acted=len(acted),
        helped=sum(one.helped is True for one in acted),
        failed=sum(one.helped is False for one in acted),
        not_enrolled=_counts(crashed),
        recovery_seconds=median(took) if took else None,
        worst_recovery_seconds=max(took, default=None),
        time_to_service_seconds=median(served) if served else None,
    )


def _counts(words: Iterable[str]) -> dict[str, int]:
    return {str(word): count for word, count in Counter(words).most_common()}


class _Downtime:
    """One downtime of a VM while its records are collected."""

    def __init__(self, first: Change | Decision, before: State | None) -> None:
        self.vm, self.vm_key, self.uuid = first.name, first.vm_key, first.uuid
        self.began, self.began_at, self.before = first.time, first.at, before
        self.ended: datetime | None = None
        self.ended_at = float("inf")
        self.after: State | None = None
        self.diagnosis: Diagnosis | None = None
        self.stopped_at: float | None = None
        self.decisions: list[Decision] = []
        self.actions: list[ActionRecord] = []


def _downtimes(
    records: JournalRecords,
    decisions: Iterable[Decision],
    left_out: frozenset[str],
    until: datetime,
) -> dict[str, list[_Downtime]]:
    """Return the downtimes by VM, oldest first, with the decisions and actions that they led to."""
    downtimes = _downtimes_by_changes(
        one for one in records.changes if one.uuid not in left_out and one.time <= until
    )
    for decision in decisions:
        if decision.uuid not in left_out:
            _downtime_of(downtimes, decision).decisions.append(decision)
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
                current.after = change.after
            continue
        if current is None:
            current = _Downtime(change, change.before)
            mine.append(current)
        diagnosis = change.diagnosis
        if diagnosis is not None and diagnosis.kind is not DiagnosisKind.PENDING:
            current.diagnosis = diagnosis
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


def _incidents(downtimes: Sequence[_Downtime], until: datetime) -> list[Incident]:
    # If only the end is recorded, it is the end of a downtime before the period.
    known = [one for one in downtimes if one.ended_at > one.began_at]
    return [_incident(one, after, until) for one, after in zip_longest(known, known[1:])]


def _incident(downtime: _Downtime, after: _Downtime | None, until: datetime) -> Incident:
    would = next(
        (
            one
            for one in downtime.decisions
            if one.failed_guard is GuardName.MODE_PERMITS and not (one.asks and downtime.actions)
        ),
        None,
    )
    acted = downtime.actions[0] if downtime.actions else None
    ended = downtime.ended
    wrong = ""
    decided_at = would.at if would is not None else acted.intent.prepared_at if acted else None
    if decided_at is not None:
        wrong = _stopped_on_purpose(downtime, decided_at) or _undone(after)
    lost = ((ended or until) - would.time).total_seconds() if would is not None else 0.0
    return Incident(
        vm=downtime.vm,
        vm_key=downtime.vm_key,
        uuid=downtime.uuid,
        began=downtime.began,
        ended=ended,
        end=_end(downtime),
        diagnosis=downtime.decisions[-1].diagnosis if downtime.decisions else downtime.diagnosis,
        would_have_acted=would.time if would is not None else None,
        acted=acted.prepared if acted is not None else None,
        helped=_helped(downtime),
        time_to_service_seconds=(
            downtime.actions[-1].time_to_service_seconds if downtime.actions else None
        ),
        avoidable_seconds=0.0 if wrong else max(0.0, lost),
        wrong=wrong,
        held_by=tuple(
            dict.fromkeys(
                one.failed_guard.value
                for one in downtime.decisions
                if one.diagnosis.kind is DiagnosisKind.CRASHED
                and one.failed_guard is not None
                and one.failed_guard not in (GuardName.MODE_PERMITS, GuardName.NO_OPEN_ACTION)
            )
        ),
    )


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
    return End.PLATFORM if waited else End.OTHER


def _stopped_on_purpose(downtime: _Downtime, decided_at: float) -> str:
    """Return why the VM was stopped on purpose, if that became known after the decision."""
    for decision in downtime.decisions:
        if decision.at > decided_at and decision.diagnosis.kind is DiagnosisKind.STOPPED:
            return _evidence(decision.diagnosis)
    late = downtime.stopped_at is not None and downtime.stopped_at > decided_at
    return _evidence(downtime.diagnosis) if late else ""


def _undone(after: _Downtime | None) -> str:
    """Return why the VM was stopped again right after it came up."""
    if after is None or after.before is not State.PROBATION or after.stopped_at is None:
        return ""
    return f"it was stopped again right after the start: {_evidence(after.diagnosis)}"


def _evidence(diagnosis: Diagnosis | None) -> str:
    return (diagnosis.detail or diagnosis.cause.value) if diagnosis is not None else ""

"""
What recovery did over a stretch of time, or would have done: the account that it is judged by.

Shadow mode is there to be read: what it would have started and when, who did it instead and how
much later, and where it would have been wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from exporter.formatting import counted, lasting
from exporter.recovery.model.cases import Action, DiagnosisKind, Outcome
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.ports import Change
from exporter.recovery.model.states import State
from exporter.recovery.observe.lifecycle import UP
from exporter.recovery.report.events import Attempt, Numbered, judged_so

NAMES_AT_MOST = 10


class End(StrEnum):
    """How a VM's trouble ended."""

    STILL_DOWN = "still down"
    VERGEWATCH = "started by Vergewatch"
    SOMEBODY = "started by somebody else"
    """A person, the guest or a script."""
    PLATFORM = "started by VergeOS"
    """Its own high availability had the VM in hand."""
    RELEASED = "not looked after any longer"


class Incident(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One VM's trouble, from its going down to its coming up."""

    vm: str
    vm_key: int
    uuid: str
    began: datetime
    ended: datetime | None = None
    end: End = End.STILL_DOWN
    kind: str = ""
    """The last one; empty where it was over before there was any."""
    cause: str = ""
    detail: str = ""
    would_have: datetime | None = None
    """When nothing but the mode stood against starting it."""
    acted: datetime | None = None
    helped: bool | None = None
    """``None``: nothing was done, or its outcome is not known yet."""
    lost_seconds: float = 0.0
    """From when it would have been started to its coming up, or to the end of the account."""
    wrong: str = ""
    """Why it should not be, or have been, started, as it turned out; empty where it should."""
    held_by: tuple[str, ...] = ()
    """The guards that forbade to act although the crash was proven, in the order of their saying
    so."""


class RecoverySummary(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The sum of it for one cloud."""

    system: str
    mode: str
    since: datetime
    until: datetime
    incidents: tuple[Incident, ...] = ()
    """Oldest first."""
    rulings: Mapping[str, int] = {}
    """Incidents by what they came to; ``confirming`` where they were over too soon to say."""
    would_have: int = 0
    somebody_first: int = 0
    """Of these, how many came back without Vergewatch."""
    still_down: int = 0
    """And how many did not come back yet."""
    lost_seconds: float = 0.0
    wrong: int = 0
    unknown: Mapping[str, int] = {}
    """Incidents that nobody could explain, by cause."""
    held_by: Mapping[str, int] = {}
    """Incidents whose crash was proven and that a guard held back, by guard."""
    acted: int = 0
    helped: int = 0
    failed: int = 0
    not_enrolled: Mapping[str, int] = {}
    """Crashes of VMs that nobody enrolled, by name: what recovery could have started besides."""
    recovery_seconds: float | None = None
    """From going down to being up again, where Vergewatch helped: the median."""
    worst_recovery_seconds: float | None = None


class Records(NamedTuple):
    """A stretch of the journal, in any order."""

    changes: Iterable[Change]
    decisions: Iterable[Numbered]
    attempts: Iterable[Attempt]


def account(
    records: Records,
    *,
    system: str,
    mode: str,
    since: datetime,
    until: datetime,
    strangers: frozenset[str] = frozenset(),
) -> RecoverySummary:
    """
    Return the account of what *records* tell.

    Args:
        strangers: The uuids of VMs that nobody enrolled; one counts all the same from when
            something was decided about it for which somebody must have enrolled it.

    """
    decisions = sorted((one.decision for one in records.decisions), key=lambda one: one.at)
    ours = {one.uuid for one in decisions if one.failed_guard is not GuardName.ENROLLED}
    strange = strangers - ours
    spells = _spells((one for one in records.changes if one.uuid not in strange), until)
    for decision in decisions:
        if decision.uuid not in strange:
            _spell_of(spells, decision).decisions.append(decision)
    for attempt in sorted(records.attempts, key=lambda one: one.intent.prepared_at):
        intent = attempt.intent
        if intent.sent_at is None or intent.outcome is Outcome.ABANDONED:
            continue
        for spell in spells.get(intent.uuid, []):
            if spell.began_at <= intent.prepared_at <= spell.ended_at:
                spell.attempts.append(attempt)
                break
    incidents = [
        incident
        for of_a_vm in spells.values()
        for incident in _incidents([one for one in of_a_vm if one.is_known], until)
        if incident.ended is None or incident.ended >= since
    ]
    incidents.sort(key=lambda one: (one.began, one.vm, one.uuid))
    crashed = Counter(
        one.name
        for one in decisions
        if one.failed_guard is GuardName.ENROLLED and one.diagnosis.kind is DiagnosisKind.CRASHED
        if one.uuid not in ours  # whose tags could not be read for a moment
    )
    summed = _summed(incidents, system=system, mode=mode, since=since, until=until)
    return replace(summed, not_enrolled=dict(crashed.most_common()))


class _Spell:
    """A stretch of one VM's trouble, while its records are put together."""

    def __init__(self, first: Change | Decision, before: State | None) -> None:
        self.vm, self.vm_key, self.uuid = first.name, first.vm_key, first.uuid
        self.began, self.began_at, self.before = first.time, first.at, before
        self.ended: datetime | None = None
        self.ended_at = float("inf")
        self.after: State | None = None
        self.kind, self.cause, self.detail = "", "", ""
        self.intended_at: float | None = None
        self.decisions: list[Decision] = []
        self.attempts: list[Attempt] = []

    @property
    def is_known(self) -> bool:
        """Whether there is more to tell than that it ended."""
        return self.ended_at > self.began_at


def _spells(changes: Iterable[Change], until: datetime) -> dict[str, list[_Spell]]:
    found: dict[str, list[_Spell]] = {}
    for change in sorted(changes, key=lambda one: one.at):
        if change.time > until:
            continue
        mine = found.setdefault(change.uuid, [])
        current = mine[-1] if mine and mine[-1].ended is None else None
        if change.after in UP or change.after in (None, State.BASELINE):
            if current is None and not mine:  # it began before there were records
                current = _Spell(change, change.before)
                mine.append(current)
            if current is not None:
                current.ended, current.ended_at = change.time, change.at
                current.after = change.after
            continue
        if current is None:
            current = _Spell(change, change.before)
            mine.append(current)
        diagnosis = judged_so(change.detail)
        if diagnosis is not None:
            current.cause, current.detail = diagnosis.cause.value, diagnosis.detail
        current.kind = _RULINGS.get(change.after, current.kind)
        if change.after is State.STOPPED and current.intended_at is None:
            current.intended_at = change.at
    return found


_RULINGS: Mapping[State | None, str] = {
    State.STOPPED: DiagnosisKind.STOPPED.value,
    State.UNKNOWN: DiagnosisKind.UNKNOWN.value,
    State.PLATFORM: DiagnosisKind.PLATFORM.value,
    **dict.fromkeys(
        (State.HELD, State.BACKOFF, State.ACTING, State.VERIFYING, State.INDETERMINATE),
        DiagnosisKind.CRASHED.value,
    ),
}
"""What a state says of the cause."""


def _spell_of(spells: dict[str, list[_Spell]], decision: Decision) -> _Spell:
    """Return the trouble that *decision* is about: nobody decides on a VM that is up."""
    mine = spells.setdefault(decision.uuid, [])
    for spell in mine:
        if decision.at < spell.ended_at:
            if decision.at < spell.began_at:
                spell.began, spell.began_at = decision.time, decision.at
            return spell
    mine.append(_Spell(decision, None))
    return mine[-1]


def _incidents(spells: Sequence[_Spell], until: datetime) -> list[Incident]:
    found = []
    for number, spell in enumerate(spells):
        after = spells[number + 1] if number + 1 < len(spells) else None
        found.append(_incident(spell, after, until))
    return found


def _incident(spell: _Spell, after: _Spell | None, until: datetime) -> Incident:
    decided = spell.decisions[-1].diagnosis if spell.decisions else None
    would = next(
        (one for one in spell.decisions if one.failed_guard is GuardName.MODE_ENFORCE), None
    )
    acted = spell.attempts[0] if spell.attempts else None
    ended = spell.ended
    wrong = ""
    ground = would.at if would is not None else acted.intent.prepared_at if acted else None
    if ground is not None:
        wrong = _turned_out(spell, ground) or _undone(after)
    lost = ((ended or until) - would.time).total_seconds() if would is not None else 0.0
    return Incident(
        vm=spell.vm,
        vm_key=spell.vm_key,
        uuid=spell.uuid,
        began=spell.began,
        ended=ended,
        end=_end(spell),
        kind=decided.kind.value if decided is not None else spell.kind,
        cause=decided.cause.value if decided is not None else spell.cause,
        detail=decided.detail if decided is not None else spell.detail,
        would_have=would.time if would is not None else None,
        acted=acted.prepared if acted is not None else None,
        helped=_helped(spell),
        lost_seconds=0.0 if wrong else max(0.0, lost),
        wrong=wrong,
        held_by=tuple(
            dict.fromkeys(
                one.failed_guard.value
                for one in spell.decisions
                if one.diagnosis.kind is DiagnosisKind.CRASHED
                and one.failed_guard is not None
                and one.failed_guard not in (GuardName.MODE_ENFORCE, GuardName.NO_OPEN_ACTION)
            )
        ),
    )


def _helped(spell: _Spell) -> bool | None:
    outcomes = [
        one.intent.outcome for one in spell.attempts if one.intent.action is not Action.KILL
    ]
    if not outcomes or (outcomes[-1] is None and spell.ended is None):
        return None
    return outcomes[-1] is Outcome.CONFIRMED


def _end(spell: _Spell) -> End:
    if spell.ended is None:
        return End.STILL_DOWN
    if spell.after not in UP:
        return End.RELEASED
    if _helped(spell):
        return End.VERGEWATCH
    return End.PLATFORM if spell.kind == DiagnosisKind.PLATFORM else End.SOMEBODY


def _turned_out(spell: _Spell, ground: float) -> str:
    """Return why the VM was down on purpose, where that was learnt only after the decision."""
    for decision in spell.decisions:
        if decision.at > ground and decision.diagnosis.kind is DiagnosisKind.STOPPED:
            return decision.diagnosis.detail or decision.diagnosis.cause.value
    if spell.intended_at is not None and spell.intended_at > ground:
        return spell.detail or spell.cause
    return ""


def _undone(after: _Spell | None) -> str:
    """Return why somebody stopped the VM again as soon as it was up."""
    if after is None or after.before is not State.PROBATION or after.intended_at is None:
        return ""
    return f"it was stopped again at once: {after.detail or after.cause}"


def _summed(
    incidents: Sequence[Incident], *, system: str, mode: str, since: datetime, until: datetime
) -> RecoverySummary:
    would = [one for one in incidents if one.would_have is not None]
    acted = [one for one in incidents if one.acted is not None]
    took = [
        (one.ended - one.began).total_seconds()
        for one in acted
        if one.end is End.VERGEWATCH and one.ended is not None
    ]
    unknown = Counter(one.cause for one in incidents if one.kind == DiagnosisKind.UNKNOWN)
    held = Counter(guard for one in incidents for guard in one.held_by)
    return RecoverySummary(
        system=system,
        mode=mode,
        since=since,
        until=until,
        incidents=tuple(incidents),
        rulings=dict(
            Counter(one.kind or DiagnosisKind.PENDING.value for one in incidents).most_common()
        ),
        would_have=len(would),
        somebody_first=sum(one.end in (End.SOMEBODY, End.PLATFORM) for one in would),
        still_down=sum(one.end is End.STILL_DOWN for one in would),
        lost_seconds=sum(one.lost_seconds for one in would),
        wrong=sum(bool(one.wrong) for one in incidents),
        unknown=dict(unknown.most_common()),
        held_by=dict(held.most_common()),
        acted=len(acted),
        helped=sum(one.helped is True for one in acted),
        failed=sum(one.helped is False for one in acted),
        recovery_seconds=median(took) if took else None,
        worst_recovery_seconds=max(took, default=None),
    )


# In words.


def tell(account: RecoverySummary) -> str:
    """Return *account* as text, a line for each thing that a person wants to know."""
    period = f"{account.since:%Y-%m-%d %H:%M} to {account.until:%Y-%m-%d %H:%M} UTC"
    return "\n".join(
        [
            f"{account.system}, {period}, mode {account.mode}",
            *(f"  {line}" for line in _totals(account)),
            *(
                f"  {tell_incident(one, account.until)}"
                for one in account.incidents
                if _matters(one)
            ),
        ]
    )


def _matters(incident: Incident) -> bool:
    """Return whether *incident* is worth a line: stops that were meant, and blips, are not."""
    meant = incident.kind in ("", DiagnosisKind.STOPPED, DiagnosisKind.PENDING)
    return bool(incident.would_have or incident.acted or incident.wrong) or not meant


def _totals(account: RecoverySummary) -> list[str]:
    if not account.incidents:
        return ["nothing happened to any VM that is looked after", *_strangers(account)]
    rulings = ", ".join(f"{number} {kind}" for kind, number in account.rulings.items())
    lines = [f"{counted(len(account.incidents), 'incident')}: {rulings}"]
    if account.would_have:
        lines.append(
            f"would have acted in {account.would_have}: somebody else did in "
            f"{account.somebody_first}, {account.still_down} still down; "
            f"{lasting(account.lost_seconds)} would have been saved"
        )
    if account.acted:
        line = f"acted in {account.acted}: helped in {account.helped}, failed in {account.failed}"
        if account.recovery_seconds is not None and account.worst_recovery_seconds is not None:
            line += (
                f"; up again after {lasting(account.recovery_seconds)} (median), "
                f"{lasting(account.worst_recovery_seconds)} at worst"
            )
        lines.append(line)
    if account.would_have or account.acted:
        lines.append(f"wrong in {account.wrong}")
    for what, counts in (("unknown", account.unknown), ("held back by", account.held_by)):
        if counts:
            lines.append(f"{what}: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    return [*lines, *_strangers(account)]


def _strangers(account: RecoverySummary) -> list[str]:
    """Return the line that tells of crashes of VMs that nobody enrolled, if there were some."""
    crashed = list(account.not_enrolled.items())
    if not crashed:
        return []
    named = ", ".join(f"{name} {n}" for name, n in crashed[:NAMES_AT_MOST])
    more = f" and {len(crashed) - NAMES_AT_MOST} more" * (len(crashed) > NAMES_AT_MOST)
    return [f"crashed without anybody having enrolled them: {named}{more}"]


def tell_incident(incident: Incident, until: datetime) -> str:
    """Return *incident* in a sentence."""
    parts = [f"{incident.began:%Y-%m-%d %H:%M:%S} {incident.vm}: {_what(incident)}"]
    if incident.would_have is not None:
        waited = (incident.would_have - incident.began).total_seconds()
        parts.append(f"would have been started at {incident.would_have:%H:%M:%S} "
                     f"(after {lasting(waited)})")  # fmt: skip
    if incident.acted is not None:
        how = {True: "which helped", False: "which did not help", None: "not known what came of it"}
        parts.append(f"acted at {incident.acted:%H:%M:%S}, {how[incident.helped]}")
    if incident.ended is None:
        parts.append(f"still down after {lasting((until - incident.began).total_seconds())}")
    else:
        how_it_ended: str = incident.end
        if incident.end is End.SOMEBODY and incident.cause == "hung":
            how_it_ended = "well again without Vergewatch"
        parts.append(f"{how_it_ended} at {_at(incident.ended, incident.began)}")
    if incident.lost_seconds:
        parts.append(f"{lasting(incident.lost_seconds)} lost")
    if incident.wrong:
        parts.append(f"that would have been wrong, {incident.wrong}" if incident.acted is None
                     else f"that was wrong, {incident.wrong}")  # fmt: skip
    if incident.held_by and incident.acted is None and incident.would_have is None:
        parts.append(f"held back by {', '.join(incident.held_by)}")
    return "; ".join(parts)


def _what(incident: Incident) -> str:
    if not incident.kind or incident.kind == DiagnosisKind.PENDING:
        return "down for too short a time to diagnose"
    if incident.kind == DiagnosisKind.CRASHED:
        return "hung" if incident.cause == "hung" else "crashed"
    return f"{incident.kind} ({incident.cause})"


def _at(moment: datetime, other: datetime) -> str:
    return f"{moment:%H:%M:%S}" if moment.date() == other.date() else f"{moment:%Y-%m-%d %H:%M:%S}"

"""
Log evidence: whether the rows of VergeOS' logs explain why a VM went down.

The rows since the VM's last start are judged one by one, by the order of their keys:

- A known stop of this VM explains it, whenever it was written: VergeOS may write it late.
- A known stop of its node explains it, unless the node left maintenance while the VM was up.
- Any other row explains it only if it was written before the VM was seen down. What is not known
  makes the diagnosis ``unknown``: a row about the VM, and a row by a person about its node, its
  cluster or no single object.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import NamedTuple

from exporter.formatting import time_of_day
from exporter.recovery.detect.context import DiagnosisContext
from exporter.recovery.detect.log_patterns import STOPS, LogClassifier, Meaning
from exporter.recovery.detect.templates import has_name, template
from exporter.recovery.model.cases import (
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    ObservedState,
    Policy,
)
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.log_templates import RowSource
from exporter.recovery.model.platform_log import LogRow, LogTable, is_cut

MAX_QUOTED = 300
"""Characters of a row that a text quotes."""
QUOTED_NAME = re.compile(r"'([^']*)'|\"([^\"]*)\"")
CAUSE_OF_STOP = {
    Meaning.STOP: Cause.STOPPED_BY_PERSON,
    Meaning.NODE: Cause.STOPPED_BY_PERSON,
    Meaning.TASK: Cause.STOPPED_BY_TASK,
    Meaning.GUEST_STOP: Cause.STOPPED_BY_GUEST,
}


WITHOUT_EFFECT = (Meaning.HARMLESS, Meaning.CRASH)
"""Meanings of rows that explain nothing."""


class Subject(Enum):
    """What a row is about."""

    VM = auto()
    PLACE = auto()
    """Its node or its cluster."""
    MANY = auto()
    """No single object: the row may be about many VMs."""


class JudgedRow(NamedTuple):
    """A row with its template and what that means."""

    row: LogRow
    subject: Subject
    template: str
    meaning: Meaning | None
    by_person: bool
    while_up: bool
    """Whether it was written when the VM was last seen up, or earlier."""
    after_down: bool
    """Whether it was written after the VM was seen down."""
    ours: bool
    surely_about_vm: bool
    """Whether it tells the VM by its machine, and not by a name that other VMs may have."""


def diagnose_from_logs(
    case: Case, about: DiagnosisContext, limits: Limits, classifier: LogClassifier
) -> Diagnosis | None:
    """Return what the first row shows that explains it, or else the first doubt."""
    rows = _judged_once(case, about, limits, classifier)
    # What else a result depends on, where it depends neither on the time nor on other VMs.
    key = (
        about.policy,
        about.started_at,
        case.up_clock,
        bool(case.attempts),
        case.observed,
        case.kill_unanswered,
        case.kill_failed,
    )
    memo = about.logs.memo if about.logs is not None else None
    if memo is None or not memo["lasts"]:
        return _diagnosed(rows, case, about, limits)
    results: dict[object, Diagnosis | None] = memo["results"]
    if key not in results:
        results[key] = _diagnosed(rows, case, about, limits)
    return results[key]


def _diagnosed(
    rows: Sequence[JudgedRow], case: Case, about: DiagnosisContext, limits: Limits
) -> Diagnosis | None:
    since_start = [
        judged
        for table in LogTable
        for judged in _still_valid([one for one in rows if one.row.table is table])
    ]
    doubt: Diagnosis | None = None
    for judged in since_start:
        if doubt is not None and judged.meaning not in STOPS:
            continue  # only a stop outweighs the first doubt
        diagnosis = _diagnosis(judged, case, about, limits)
        if diagnosis is not None and diagnosis.kind is DiagnosisKind.STOPPED:
            later = _started_since(judged, rows, case, about)
            if not later:
                return diagnosis
            diagnosis = _unknown(Cause.START_FAILED, judged, later)
        doubt = doubt or diagnosis
    return doubt or _despite_guest_stop(since_start, case, about)


def _judged_once(
    case: Case, about: DiagnosisContext, limits: Limits, classifier: LogClassifier
) -> list[JudgedRow]:
    """Return the judged rows that may matter, from the memo of the evidence if it has them."""
    if about.logs is None:
        return []
    memo = about.logs.memo if about.logs.memo is not None else {}
    key = (
        case.name,
        case.former_names,
        (case.log_up, case.log_down, case.killed_position, case.killed_at, case.killed_until),
        classifier,
        about.places,
        about.name_is_shared,
        about.users,
        len(about.logs.rows),
    )
    if memo.get("key") != key:
        judged = _judged(about.logs.rows, case, about, limits, classifier)
        rows = [one for one in judged if one.meaning not in WITHOUT_EFFECT]
        lasts = not any(one.meaning is Meaning.RESET or one.subject is Subject.MANY for one in rows)
        memo |= {"key": key, "rows": rows, "lasts": lasts, "results": {}}
    found: list[JudgedRow] = memo["rows"]
    return found


def _judged(
    rows: Iterable[LogRow],
    case: Case,
    about: DiagnosisContext,
    limits: Limits,
    classifier: LogClassifier,
) -> list[JudgedRow]:
    found = []
    our_kills = 0
    for row in rows:
        is_readable = "text" not in row.unreadable
        names = (case.name, *case.former_names, row.object_name, row.user)
        text = template(row.text, names, about.places) if is_readable else ""
        subject = _subject(row, case)
        # What cannot be read may be by a person, and a stop.
        by_person = bool(row.unreadable) or not about.users.is_system(row.user)
        source = _source(subject, by_person=by_person)
        meaning = classifier.meaning_of_row(text, source) if is_readable else Meaning.DOUBT
        judged = JudgedRow(
            row,
            subject,
            text,
            meaning,
            by_person,
            while_up=case.log_up is not None and case.log_up.includes(row),
            after_down=case.log_down is not None and not case.log_down.includes(row),
            ours=False,
            surely_about_vm=row.table is LogTable.MACHINE_LOGS or not about.name_is_shared,
        )
        if _may_be_our_kill(judged, case, about, limits, our_kills):
            our_kills += row.table is LogTable.MACHINE_LOGS
            judged = judged._replace(ours=True)
        found.append(judged)
    return found


def _subject(row: LogRow, case: Case) -> Subject:
    if row.table is LogTable.MACHINE_LOGS:
        if row.machine is None:
            return Subject.MANY
        return Subject.VM if row.machine == case.machine else Subject.PLACE
    if row.object_type == "vm" and row.object_name in (case.name, *case.former_names):
        return Subject.VM
    return Subject.PLACE if row.object_type in ("node", "cluster") else Subject.MANY


def _source(subject: Subject, *, by_person: bool) -> RowSource | None:
    """Return the source that experience knows such rows by; None for rows about places."""
    if subject is Subject.VM:
        return RowSource.PERSON if by_person else RowSource.SYSTEM
    return RowSource.MANY if subject is Subject.MANY and by_person else None


def _may_be_our_kill(
    judged: JudgedRow, case: Case, about: DiagnosisContext, limits: Limits, our_kills: int
) -> bool:
    """
    Return whether *judged* is the row of our kill.

    Where our name in VergeOS' log is not known, the first row of a kill that is read soon after
    ours was sent is taken for it: another user may kill the VM at the same time.
    """
    sent, sent_at = case.killed_position, case.killed_at
    if (
        sent is None
        or sent_at is None
        or judged.subject is not Subject.VM
        or sent.includes(judged.row)
    ):
        return False
    if about.users.own:
        is_own = about.users.is_own(judged.row.user)
        return is_own and (judged.meaning is None or "'kill'" in judged.template)
    is_first = judged.row.table is LogTable.LOGS or not our_kills
    # An earlier process may have read it.
    was_read = case.killed_until is not None and case.killed_until.includes(judged.row)
    is_soon = was_read or judged.row.read_at <= sent_at + limits.verify_reset_seconds
    return is_soon and judged.by_person and "'kill'" in judged.template and is_first


def _still_valid(rows: Sequence[JudgedRow]) -> Sequence[JudgedRow]:
    """Return the rows of one log since its last start, without maintenance that was over."""
    found = []
    left = set()
    for judged in reversed(_since_last_start(rows)):
        place = judged.row.machine, judged.row.object_type, judged.row.object_name
        if judged.subject is Subject.PLACE and judged.meaning is Meaning.START and judged.while_up:
            left.add(place)
        if not (place in left and judged.meaning in STOPS):
            found.append(judged)
    return found[::-1]


def _since_last_start(rows: Sequence[JudgedRow]) -> Sequence[JudgedRow]:
    """
    Return the rows of one log since the VM's last start, if that is logged.

    A start counts only if it was written by the time the VM was last seen up. A later one,
    perhaps ours, shows nothing about why it was needed.
    """
    starts = [
        position
        for position, judged in enumerate(rows)
        if judged.subject is Subject.VM and judged.meaning is Meaning.START and judged.while_up
        if judged.surely_about_vm
    ]
    return rows[max(starts, default=0) :]


def _diagnosis(
    judged: JudgedRow, case: Case, about: DiagnosisContext, limits: Limits
) -> Diagnosis | None:
    """Return what one row shows; None if it is no reason."""
    if judged.ours:
        if case.kill_unanswered and not about.users.own:
            return _unknown(Cause.LOGS_UNCLEAR, judged, "which may be ours: the reply was lost")
        return None
    match judged.subject:
        case Subject.VM:
            return _by_vm_row(judged, case, about, limits)
        case Subject.PLACE:
            return _by_place_row(judged)
        case Subject.MANY:
            others = _names_other_vms(judged.row, case, about)
            return None if others else _by_row_about_many(judged)


def _by_vm_row(
    judged: JudgedRow, case: Case, about: DiagnosisContext, limits: Limits
) -> Diagnosis | None:
    meaning = judged.meaning
    if meaning is Meaning.GUEST_STOP and about.policy is Policy.ALWAYS:
        return None
    if meaning in STOPS:
        if not judged.surely_about_vm:
            return _unknown(Cause.LOGS_UNCLEAR, judged, "which may be about another VM of its name")
        return _stopped(judged)
    if meaning is None or meaning is Meaning.DOUBT:
        # What the platform writes once it is down is about what followed.
        consequence = judged.after_down and not judged.by_person
        return None if consequence or _echoes_our_kill(judged, case) else _unclear(judged)
    if meaning is Meaning.RESET and not judged.by_person and case.observed is ObservedState.DOWN:
        elapsed = about.at - judged.row.read_at
        if elapsed < limits.platform_seconds:
            detail = f"{quoted(judged.row)}: the platform has its time to start it"
            return Diagnosis(
                DiagnosisKind.PLATFORM, Cause.RESET_SHORTLY_BEFORE, detail, judged.template
            )
    return _by_other_user(judged, case, about)


def _echoes_our_kill(judged: JudgedRow, case: Case) -> bool:
    """Return whether the platform wrote it after a kill of ours that was about to have effect."""
    sent = None if case.kill_failed else case.killed_position
    return sent is not None and not sent.includes(judged.row) and not judged.by_person


def _by_other_user(judged: JudgedRow, case: Case, about: DiagnosisContext) -> Diagnosis | None:
    """Return ``unknown`` if another user or the platform acted on it since it was seen up."""
    if judged.while_up or case.log_up is None:
        return None
    users = about.users
    is_other = judged.by_person and bool(users.own) and not users.is_own(judged.row.user)
    match judged.meaning:
        case Meaning.START | Meaning.RESET | Meaning.MOVE if is_other:
            return _unknown(Cause.START_FAILED, judged, "by another user")
        case Meaning.PLATFORM:
            return _unknown(Cause.START_FAILED, judged, "by the platform")
        case Meaning.MOVE:
            return _unknown(Cause.MIGRATED_SHORTLY_BEFORE, judged, "so its node is not known")
    return None


def _by_place_row(judged: JudgedRow) -> Diagnosis | None:
    if judged.after_down:
        return None  # what is done to its node once it is down is no cause of it
    if judged.meaning in STOPS:
        if judged.while_up:
            return _stopped(judged)
        return _unknown(Cause.LOGS_UNCLEAR, judged, "at about the time when it went down")
    # The platform writes a lot about nodes; people do not.
    is_unclear = judged.meaning is None or judged.meaning is Meaning.DOUBT
    return _unclear(judged) if is_unclear and judged.by_person else None


def _by_row_about_many(judged: JudgedRow) -> Diagnosis | None:
    if judged.meaning in STOPS:
        return _unknown(Cause.LOGS_UNCLEAR, judged, "which may be about this VM")
    is_unclear = judged.meaning is None or judged.meaning is Meaning.DOUBT
    return _unclear(judged) if is_unclear and judged.by_person and not judged.after_down else None


def _names_other_vms(row: LogRow, case: Case, about: DiagnosisContext) -> bool:
    """Return whether *row* quotes names of VMs and has this one's nowhere, quoted or not."""
    if is_cut(row.text):  # what is missing may name it
        return False
    if any(has_name(row.text, name) for name in (case.name, *case.former_names)):
        return False
    quoted_names = {first or second for first, second in QUOTED_NAME.findall(row.text)}
    return bool(about.vm_names & quoted_names)


def _started_since(
    stop: JudgedRow, rows: Sequence[JudgedRow], case: Case, about: DiagnosisContext
) -> str:
    """
    Return the evidence that a VM was started after a stop request; empty if there is none.

    Such a request may be over, though no row shows that it was before the VM was last seen up.
    The platform's stamp of the start counts where a reset does not explain it.
    """
    stopped = stop.row
    later = [
        judged.meaning
        for judged in rows
        if judged.subject is Subject.VM
        and (judged.row.key > stopped.key if judged.row.table is stopped.table
             else judged.row.at > stopped.at)
    ]  # fmt: skip
    if Meaning.START in later and not case.attempts:  # otherwise that may have been us
        return "and it was started since"
    started_at, up_clock = about.started_at, case.up_clock
    if started_at is None or up_clock is None or Meaning.RESET in later:
        return ""
    if stopped.at < started_at <= up_clock:
        return "and it was started since, without a row in the log"
    return ""


def _despite_guest_stop(
    rows: Sequence[JudgedRow], case: Case, about: DiagnosisContext
) -> Diagnosis | None:
    """Return ``crashed`` for a VM whose policy starts it even after its guest shut it down."""
    if about.policy is not Policy.ALWAYS or case.observed is not ObservedState.DOWN:
        return None
    for judged in rows:
        if judged.subject is Subject.VM and judged.meaning is Meaning.GUEST_STOP:
            detail = f"{quoted(judged.row)}, and its policy is to start it even then"
            return Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED, detail, judged.template)
    return None


def _stopped(judged: JudgedRow) -> Diagnosis:
    assert judged.meaning is not None  # noqa: S101 - only a known stop comes here
    cause = CAUSE_OF_STOP[judged.meaning]
    return Diagnosis(DiagnosisKind.STOPPED, cause, quoted(judged.row), judged.template)


def _unclear(judged: JudgedRow) -> Diagnosis:
    is_known = judged.meaning is Meaning.DOUBT
    why = "which may be a stop" if is_known else "which no log pattern matches"
    return _unknown(Cause.LOGS_UNCLEAR, judged, why)


def _unknown(cause: Cause, judged: JudgedRow, why: str) -> Diagnosis:
    detail = f"{quoted(judged.row)}, {why}"
    return Diagnosis(DiagnosisKind.UNKNOWN, cause, detail, judged.template)


def quoted(row: LogRow) -> str:
    """Return a row as it is quoted: what, by whom, when, and where to find it."""
    when = datetime.fromtimestamp(row.at, UTC)
    text = row.text.strip()
    text = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
    return f"“{text}” by {row.user or 'system'} at {time_of_day(when)} ({row.table} row {row.key})"

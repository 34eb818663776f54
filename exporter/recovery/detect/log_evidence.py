"""
Log evidence: whether the rows of VergeOS' log explain why a VM went down.

Rows are compared by their order, since no other clock need agree with the log's.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from exporter.recovery.detect.context import DiagnosisContext
from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.recovery.model.cases import (
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    ObservedState,
    Policy,
)
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import LogRow

OUR_ROW_SECONDS = 60.0
"""How far by its stamp a row may be from what it tells of."""
KILL_SENT = "'kill'"
"""In the row that VergeOS writes for every kill."""
NEVER_OURS = re.compile(r"power ?off|shut ?down|hibernat|restor|delet|'move'", re.IGNORECASE)
"""In rows of actions that recovery never requests."""
NO_USER = frozenset({"", "system"})
"""Users of rows that no user caused."""


def diagnose_from_logs(
    rows: Sequence[LogRow],
    case: Case,
    about: DiagnosisContext,
    limits: Limits,
    classifier: LogClassifier,
) -> Diagnosis | None:
    """Return the first wish among *rows* of its last life, or else the first doubt."""
    rows = _rows_since_last_start(rows, case, limits, classifier)
    ours = _ours(rows, case, about, limits, classifier)
    doubt: Diagnosis | None = None
    for position, row in enumerate(rows):
        if row.key in ours:
            if case.kill_unanswered and not about.own_user:
                detail = f"{_quoted(row)} may be ours, whose answer was lost"
                doubt = doubt or Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNCLEAR, detail)
            continue
        diagnosis = None
        if row.machine == case.machine:
            diagnosis = _by_vm_row(row, about.policy, classifier) or _by_other_user(
                row, case, about, classifier
            )
        elif row.machine == about.node_machine:
            diagnosis = _by_node_row(row, case, classifier)
        if diagnosis is not None and diagnosis.kind is DiagnosisKind.STOPPED:
            later = _started_since(row, rows[position:], case, about, classifier)
            if not later:
                return diagnosis
            diagnosis = Diagnosis(
                DiagnosisKind.UNKNOWN, Cause.START_FAILED, f"{_quoted(row)}, and {later}"
            )
        doubt = doubt or diagnosis
    return doubt or _despite_guest_stop(rows, case, about, classifier)


def _despite_guest_stop(
    rows: Sequence[LogRow], case: Case, about: DiagnosisContext, classifier: LogClassifier
) -> Diagnosis | None:
    """Return that a VM is to be started although its guest shut it down, where that is so."""
    if about.policy is not Policy.ALWAYS or case.observed is not ObservedState.DOWN:
        return None
    for row in rows:
        if row.machine == case.machine and classifier.meaning(row.text) is Meaning.GUEST_STOP:
            detail = f"{_quoted(row)}, and its policy is to start it even then"
            return Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED, detail)
    return None


def _rows_since_last_start(
    rows: Sequence[LogRow], case: Case, limits: Limits, classifier: LogClassifier
) -> Sequence[LogRow]:
    """
    Return the rows that may tell why it went down: those since its last start, if it is logged.

    By the order of the rows alone, because no other clock need agree with the log's. A start
    after it was last seen up, perhaps ours, says nothing of why it was needed.
    """
    up_clock = case.up_clock or 0.0
    rows = [row for row in rows if row.at >= up_clock - limits.log_before_seconds]
    starts = [
        position
        for position, row in enumerate(rows)
        if row.machine == case.machine
        and row.at <= up_clock
        and classifier.meaning(row.text) is Meaning.START
    ]
    return rows[max(starts, default=0) :]


def _started_since(
    wish: LogRow,
    later: Sequence[LogRow],
    case: Case,
    about: DiagnosisContext,
    classifier: LogClassifier,
) -> str:
    """
    Return the evidence that a VM was started after a stop request; empty if there is none.

    Such a wish may be over, though no row shows that it was before the VM was last seen up. The
    platform's stamp of the start counts where a reset does not explain it.
    """
    meanings = [classifier.meaning(row.text) for row in later if row.machine == case.machine]
    if Meaning.START in meanings and not case.attempts:  # otherwise that may have been us
        return "it was started since"
    started_at, up_clock = about.started_at, case.up_clock
    if started_at is None or up_clock is None or Meaning.RESET in meanings:
        return ""
    if wish.at < started_at <= up_clock:
        return "it was started since, of which the log does not tell"
    return ""


def _by_vm_row(row: LogRow, policy: Policy, classifier: LogClassifier) -> Diagnosis | None:
    match classifier.meaning(row.text):
        case Meaning.STOP:
            return Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, _quoted(row))
        case Meaning.TASK:
            return Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_TASK, _quoted(row))
        case Meaning.NODE:
            return Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, _quoted(row))
        case Meaning.GUEST_STOP if policy is not Policy.ALWAYS:
            return Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_GUEST, _quoted(row))
        case Meaning.DOUBT | None as meaning:
            return _unclear(row, meaning)
        case _:
            return None


def _unclear(row: LogRow, meaning: Meaning | None) -> Diagnosis:
    told = _quoted(row)
    detail = f"no wording explains {told}" if meaning is None else f"{told} may have been a stop"
    return Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNCLEAR, detail)


def _by_other_user(
    row: LogRow, case: Case, about: DiagnosisContext, classifier: LogClassifier
) -> Diagnosis | None:
    """Return `unknown` if another user acted on the VM since it was last seen up."""
    if case.up_clock is None or row.at <= case.up_clock:
        return None
    someone = row.user not in NO_USER and about.own_user not in ("", row.user)
    match classifier.meaning(row.text):
        case Meaning.START | Meaning.RESET | Meaning.MOVE if someone:
            detail = f"another user tried: {_quoted(row)}"
            return Diagnosis(DiagnosisKind.UNKNOWN, Cause.START_FAILED, detail)
        case Meaning.PLATFORM:
            detail = f"the platform tried: {_quoted(row)}"
            return Diagnosis(DiagnosisKind.UNKNOWN, Cause.START_FAILED, detail)
        case Meaning.MOVE:
            detail = f"its last node is not known: {_quoted(row)}"
            return Diagnosis(DiagnosisKind.UNKNOWN, Cause.MIGRATED_SHORTLY_BEFORE, detail)
        case _:
            return None


def _by_node_row(row: LogRow, case: Case, classifier: LogClassifier) -> Diagnosis | None:
    # What people do there once it is down is no cause of it, give or take what clocks are apart.
    seen_down = (case.up_clock or 0.0) + case.max_gap_seconds + OUR_ROW_SECONDS
    match classifier.meaning(row.text):
        case Meaning.NODE | Meaning.STOP:  # stopping a node stops its VMs
            return Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, _quoted(row))
        case Meaning.TASK:
            return Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_TASK, _quoted(row))
        case Meaning.DOUBT | None as meaning if row.user not in NO_USER and row.at <= seen_down:
            return _unclear(row, meaning)  # nodes write a lot by themselves; people do not
        case _:
            return None


def _quoted(row: LogRow) -> str:
    """Return a row as it is quoted: what, by whom, when, and where to find it."""
    when = datetime.fromtimestamp(row.at, UTC)
    return (
        f"“{row.text.strip()}” by {row.user or 'system'} at {when:%H:%M:%S} UTC (log row {row.key})"
    )


def _ours(
    rows: Sequence[LogRow],
    case: Case,
    about: DiagnosisContext,
    limits: Limits,
    classifier: LogClassifier,
) -> frozenset[int]:
    """Return the keys of the rows that tell of a kill of ours, and of what came of it."""
    clock, known = case.killed_clock, bool(about.own_user)
    if clock is None:
        return frozenset()
    mine = [row for row in rows if row.machine == case.machine]
    reach = limits.log_before_seconds / 2 if known else OUR_ROW_SECONDS
    kills = [row for row in mine if abs(row.at - clock) <= reach and _may_be_our_kill(row, about)]
    kills.sort(key=lambda row: (KILL_SENT not in row.text, abs(row.at - clock)))
    if not known:
        del kills[1:]  # another user may kill it at the same time
    killed_at = kills[0].at if kills else clock
    # "Powered off", says VergeOS after a kill.
    echoes = [
        row
        for row in mine
        if abs(row.at - killed_at) <= OUR_ROW_SECONDS
        and row.user in NO_USER
        and classifier.meaning(row.text) is Meaning.STOP
    ]
    return frozenset(row.key for row in (*kills, *echoes))


def _may_be_our_kill(row: LogRow, about: DiagnosisContext) -> bool:
    """Return whether we may have caused *row*; whatever its words are, if we know our name."""
    if about.own_user:
        return row.user == about.own_user and not NEVER_OURS.search(row.text)
    return row.user not in NO_USER and KILL_SENT in row.text

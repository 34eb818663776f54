"""
Why a VM is down, as far as that can be known.

A diagnosis is a fact and no permission. Each condition for "crashed" must be shown to hold: no
evidence means unknown, and unknown never acts.
"""

from msgspec.structs import replace

from exporter.model import StatusWord
from exporter.recovery.detect.context import DiagnosisContext
from exporter.recovery.detect.log_evidence import diagnose_from_logs
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.model.cases import (
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    ObservedState,
    Policy,
)
from exporter.recovery.model.limits import HOUR, Limits, PowerState
from exporter.recovery.model.states import State
from exporter.recovery.observe.inventory_checks import STOP_SHOWN, STOPPING, WAITING
from exporter.recovery.observe.inventory_checks import UP as RUNNING
from exporter.recovery.observe.lifecycle import is_flapping, may_be_our_kill
from exporter.recovery.observe.node_history import has_failed, was_sick

WITHOUT_STOP_AUTHOR = frozenset({Cause.SEEN_STOPPING, Cause.HIBERNATED})
"""Causes that are known without the log and therefore without an author."""
MIGRATION = frozenset(
    {
        StatusWord.INITMIGRATE,
        StatusWord.STARTMIGRATE,
        StatusWord.MIGRATING,
        StatusWord.MIGRATECOMPLETE,
    }
)
CONTRADICTIONS = RUNNING | {StatusWord.STOPPED}
"""Words that are strange only beside the rest of their row, as for a moment in a crash."""
LEAVE_OFF = "leave_off"


def diagnose(
    case: Case,
    about: DiagnosisContext,
    limits: Limits,
    classifier: LogClassifier,
    powerstate: PowerState = PowerState.UNKNOWN,
) -> Diagnosis:
    """Return why *case* is not up."""
    return (
        _by_observation(case)
        or _by_uuid(about)
        or _by_words_since_up(case, about, limits, classifier)
        or _by_node(case, about, limits, classifier)
        or _by_flapping(case, about, limits, classifier)
        or _by_duration(case, about, limits)
        or _by_desired_power(about, powerstate)
        or _by_logs(case, about, limits, classifier)
        or _by_gap(case, about, limits)
        or _crashed(case)
    )


def _by_observation(case: Case) -> Diagnosis | None:
    match case.observed:
        case ObservedState.ERROR:
            return Diagnosis(
                DiagnosisKind.UNKNOWN, Cause.STATUS_ERROR, f"its status is {case.word}"
            )
        case ObservedState.INCONSISTENT:
            return Diagnosis(
                DiagnosisKind.UNKNOWN, Cause.STATUS_UNRECOGNIZED, f"its status is {case.word}"
            )
        case ObservedState.GONE:
            return Diagnosis(DiagnosisKind.UNKNOWN, Cause.STATUS_MISSING, "its rows do not tell")
        case ObservedState.WAITING:
            detail = f"its status is {case.word}"
            return Diagnosis(DiagnosisKind.PLATFORM, Cause.WAITS_FOR_RESOURCES, detail)
        case ObservedState.DOWN | ObservedState.HUNG:
            return None
        case _:
            return Diagnosis(
                DiagnosisKind.PENDING, Cause.NOT_DOWN_NOW, f"its status is {case.word}"
            )


def _by_uuid(about: DiagnosisContext) -> Diagnosis | None:
    if about.shares_uuid:
        detail = "another VM has the same UUID: which of the two is meant is not certain"
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.UUID_SHARED, detail)
    return None


def _by_words_since_up(
    case: Case, about: DiagnosisContext, limits: Limits, classifier: LogClassifier
) -> Diagnosis | None:
    """Judge by what was seen of it between its last being up and now."""
    if case.up_at is None:
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.NEVER_SEEN_UP, "not since it is enrolled")
    words_since_up = set(case.words_since_up)
    if words_since_up & STOPPING and may_be_our_kill(case):
        found = diagnose_from_logs(case, about, limits, classifier)
        if found is not None and found.kind is DiagnosisKind.STOPPED:
            return found
        detail = "it was seen stopping: by a person, or by a kill of recovery that took long"
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.SEEN_STOPPING, detail)
    if words_since_up & STOP_SHOWN:
        return Diagnosis(DiagnosisKind.STOPPED, Cause.SEEN_STOPPING, "it was seen stopping")
    if words_since_up & WAITING:
        if case.trouble_at is None or about.at - case.trouble_at < limits.platform_seconds:
            return Diagnosis(
                DiagnosisKind.PLATFORM, Cause.WAITS_FOR_RESOURCES, "it waited for resources"
            )
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.START_FAILED, "the platform did not start it")
    if words_since_up & MIGRATION:
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.MIGRATED_SHORTLY_BEFORE, "it was migrating")
    strange = words_since_up - CONTRADICTIONS - {StatusWord.UNRESPONSIVE}
    if strange:
        words = ", ".join(sorted(strange))
        return Diagnosis(
            DiagnosisKind.UNKNOWN, Cause.START_FAILED, f"it was seen {words} in between"
        )
    return None


def _by_node(
    case: Case, about: DiagnosisContext, limits: Limits, classifier: LogClassifier
) -> Diagnosis | None:
    """Judge by its host: what happens to a node is VergeOS' to mend."""
    if case.node is None or about.node is None:
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.NODE_UNKNOWN, "its last node is not known")
    node, up_at = about.node, case.up_at or 0.0
    ill = node.well_since is None or node.well_since > up_at
    failed = has_failed(node, since=up_at, since_clock=case.up_clock)
    if failed and about.on_power_loss == LEAVE_OFF:
        detail = f"{about.node_name} failed, and it is to be left off after that"
        return Diagnosis(DiagnosisKind.STOPPED, Cause.LEFT_OFF_BY_POLICY, detail)
    if node.well_since is None:
        detail = f"{about.node_name} is not well"
        return Diagnosis(DiagnosisKind.PLATFORM, Cause.NODE_IN_TROUBLE, detail)
    quiet_since = max(node.well_since, case.trouble_at or about.at)
    if ill and about.at - quiet_since < limits.platform_seconds:
        sick = was_sick(node, since=up_at, since_clock=case.up_clock)
        if not sick and explains_loss(case, about, limits, classifier):
            return None  # it was stopped: its node may have been unwatched, but is not the cause
        cause = Cause.NODE_IN_TROUBLE if sick else Cause.NODE_UNWATCHED
        was = "was not well" if sick else "was not watched all the time"
        detail = f"{about.node_name} {was}; the platform has its time to act"
        return Diagnosis(DiagnosisKind.PLATFORM, cause, detail)
    hung = case.hung_at is not None and about.at - case.hung_at < limits.platform_seconds
    if hung and case.observed is ObservedState.DOWN and not _was_killed(case):
        detail = "it was unresponsive shortly before: the platform may be at it"
        return Diagnosis(DiagnosisKind.PLATFORM, Cause.HUNG_SHORTLY_BEFORE, detail)
    return None


def _by_flapping(
    case: Case, about: DiagnosisContext, limits: Limits, classifier: LogClassifier
) -> Diagnosis | None:
    """Return the diagnosis of a VM that goes down again and again, never for long."""
    logs_read = about.logs is not None and about.logs.read_at >= (case.lost_at or 0.0)
    if not about.policy.acts or not logs_read or not is_flapping(case, limits, at=about.at):
        return None
    if explains_loss(case, about, limits, classifier):
        return None
    times = sum(one > about.at - HOUR for one in case.losses)
    detail = f"it went down {times} times within an hour without a stop request"
    return Diagnosis(DiagnosisKind.UNKNOWN, Cause.FLAPPING, detail)


def explains_loss(
    case: Case, about: DiagnosisContext, limits: Limits, classifier: LogClassifier
) -> bool:
    """Return whether the logs already show why a VM went down: a stop, or a reset by its guest."""
    found = diagnose_from_logs(case, about, limits, classifier)
    return found is not None and explains(found)


def explains(diagnosis: Diagnosis) -> bool:
    """Return whether *diagnosis* explains why a VM went down, so that it is not lost."""
    stopped = diagnosis.kind is DiagnosisKind.STOPPED
    return stopped or diagnosis.cause is Cause.RESET_SHORTLY_BEFORE


def _by_duration(case: Case, about: DiagnosisContext, limits: Limits) -> Diagnosis | None:
    needed = (
        limits.confirm_down_seconds
        if case.observed is ObservedState.DOWN
        else limits.confirm_hung_seconds
    )
    lasted = about.at - case.trouble_at if case.trouble_at is not None else 0.0
    if case.times_observed >= limits.confirm_down_polls and lasted >= needed:
        return None
    polls = "1 poll" if case.times_observed == 1 else f"{case.times_observed} polls"
    detail = (
        f"{case.observed.value} for {lasted:.0f} s in {polls}; "
        f"{needed:g} s and {limits.confirm_down_polls} polls are needed"
    )
    return Diagnosis(DiagnosisKind.PENDING, Cause.NOT_LONG_ENOUGH, detail)


def _by_desired_power(about: DiagnosisContext, powerstate: PowerState) -> Diagnosis | None:
    if powerstate is PowerState.DESIRED and about.powered_on is not True:
        detail = "its power is wanted off"
        return Diagnosis(DiagnosisKind.STOPPED, Cause.POWERED_OFF_AS_DESIRED, detail)
    return None


def _by_gap(case: Case, about: DiagnosisContext, limits: Limits) -> Diagnosis | None:
    """Judge by what we could see: who looked away must not conclude that it crashed."""
    ready_for_that = about.policy in (Policy.UNLESS_STOPPED, Policy.ALWAYS)
    if case.max_gap_seconds > limits.max_gap_seconds and not ready_for_that:
        detail = f"it went down within {case.max_gap_seconds:.0f} s without a valid poll"
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.WENT_DOWN_UNOBSERVED, detail)
    return None


def _by_logs(
    case: Case, about: DiagnosisContext, limits: Limits, classifier: LogClassifier
) -> Diagnosis | None:
    logs = about.logs
    settled_at = (case.trouble_at or 0.0) + limits.log_settle_seconds
    if logs is None or logs.read_at < settled_at:
        return Diagnosis(DiagnosisKind.PENDING, Cause.LOGS_NOT_SETTLED, "the logs are not read yet")
    if logs.problem:
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNREAD, logs.problem)
    found = diagnose_from_logs(case, about, limits, classifier)
    if logs.gap and (found is None or found.kind is DiagnosisKind.CRASHED):
        return Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_INCOMPLETE, f"the logs: {logs.gap}")
    return found


def lacks_stop_author(case: Case) -> bool:
    """Return whether *case* was stopped on purpose by an author who is not known yet."""
    diagnosis = case.diagnosis
    return (
        case.state is State.STOPPED
        and diagnosis is not None
        and diagnosis.cause in WITHOUT_STOP_AUTHOR
    )


def add_stop_author(
    case: Case, about: DiagnosisContext, limits: Limits, classifier: LogClassifier
) -> Case:
    """Return the case of a VM that was seen stopping, with who wanted it, if the log has that."""
    diagnosis = diagnose_from_logs(case, about, limits, classifier)
    if diagnosis is None or diagnosis.kind is not DiagnosisKind.STOPPED:
        return case
    return replace(case, diagnosis=diagnosis)


def _crashed(case: Case) -> Diagnosis:
    if case.observed is ObservedState.HUNG:
        return Diagnosis(
            DiagnosisKind.CRASHED, Cause.HUNG, "unresponsive, without a request in the log"
        )
    if _was_killed(case):
        return Diagnosis(
            DiagnosisKind.CRASHED,
            Cause.KILLED_TO_RESTART,
            "powered off by recovery to start it again",
        )
    return Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED, "it went down without a stop request")


def _was_killed(case: Case) -> bool:
    """Return whether it is surely a kill of ours that brought it down."""
    is_doubtful = case.kill_unanswered or case.kill_failed
    return case.killed_position is not None and not is_doubtful

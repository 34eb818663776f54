"""The summary of recovery as text."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from exporter.formatting import counted, lasting, minute, moment, moment_beside
from exporter.recovery.model.cases import UNDIAGNOSED, Cause, DiagnosisKind
from exporter.recovery.report.incidents import End, Incident
from exporter.recovery.report.scorecard import Scorecard, Share
from exporter.recovery.report.summary import RecoverySummary

MAX_NAMES = 10
NOT_KNOWN = "not known"
HELPED = {True: "which succeeded", False: "which failed", None: "outcome not known yet"}


def summary_text(summary: RecoverySummary) -> str:
    """Return *summary* as lines: what happened, the totals, and the incidents that matter."""
    period = f"{minute(summary.since)} to {minute(summary.until)}"
    incidents = [one for one in summary.incidents if _matters(one)]
    return "\n".join(
        [
            f"{summary.system}: {headline(summary)}",
            f"  period: {period}, mode {summary.mode}",
            *(f"  {line}" for line in _totals(summary)),
            *_section("reasons for holding", holds_text(summary.scorecard)),
            *_section("unknown log templates", templates_text(summary.scorecard)),
            *["  incidents:"] * bool(incidents),
            *(f"    {incident_text(one, summary.until)}" for one in incidents),
        ]
    )


def headline(summary: RecoverySummary) -> str:
    """Return in a sentence what happened."""
    if not summary.incidents:
        return "no enrolled VM went down."
    happened = f"{counted(len(summary.incidents), 'downtime')} of enrolled VMs"
    if summary.acted:
        return f"{happened}; Vergewatch acted on {summary.acted} and brought {summary.helped} up."
    if summary.would_have_acted:
        would = summary.would_have_acted
        return f"{happened}; in enforce mode Vergewatch would have acted on {would}."
    return f"{happened}; Vergewatch took no action."


def _matters(incident: Incident) -> bool:
    """Return whether *incident* is listed; wanted stops and short interruptions are not."""
    if incident.would_have_acted or incident.acted or incident.missed:
        return True
    diagnosis = incident.diagnosis or UNDIAGNOSED
    return diagnosis.kind not in (DiagnosisKind.STOPPED, DiagnosisKind.PENDING)


def _totals(summary: RecoverySummary) -> list[str]:
    lines = []
    if summary.incidents:
        lines.append(f"diagnoses: {_counts(summary.diagnoses)}")
    if summary.would_have_acted:
        lines.append(
            f"would have acted: {summary.would_have_acted} "
            f"({summary.recovered_otherwise} came back without Vergewatch, "
            f"{summary.still_down} still down)"
        )
        lines.append(f"avoidable downtime: {lasting(summary.avoidable_seconds)}")
    if summary.acted:
        lines.append(
            f"acted: {summary.acted} ({summary.helped} succeeded, {summary.failed} failed)"
        )
        if summary.recovery_seconds is not None and summary.worst_recovery_seconds is not None:
            lines.append(
                f"downtime until recovered: {lasting(summary.recovery_seconds)} median, "
                f"{lasting(summary.worst_recovery_seconds)} longest"
            )
        if summary.time_to_service_seconds is not None:
            after = lasting(summary.time_to_service_seconds)
            lines.append(f"from the action until the service worked: {after} median")
    if summary.incidents:
        lines += scores_text(summary.scorecard)
    if summary.not_enrolled:
        lines.append(f"crashes of VMs that are not enrolled: {_counts(summary.not_enrolled)}")
    return lines


def scores_text(card: Scorecard) -> list[str]:
    """Return precision, recall and the downtime with and without recovery."""
    return [
        f"precision: {share_text(card.precision)} ({actions_text(card)})",
        f"recall: {share_text(card.recall)} ({starts_text(card)})",
        f"downtime with recovery: {with_text(card)}",
        f"downtime without recovery: {without_text(card)}",
    ]


def actions_text(card: Scorecard) -> str:
    """Return the cases that precision is of."""
    share = card.precision
    return f"actions: {share.right} right, {share.wrong} wrong, {share.not_known} not known"


def starts_text(card: Scorecard) -> str:
    """Return the cases that recall is of."""
    share = card.recall
    lost = f" with {lasting(card.missed_seconds)} of downtime" if share.wrong else ""
    return (
        f"needed starts: {share.right} by Vergewatch, {share.wrong} missed{lost}, "
        f"{share.not_known} not known"
    )


def share_text(share: Share) -> str:
    """Return a share as a percentage, or as its bounds where not every case is known."""
    if share.low is None or share.high is None or not (share.right or share.wrong):
        return NOT_KNOWN
    low, high = (f"{int(one * 1000) / 10:g} %" for one in (share.low, share.high))  # rounded down
    if not share.not_known:
        return low
    if not share.wrong:
        return f"at least {low}"
    return f"{low} to {high}" if share.right else f"at most {high}"


def with_text(card: Scorecard) -> str:
    """Return the downtime with recovery, with the assumption that it rests on."""
    assumed = " (estimate: a VM would have been up when Vergewatch would have acted)"
    return lasting(card.with_seconds) + (assumed if card.is_estimated else "")


def without_text(card: Scorecard) -> str:
    """Return the downtime without recovery, with the assumption that it rests on."""
    if card.without_seconds is None:
        return f"{NOT_KNOWN} (no person started a VM in this period, so it is not known how late)"
    if card.person_seconds is None or card.without_seconds == card.with_seconds:
        return lasting(card.without_seconds)
    return (
        f"{lasting(card.without_seconds)} (estimate: a VM that Vergewatch started would have been "
        f"down for {lasting(card.person_seconds)}, the median until a person started one)"
    )


def holds_text(card: Scorecard) -> list[str]:
    """Return the reasons for holding, each with its downtimes and their length."""
    return [
        f"{one.reason}: {counted(one.downtimes, 'downtime')}, {lasting(one.seconds)}"
        for one in card.holds
    ]


def templates_text(card: Scorecard) -> list[str]:
    """Return the templates that blocked diagnoses, each with the command that teaches it."""
    return [
        f"{one.template}: blocked {counted(one.diagnoses, 'diagnosis', 'diagnoses')}; {one.command}"
        for one in card.templates[:MAX_NAMES]
    ]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"  {title}:", *(f"    {line}" for line in lines)] if lines else []


def _counts(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{name} {number}" for name, number in list(counts.items())[:MAX_NAMES])
    return listed + (f" and {len(counts) - MAX_NAMES} more" if len(counts) > MAX_NAMES else "")


def incident_text(incident: Incident, until: datetime) -> str:
    """Return *incident* in one line."""
    details = "; ".join(incident_details(incident, until))
    return f"{moment(incident.began)} {incident.vm}: {details}"


def incident_details(incident: Incident, until: datetime) -> list[str]:
    """Return what happened in *incident*, in time order."""
    parts = [_what(incident)]
    if incident.would_have_acted is not None:
        waited = (incident.would_have_acted - incident.began).total_seconds()
        parts.append(
            "would have been started at "
            f"{moment_beside(incident.would_have_acted, incident.began)} "
            f"(after {lasting(waited)})"
        )
    if incident.acted is not None:
        at = moment_beside(incident.acted, incident.began)
        parts.append(f"acted at {at}, {HELPED[incident.helped]}")
    if incident.ended is None:
        parts.append(f"still down after {lasting((until - incident.began).total_seconds())}")
    else:
        end: str = incident.end
        if incident.started_by:
            end = f"started by {incident.started_by}"
        diagnosis = incident.diagnosis
        if incident.end is End.OTHER and diagnosis and diagnosis.cause is Cause.HUNG:
            end = "responsive again without Vergewatch"
        parts.append(f"{end} at {moment_beside(incident.ended, incident.began)}")
    if incident.time_to_service_seconds is not None:
        after = lasting(incident.time_to_service_seconds)
        parts.append(f"its service worked again {after} after the action")
    if incident.avoidable_seconds:
        parts.append(f"{lasting(incident.avoidable_seconds)} avoidable downtime")
    if incident.confirmed_by:
        verb = "would have been" if incident.acted is None else "was"
        parts.append(f"the action {verb} {incident.confirmation}: {incident.confirmed_by}")
    if incident.holds and incident.acted is None and incident.would_have_acted is None:
        parts.append(f"held by {', '.join(hold.reason for hold in incident.holds)}")
    return parts


def _what(incident: Incident) -> str:
    diagnosis = incident.diagnosis or UNDIAGNOSED
    if diagnosis.kind is DiagnosisKind.PENDING:
        return "down too briefly for a diagnosis"
    if diagnosis.kind is DiagnosisKind.CRASHED:
        return "unresponsive" if diagnosis.cause is Cause.HUNG else "crashed"
    return f"{diagnosis.kind} ({diagnosis.cause})"

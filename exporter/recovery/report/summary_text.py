"""The summary of recovery as text."""

from collections.abc import Mapping
from datetime import datetime

from exporter.formatting import counted, lasting
from exporter.recovery.model.cases import UNDIAGNOSED, Cause, DiagnosisKind
from exporter.recovery.report.summary import End, Incident, RecoverySummary

MAX_NAMES = 10
HELPED = {True: "which succeeded", False: "which failed", None: "outcome not known yet"}


def summary_text(summary: RecoverySummary) -> str:
    """Return *summary* as lines: what happened, the totals, and the incidents that matter."""
    period = f"{summary.since:%Y-%m-%d %H:%M} to {summary.until:%Y-%m-%d %H:%M} UTC"
    incidents = [one for one in summary.incidents if _matters(one)]
    return "\n".join(
        [
            _headline(summary),
            f"  period: {period}, mode {summary.mode}",
            *(f"  {line}" for line in _totals(summary)),
            *["  incidents:"] * bool(incidents),
            *(f"    {incident_text(one, summary.until)}" for one in incidents),
        ]
    )


def _headline(summary: RecoverySummary) -> str:
    system, count = summary.system, len(summary.incidents)
    if not count:
        return f"{system}: no enrolled VM went down."
    happened = f"{system}: {counted(count, 'downtime')} of enrolled VMs"
    if summary.acted:
        return f"{happened}; Vergewatch acted on {summary.acted} and brought {summary.helped} up."
    if summary.would_have_acted:
        would = summary.would_have_acted
        return f"{happened}; in enforce mode Vergewatch would have acted on {would}."
    return f"{happened}; Vergewatch took no action."


def _matters(incident: Incident) -> bool:
    """Return whether *incident* is listed; wanted stops and short interruptions are not."""
    if incident.would_have_acted or incident.acted or incident.wrong:
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
    if summary.would_have_acted or summary.acted:
        lines.append(f"wrong: {summary.wrong}")
    if summary.unknown:
        lines.append(f"unknown causes: {_counts(summary.unknown)}")
    if summary.held_by:
        lines.append(f"held by guards: {_counts(summary.held_by)}")
    if summary.not_enrolled:
        lines.append(f"crashes of VMs that are not enrolled: {_counts(summary.not_enrolled)}")
    return lines


def _counts(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{name} {number}" for name, number in list(counts.items())[:MAX_NAMES])
    return listed + (f" and {len(counts) - MAX_NAMES} more" if len(counts) > MAX_NAMES else "")


def incident_text(incident: Incident, until: datetime) -> str:
    """Return *incident* in one line."""
    parts = [f"{incident.began:%Y-%m-%d %H:%M:%S} {incident.vm}: {_what(incident)}"]
    if incident.would_have_acted is not None:
        waited = (incident.would_have_acted - incident.began).total_seconds()
        parts.append(
            f"would have been started at {incident.would_have_acted:%H:%M:%S} "
            f"(after {lasting(waited)})"
        )
    if incident.acted is not None:
        parts.append(f"acted at {incident.acted:%H:%M:%S}, {HELPED[incident.helped]}")
    if incident.ended is None:
        parts.append(f"still down after {lasting((until - incident.began).total_seconds())}")
    else:
        end: str = incident.end
        diagnosis = incident.diagnosis
        if incident.end is End.OTHER and diagnosis and diagnosis.cause is Cause.HUNG:
            end = "responsive again without Vergewatch"
        parts.append(f"{end} at {_at(incident.ended, incident.began)}")
    if incident.time_to_service_seconds is not None:
        after = lasting(incident.time_to_service_seconds)
        parts.append(f"its service worked again {after} after the action")
    if incident.avoidable_seconds:
        parts.append(f"{lasting(incident.avoidable_seconds)} avoidable downtime")
    if incident.wrong:
        verb = "would have been" if incident.acted is None else "was"
        parts.append(f"the action {verb} wrong: {incident.wrong}")
    if incident.held_by and incident.acted is None and incident.would_have_acted is None:
        parts.append(f"held by {', '.join(incident.held_by)}")
    return "; ".join(parts)


def _what(incident: Incident) -> str:
    diagnosis = incident.diagnosis or UNDIAGNOSED
    if diagnosis.kind is DiagnosisKind.PENDING:
        return "down too briefly for a diagnosis"
    if diagnosis.kind is DiagnosisKind.CRASHED:
        return "unresponsive" if diagnosis.cause is Cause.HUNG else "crashed"
    return f"{diagnosis.kind} ({diagnosis.cause})"


def _at(moment: datetime, other: datetime) -> str:
    return f"{moment:%H:%M:%S}" if moment.date() == other.date() else f"{moment:%Y-%m-%d %H:%M:%S}"

"""The downtimes of a report as CSV, one row each."""

import csv
from collections.abc import Iterable
from io import StringIO

from exporter.formatting import csv_cell
from exporter.recovery.report.incidents import Incident
from exporter.recovery.report.summary import RecoverySummary

COLUMNS = (
    "system",
    "vm",
    "vm_key",
    "uuid",
    "began",
    "ended",
    "down_seconds",
    "diagnosis",
    "cause",
    "end",
    "started_by",
    "would_have_acted",
    "acted",
    "helped",
    "time_to_service_seconds",
    "confirmation",
    "confirmed_by",
    "missed",
    "held_by",
    "with_seconds",
    "without_seconds",
)


def summaries_csv(summaries: Iterable[RecoverySummary]) -> str:
    """Return the downtimes of *summaries* as CSV (RFC 4180) with a header."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for summary in summaries:
        for incident in summary.incidents:
            writer.writerow([csv_cell(one) for one in (summary.system, *_values(incident))])
    return out.getvalue()


def _values(incident: Incident) -> tuple[object, ...]:
    """Return the values of `COLUMNS` after the first."""
    diagnosis = incident.diagnosis
    return (
        incident.vm,
        incident.vm_key,
        incident.uuid,
        incident.began,
        incident.ended,
        incident.down_seconds,
        incident.kind,
        diagnosis.cause if diagnosis is not None else None,
        incident.end,
        incident.started_by,
        incident.would_have_acted,
        incident.acted,
        incident.helped,
        incident.time_to_service_seconds,
        incident.confirmation,
        incident.confirmed_by,
        incident.missed,
        " ".join(hold.reason for hold in incident.holds),
        incident.with_seconds,
        incident.without_seconds,
    )

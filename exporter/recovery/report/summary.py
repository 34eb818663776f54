"""
What recovery did in a period or, in shadow mode, would have done, and how good that was.

For shadow mode the summary answers: which VMs would have been restarted and when, how much later
they came back without Vergewatch, and which restarts would have been wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import median

import msgspec

from exporter.recovery.model.cases import UNDIAGNOSED, DiagnosisKind
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.records import JournalRecords
from exporter.recovery.report.incidents import End, Incident, incidents_of
from exporter.recovery.report.scorecard import Scorecard, scored


class RecoverySummary(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The summary of one system in a period."""

    system: str
    mode: str
    since: datetime
    until: datetime
    scorecard: Scorecard = Scorecard()
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
    decisions = [one.decision for one in records.decisions if one.decision.time <= until]
    enrolled = {one.uuid for one in decisions if one.failed_guard is not GuardName.ENROLLED}
    crashed = (
        one.name
        for one in decisions
        if one.failed_guard is GuardName.ENROLLED and one.diagnosis.kind is DiagnosisKind.CRASHED
        if one.uuid not in enrolled  # else its tags were unreadable for a moment
    )
    found = incidents_of(records, left_out=monitored - enrolled, since=since, until=until)
    incidents, scorecard = scored(found, since=since, until=until)
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
    return RecoverySummary(
        system=system,
        mode=mode,
        since=since,
        until=until,
        scorecard=scorecard,
        incidents=incidents,
        diagnoses=_counts((one.diagnosis or UNDIAGNOSED).kind for one in incidents),
        would_have_acted=len(would),
        recovered_otherwise=sum(one.end in (End.OTHER, End.PLATFORM) for one in would),
        still_down=sum(one.end is End.STILL_DOWN for one in would),
        avoidable_seconds=sum(one.avoidable_seconds for one in would),
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

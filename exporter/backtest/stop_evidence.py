"""What a record tells of VMs that were stopped on purpose."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence

from exporter.backtest.acts import Act
from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.recovery.detect.templates import template
from exporter.recovery.model.cases import DiagnosisKind
from exporter.recovery.model.platform_log import LogRow, LogTable
from exporter.recovery.model.records import History

UNDONE_SECONDS = 600.0
"""A VM that is stopped so soon after an action should not have been started."""
STOP_ROWS = frozenset({Meaning.STOP, Meaning.GUEST_STOP, Meaning.TASK})


class StopEvidence:
    """
    The recorded diagnoses and log rows that show stops.

    Args:
        classifiers: With the built-in log patterns, and with the new ones.
        up_at: When VMs came up, by UUID.

    """

    def __init__(
        self,
        history: History,
        classifiers: Sequence[LogClassifier],
        up_at: Mapping[str, Sequence[float]],
    ) -> None:
        self._classifiers = classifiers
        self._up_at = up_at
        self._end = history.polls[-1].at
        self._diagnoses = defaultdict[str, list[tuple[float, str]]](list)
        for change in history.changes:
            diagnosis = change.diagnosis
            if diagnosis is not None and diagnosis.kind is DiagnosisKind.STOPPED:
                text = f"diagnosed {diagnosis.cause}: {diagnosis.detail}".removesuffix(": ")
                self._diagnoses[change.uuid].append((change.at, text))
        for one in history.decisions:
            if one.decision.diagnosis.kind is DiagnosisKind.STOPPED:
                text = f"diagnosed {one.decision.diagnosis.cause}"
                self._diagnoses[one.decision.uuid].append((one.decision.at, text))
        self._rows = defaultdict[str | int, list[LogRow]](list)
        for row in history.rows:
            about = row.machine if row.table is LogTable.MACHINE_LOGS else row.object_name
            if about:
                self._rows[about].append(row)

    def against(self, act: Act, *, since: float) -> str:
        """
        Return what shows that the VM was meant to be down; empty if nothing does.

        Args:
            since: Evidence from before then does not count.

        """
        # In the record it may have come up before an action that comes later with new settings.
        until = max(self._up_after(act.uuid, act.outage), act.at + UNDONE_SECONDS)
        for at, text in self._diagnoses.get(act.uuid, ()):
            if since <= at <= until:
                return text
        for row in (*self._rows.get(act.machine, ()), *self._rows.get(act.name, ())):
            if since <= row.read_at <= until and self._is_stop(row, act):
                return f"log row: {row.text}"
        return ""

    def up_after(self, act: Act) -> float:
        """Return when the record shows the VM up after an action; the end if it does not."""
        return self._up_after(act.uuid, act.at)

    def _up_after(self, uuid: str, at: float) -> float:
        ups = self._up_at.get(uuid, ())
        place = bisect_right(ups, at)
        return ups[place] if place < len(ups) else self._end

    def _is_stop(self, row: LogRow, act: Act) -> bool:
        names = [name for name in (act.name, row.user, row.object_name) if name]
        text = template(row.text, names)
        return any(one.meaning(text) in STOP_ROWS for one in self._classifiers)

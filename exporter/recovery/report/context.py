"""What is known of a VM at the time of an explanation: now, or when a decision was made."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from exporter.formatting import moment_beside
from exporter.recovery.model.cases import (
    Case,
    Cause,
    Diagnosis,
    Enrolment,
    NotMonitored,
    ObservedState,
)
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord
from exporter.recovery.model.states import State
from exporter.recovery.report.downtime import Downtime, newest_downtime


class ExplainContext(NamedTuple):
    """What is known of a VM at the time of the explanation."""

    system: str
    now: datetime
    vm: str
    vm_key: int
    uuid: str
    state: State | None
    """``None``: recovery does not monitor it."""
    diagnosis: Diagnosis | None = None
    observed: ObservedState | None = None
    word: str = ""
    """Its VergeOS status."""
    enrolment: Enrolment | None = None
    suppressed_by: str = ""
    decision: Decision | None = None
    number: int | None = None
    decided: datetime | None = None
    changes: Sequence[Change] = ()
    """Newest first."""
    actions: Sequence[ActionRecord] = ()
    """Newest first."""
    not_monitored: Sequence[NotMonitored] = ()
    """Why recovery does not monitor it, where it does not."""
    gone: bool = False
    """Whether the VM is no longer in the inventory."""
    blocked: int = 0
    """How many diagnoses rows like that of the diagnosis blocked."""
    unseen: str = ""
    """Why the state is out of date; empty if it is current."""

    @property
    def downtime(self) -> Downtime:
        """The newest downtime."""
        return newest_downtime(self.changes, self.actions)

    @property
    def hung(self) -> bool:
        """Whether the VM is or was unresponsive, and not down."""
        diagnosis = self.diagnosis
        if diagnosis is None and self.decision is not None:
            diagnosis = self.decision.diagnosis
        hung = diagnosis is not None and diagnosis.cause in (Cause.HUNG, Cause.KILLED_TO_RESTART)
        return hung or self.observed is ObservedState.HUNG

    def time_of_day(self, moment: datetime) -> str:
        """Return the time of day in UTC, with the date if it is another day than `now`."""
        return moment_beside(moment, self.now)


def context_of_case(case: Case, *, system: str, now: datetime) -> ExplainContext:
    """Return what a case holds, without the journal."""
    return ExplainContext(
        system=system,
        now=now,
        vm=case.name,
        vm_key=case.key,
        uuid=case.uuid,
        state=case.state,
        diagnosis=case.diagnosis,
        observed=case.observed,
        word=case.word,
    )


def context_of_decision(
    record: DecisionRecord,
    *,
    system: str,
    changes: Iterable[Change],
    actions: Iterable[ActionRecord],
) -> ExplainContext:
    """Return what was known when a decision was made; later records are left out."""
    decision = record.decision
    return ExplainContext(
        system=system,
        now=decision.time,
        vm=decision.name,
        vm_key=decision.vm_key,
        uuid=decision.uuid,
        state=decision.state,
        diagnosis=decision.diagnosis,
        decision=decision,
        number=record.number,
        decided=decision.time,
        changes=[change for change in changes if change.at < decision.at],
        actions=[
            _as_of(one, decision.time) for one in actions if one.intent.prepared_at < decision.at
        ],
    )


def _as_of(record: ActionRecord, moment: datetime) -> ActionRecord:
    """Return what was known of an action at *moment*."""
    served_after = record.time_to_service_seconds
    if served_after is not None and (moment - record.prepared).total_seconds() < served_after:
        record = replace(record, time_to_service_seconds=None)
    if record.closed is not None and record.closed <= moment:
        return record
    intent = replace(record.intent, outcome=None, reply=None, detail="")
    return replace(record, intent=intent, closed=None)

"""An example of each value that the journal stores."""

from datetime import timedelta
from typing import Any

from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Intent,
    ObservedState,
    Outcome,
    Reply,
)
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.decision import Decision, GuardName, GuardResult
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.log_templates import RowSource, Sightings, TemplateHistory
from exporter.recovery.model.platform_log import LogPosition
from exporter.recovery.model.ports import Change, PollRecord
from exporter.recovery.model.states import State
from tests.fakes import START

SYSTEM = "north"
OTHER_SYSTEM = "south"
UUID = "5c2f-web"

CASE = Case(
    uuid=UUID,
    key=17,
    machine=23,
    name="web-1 „Straße“",
    state=State.QUARANTINED,
    since=1000.125,
    observed=ObservedState.DOWN,
    word="stopped",
    node=2,
    up_at=900.5,
    up_clock=1.7e9 + 0.1,
    trouble_at=930.25,
    times_observed=4,
    hung_at=800.0,
    words_since_up=("stopping", "stopped"),
    max_gap_seconds=12.5,
    missing=1,
    diagnosis=Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED, "no stop in 600 s of log"),
    attempts=3,
    retry_at=1100.5,
    ladder_step=1,
    kill_unanswered=True,
    started=1.7e9 + 30.2,
    former_names=("web-0",),
    log_from=LogPosition(1, 2),
    log_up=LogPosition(3, 4),
    log_down=LogPosition(5, 6),
    killed_position=LogPosition(7, 2**40),
    killed_at=1000.5,
    cleared_at=10.0,
)
CHANGE = Change(
    uuid=UUID,
    vm_key=17,
    name="web-1",
    at=1000.125,
    time=START,
    before=State.HELD,
    after=State.QUARANTINED,
    word="stopped",
    diagnosis=Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED, "no stop in 600 s of log"),
)
DECISION = Decision(
    uuid=UUID,
    vm_key=17,
    name="web-1",
    at=1000.125,
    time=START + timedelta(microseconds=1),
    state=State.HELD,
    diagnosis=Diagnosis(DiagnosisKind.CRASHED, Cause.HUNG, "log row 815", "VM <name> hung"),
    action=Action.POWER_ON,
    failed_guard=GuardName.CIRCUIT_BREAKER_CLOSED,
    guard_results=(
        GuardResult(GuardName.ARMED, passed=True, detail="armed"),
        GuardResult(
            GuardName.CIRCUIT_BREAKER_CLOSED,
            passed=False,
            detail="9 of 20 are down",
            fix="wait until fewer are",
        ),
    ),
    mode=Mode.ENFORCE,
)
INTENT = Intent(
    id=0,
    uuid=UUID,
    vm_key=17,
    name="web-1",
    action=Action.POWER_ON,
    prepared_at=1000.25,
    deadline=1120.25,
)
COMMAND = Command(
    kind=CommandKind.PAUSE,
    owner="ada",
    reason="we move the rack",
    at=1001.5,
    time=START + timedelta(hours=1),
    until=4601.5,
    uuid=UUID,
    template="VM '<name>' „geparkt“ <n>",
    means="stop",
)
TEMPLATE = TemplateHistory(
    template="Task '<name>' ran on '<name>'",
    example="Task 'Hourly' ran on 'web-1'",
    sightings={
        RowSource.SYSTEM: Sightings(7, 100.5, 90_000.25),
        RowSource.MANY: Sightings(1, 300.0, 300.0),
    },
    marks=1,
    last_mark="web-1 at 2026-11-29 10:00:00 UTC (unknown: logs_unclear)",
    blocked=3,
)
SENT: dict[str, Any] = {"sent_at": 1000.5, "sent_position": LogPosition(7, 2**40)}
CONFIRMED: dict[str, Any] = {
    **SENT,
    "reply": Reply.ACCEPTED,
    "detail": "task 99",
    "outcome": Outcome.CONFIRMED,
    "extended": True,
    "deadline": 1240.25,
}


def poll_record(**fields: Any) -> PollRecord:
    """Return the record of an empty poll, changed by *fields*."""
    empty = PollRecord(
        watched=1000.0,
        time=START,
        clock=1.7e9 + 0.75,
        log_positions=(),
        cases=(),
        gone=(),
        changes=(),
    )
    return empty._replace(**fields)

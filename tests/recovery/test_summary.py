"""The summary of recovery, over simulated incidents."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from exporter.recovery.model.cases import Action, Cause, Diagnosis, DiagnosisKind, Intent, Outcome
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import DAY, Mode
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord, JournalRecords
from exporter.recovery.model.states import State
from exporter.recovery.report.incidents import End, Incident
from exporter.recovery.report.summary import RecoverySummary, summarize
from exporter.recovery.report.summary_text import summary_text
from tests.fakes import START
from tests.recovery.archive import accounted, as_json, stage
from tests.recovery.harness import at_once


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def change(
    seconds: float,
    before: State | None,
    after: State | None,
    diagnosis: Diagnosis | None = None,
) -> Change:
    return Change(
        uuid="u", vm_key=7, name="web-01", at=seconds, time=at(seconds),
        before=before, after=after, word="", diagnosis=diagnosis,
    )  # fmt: skip


def decided(
    seconds: float,
    reason: GuardName | None,
    kind: DiagnosisKind = DiagnosisKind.CRASHED,
    cause: Cause = Cause.CRASHED,
    detail: str = "",
) -> DecisionRecord:
    decision = Decision(
        uuid="u", vm_key=7, name="web-01", at=seconds, time=at(seconds), state=State.HELD,
        diagnosis=Diagnosis(kind, cause, detail), action=Action.POWER_ON, failed_guard=reason,
        guard_results=(), mode=Mode.SHADOW,
    )  # fmt: skip
    return DecisionRecord(1, decision)


def attempt(seconds: float, outcome: Outcome | None, *, sent: bool = True) -> ActionRecord:
    intent = Intent(
        id=1, uuid="u", vm_key=7, name="web-01", action=Action.POWER_ON, prepared_at=seconds,
        sent_at=seconds if sent else None, deadline=seconds + 120, outcome=outcome,
    )  # fmt: skip
    return ActionRecord(intent, 1, at(seconds), None)


def of(
    changes: Any = (), decisions: Any = (), attempts: Any = (), *, until: float = 4000
) -> RecoverySummary:
    return summarize(
        JournalRecords(changes, decisions, attempts),
        system="stage", mode="shadow", since=START, until=at(until),
    )  # fmt: skip


def only(summary: RecoverySummary) -> Incident:
    (incident,) = summary.incidents
    return incident


def wrong(summary: RecoverySummary) -> int:
    return summary.scorecard.precision.wrong


def held(summary: RecoverySummary) -> dict[str, int]:
    return {one.reason: one.downtimes for one in summary.scorecard.holds}


SEEN_STOPPING = Diagnosis(DiagnosisKind.STOPPED, Cause.SEEN_STOPPING, "seen stopping")
FELL = change(100, State.HEALTHY, State.SUSPECT)
HELD = change(
    140, State.SUSPECT, State.HELD, Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED, "it ran")
)
WOULD = decided(140, GuardName.MODE_PERMITS)


# Simulated incidents.


def test_shadow_mode_measures_avoidable_downtime() -> None:
    harness = stage(mode=Mode.SHADOW)
    harness.world.crash("web-01")
    harness.advance(1800)
    harness.world.operator_starts("web-01")
    harness.advance(60)

    summary = accounted(harness)

    assert harness.requests == []
    assert (
        summary.would_have_acted,
        summary.recovered_otherwise,
        summary.still_down,
        summary.acted,
    ) == (
        1,
        1,
        0,
        0,
    )
    incident = only(summary)
    assert incident.end is End.OTHER
    assert incident.would_have_acted is not None
    assert (incident.would_have_acted - incident.began).total_seconds() == 40
    assert incident.avoidable_seconds == 1760
    assert summary.avoidable_seconds == 1760
    assert summary_text(summary).splitlines()[-1] == (
        "    2026-01-01 00:10:40 UTC web-01: crashed; would have been started "
        "at 00:11:20 UTC (after 40 s)"
        "; started by anna at 00:40:40 UTC; 29 min avoidable downtime"
        "; the action would have been right: anna started the VM"
    )


def test_vm_still_down_counts_until_the_end_of_the_period() -> None:
    harness = stage(mode=Mode.SHADOW)
    harness.world.crash("web-01")
    harness.advance(1060)

    summary = accounted(harness)

    assert (summary.would_have_acted, summary.recovered_otherwise, summary.still_down) == (1, 0, 1)
    assert summary.avoidable_seconds == 1000
    assert "still down after 17 min" in summary_text(summary)


def test_enforce_mode_counts_actions_and_recovery_time() -> None:
    harness = stage()
    harness.world.crash("web-01")
    harness.advance(700)
    harness.world.crash("web-02")
    harness.advance(700)

    summary = accounted(harness)

    assert (summary.acted, summary.helped, summary.failed, wrong(summary)) == (2, 2, 0, 0)
    assert (summary.recovery_seconds, summary.worst_recovery_seconds) == (60, 60)
    assert summary.would_have_acted == 0
    assert {one.end for one in summary.incidents} == {End.VERGEWATCH}
    assert summary_text(summary).splitlines()[0] == (
        "stage: 2 downtimes of enrolled VMs; Vergewatch acted on 2 and brought 2 up."
    )


def test_wanted_stop_is_counted_but_not_listed() -> None:
    harness = stage()
    harness.world.operator_stops("db-01", graceful=False)
    harness.advance(600)

    summary = accounted(harness)

    assert summary.diagnoses == {"stopped": 1}
    assert summary.acted == summary.would_have_acted == 0
    assert "db-01" not in summary_text(summary)


def test_held_crash_names_the_guard() -> None:
    harness = stage()
    at_once(
        harness.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=3600)
    )
    harness.world.crash("web-01")
    harness.advance(600)

    summary = accounted(harness)

    assert held(summary) == {"not_paused": 1}
    assert "still down after 9 min; held by not_paused" in summary_text(summary)


def test_every_crash_of_a_loop_is_an_incident() -> None:
    harness = stage()
    for _ in range(4):
        harness.world.crash("web-02")
        harness.advance(400)

    summary = accounted(harness)

    assert len(summary.incidents) == 4
    assert (summary.acted, summary.helped) == (3, 3)
    assert held(summary)["within_restart_budget"] == 1


def test_period_without_incidents_has_a_line() -> None:
    summary = accounted(stage())

    assert summary.incidents == ()
    assert summary_text(summary).splitlines()[0] == "stage: no enrolled VM went down."


def test_text_is_made_from_the_json_document() -> None:
    harness = stage(mode=Mode.SHADOW)
    harness.world.crash("web-01")
    harness.advance(600)
    summary = accounted(harness)

    assert summary_text(
        msgspec.json.decode(as_json(summary), type=RecoverySummary)
    ) == summary_text(summary)


# Edge cases.


def test_restart_of_a_vm_stopped_by_user_is_wrong() -> None:
    late = decided(
        300,
        GuardName.CRASHED,
        DiagnosisKind.STOPPED,
        Cause.STOPPED_BY_PERSON,
        "“off” by anna (log row 4)",
    )

    summary = of([FELL, HELD, change(300, State.HELD, State.STOPPED)], [WOULD, late])

    assert wrong(summary) == 1
    assert summary.avoidable_seconds == 0
    assert "the action would have been wrong: “off” by anna (log row 4)" in summary_text(summary)


def test_stop_known_before_the_decision_is_not_wrong() -> None:
    early = decided(120, GuardName.CRASHED, DiagnosisKind.STOPPED, Cause.SEEN_STOPPING)

    assert wrong(of([FELL, HELD], [early, WOULD])) == 0


def test_restart_of_a_vm_stopped_again_at_once_is_wrong() -> None:
    summary = of(
        [
            FELL,
            change(160, State.SUSPECT, State.VERIFYING),
            change(200, State.VERIFYING, State.PROBATION),
            change(260, State.PROBATION, State.STOPPED, SEEN_STOPPING),
        ],
        [decided(160, None)],
        [attempt(160, Outcome.CONFIRMED)],
    )

    assert summary.helped == wrong(summary) == 1
    assert (
        summary.incidents[0].confirmed_by
        == "it was stopped again right after the start: seen stopping"
    )
    assert "the action was wrong" in summary_text(summary)


def test_restart_of_a_vm_stopped_much_later_is_right() -> None:
    summary = of(
        [
            FELL,
            change(200, State.VERIFYING, State.PROBATION),
            change(900, State.PROBATION, State.HEALTHY),
            change(960, State.HEALTHY, State.STOPPED, SEEN_STOPPING),
        ],
        [],
        [attempt(160, Outcome.CONFIRMED)],
    )

    assert wrong(summary) == 0


@pytest.mark.parametrize(
    ("outcome", "helped"),
    [(Outcome.CONFIRMED, 1), (Outcome.FAILED, 0), (Outcome.UNKNOWN, 0)],
)
def test_action_succeeded_or_failed(outcome: Outcome, helped: int) -> None:
    summary = of([FELL, HELD], [], [attempt(160, outcome)])

    assert (summary.acted, summary.helped, summary.failed) == (1, helped, 1 - helped)


def test_open_action_has_neither_succeeded_nor_failed() -> None:
    summary = of([FELL, HELD], [], [attempt(160, None)])

    assert (summary.acted, summary.helped, summary.failed) == (1, 0, 0)


def test_action_on_another_day_than_the_crash_has_its_date() -> None:
    late = replace(WOULD, decision=replace(WOULD.decision, time=at(DAY)))
    summary = of([FELL, HELD], [late])
    acted = of([FELL, HELD], [], [attempt(DAY, Outcome.CONFIRMED)])

    assert "would have been started at 2026-01-02 00:00:00 UTC (after" in summary_text(summary)
    assert "acted at 2026-01-02 00:00:00 UTC, which succeeded" in summary_text(acted)


def test_action_never_sent_is_not_counted() -> None:
    assert of([FELL], [], [attempt(160, Outcome.ABANDONED)]).acted == 0
    assert of([FELL], [], [attempt(160, None, sent=False)]).acted == 0


def test_unknown_causes_are_counted_by_cause() -> None:
    summary = of(
        [
            FELL,
            change(
                140,
                State.SUSPECT,
                State.UNKNOWN,
                Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNREAD, "500"),
            ),
        ],
        [decided(140, GuardName.CRASHED, DiagnosisKind.UNKNOWN, Cause.LOGS_UNREAD)],
    )

    assert held(summary) == {"logs_unread": 1}
    assert "logs_unread: 1 downtime, 1 h 4 min" in summary_text(summary)


def test_downtime_before_the_period_is_known_by_its_decisions() -> None:
    summary = of([], [WOULD], until=740)

    assert only(summary).avoidable_seconds == 600


def test_decision_on_an_earlier_downtime_is_not_of_the_next() -> None:
    summary = of(
        [
            change(200, State.HELD, State.HEALTHY),
            change(900, State.HEALTHY, State.SUSPECT),
            change(940, State.SUSPECT, State.HEALTHY),
        ],
        [WOULD],
    )

    first, second = summary.incidents
    assert (first.began, first.ended, first.would_have_acted) == (at(140), at(200), at(140))
    assert (second.began, second.would_have_acted, second.avoidable_seconds) == (at(900), None, 0.0)


def test_downtime_with_only_its_end_recorded_is_left_out() -> None:
    assert of([change(200, State.PROBATION, State.HEALTHY)]).incidents == ()


def test_downtime_before_the_period_is_left_out() -> None:
    ended = [FELL, HELD, change(200, State.HELD, State.HEALTHY)]
    summary = summarize(
        JournalRecords(ended, [WOULD], []), system="s", mode="shadow", since=at(201), until=at(900)
    )

    assert summary.incidents == ()


def test_vm_no_longer_monitored_ends_its_incident() -> None:
    summary = of([FELL, HELD, change(200, State.HELD, None)], [WOULD])

    assert only(summary).end is End.RELEASED
    assert (summary.recovered_otherwise, summary.still_down) == (0, 0)


def test_decision_belongs_to_the_downtime_it_was_made_in() -> None:
    summary = of(
        [
            FELL,
            change(200, State.SUSPECT, State.HEALTHY),
            change(300, State.HEALTHY, State.SUSPECT),
            change(400, State.SUSPECT, State.HEALTHY),
        ],
        # The poll that shows a VM down leads to a decision before the change is written.
        [decided(299.9, GuardName.MODE_PERMITS)],
    )

    first, second = summary.incidents
    assert first.would_have_acted is None
    assert second.would_have_acted == at(299.9)


def test_vm_started_by_high_availability_ends_with_platform() -> None:
    summary = of(
        [
            FELL,
            change(
                140,
                State.SUSPECT,
                State.PLATFORM,
                Diagnosis(DiagnosisKind.PLATFORM, Cause.NODE_IN_TROUBLE, "n2 is not well"),
            ),
            change(200, State.PLATFORM, State.HEALTHY),
        ]
    )

    assert only(summary).end is End.PLATFORM
    diagnosis = only(summary).diagnosis
    assert diagnosis is not None
    assert diagnosis.cause is Cause.NODE_IN_TROUBLE

"""The account that recovery gives of itself, over real plays."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from exporter.recovery.model.cases import Action, Cause, Diagnosis, DiagnosisKind, Intent, Outcome
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord, JournalRecords
from exporter.recovery.model.states import State
from exporter.recovery.report.summary import End, Incident, RecoverySummary, summarize
from exporter.recovery.report.summary_text import summary_text
from tests.fakes import START
from tests.recovery.archive import accounted, as_json, stage
from tests.recovery.harness import at_once

SHADOW = Limits(mode=Mode.SHADOW)


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def change(seconds: float, before: State | None, after: State | None, detail: str = "") -> Change:
    return Change(
        uuid="u", vm_key=7, name="web-01", at=seconds, time=at(seconds),
        before=before, after=after, word="", detail=detail,
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


def only(told: RecoverySummary) -> Incident:
    (incident,) = told.incidents
    return incident


FELL = change(100, State.HEALTHY, State.SUSPECT)
HELD = change(140, State.SUSPECT, State.HELD, "crashed: it ran")
WOULD = decided(140, GuardName.MODE_ENFORCE)


# Plays.


def test_shadow_mode_says_when_it_would_have_acted_and_how_much_later_a_person_did() -> None:
    theatre = stage(SHADOW)
    theatre.world.crash("web-01")
    theatre.let_pass(1800)
    theatre.world.operator_starts("web-01")
    theatre.let_pass(60)

    told = accounted(theatre)

    assert theatre.requests == []
    assert (told.would_have_acted, told.recovered_otherwise, told.still_down, told.acted) == (
        1,
        1,
        0,
        0,
    )
    incident = only(told)
    assert incident.end is End.OTHER
    assert incident.would_have_acted is not None
    assert (incident.would_have_acted - incident.began).total_seconds() == 40
    assert incident.avoidable_seconds == 1760
    assert told.avoidable_seconds == 1760
    assert summary_text(told).splitlines()[-1] == (
        "  2026-01-01 00:10:40 web-01: crashed; would have been started at 00:11:20 (after 40 s); "
        "started by somebody else at 00:40:40; 29 min lost"
    )


def test_what_is_still_down_costs_time_until_now() -> None:
    theatre = stage(SHADOW)
    theatre.world.crash("web-01")
    theatre.let_pass(1060)

    told = accounted(theatre)

    assert (told.would_have_acted, told.recovered_otherwise, told.still_down) == (1, 0, 1)
    assert told.avoidable_seconds == 1000
    assert "still down after 17 min" in summary_text(told)


def test_enforce_mode_says_how_fast_it_was_and_how_often_it_failed() -> None:
    theatre = stage()
    theatre.world.crash("web-01")
    theatre.let_pass(700)
    theatre.world.crash("web-02")
    theatre.let_pass(700)

    told = accounted(theatre)

    assert (told.acted, told.helped, told.failed, told.wrong) == (2, 2, 0, 0)
    assert (told.recovery_seconds, told.worst_recovery_seconds) == (60, 60)
    assert told.would_have_acted == 0
    assert {one.end for one in told.incidents} == {End.VERGEWATCH}
    assert (
        "acted in 2: helped in 2, failed in 0; up again after 1 min (median), 1 min at worst"
        in (summary_text(told))
    )


def test_a_stop_that_somebody_meant_is_counted_and_not_told() -> None:
    theatre = stage()
    theatre.world.operator_stops("db-01", graceful=False)
    theatre.let_pass(600)

    told = accounted(theatre)

    assert told.diagnoses == {"stopped": 1}
    assert told.acted == told.would_have_acted == 0
    assert "db-01" not in summary_text(told)


def test_what_was_held_back_names_the_guard() -> None:
    theatre = stage()
    at_once(
        theatre.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=3600)
    )
    theatre.world.crash("web-01")
    theatre.let_pass(600)

    told = accounted(theatre)

    assert told.held_by == {"paused": 1}
    assert "still down after 9 min; held back by paused" in summary_text(told)


def test_every_crash_of_a_loop_is_an_incident() -> None:
    theatre = stage()
    for _ in range(4):
        theatre.world.crash("web-02")
        theatre.let_pass(400)

    told = accounted(theatre)

    assert len(told.incidents) == 4
    assert (told.acted, told.helped) == (3, 3)
    assert told.held_by == {"budget_spent": 1}


def test_nothing_that_happened_is_a_line() -> None:
    told = accounted(stage())

    assert told.incidents == ()
    assert summary_text(told).splitlines()[1] == "  nothing happened to any VM that is looked after"


def test_the_text_is_made_of_what_the_json_says() -> None:
    theatre = stage(SHADOW)
    theatre.world.crash("web-01")
    theatre.let_pass(600)
    told = accounted(theatre)

    assert summary_text(msgspec.json.decode(as_json(told), type=RecoverySummary)) == summary_text(
        told
    )


# Cases on the edge.


def test_a_start_that_would_have_been_wrong_is_told_with_who_wanted_it_down() -> None:
    late = decided(
        300,
        GuardName.CRASHED,
        DiagnosisKind.STOPPED,
        Cause.STOPPED_BY_PERSON,
        "“off” by anna (log row 4)",
    )

    told = of([FELL, HELD, change(300, State.HELD, State.STOPPED)], [WOULD, late])

    assert told.wrong == 1
    assert told.avoidable_seconds == 0
    assert "that would have been wrong, “off” by anna (log row 4)" in summary_text(told)


def test_a_stop_that_was_known_before_makes_nothing_wrong() -> None:
    early = decided(120, GuardName.CRASHED, DiagnosisKind.STOPPED, Cause.SEEN_STOPPING)

    assert of([FELL, HELD], [early, WOULD]).wrong == 0


def test_a_vm_that_is_stopped_again_at_once_should_not_have_been_started() -> None:
    told = of(
        [
            FELL,
            change(160, State.SUSPECT, State.VERIFYING),
            change(200, State.VERIFYING, State.PROBATION),
            change(260, State.PROBATION, State.STOPPED, "seen_stopping: seen stopping"),
        ],
        [decided(160, None)],
        [attempt(160, Outcome.CONFIRMED)],
    )

    assert told.helped == told.wrong == 1
    assert told.incidents[0].wrong == "it was stopped again at once: seen stopping"
    assert "that was wrong" in summary_text(told)


def test_a_vm_that_is_stopped_much_later_was_started_rightly() -> None:
    told = of(
        [
            FELL,
            change(200, State.VERIFYING, State.PROBATION),
            change(900, State.PROBATION, State.HEALTHY),
            change(960, State.HEALTHY, State.STOPPED, "seen_stopping: seen stopping"),
        ],
        [],
        [attempt(160, Outcome.CONFIRMED)],
    )

    assert told.wrong == 0


@pytest.mark.parametrize(
    ("outcome", "helped"),
    [(Outcome.CONFIRMED, 1), (Outcome.FAILED, 0), (Outcome.UNKNOWN, 0)],
)
def test_an_action_helped_or_it_failed(outcome: Outcome, helped: int) -> None:
    told = of([FELL, HELD], [], [attempt(160, outcome)])

    assert (told.acted, told.helped, told.failed) == (1, helped, 1 - helped)


def test_an_action_under_way_has_neither_helped_nor_failed() -> None:
    told = of([FELL, HELD], [], [attempt(160, None)])

    assert (told.acted, told.helped, told.failed) == (1, 0, 0)


def test_an_action_that_was_never_sent_is_none() -> None:
    assert of([FELL], [], [attempt(160, Outcome.ABANDONED)]).acted == 0
    assert of([FELL], [], [attempt(160, None, sent=False)]).acted == 0


def test_unknown_causes_are_counted_by_cause() -> None:
    told = of(
        [FELL, change(140, State.SUSPECT, State.UNKNOWN, "logs_unread: 500")],
        [decided(140, GuardName.CRASHED, DiagnosisKind.UNKNOWN, Cause.LOGS_UNREAD)],
    )

    assert told.unknown == {"logs_unread": 1}
    assert "unknown: logs_unread 1" in summary_text(told)


def test_a_trouble_that_began_before_the_account_is_known_by_its_decisions() -> None:
    told = of([], [WOULD], until=740)

    assert only(told).avoidable_seconds == 600


def test_a_decision_on_a_trouble_that_began_before_the_account_is_not_of_the_next_one() -> None:
    told = of(
        [
            change(200, State.HELD, State.HEALTHY),
            change(900, State.HEALTHY, State.SUSPECT),
            change(940, State.SUSPECT, State.HEALTHY),
        ],
        [WOULD],
    )

    first, second = told.incidents
    assert (first.began, first.ended, first.would_have_acted) == (at(140), at(200), at(140))
    assert (second.began, second.would_have_acted, second.avoidable_seconds) == (at(900), None, 0.0)


def test_what_only_ended_in_the_account_is_not_in_it() -> None:
    assert of([change(200, State.PROBATION, State.HEALTHY)]).incidents == ()


def test_a_trouble_that_ended_before_the_account_is_not_in_it() -> None:
    ended = [FELL, HELD, change(200, State.HELD, State.HEALTHY)]
    told = summarize(
        JournalRecords(ended, [WOULD], []), system="s", mode="shadow", since=at(201), until=at(900)
    )

    assert told.incidents == ()


def test_a_vm_that_is_looked_after_no_longer_is_down_no_longer() -> None:
    told = of([FELL, HELD, change(200, State.HELD, None)], [WOULD])

    assert only(told).end is End.RELEASED
    assert (told.recovered_otherwise, told.still_down) == (0, 0)


def test_a_decision_is_about_the_trouble_that_it_was_made_in() -> None:
    told = of(
        [
            FELL,
            change(200, State.SUSPECT, State.HEALTHY),
            change(300, State.HEALTHY, State.SUSPECT),
            change(400, State.SUSPECT, State.HEALTHY),
        ],
        # The round in which a VM goes down decides before it writes down that it went down.
        [decided(299.9, GuardName.MODE_ENFORCE)],
    )

    first, second = told.incidents
    assert first.would_have_acted is None
    assert second.would_have_acted == at(299.9)


def test_a_case_of_the_platform_is_the_platforms_merit() -> None:
    told = of(
        [
            FELL,
            change(140, State.SUSPECT, State.PLATFORM, "node_in_trouble: n2 is not well"),
            change(200, State.PLATFORM, State.HEALTHY),
        ]
    )

    assert only(told).end is End.PLATFORM
    assert only(told).cause == "node_in_trouble"

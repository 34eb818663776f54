"""The scorecard: what people did later confirms or refutes what recovery did."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.recovery.model.cases import Cause, Diagnosis, DiagnosisKind, Outcome
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from exporter.recovery.report.incidents import ACTION_FAILED, Confirmation, Hold, Incident
from exporter.recovery.report.scorecard import HoldTotal, Share
from exporter.recovery.report.summary import RecoverySummary
from exporter.recovery.report.summary_text import share_text, summary_text
from tests.fakes import START
from tests.recovery.archive import accounted, stage
from tests.recovery.journal_story import (
    FAILED_OVER,
    HOUR,
    STOPPED,
    TRIM,
    UNCLEAR,
    Story,
    restarted,
)


def held(by: str = "anna", guard: GuardName = GuardName.NOT_PAUSED) -> Story:
    """Return a story in which recovery holds a crashed VM, and a person starts it after 1 h."""
    return Story().falls(100).decides(140, guard).is_up(100 + HOUR, by)


def confirmations(story: Story) -> list[tuple[Confirmation | None, str]]:
    return [(one.confirmation, one.confirmed_by) for one in story.report().incidents]


def only(summary: RecoverySummary) -> Incident:
    (incident,) = summary.incidents
    return incident


# Right, wrong and not known.


def test_action_that_nobody_confirmed_is_not_known() -> None:
    card = restarted().report().scorecard

    assert card.precision == Share(not_known=1, low=0.0, high=1.0)
    assert card.recall == Share(not_known=1, low=0.0, high=1.0)
    assert share_text(card.precision) == "not known"


@pytest.mark.parametrize(("seconds", "wrong"), [(0, True), (599, True), (600, True), (601, False)])
def test_action_undone_within_ten_minutes_is_wrong(seconds: float, wrong: bool) -> None:
    story = restarted().change(160 + seconds, State.HEALTHY, State.STOPPED, STOPPED)

    found = confirmations(story)[0]

    if wrong:
        why = "it was stopped again right after the start: “off” by anna"
        assert found == (Confirmation.WRONG, why)
    else:
        assert found == (Confirmation.NOT_KNOWN, "")


def test_vm_that_crashes_again_at_once_does_not_make_the_action_wrong() -> None:
    story = restarted().falls(200).decides(240, GuardName.WITHIN_RESTART_BUDGET)

    assert confirmations(story)[0] == (Confirmation.NOT_KNOWN, "")


def test_stop_that_is_known_only_after_the_action_makes_it_wrong() -> None:
    story = Story().falls(100).acts(140, None).change(150, State.VERIFYING, State.STOPPED, STOPPED)

    assert confirmations(story) == [(Confirmation.WRONG, "“off” by anna")]


def test_undoing_after_the_period_counts() -> None:
    story = restarted().change(400, State.PROBATION, State.STOPPED, STOPPED)

    assert story.report(until=300).scorecard.precision.wrong == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (CommandKind.APPROVE, (Confirmation.RIGHT, "bob approved it: it is mine")),
        (CommandKind.DENY, (Confirmation.WRONG, "bob denied it: it is mine")),
    ],
)
def test_answer_to_a_question_confirms(kind: CommandKind, expected: tuple[Any, str]) -> None:
    story = Story(Mode.ASK).falls(100).decides(140, GuardName.MODE_PERMITS).answered(200, kind)

    assert confirmations(story) == [expected]


def test_denial_after_an_approval_is_final() -> None:
    story = Story(Mode.ASK).falls(100).decides(140, GuardName.MODE_PERMITS)
    for at, kind in ((200, CommandKind.APPROVE), (210, CommandKind.DENY)):
        story.answered(at, kind)

    assert confirmations(story)[0][0] is Confirmation.WRONG


def test_approved_action_that_a_person_undoes_is_wrong() -> None:
    story = Story(Mode.ASK).falls(100).decides(140, GuardName.MODE_PERMITS)
    story.answered(150, CommandKind.APPROVE).acts(160).is_up(200)

    assert confirmations(story) == [(Confirmation.RIGHT, "bob approved it: it is mine")]

    story.change(300, State.PROBATION, State.STOPPED, STOPPED)

    assert confirmations(story)[0][0] is Confirmation.WRONG


def test_shadow_decision_is_right_if_a_person_started_the_vm() -> None:
    story = Story(Mode.SHADOW).falls(100).decides(140, GuardName.MODE_PERMITS).is_up(900, "anna")

    summary = story.report()

    assert only(summary).confirmed_by == "anna started the VM"
    assert summary.scorecard.precision == Share(right=1, low=1.0, high=1.0)
    assert summary.scorecard.recall == Share(right=1, low=1.0, high=1.0)
    assert "precision: 100 %" in summary_text(summary)


def test_shadow_decision_on_a_vm_that_came_up_by_itself_is_not_known() -> None:
    story = Story(Mode.SHADOW).falls(100).decides(140, GuardName.MODE_PERMITS).is_up(900)

    card = story.report().scorecard

    assert (card.precision.right, card.precision.not_known) == (0, 1)
    assert (card.recall.right, card.recall.not_known) == (0, 1)


# Missed.


@pytest.mark.parametrize(
    ("story", "because"),
    [
        (held(), "not_paused"),
        (Story().falls(100).decides(140, GuardName.CRASHED, UNCLEAR).is_up(900, "anna"),
         "logs_unclear"),
        (Story().falls(100).acts(140, Outcome.FAILED).is_up(900, "anna"), ACTION_FAILED),
        (held("", GuardName.NOT_PAUSED), ""),
        (Story().falls(100).is_up(130, "anna"), ""),
        (Story().falls(100).decides(140, GuardName.CRASHED, STOPPED).is_up(900, "anna"), ""),
        (Story().falls(100).decides(140, GuardName.CRASHED, FAILED_OVER).is_up(900), ""),
    ],
    ids=["guard", "unknown", "failed", "starter-unknown", "brief", "stopped", "platform"],
)  # fmt: skip
def test_start_by_a_person_that_recovery_missed(story: Story, because: str) -> None:
    summary = story.report()

    assert only(summary).missed == because
    assert summary.scorecard.recall.wrong == bool(because)


def test_missed_start_names_the_guard_that_held_longest() -> None:
    story = Story().falls(100).decides(140, GuardName.WARMED_UP)
    story.decides(200, GuardName.STORAGE_AVAILABLE).is_up(HOUR, "anna")

    summary = story.report()

    assert only(summary).missed == "storage_available"
    assert only(summary).holds == (Hold("warmed_up", 60), Hold("storage_available", 3400))
    assert summary.scorecard.missed_seconds == 3500


def test_downtime_that_the_platform_ended_needed_no_start() -> None:
    story = Story().falls(100).change(140, State.SUSPECT, State.PLATFORM, FAILED_OVER).is_up(200)

    assert story.report().scorecard.recall == Share()


# Downtime with and without recovery.


def test_vm_that_recovery_started_would_have_been_down_until_a_person_came() -> None:
    story = restarted(at=2 * HOUR, story=held(), vm="db-01")

    card = story.report().scorecard

    assert card.person_seconds == HOUR
    assert card.with_seconds == HOUR + 60
    assert card.without_seconds == 2 * HOUR


def test_downtime_without_recovery_is_not_known_if_no_person_started_a_vm() -> None:
    summary = restarted().report()

    assert summary.scorecard.without_seconds is None
    assert "downtime without recovery: not known" in summary_text(summary)


def test_downtime_without_recovery_ends_with_the_period() -> None:
    story = restarted(at=2 * HOUR, story=held(), vm="db-01")

    assert story.report(until=2 * HOUR + 600).scorecard.without_seconds == HOUR + 600


def test_crash_loop_counts_no_minute_twice_without_recovery() -> None:
    story = held()
    for number in range(3):
        restarted(at=2 * HOUR + 600 * number, story=story, vm="db-01")

    assert story.report().scorecard.without_seconds == HOUR + 1200 + HOUR


def test_shadow_mode_estimates_the_downtime_with_recovery() -> None:
    story = Story(Mode.SHADOW).falls(100).decides(140, GuardName.MODE_PERMITS).is_up(900, "anna")

    card = story.report().scorecard

    assert (card.with_seconds, card.without_seconds, card.is_estimated) == (40, 800, True)


def test_stop_on_purpose_is_no_unwanted_downtime() -> None:
    summary = Story().change(100, State.HEALTHY, State.STOPPED, STOPPED).is_up(900).report()

    assert only(summary).down_seconds == 800
    assert (summary.scorecard.with_seconds, summary.scorecard.without_seconds) == (0, 0)


def test_downtime_is_cut_to_the_period() -> None:
    summary = held().report(since=1000, until=2000)

    assert only(summary).down_seconds == summary.scorecard.with_seconds == 1000
    assert only(summary).holds == (Hold("not_paused", 1000),)
    assert summary.scorecard.missed_seconds == 1000


def test_downtime_of_each_day() -> None:
    story = Story().falls(23.5 * HOUR).decides(23.6 * HOUR, GuardName.NOT_PAUSED)
    story.is_up(25 * HOUR, "anna")

    card = story.report(until=72 * HOUR).scorecard

    assert not card.hourly
    assert [one.with_seconds for one in card.bars] == [0.5 * HOUR, HOUR, 0]
    assert [one.began - START for one in card.bars] == [timedelta(days=day) for day in range(3)]


def test_downtime_of_each_hour_of_a_short_period() -> None:
    card = held().report(since=1800, until=3 * HOUR).scorecard

    assert card.hourly
    assert [one.with_seconds for one in card.bars] == [1800, 100, 0]


# What held recovery.


def test_reasons_for_holding_are_ranked() -> None:
    story = Story()
    for number, guard in enumerate([GuardName.NOT_PAUSED, *[GuardName.STORAGE_AVAILABLE] * 2]):
        vm = f"vm-{number}"
        story.falls(100, vm).decides(140, guard, vm=vm).is_up(240, vm=vm)

    assert story.report().scorecard.holds == (
        HoldTotal("storage_available", 2, 200),
        HoldTotal("not_paused", 1, 100),
    )


def test_time_before_the_diagnosis_is_no_reason_for_holding() -> None:
    pending = Diagnosis(DiagnosisKind.PENDING, Cause.NOT_LONG_ENOUGH)
    story = Story().falls(100).decides(110, GuardName.CRASHED, pending)
    story.decides(140, GuardName.NOT_PAUSED).is_up(240)

    assert story.report().scorecard.holds == (HoldTotal("not_paused", 1, 100),)


def test_unknown_templates_are_ranked_by_the_diagnoses_that_they_blocked() -> None:
    story = Story()
    for number, template in enumerate(["rare", TRIM, TRIM]):
        vm, unclear = f"vm-{number}", Diagnosis(*[*_fields(UNCLEAR)[:3], template])
        story.falls(100, vm).decides(140, GuardName.CRASHED, unclear, vm)
        story.decides(150, GuardName.NOT_PAUSED, unclear, vm)  # the same diagnosis

    card = story.report().scorecard

    assert [(one.template, one.diagnoses) for one in card.templates] == [(TRIM, 2), ("rare", 1)]
    assert card.templates[0].command.startswith("vergewatch recovery teach ")


def _fields(diagnosis: Diagnosis) -> Sequence[Any]:
    return diagnosis.kind, diagnosis.cause, diagnosis.detail, diagnosis.template


# Who started a VM, in simulated systems.


def test_start_by_a_person_is_recorded() -> None:
    harness = stage(mode=Mode.SHADOW)
    harness.world.crash("web-01")
    harness.advance(1800)
    harness.world.operator_starts("web-01", user="bob")
    harness.advance(60)

    summary = accounted(harness)

    assert only(summary).started_by == "bob"
    assert summary.scorecard.precision.right == 1


def test_start_by_recovery_is_no_persons() -> None:
    harness = stage()
    harness.world.crash("web-01")
    harness.advance(120)

    summary = accounted(harness)

    assert only(summary).started_by == ""
    assert summary.scorecard.precision == Share(not_known=1, low=0.0, high=1.0)


def test_start_of_which_the_log_has_no_row_is_nobodys() -> None:
    harness = stage(mode=Mode.SHADOW)
    harness.world.crash("web-01")
    harness.advance(600)
    harness.world.operator_starts("web-01", user="system")
    harness.advance(60)

    summary = accounted(harness)

    assert only(summary).started_by == ""
    assert summary.scorecard.precision.not_known == 1


def test_start_that_a_person_undoes_is_wrong_in_a_simulated_system() -> None:
    harness = stage()
    harness.world.crash("web-01")
    harness.advance(120)
    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(300)

    assert accounted(harness).scorecard.precision.wrong == 1


# Properties.

VMS = ("web-01", "db-01")
GUARDS = [*GuardName, GuardName.MODE_PERMITS, GuardName.MODE_PERMITS]
OUTCOMES = [*Outcome, None, Outcome.CONFIRMED]
ANSWERS = [CommandKind.APPROVE, CommandKind.DENY]


def _steps(story: Story, at: float, vm: str, draw: st.DrawFn) -> dict[str, Callable[[], Story]]:
    """Return what can happen to a VM."""
    return {
        "falls": lambda: story.falls(at, vm),
        "is up": lambda: story.is_up(at, draw(st.sampled_from(["", "anna"])), vm),
        "is held": lambda: story.decides(at, draw(st.sampled_from(GUARDS)), vm=vm),
        "is unclear": lambda: story.decides(at, GuardName.CRASHED, UNCLEAR, vm),
        "is acted on": lambda: story.acts(at, draw(st.sampled_from(OUTCOMES)), vm),
        "is stopped": lambda: story.change(at, State.SUSPECT, State.STOPPED, STOPPED, vm=vm),
        "is answered": lambda: story.answered(at, draw(st.sampled_from(ANSWERS))),
    }


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Return any sequence of records, also impossible ones: a journal may have gaps."""
    story, at = Story(draw(st.sampled_from(list(Mode)))), 0.0
    for _ in range(draw(st.integers(0, 14))):
        at += draw(st.floats(0, 5 * HOUR))
        steps = _steps(story, at, draw(st.sampled_from(VMS)), draw)
        steps[draw(st.sampled_from(sorted(steps)))]()
    return story


@settings(deadline=None)
@given(stories(), st.floats(0, 60 * HOUR), st.floats(60, 60 * HOUR))
def test_report_of_any_records_adds_up(story: Story, since: float, length: float) -> None:
    summary = story.report(since, since + length)
    card, incidents = summary.scorecard, summary.incidents

    # Right, wrong and not known are all the actions, and all are told.
    actions = [one for one in incidents if one.acted or one.would_have_acted]
    precision = card.precision
    assert precision.right + precision.wrong + precision.not_known == len(actions)
    assert all((one.confirmation is not None) == (one in actions) for one in incidents)
    # Nothing is right, wrong or missed without someone who shows it.
    for one in incidents:
        confirmed = one.confirmation in (Confirmation.RIGHT, Confirmation.WRONG)
        assert bool(one.confirmed_by) == confirmed
        assert not one.missed or one.started_by
    for share in (card.precision, card.recall):
        assert share.low is None or 0 <= share.low <= (share.high or 0) <= 1
    assert sum(card.results.values()) == len(incidents)
    # Seconds are never negative, and no VM is down for longer than the period.
    for one in incidents:
        assert 0 <= one.with_seconds <= one.down_seconds <= length + 1e-3
        assert one.without_seconds is None or 0 <= one.without_seconds <= length + 1e-3
        assert all(0 <= hold.seconds <= length + 1e-3 for hold in one.holds)
    assert card.with_seconds == pytest.approx(sum(bar.with_seconds for bar in card.bars))
    if card.without_seconds is not None:
        assert card.with_seconds <= card.without_seconds + 1e-3
        assert card.without_seconds == pytest.approx(
            sum(bar.without_seconds or 0.0 for bar in card.bars)
        )


@settings(deadline=None)
@given(stories(), st.floats(60, 30 * HOUR), st.floats(60, 30 * HOUR))
def test_downtime_of_two_periods_is_that_of_both_together(
    story: Story, first: float, second: float
) -> None:
    """Cutting a period in two neither loses nor doubles downtime that was measured."""
    whole = story.report(0, first + second)
    parts = story.report(0, first), story.report(first, first + second)

    assert _down(whole) == pytest.approx(sum(map(_down, parts)), abs=1e-3)


def _down(summary: RecoverySummary) -> float:
    return sum(one.down_seconds for one in summary.incidents)

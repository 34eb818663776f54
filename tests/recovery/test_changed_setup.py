"""Settings of a running recovery that change: what stays, and that no hold is skipped."""

import asyncio
from dataclasses import replace
from datetime import time

import pytest

from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Outcome, Policy
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.limits import Mode
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.recovery_config import RecoveryConfig
from tests.recovery.harness import ENFORCE, EVERY, LIMITS, Harness, at_once, outcomes
from tests.recovery.test_last_moment import crashed_with_a_slow_log

STARTS = EnrolmentRule(names=("web-01",), policy=Policy.ON_FAILURE)
NEVER = EnrolmentRule(names=("web-*",), policy=Policy.NO)
BY_RULE = ENFORCE._replace(enrolment_rules=(STARTS,))
LONGER_RULE = ENFORCE._replace(enrolment_rules=(replace(STARTS, names=("web-01", "web-02")),))
OTHER_LIMITS = replace(LIMITS, max_per_week=9)
ALWAYS = MaintenanceWindow(start=time(0, 0), hours=24 * 7, reason="backup")


def use(harness: Harness, setup: RecoveryConfig) -> None:
    at_once(harness.recovery.use(setup))


def ruled(setup: RecoveryConfig = BY_RULE) -> Harness:
    return Harness(setup=setup, tags={}).warm()


def test_name_added_to_a_rule_enrols_its_vm_and_no_other() -> None:
    harness = ruled()
    use(harness, LONGER_RULE)
    harness.advance(3 * EVERY)
    harness.world.crash("web-02")
    harness.world.crash("app-01")
    harness.advance(200)  # which takes no warm-up
    assert [request.vm_key for request in harness.asked()] == [harness.case("web-02").key]


@pytest.mark.parametrize("polls", range(8))
def test_rule_that_says_no_wins_whenever_it_comes(polls: int) -> None:
    harness = ruled()
    harness.world.crash("web-01")
    harness.advance(polls * EVERY)
    before = len(harness.asked())
    use(harness, BY_RULE._replace(enrolment_rules=(STARTS, NEVER)))
    harness.advance(3600)
    assert len(harness.asked()) == before


@pytest.mark.parametrize("change", [LONGER_RULE, BY_RULE._replace(limits=OTHER_LIMITS)])
@pytest.mark.parametrize("polls", range(8))
def test_crashed_vm_is_started_once_whenever_settings_change(
    polls: int, change: RecoveryConfig
) -> None:
    harness = ruled()
    harness.world.crash("web-01")
    harness.advance(polls * EVERY)
    use(harness, change)
    harness.advance(1200)
    assert len(harness.asked()) == 1
    assert harness.running("web-01")
    assert outcomes(harness) == [Outcome.CONFIRMED]


async def test_settings_that_change_during_a_poll_end_its_actions() -> None:
    harness, reached, go_on = crashed_with_a_slow_log()
    taking = asyncio.create_task(harness.recovery.process(harness._read()))
    await reached.wait()
    changing = asyncio.create_task(harness.recovery.use(ENFORCE._replace(limits=OTHER_LIMITS)))
    await asyncio.sleep(0)  # noqa: TID251 - a turn for the others
    go_on.set()
    await taking
    await changing

    assert not harness.asked()
    assert outcomes(harness) in ([], [Outcome.ABANDONED])
    assert harness.recovery.readiness_now.readiness is ReadinessState.DEGRADED
    assert harness.recovery.setup.limits.max_per_week == 9


def test_window_of_both_settings_holds_without_a_gap() -> None:
    harness = ruled(BY_RULE._replace(maintenance_windows=(ALWAYS,)))
    harness.world.crash("web-01")
    harness.advance(200)
    use(harness, BY_RULE._replace(maintenance_windows=(ALWAYS, replace(ALWAYS, names=("x",)))))
    harness.advance(1200)
    assert not harness.asked()
    use(harness, BY_RULE)
    harness.advance(100)
    assert len(harness.asked()) == 1


def test_kill_switch_at_another_place_holds_without_a_gap() -> None:
    on = ["/old"]
    harness = ruled(BY_RULE._replace(kill_switch=lambda: on[0]))
    harness.world.crash("web-01")
    harness.advance(200)
    use(harness, BY_RULE._replace(kill_switch=lambda: "/new" if on else ""))
    harness.advance(1200)
    assert not harness.asked()
    on.clear()
    harness.advance(LIMITS.warmup_seconds + 60)
    assert len(harness.asked()) == 1


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.ASK])
def test_mode_that_becomes_enforce_warms_up_first(mode: Mode) -> None:
    harness = ruled(BY_RULE._replace(mode=mode))
    harness.world.crash("web-01")
    harness.advance(300)
    assert not harness.asked()
    use(harness, BY_RULE)
    changed_at = harness.clock.elapsed
    harness.advance(600)
    (request,) = harness.asked()
    assert request.at - changed_at >= LIMITS.warmup_seconds


def test_question_and_pause_stay() -> None:
    harness = ruled(BY_RULE._replace(mode=Mode.ASK))
    harness.world.crash("web-01")
    harness.advance(300)
    question = harness.case("web-01").question
    assert question is not None
    use(harness, BY_RULE._replace(mode=Mode.ASK, limits=OTHER_LIMITS))
    at_once(
        harness.recovery.command(
            CommandKind.APPROVE, owner="anna", reason="go", question=question.number
        )
    )
    assert not harness.asked()  # nothing was polled by the new settings yet
    harness.advance(600)
    assert len(harness.asked()) == 1

    at_once(harness.recovery.command(CommandKind.DISARM, owner="anna", reason="because"))
    use(harness, BY_RULE)
    harness.world.crash("web-01")
    harness.advance(1200)
    assert len(harness.asked()) == 1


def test_spent_budget_counts_by_the_new_limits() -> None:
    harness = ruled()
    harness.world.crash("web-01")
    harness.advance(600)
    assert len(harness.asked()) == 1
    use(harness, BY_RULE._replace(limits=replace(LIMITS, max_per_day=1)))
    harness.advance(1200)
    harness.world.crash("web-01")
    harness.advance(4 * 3600)
    assert len(harness.asked()) == 1

"""Monitored VMs: diagnosed and reported, never acted on."""

from typing import Any

import pytest

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Cause, Policy
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.enrolment import EnrolmentRule
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import ENFORCE, LIMITS, Harness
from tests.recovery.test_scenarios import (
    ENOUGH,
    cause,
    on_different_nodes,
    on_one_node,
    reason,
    until,
)

EVERY = LIMITS.log_read_seconds
LOGS = "GET /api/v4/machine_logs"


def begin(make_harness: MakeHarness, **stage: Any) -> Harness:
    return make_harness(**stage)[0].warm()


def begin_with_many(make_harness: MakeHarness) -> tuple[Harness, list[str]]:
    """Return a harness of strangers, and the list of what will be asked over the wire."""
    harness, checker = make_harness(tags={}, vms=40)
    heard: list[str] = []
    harness.warm()
    checker.on_wire = heard.append
    return harness, heard


def decided_on(harness: Harness, name: str) -> list[GuardName]:
    return [one.failed_guard for one in harness.journal.decisions if one.name == name]


def test_crashed_monitored_vm_is_diagnosed_and_not_restarted(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={})

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert harness.case("web-01").state is State.HELD
    assert cause(harness, "web-01") is Cause.CRASHED
    assert reason(harness, "web-01") is GuardName.ENROLLED
    assert harness.asked() == []


def test_stopped_monitored_vm_has_the_user_who_stopped_it(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={})

    harness.world.operator_stops(harness.world.vm("web-01"), graceful=False)
    harness.advance(ENOUGH)

    assert harness.case("web-01").state is State.STOPPED
    assert cause(harness, "web-01") is Cause.STOPPED_BY_PERSON


def test_tag_added_after_the_crash_does_not_restart(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={})
    harness.world.crash("web-01")
    harness.advance(200)

    harness.world.tag("web-01", "recovery/always")
    harness.advance(ENOUGH)

    assert harness.case("web-01").state is State.UNKNOWN  # so that it is still told of
    assert cause(harness, "web-01") is Cause.NEVER_SEEN_UP
    assert harness.asked() == []


def test_tag_added_while_up_applies_to_the_next_crash(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={})
    harness.world.tag("web-01", "recovery/auto")
    harness.advance(120)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert len(harness.asked("web-01")) == 1
    assert harness.running("web-01")


def test_vm_losing_its_tag_while_down_is_still_reported(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={"web-01": ["recovery/auto"]})
    harness.world.faults.turn_on("status", path="vm_actions", code=500)
    harness.world.crash("web-01")
    until(harness, lambda: bool(harness.asked("web-01")))

    harness.world.untag(harness.world.vm("web-01"), "recovery/auto")
    harness.advance(ENOUGH)

    assert len(harness.asked("web-01")) == 1
    assert harness.case("web-01").state is State.HELD
    assert reason(harness, "web-01") is GuardName.ENROLLED


def test_ignored_vm_has_no_case(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={"web-01": ["recovery/ignore"]})

    assert harness.world.vm("web-01").uuid not in harness.recovery.state.cases


def test_monitored_vms_do_not_open_the_breaker(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={"web-01": ["recovery/auto"]})
    for name in harness.names:
        if name != "web-01":
            harness.world.crash(name)
    harness.advance(300)

    assert harness.recovery.state.breaker.breaker_state is BreakerState.CLOSED


def test_monitored_vm_going_down_does_not_reopen_the_breaker(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, vms=30, tags={})
    *ours, stranger = harness.names[:6]
    for name in ours:
        harness.world.tag(name, "recovery/auto")
    harness.advance(80)
    for name in ours[:3]:
        harness.world.crash(name)
    until(harness, lambda: harness.recovery.state.breaker.breaker_state is BreakerState.HALF_OPEN)

    harness.world.crash(stranger)
    harness.advance(harness.every)

    assert harness.recovery.state.breaker.breaker_state is BreakerState.HALF_OPEN


def test_one_log_read_serves_many_monitored_vms(make_harness: MakeHarness) -> None:
    harness, heard = begin_with_many(make_harness)
    for name in harness.names:
        harness.world.operator_stops(harness.world.vm(name), graceful=False)
    harness.advance(EVERY - harness.every)

    assert heard.count(LOGS) <= 2
    assert {harness.case(name).state for name in harness.names} == {State.STOPPED}


def test_many_stops_of_monitored_vms_do_not_exhaust_the_requests(make_harness: MakeHarness) -> None:
    harness, heard = begin_with_many(make_harness)
    for name in harness.names:
        harness.world.operator_stops(harness.world.vm(name), graceful=False)
        harness.advance(60)

    assert heard.count(LOGS) <= len(harness.names) * 60 / (EVERY / 2)


def test_monitored_vm_does_not_delay_the_log_of_an_enrolled_vm(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={})
    stranger, ours = on_different_nodes(harness)[:2]
    harness.world.tag(ours, "recovery/auto")
    harness.advance(80)
    harness.world.crash(stranger)
    harness.advance(60)

    harness.world.crash(ours)
    harness.advance(75)

    assert len(harness.asked(ours)) == 1


def test_only_crashes_of_monitored_vms_are_recorded_as_decisions(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={})
    harness.world.operator_stops(harness.world.vm("web-01"), graceful=False)
    harness.advance(300)
    harness.world.crash("web-02")
    harness.advance(300)

    assert decided_on(harness, "web-01") == []
    assert decided_on(harness, "web-02") == [GuardName.ENROLLED]


@pytest.mark.parametrize("policy", ["auto", "unless-stopped", "always"])
def test_stop_during_an_outage_is_explained_by_the_log(
    policy: str, make_harness: MakeHarness
) -> None:
    harness = begin(make_harness, tags={"web-01": [f"recovery/{policy}"]})

    harness.world.operator_stops(harness.world.vm("web-01"), graceful=False)
    harness.clock.elapsed += 400
    harness.new_process()
    harness.advance(120)

    assert harness.case("web-01").state is State.STOPPED
    assert cause(harness, "web-01") is Cause.STOPPED_BY_PERSON


def test_node_failure_before_a_daemon_restart_is_known_after_it(make_harness: MakeHarness) -> None:
    harness = begin(make_harness)
    first, second = on_one_node(harness)
    harness.world.crash(first)
    harness.clock.elapsed += 10
    harness.new_process()
    harness.advance(20)
    harness.world.crash(second)
    harness.advance(40)

    node = harness.recovery.state.nodes[harness.case(second).node or 0]
    assert len(node.drops) == 2


@pytest.mark.parametrize("tags", [{}, {"web-01": ["recovery/auto"]}])
def test_vm_seen_stopping_gets_the_author_of_the_stop(tags: Any, make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags=tags)
    harness.world.vm("web-01").machine.shutdown_seconds = 60.0

    harness.world.operator_stops(harness.world.vm("web-01"), graceful=True, user="anna")
    harness.advance(40)
    first = cause(harness, "web-01")
    harness.advance(EVERY + 40)

    diagnosis = harness.case("web-01").diagnosis
    assert first in (Cause.SEEN_STOPPING, Cause.STOPPED_BY_PERSON)
    assert diagnosis is not None
    assert diagnosis.cause is Cause.STOPPED_BY_PERSON
    assert "by anna at" in diagnosis.detail


def test_many_monitored_vms_do_not_hide_that_enrolled_vms_are_missing(
    make_harness: MakeHarness,
) -> None:
    harness = begin(make_harness, vms=120, tags={})
    ours = harness.names[:10]
    for name in ours:
        harness.world.tag(name, "recovery/auto")
    harness.advance(80)

    for name in ours[:4]:
        harness.world.deletes(name)
    harness.advance(harness.every)

    problem = harness.recovery.state.health.problem
    assert problem is not None
    assert problem.reason == "rows_missing"


def test_enrolment_lost_in_a_rejected_inventory_applies_in_the_next(
    make_harness: MakeHarness,
) -> None:
    harness = begin(make_harness, tags={"web-01": ["recovery/auto"]})
    harness.slow = 60.0
    harness.world.untag("web-01", "recovery/auto")
    harness.advance(harness.every)
    harness.slow = 0.0
    harness.advance(300)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert not harness.case("web-01").policy.acts
    assert harness.asked() == []


def test_rejected_first_inventory_keeps_all_cases(make_harness: MakeHarness) -> None:
    harness = begin(make_harness)
    harness.new_process()
    harness.slow = 60.0
    harness.advance(harness.every)
    harness.slow = 0.0
    harness.advance(700)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert len(harness.recovery.state.cases) == len(harness.names)
    assert len(harness.asked("web-01")) == 1


@pytest.mark.parametrize("tag", ["env/prod", "recovery/on-hang-reset"])
def test_tag_of_a_rule_changed_just_before_the_action_applies(
    tag: str, make_harness: MakeHarness
) -> None:
    rule = EnrolmentRule(tags=(tag,), policy=Policy.ON_FAILURE)
    setup = ENFORCE._replace(enrolment_rules=(rule,))
    harness, checker = make_harness(
        tags={"web-01": [tag]}, setup=setup, enrolled=lambda _name: "on-failure"
    )
    harness.warm()

    def untag(step: str) -> None:
        if step == "answered GET /api/v4/machine_logs" and tag in harness.world.tags_of(vm):
            harness.world.untag("web-01", tag)

    vm = harness.world.vm("web-01")
    checker.on_wire = untag
    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert harness.asked() == []


def test_bad_row_in_one_vms_log_concerns_no_other_vm(make_harness: MakeHarness) -> None:
    harness = begin(make_harness, tags={})
    stranger, ours = on_different_nodes(harness)[:2]
    harness.world.tag(ours, "recovery/auto")
    harness.advance(80)
    harness.world.faults.turn_on("empty_list", path="machine_logs", lasting=70.0)
    harness.world.crash(stranger)
    harness.advance(80)
    assert cause(harness, stranger) is Cause.LOGS_INCOMPLETE

    harness.world.crash(ours)
    harness.advance(80)

    assert len(harness.asked(ours)) == 1


def test_crash_of_a_monitored_vm_stays_proven_after_a_daemon_restart(
    make_harness: MakeHarness,
) -> None:
    harness = begin(make_harness, tags={})
    harness.world.crash("web-01")
    harness.advance(100)

    harness.clock.elapsed += 200
    harness.new_process()
    states = set()
    for _ in range(60):
        harness.advance(harness.every)
        states.add(harness.case("web-01").state)

    assert states == {State.HELD}
    assert reason(harness, "web-01") is GuardName.ENROLLED


def test_late_stop_row_corrects_the_diagnosis_of_a_monitored_vm(
    make_harness: MakeHarness,
) -> None:
    harness = begin(make_harness, tags={})
    harness.world.faults.turn_on("late_logs", seconds=120.0)
    harness.world.operator_stops(harness.world.vm("web-01"), graceful=False)
    harness.advance(100)
    first = harness.case("web-01").state
    harness.advance(600)

    assert (first, harness.case("web-01").state) == (State.HELD, State.STOPPED)


def test_monitored_vm_is_held_by_the_enrolled_guard_only(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(tags={})
    harness.advance(100)
    harness.world.crash("web-01")
    harness.advance(100)

    assert harness.recovery.readiness_now.readiness is ReadinessState.WARMING_UP
    assert reason(harness, "web-01") is GuardName.ENROLLED

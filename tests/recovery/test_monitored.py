"""Monitored VMs: diagnosed and reported, never acted on."""

from typing import Any

import pytest

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Cause, Policy
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.enrolment import EnrolmentRule
from tests.recovery.conftest import Play
from tests.recovery.harness import ENFORCE, LIMITS, Theatre
from tests.recovery.test_stories import (
    ENOUGH,
    cause,
    on_different_nodes,
    on_one_node,
    reason,
    until,
)

EVERY = LIMITS.log_others_seconds
LOGS = "GET /api/v4/machine_logs"
AT_FIRST = 2
"""Requests for the first reading of a log: a row that vouches for it, and what is asked for."""


def begin(play: Play, **stage: Any) -> Theatre:
    return play(**stage)[0].warm()


def begin_with_many(play: Play) -> tuple[Theatre, list[str]]:
    """Return a theatre of strangers, and the list of what will be asked over the wire."""
    theatre, observer = play(tags={}, vms=40)
    heard: list[str] = []
    theatre.warm()
    observer.on_wire = heard.append
    return theatre, heard


def decided_on(theatre: Theatre, name: str) -> list[GuardName]:
    return [one.failed_guard for one in theatre.book.decisions if one.name == name]


def test_the_crash_of_a_monitored_vm_is_proven_and_left_to_people(play: Play) -> None:
    theatre = begin(play, tags={})

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert theatre.case("web-01").state is State.HELD
    assert cause(theatre, "web-01") is Cause.CRASHED
    assert reason(theatre, "web-01") is GuardName.ENROLLED
    assert theatre.asked() == []


def test_the_stop_of_a_monitored_vm_is_explained_by_who_did_it(play: Play) -> None:
    theatre = begin(play, tags={})

    theatre.world.operator_stops(theatre.world.vm("web-01"), graceful=False)
    theatre.let_pass(ENOUGH)

    assert theatre.case("web-01").state is State.STOPPED
    assert cause(theatre, "web-01") is Cause.STOPPED_BY_PERSON


def test_a_tag_given_after_the_crash_starts_nothing(play: Play) -> None:
    theatre = begin(play, tags={})
    theatre.world.crash("web-01")
    theatre.let_pass(200)

    theatre.world.tag("web-01", "recovery/always")
    theatre.let_pass(ENOUGH)

    assert theatre.case("web-01").state is State.UNKNOWN  # so that it is still told of
    assert cause(theatre, "web-01") is Cause.NEVER_SEEN_UP
    assert theatre.asked() == []


def test_a_tag_given_while_it_is_up_is_good_for_the_next_crash(play: Play) -> None:
    theatre = begin(play, tags={})
    theatre.world.tag("web-01", "recovery/auto")
    theatre.let_pass(120)

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert len(theatre.asked("web-01")) == 1
    assert theatre.running("web-01")


def test_a_vm_that_loses_its_tag_while_it_is_down_is_still_told_of(play: Play) -> None:
    theatre = begin(play, tags={"web-01": ["recovery/auto"]})
    theatre.world.faults.turn_on("status", path="vm_actions", code=500)
    theatre.world.crash("web-01")
    until(theatre, lambda: bool(theatre.asked("web-01")))

    theatre.world.untag(theatre.world.vm("web-01"), "recovery/auto")
    theatre.let_pass(ENOUGH)

    assert len(theatre.asked("web-01")) == 1
    assert theatre.case("web-01").state is State.HELD
    assert reason(theatre, "web-01") is GuardName.ENROLLED


def test_a_vm_that_is_to_be_ignored_is_not_even_looked_at(play: Play) -> None:
    theatre = begin(play, tags={"web-01": ["recovery/ignore"]})

    assert theatre.world.vm("web-01").uuid not in theatre.recovery.state.cases


def test_monitored_vms_make_no_mass_outage(play: Play) -> None:
    theatre = begin(play, tags={"web-01": ["recovery/auto"]})
    for name in theatre.names:
        if name != "web-01":
            theatre.world.crash(name)
    theatre.let_pass(300)

    assert theatre.recovery.state.breaker.breaker_state is BreakerState.CLOSED


def test_a_monitored_vm_that_falls_does_not_bring_a_mass_outage_back(play: Play) -> None:
    theatre = begin(play, vms=30, tags={})
    *ours, stranger = theatre.names[:6]
    for name in ours:
        theatre.world.tag(name, "recovery/auto")
    theatre.let_pass(80)
    for name in ours[:3]:
        theatre.world.crash(name)
    until(theatre, lambda: theatre.recovery.state.breaker.breaker_state is BreakerState.HALF_OPEN)

    theatre.world.crash(stranger)
    theatre.let_pass(theatre.every)

    assert theatre.recovery.state.breaker.breaker_state is BreakerState.HALF_OPEN


def test_one_reading_of_the_log_is_enough_for_many_monitored_vms(play: Play) -> None:
    theatre, heard = begin_with_many(play)
    for name in theatre.names:
        theatre.world.operator_stops(theatre.world.vm(name), graceful=False)
    theatre.let_pass(EVERY - theatre.every)

    assert heard.count(LOGS) == AT_FIRST
    assert {theatre.case(name).state for name in theatre.names} == {State.STOPPED}


def test_people_who_stop_monitored_vms_all_day_do_not_use_up_the_requests(play: Play) -> None:
    theatre, heard = begin_with_many(play)
    for name in theatre.names:
        theatre.world.operator_stops(theatre.world.vm(name), graceful=False)
        theatre.let_pass(60)

    assert heard.count(LOGS) <= len(theatre.names) * 60 / EVERY + AT_FIRST


def test_a_monitored_vm_never_keeps_an_enrolled_vm_waiting_for_its_log(play: Play) -> None:
    theatre = begin(play, tags={})
    stranger, ours = on_different_nodes(theatre)[:2]
    theatre.world.tag(ours, "recovery/auto")
    theatre.let_pass(80)
    theatre.world.crash(stranger)
    theatre.let_pass(60)

    theatre.world.crash(ours)
    theatre.let_pass(75)

    assert len(theatre.asked(ours)) == 1


def test_of_monitored_vms_only_crashes_are_written_down_as_decisions(play: Play) -> None:
    theatre = begin(play, tags={})
    theatre.world.operator_stops(theatre.world.vm("web-01"), graceful=False)
    theatre.let_pass(300)
    theatre.world.crash("web-02")
    theatre.let_pass(300)

    assert decided_on(theatre, "web-01") == []
    assert decided_on(theatre, "web-02") == [GuardName.ENROLLED]


@pytest.mark.parametrize("policy", ["auto", "unless-stopped", "always"])
def test_stop_during_an_outage_is_explained_by_the_log(policy: str, play: Play) -> None:
    theatre = begin(play, tags={"web-01": [f"recovery/{policy}"]})

    theatre.world.operator_stops(theatre.world.vm("web-01"), graceful=False)
    theatre.clock.elapsed += 400
    theatre.new_process()
    theatre.let_pass(120)

    assert theatre.case("web-01").state is State.STOPPED
    assert cause(theatre, "web-01") is Cause.STOPPED_BY_PERSON


def test_what_fell_together_with_its_node_before_a_restart_is_known_after_it(play: Play) -> None:
    theatre = begin(play)
    first, second = on_one_node(theatre)
    theatre.world.operator_stops(theatre.world.vm(first), graceful=False)
    theatre.clock.elapsed += 10
    theatre.new_process()
    theatre.let_pass(20)
    theatre.world.crash(second)
    theatre.let_pass(40)

    assert cause(theatre, first) is Cause.STOPPED_BY_PERSON
    node = theatre.recovery.state.nodes[theatre.case(second).node or 0]
    assert len(node.drops) == 2


@pytest.mark.parametrize("tags", [{}, {"web-01": ["recovery/auto"]}])
def test_vm_seen_stopping_gets_the_author_of_the_stop(tags: Any, play: Play) -> None:
    theatre = begin(play, tags=tags)
    theatre.world.vm("web-01").machine.shutdown_seconds = 60.0

    theatre.world.operator_stops(theatre.world.vm("web-01"), graceful=True, user="anna")
    theatre.let_pass(40)
    first = cause(theatre, "web-01")
    theatre.let_pass(EVERY + 40)

    diagnosis = theatre.case("web-01").diagnosis
    assert first in (Cause.SEEN_STOPPING, Cause.STOPPED_BY_PERSON)
    assert diagnosis is not None
    assert diagnosis.cause is Cause.STOPPED_BY_PERSON
    assert "by anna at" in diagnosis.detail


def test_a_stop_that_the_log_does_not_explain_is_looked_up_once(play: Play) -> None:
    theatre, observer = play(tags={})
    theatre.warm()
    theatre.world.vm("web-01").machine.shutdown_seconds = 60.0
    theatre.world.faults.turn_on("lost_logs", share=1.0)
    heard: list[str] = []
    observer.on_wire = heard.append

    theatre.world.operator_stops(theatre.world.vm("web-01"), graceful=True)
    theatre.let_pass(3600)

    assert heard.count(LOGS) == AT_FIRST
    assert cause(theatre, "web-01") is Cause.SEEN_STOPPING
    assert theatre.case("web-01").state is State.STOPPED


def test_many_monitored_vms_do_not_hide_that_enrolled_vms_are_missing(play: Play) -> None:
    theatre = begin(play, vms=120, tags={})
    ours = theatre.names[:10]
    for name in ours:
        theatre.world.tag(name, "recovery/auto")
    theatre.let_pass(80)

    for name in ours[:4]:
        theatre.world.deletes(name)
    theatre.let_pass(theatre.every)

    problem = theatre.recovery.state.health.problem
    assert problem is not None
    assert problem.reason == "rows_missing"


def test_who_is_enrolled_no_more_in_a_inventory_that_is_not_believed_is_so_in_the_next(
    play: Play,
) -> None:
    theatre = begin(play, tags={"web-01": ["recovery/auto"]})
    theatre.slow = 60.0
    theatre.world.untag("web-01", "recovery/auto")
    theatre.let_pass(theatre.every)
    theatre.slow = 0.0
    theatre.let_pass(300)

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert not theatre.case("web-01").policy.acts
    assert theatre.asked() == []


def test_rejected_first_inventory_keeps_all_cases(play: Play) -> None:
    theatre = begin(play)
    theatre.new_process()
    theatre.slow = 60.0
    theatre.let_pass(theatre.every)
    theatre.slow = 0.0
    theatre.let_pass(700)

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert len(theatre.recovery.state.cases) == len(theatre.names)
    assert len(theatre.asked("web-01")) == 1


@pytest.mark.parametrize("tag", ["env/prod", "recovery/on-hang-reset"])
def test_a_tag_that_a_rule_goes_by_counts_at_the_last_moment(tag: str, play: Play) -> None:
    rule = EnrolmentRule(tags=(tag,), policy=Policy.ON_FAILURE)
    setup = ENFORCE._replace(enrolment_rules=(rule,))
    theatre, observer = play(
        tags={"web-01": [tag]}, setup=setup, enrolled=lambda _name: "on-failure"
    )
    theatre.warm()

    def untag(step: str) -> None:
        if step == "answered GET /api/v4/machine_logs" and tag in theatre.world.tags_of(vm):
            theatre.world.untag("web-01", tag)

    vm = theatre.world.vm("web-01")
    observer.on_wire = untag
    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert theatre.asked() == []


def test_bad_row_in_one_vms_log_concerns_no_other_vm(play: Play) -> None:
    theatre = begin(play, tags={})
    stranger, ours = on_different_nodes(theatre)[:2]
    theatre.world.tag(ours, "recovery/auto")
    theatre.let_pass(80)
    theatre.world.faults.turn_on("empty_list", path="machine_logs", lasting=70.0)
    theatre.world.crash(stranger)
    theatre.let_pass(80)
    assert cause(theatre, stranger) is Cause.LOGS_INCOMPLETE

    theatre.world.crash(ours)
    theatre.let_pass(80)

    assert len(theatre.asked(ours)) == 1


def test_what_was_read_of_a_log_does_not_grow_old_while_monitored_vms_are_looked_up(
    play: Play,
) -> None:
    theatre, observer = play(tags={})
    stranger, ours = on_different_nodes(theatre)[:2]
    theatre.world.tag(ours, "recovery/auto")
    theatre.warm()
    heard: list[str] = []

    def tarry(step: str) -> None:
        heard.append(step)
        if step == f"answered {LOGS}" and heard.count(step) == AT_FIRST + 1:
            theatre.clock.elapsed += 10

    observer.on_wire = tarry
    theatre.world.crash(stranger)
    theatre.world.crash(ours)
    theatre.let_pass(80)

    assert heard.count(LOGS) > AT_FIRST
    acted = heard.index("POST /api/v4/vm_actions")
    assert heard[:acted].count(LOGS) == AT_FIRST


def test_the_crash_of_a_monitored_vm_stays_proven_through_a_restart_of_ours(play: Play) -> None:
    theatre = begin(play, tags={})
    theatre.world.crash("web-01")
    theatre.let_pass(100)

    theatre.clock.elapsed += 200
    theatre.new_process()
    states = set()
    for _ in range(60):
        theatre.let_pass(theatre.every)
        states.add(theatre.case("web-01").state)

    assert states == {State.HELD}
    assert reason(theatre, "web-01") is GuardName.ENROLLED


def test_a_stop_that_is_logged_late_explains_a_crash_of_a_monitored_vm_after_all(
    play: Play,
) -> None:
    theatre = begin(play, tags={})
    theatre.world.faults.turn_on("late_logs", seconds=120.0)
    theatre.world.operator_stops(theatre.world.vm("web-01"), graceful=False)
    theatre.let_pass(100)
    first = theatre.case("web-01").state
    theatre.let_pass(600)

    assert (first, theatre.case("web-01").state) == (State.HELD, State.STOPPED)


def test_monitored_vm_is_held_by_the_enrolled_guard_only(play: Play) -> None:
    theatre, _ = play(tags={})
    theatre.let_pass(100)
    theatre.world.crash("web-01")
    theatre.let_pass(100)

    assert theatre.recovery.readiness_now.readiness is ReadinessState.WARMING_UP
    assert reason(theatre, "web-01") is GuardName.ENROLLED

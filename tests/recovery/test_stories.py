"""
What once went wrong somewhere, and must not go wrong here.

Of the pinned examples of the study two are not here: there is no second process that could lead,
and no database that could fail over to a standby.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from exporter.errors import JournalError
from exporter.recovery.model.cases import Action, Cause, Outcome, Reply
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.simulator.api.actions import ApiBehavior
from tests.recovery.conftest import Play
from tests.recovery.harness import ENFORCE, LIMITS, KilledError, Theatre, at_once, outcomes, replies

ENOUGH = 900.0
"""Seconds in which a VM that crashed alone is back for certain."""


def cause(theatre: Theatre, name: str) -> Cause | None:
    diagnosis = theatre.case(name).diagnosis
    return diagnosis.cause if diagnosis is not None else None


def reason(theatre: Theatre, name: str) -> GuardName | None:
    decision = theatre.recovery.decisions.get(theatre.world.vm(name).uuid)
    assert decision is not None
    return decision.failed_guard


def on_one_node(theatre: Theatre, count: int = 2) -> list[str]:
    """Return VMs that run on the same node."""
    for node in theatre.world.nodes.values():
        names = [
            vm.name
            for vm in theatre.world.live_vms()
            if vm.machine.status.node == node.key and vm.service is None
        ]
        if len(names) >= count:
            return names[:count]
    raise AssertionError("no node is that full")


def on_different_nodes(theatre: Theatre) -> list[str]:
    """Return one VM of every node."""
    first: dict[int | None, str] = {}
    for vm in theatre.world.live_vms():
        if vm.service is None:
            first.setdefault(vm.machine.status.node, vm.name)
    return list(first.values())


def until(theatre: Theatre, holds: Callable[[], bool]) -> None:
    """Let time pass until something holds, but not for ever."""
    for _ in range(200):
        if holds():
            return
        theatre.let_pass(theatre.every)
    raise AssertionError("it never came to that")


def crash_twice(theatre: Theatre, name: str) -> None:
    """Let a VM crash, be started twice and crash again, so that a pause is due."""
    for tries in (1, 2):
        theatre.world.crash(name)
        until(theatre, lambda tries=tries: len(theatre.asked(name)) == tries)  # type: ignore[misc]
        theatre.let_pass(theatre.every)
    theatre.world.crash(name)


def kill_at(theatre: Theatre, what: str) -> None:
    """Let the process die the next time it does *what*, on the wire or in the journal."""

    def fall(step: str) -> None:
        if step == what:
            raise KilledError

    book = theatre.book
    wire_before, book_before = theatre.fall, book.fall

    def on_wire(step: str) -> None:
        wire_before(step)
        fall(step)

    def on_book(step: str) -> None:
        book_before(step)
        fall(step)

    theatre.fall, book.fall = on_wire, on_book
    try:
        with pytest.raises(KilledError):
            theatre.let_pass(ENOUGH)
    finally:
        theatre.fall, book.fall = wire_before, book_before
    theatre.new_process()


def command(theatre: Theatre, kind: CommandKind, *, name: str | None = None, **more: float) -> None:
    uuid = theatre.world.vm(name).uuid if name is not None else None
    at_once(theatre.recovery.command(kind, owner="anna", reason="because", uuid=uuid, **more))


# Crashed, and back.


def test_a_vm_that_crashes_is_started_once_and_stays_up(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert [one.action for one in theatre.asked()] == ["poweron"]
    assert theatre.running("web-01")
    assert theatre.case("web-01").state is State.HEALTHY
    assert outcomes(theatre) == [Outcome.CONFIRMED]


def test_a_vm_that_was_down_when_first_seen_is_never_started(play: Play) -> None:
    theatre, _ = play()
    theatre.world.crash("web-01")

    theatre.warm().let_pass(3600)

    assert not theatre.asked()
    assert theatre.case("web-01").state is State.BASELINE


def test_a_guest_reboot_with_its_gap_is_no_crash(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    for _ in range(20):
        theatre.world.guest_reboots("app-01")
        theatre.clock.elapsed += 1.0
        theatre.poll()
        theatre.let_pass(60)

    assert not theatre.asked()


# Stopped on purpose.


@pytest.mark.parametrize("late", [0.0, 9.0, 11.0, 29.0])
def test_an_operators_kill_is_respected_though_its_log_row_comes_late(
    play: Play, late: float
) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("late_logs", seconds=late)

    theatre.world.operator_stops("web-01", graceful=False)
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.STOPPED_BY_PERSON


@pytest.mark.parametrize("graceful", [True, False])
def test_an_operators_stop_is_respected_under_always_too(play: Play, graceful: bool) -> None:
    theatre, _ = play(tags={"web-01": ["recovery/always"]})
    theatre.warm()

    theatre.world.operator_stops("web-01", graceful=graceful)
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert theatre.case("web-01").state is State.STOPPED


def test_a_guest_shutdown_is_respected_under_on_failure_and_undone_under_always(
    play: Play,
) -> None:
    theatre, _ = play(tags={"web-01": ["recovery/auto"], "app-01": ["recovery/always"]})
    theatre.warm()

    theatre.world.guest_shuts_down("web-01")
    theatre.let_pass(ENOUGH)
    theatre.world.guest_shuts_down("app-01")
    theatre.let_pass(ENOUGH)

    assert not theatre.running("web-01")
    assert theatre.running("app-01")
    assert cause(theatre, "web-01") is Cause.STOPPED_BY_GUEST


def test_a_task_that_powers_a_vm_off_is_a_stop_request_as_any_other(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    theatre.world.task_stops("web-01", task="Friday off")
    theatre.let_pass(3600)

    assert not theatre.asked()


def test_a_status_that_was_set_by_hand_is_no_crash(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    theatre.world.forces_status("web-01", word="stopped", running=False)
    theatre.let_pass(3600)

    assert not theatre.asked()


def test_a_mass_power_off_looks_like_a_mass_outage_first_and_is_understood_later(
    play: Play,
) -> None:
    theatre, _ = play(vms=30)
    theatre.warm()
    theatre.world.faults.turn_on("late_logs", seconds=90)

    for name in theatre.names[:12]:
        theatre.world.operator_stops(name, graceful=False)
    theatre.let_pass(60)
    breaker_state = theatre.recovery.state.breaker.breaker_state
    theatre.let_pass(3600)

    assert breaker_state is BreakerState.OPEN
    assert not theatre.asked()
    assert {theatre.case(name).state for name in theatre.names[:12]} == {State.STOPPED}
    assert theatre.recovery.state.breaker.breaker_state is BreakerState.CLOSED


def test_what_an_operator_hibernates_is_left_asleep(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    theatre.world.hibernate("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()


def test_vm_started_by_operator_during_backoff_is_left_alone(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    crash_twice(theatre, "web-01")
    until(theatre, lambda: theatre.case("web-01").state is State.BACKOFF)

    theatre.world.operator_starts("web-01")
    theatre.let_pass(ENOUGH)

    assert len(theatre.asked("web-01")) == 2
    assert theatre.running("web-01")
    assert theatre.case("web-01").state is State.HEALTHY


def test_an_operator_who_stops_a_vm_during_the_pause_is_understood(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    crash_twice(theatre, "web-01")
    until(theatre, lambda: theatre.case("web-01").state is State.BACKOFF)

    theatre.world.operator_stops("web-01")
    theatre.let_pass(3600)

    assert len(theatre.asked("web-01")) == 2
    assert theatre.case("web-01").state is State.STOPPED


def test_a_person_who_stops_what_we_just_started_is_believed_whatever_the_log_says(
    play: Play,
) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.vm("web-01").machine.shutdown_seconds = 60.0
    theatre.world.crash("web-01")
    until(theatre, lambda: bool(theatre.asked()))
    theatre.world.faults.turn_on("lost_logs", share=1.0)

    theatre.clock.elapsed += 5
    theatre.world.operator_stops(theatre.world.vm("web-01"), graceful=True)
    theatre.let_pass(theatre.every)
    assert theatre.case("web-01").word == "stopping"
    theatre.let_pass(3600)

    assert theatre.case("web-01").state is State.STOPPED
    assert cause(theatre, "web-01") is Cause.SEEN_STOPPING
    assert outcomes(theatre) == [Outcome.FAILED]
    assert len(theatre.asked()) == 1


def test_a_start_of_a_persons_that_fails_is_not_taken_over(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.crash("web-01")
    theatre.let_pass(20)

    theatre.world.start_waits("web-01", user="anna", word="initializing")
    theatre.let_pass(40)
    theatre.world.power.stop_now(theatre.world.vm("web-01").machine)
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.START_FAILED


# A view that cannot be trusted.


@pytest.mark.parametrize("table", ["vms", "machine_status"])
def test_an_empty_list_means_nothing(play: Play, table: str) -> None:
    theatre, _ = play()
    theatre.warm()

    with theatre.world.faults.on("empty_list", path=table):
        theatre.let_pass(1800)
    theatre.let_pass(1800)

    assert not theatre.asked()
    assert len(theatre.recovery.state.cases) == len(theatre.names)


def test_a_list_that_is_cut_at_a_page_limit_means_nothing(play: Play) -> None:
    theatre, _ = play(vms=30)
    theatre.warm()

    with theatre.world.faults.on("short_list", keep=0.5):
        theatre.world.crash("web-01")
        theatre.let_pass(1800)
    asked_meanwhile = len(theatre.asked())
    theatre.let_pass(1800)

    assert asked_meanwhile == 0
    assert len(theatre.recovery.state.cases) == len(theatre.names)


def test_a_mass_deletion_is_believed_once_a_person_says_so(play: Play) -> None:
    theatre, _ = play(vms=20)
    theatre.warm()

    for name in theatre.names[1:7]:
        theatre.world.deletes(name)
    theatre.let_pass(600)
    problem = theatre.recovery.state.health.problem
    command(theatre, CommandKind.ACCEPT)
    theatre.let_pass(700)
    theatre.world.crash(theatre.names[0])
    theatre.let_pass(300)

    assert problem is not None
    assert len(theatre.recovery.state.cases) == len(theatre.names)


def test_a_word_that_was_given_long_before_the_next_inventory_does_not_count(play: Play) -> None:
    theatre, _ = play(vms=20)
    theatre.warm()
    theatre.world.faults.turn_on("outage", lasting=1000.0)
    theatre.let_pass(40)
    command(theatre, CommandKind.ACCEPT)
    theatre.let_pass(940)

    theatre.world.faults.turn_on("short_list", keep=0.5, path="vms", lasting=100.0)
    theatre.let_pass(60)

    assert theatre.recovery.state.health.problem is not None
    assert len(theatre.recovery.state.cases) == len(theatre.names)


def test_arm_does_not_accept_a_short_table(play: Play) -> None:
    theatre, _ = play(vms=20)
    theatre.warm()
    theatre.world.faults.turn_on("short_list", keep=0.5, path="vms", lasting=200.0)
    theatre.let_pass(60)
    command(theatre, CommandKind.DISARM)
    theatre.let_pass(60)

    command(theatre, CommandKind.ARM)
    theatre.let_pass(60)

    assert theatre.recovery.state.health.problem is not None
    assert len(theatre.recovery.state.cases) == len(theatre.names)


def test_a_mass_outage_that_a_person_vouches_for_is_not_waited_out(play: Play) -> None:
    theatre, _ = play(vms=30)
    theatre.warm()
    began = theatre.clock.elapsed
    for name in theatre.names[:6]:
        theatre.world.crash(name)
    theatre.let_pass(60)
    before = theatre.recovery.state.breaker.breaker_state

    command(theatre, CommandKind.ACCEPT)
    theatre.let_pass(theatre.every)
    after = theatre.recovery.state.breaker.breaker_state
    theatre.let_pass(700)

    assert (before, after) == (BreakerState.OPEN, BreakerState.HALF_OPEN)
    times = [one.at - began for one in theatre.asked()]
    assert 660 <= times[0] < LIMITS.breaker_probe_after_seconds
    assert all(later - earlier >= 60 for earlier, later in pairwise(times))


def test_when_forty_of_fifty_vms_go_at_once_nothing_is_done(play: Play) -> None:
    theatre, _ = play(vms=51)
    theatre.warm()

    for name in theatre.names[:40]:
        theatre.world.crash(name)
    theatre.let_pass(900)

    assert not theatre.asked()
    assert theatre.recovery.state.breaker.breaker_state is BreakerState.OPEN


def test_a_frozen_view_starts_nothing(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.crash("web-01")
    theatre.let_pass(20)

    with theatre.world.faults.on("frozen_writer"):
        theatre.world.operator_starts("web-01")
        theatre.let_pass(1800)

    assert not theatre.asked()


@pytest.mark.parametrize("fault", ["lost_logs", "status", "empty_list"])
def test_logs_that_cannot_be_read_are_no_proof(play: Play, fault: str) -> None:
    theatre, _ = play()
    theatre.warm()
    settings: dict[str, Any] = {"share": 1.0} if fault == "lost_logs" else {}
    theatre.world.faults.turn_on(fault, path="machine_logs", **settings)

    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert theatre.case("web-01").state is State.UNKNOWN


def test_unexplained_log_row_makes_the_diagnosis_unknown(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    world = theatre.world
    world.crash("web-01")
    machine = world.vm("web-01").machine.key
    world.platform_log.write("Flux capacitor drained", at=world.now, machine=machine, name="web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.LOGS_UNCLEAR


def test_two_vms_of_one_name_are_told_apart(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    namesake = theatre.world.vm("web-02")
    theatre.world.renames(namesake, "web-01")
    theatre.let_pass(900)

    theatre.world.crash(namesake)
    theatre.let_pass(ENOUGH)

    assert {one.vm_key for one in theatre.asked()} == {namesake.key}


# Platform and nodes.


def test_a_vm_that_passes_through_stopped_while_it_migrates_is_let_be(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    machine = theatre.world.vm("web-01").machine
    before = machine.status

    theatre.world.power.force(machine, word="migrating")
    theatre.let_pass(20)
    theatre.world.power.force(machine, word="stopped", running=False, node=None)
    theatre.let_pass(20)
    theatre.world.power.force(machine, word="running", running=True, node=before.node)
    theatre.let_pass(ENOUGH)

    assert not theatre.asked()
    assert theatre.case("web-01").state is State.HEALTHY


def test_a_vm_that_ends_while_it_migrates_is_a_persons_business(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    machine = theatre.world.vm("web-01").machine

    theatre.world.power.force(machine, word="migrating")
    theatre.let_pass(20)
    theatre.world.power.force(machine, word="stopped", running=False, node=None)
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.MIGRATED_SHORTLY_BEFORE


def test_a_node_that_fails_is_the_platforms_to_mend(play: Play) -> None:
    theatre, _ = play(vms=30)
    theatre.warm()
    node = theatre.world.node("node1")

    theatre.world.node_fails(node)
    theatre.let_pass(1800)

    assert not theatre.asked()
    assert all(theatre.running(name) for name in theatre.names)
    assert {theatre.case(name).state for name in theatre.names} == {State.HEALTHY}


def test_what_is_to_be_left_off_after_a_power_loss_is_left_off(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    vm = theatre.world.vm("web-01")
    theatre.world.changes(vm, on_power_loss="leave_off")
    theatre.let_pass(1200)  # until the change is no longer taken for a stop request
    node = theatre.world.node(vm.machine.status.node or 0)

    theatre.world.node_fails(node)
    theatre.let_pass(40)
    theatre.world.power.stop_now(vm.machine)
    theatre.let_pass(20)
    theatre.world.node_returns(node)
    theatre.let_pass(3600)

    assert not theatre.asked("web-01")
    assert cause(theatre, "web-01") is Cause.LEFT_OFF_BY_POLICY


def test_a_vm_that_stays_down_after_its_node_returned_is_started_late(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    vm = theatre.world.vm("web-01")
    node = theatre.world.node(vm.machine.status.node or 0)
    theatre.world.power.force(node.machine, word="maintenance")
    theatre.let_pass(20)
    theatre.world.power.stop_now(vm.machine)
    theatre.let_pass(20)
    returned_at = theatre.clock.elapsed
    theatre.world.power.force(node.machine, word="running")

    theatre.let_pass(ENOUGH)

    assert [one.at >= returned_at + 300 for one in theatre.asked()] == [True]


def test_a_vm_that_waits_for_resources_is_the_platforms(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    theatre.world.power.wait_for_resources(theatre.world.vm("web-01").machine)
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert theatre.case("web-01").state is State.PLATFORM


def test_two_vms_of_one_node_that_drop_together_are_held_for_a_while(play: Play) -> None:
    theatre, _ = play(vms=30)
    theatre.warm()
    one, other = on_one_node(theatre)

    theatre.world.crash(one)
    theatre.world.crash(other)
    theatre.let_pass(200)
    early = len(theatre.asked())
    theatre.let_pass(ENOUGH)

    assert early == 0
    assert theatre.running(one)
    assert theatre.running(other)


def test_a_vm_that_falls_while_its_row_is_missing_still_counts_against_its_node(
    play: Play,
) -> None:
    theatre, _ = play(vms=30)
    theatre.warm()
    seen, unseen = on_one_node(theatre)
    theatre.untold = {unseen}
    theatre.let_pass(20)

    theatre.world.crash(unseen)
    theatre.world.crash(seen)
    theatre.let_pass(20)
    theatre.untold = set()
    theatre.let_pass(200)
    early = len(theatre.asked())
    theatre.let_pass(ENOUGH)

    assert early == 0
    assert theatre.running(seen)


def test_a_crash_is_not_forgotten_while_its_row_is_missing(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    theatre.world.crash("web-01")
    theatre.let_pass(20)
    theatre.untold = {"web-01"}
    theatre.let_pass(300)
    without = theatre.case("web-01")
    theatre.untold = set()
    theatre.let_pass(ENOUGH)

    assert without.state is State.UNKNOWN
    assert without.diagnosis is not None
    assert without.diagnosis.cause is Cause.STATUS_MISSING
    assert theatre.running("web-01")


@pytest.mark.parametrize(
    ("tag", "acts"), [("recovery/on-failure", False), ("recovery/unless-stopped", True)]
)
def test_what_dies_while_its_row_is_missing_went_down_unobserved(
    play: Play, tag: str, acts: bool
) -> None:
    theatre, _ = play(tags={"web-01": [tag]})
    theatre.warm()

    theatre.untold = {"web-01"}
    theatre.let_pass(200)
    theatre.world.crash("web-01")
    theatre.untold = set()
    theatre.let_pass(ENOUGH)

    assert theatre.running("web-01") is acts
    assert acts or cause(theatre, "web-01") is Cause.WENT_DOWN_UNOBSERVED


def test_who_was_given_up_is_so_after_a_while_without_its_row(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("accepted_but_never_starts")
    theatre.world.crash("web-01")
    until(theatre, lambda: theatre.case("web-01").state is State.QUARANTINED)

    theatre.untold = {"web-01"}
    theatre.let_pass(300)
    theatre.untold = set()
    theatre.let_pass(ENOUGH)

    assert theatre.case("web-01").state is State.QUARANTINED


def test_a_vm_whose_status_never_comes_back_can_be_accepted_as_gone(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.untold = {"web-01"}
    theatre.let_pass(300)

    command(theatre, CommandKind.ACCEPT)
    theatre.let_pass(40)

    assert "web-01" not in {case.name for case in theatre.recovery.state.cases.values()}


def test_after_a_restart_a_node_is_not_said_to_have_been_in_trouble(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.crash("web-01")
    theatre.let_pass(20)
    theatre.new_process()
    theatre.let_pass(100)

    early = cause(theatre, "web-01")
    theatre.let_pass(2 * ENOUGH)

    assert early is Cause.NODE_UNWATCHED
    assert theatre.running("web-01")


def test_vm_another_user_tried_to_start_is_not_acted_on(play: Play) -> None:
    setup = ENFORCE._replace(own_user="vergewatch")
    theatre, _ = play(setup=setup)
    theatre.warm()

    theatre.world.crash("web-01")
    theatre.let_pass(20)
    theatre.clock.elapsed += 1
    theatre.world.operator_starts("web-01")
    theatre.clock.elapsed += 3
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.START_FAILED


# What comes of a request.


def test_a_start_that_is_accepted_and_never_happens_is_tried_again_and_given_up(
    play: Play,
) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("accepted_but_never_starts")

    theatre.world.crash("web-01")
    theatre.let_pass(7200)

    assert len(theatre.asked()) == 3
    assert outcomes(theatre) == [Outcome.FAILED] * 3
    assert theatre.case("web-01").state is State.QUARANTINED


def test_requests_that_never_left_are_not_held_against_the_vm(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.line.is_cut = True

    theatre.world.crash("web-01")
    theatre.let_pass(2 * 3600)
    tried, state = outcomes(theatre), theatre.case("web-01").state
    theatre.line.is_cut = False
    theatre.let_pass(ENOUGH)

    assert len(tried) > 3
    assert set(tried) == {Outcome.ABANDONED}
    assert state is not State.QUARANTINED
    assert len(theatre.asked()) == 1
    assert theatre.running("web-01")


def test_a_stop_that_is_logged_too_late_for_the_first_try_counts_for_the_second(
    play: Play,
) -> None:
    theatre = Theatre()  # the observer would call the first try what it is
    theatre.warm()
    theatre.world.faults.turn_on("late_logs", seconds=100.0)

    theatre.world.operator_stops("web-01", graceful=False)
    until(theatre, lambda: bool(theatre.asked()))
    while not theatre.running("web-01"):
        theatre.clock.elapsed += 1
        theatre.world.catch_up()
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert len(theatre.asked()) == 1
    assert cause(theatre, "web-01") is Cause.STOPPED_BY_PERSON


def test_what_came_of_a_request_is_told_of_a_vm_that_has_become_another(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("reset_before_acting", times=1)
    theatre.world.crash("web-01")
    until(theatre, lambda: bool(theatre.asked()))

    theatre.world.vm("web-01").machine.key += 5000
    theatre.let_pass(ENOUGH)

    assert ("acted", "poweron", "unknown") in theatre.tally.told


def test_a_request_whose_answer_is_lost_is_never_repeated(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("reset_after_acting", times=1)

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert len(theatre.asked()) == 1
    assert replies(theatre) == [Reply.LOST]
    assert outcomes(theatre) == [Outcome.CONFIRMED]


def test_lost_request_is_decided_on_again(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("reset_before_acting", times=1)

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    first, second = theatre.asked()
    assert second.at - first.at >= 60 + 60
    assert outcomes(theatre) == [Outcome.UNKNOWN, Outcome.CONFIRMED]
    assert theatre.running("web-01")


def test_a_vm_that_runs_already_is_where_it_was_wanted(play: Play) -> None:
    theatre, observer = play(behavior=ApiBehavior(already_running_status=409))
    theatre.warm()

    def start_it(step: str) -> None:
        if step == "POST /api/v4/vm_actions":
            theatre.world.operator_starts("web-01")
            theatre.clock.elapsed += 1.0
            theatre.world.catch_up()

    observer.on_wire = start_it
    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert [one.status for one in theatre.asked()] == [409]
    assert replies(theatre) == [Reply.ALREADY]
    assert outcomes(theatre) == [Outcome.CONFIRMED]


def test_system_without_resources_pauses_starts_and_uses_no_budget(play: Play) -> None:
    theatre, _ = play(behavior=ApiBehavior(no_capacity_status=507))
    theatre.warm()
    theatre.world.faults.turn_on("no_capacity", code=507)

    for name in on_different_nodes(theatre):
        theatre.world.crash(name)
    theatre.let_pass(2 * 3600)
    asked = len(theatre.asked())
    theatre.world.faults.turn_off("no_capacity")

    assert asked <= 12
    assert State.QUARANTINED not in {case.state for case in theatre.recovery.state.cases.values()}
    for name in ("web-01", "app-01"):
        command(theatre, CommandKind.CLEAR, name=name)
    theatre.let_pass(ENOUGH)
    assert all(theatre.running(name) for name in theatre.names)


def test_a_crash_loop_ends_in_quarantine_and_not_later_than_three_starts(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    for _ in range(10):
        if theatre.running("web-01"):
            theatre.world.crash("web-01")
        theatre.let_pass(300)

    assert len(theatre.asked()) == 3
    assert theatre.case("web-01").state is State.QUARANTINED


def test_a_quarantined_vm_that_is_started_by_hand_is_watched_on_with_its_budget_spent(
    play: Play,
) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("accepted_but_never_starts")
    theatre.world.crash("web-01")
    theatre.let_pass(1800)
    theatre.world.faults.clear()

    theatre.world.operator_starts("web-01")
    theatre.let_pass(60)
    probation = theatre.case("web-01").state
    theatre.world.crash("web-01")
    theatre.let_pass(300)

    assert probation is State.PROBATION
    assert len(theatre.asked()) == 3
    assert theatre.case("web-01").state is State.QUARANTINED


def test_a_quarantined_vm_that_a_person_clears_is_started_again(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("accepted_but_never_starts")
    theatre.world.crash("web-01")
    theatre.let_pass(1800)
    theatre.world.faults.clear()

    command(theatre, CommandKind.CLEAR, name="web-01")
    theatre.let_pass(ENOUGH)

    assert theatre.running("web-01")


# Hanging.


def hang_whatever_is_tried(theatre: Theatre, name: str, *, hours: float) -> None:
    """Let a VM hang, and hang again after every reboot."""
    theatre.world.hang(name)
    for _ in range(int(hours * 3600 / theatre.every)):
        before = len(theatre.asked(name))
        theatre.let_pass(theatre.every)
        new = theatre.asked(name)[before:]
        if new and new[0].action in ("reboot", "reset"):
            theatre.world.hang(name)


def test_hung_vm_is_not_acted_on_without_on_hang_setting(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()

    theatre.world.hang("web-01")
    theatre.let_pass(7200)

    assert not theatre.asked()
    assert reason(theatre, "web-01") is GuardName.ACTION_ALLOWED


def test_a_vm_that_hangs_is_asked_to_reboot_after_five_minutes_and_not_before(
    play: Play,
) -> None:
    theatre, _ = play(tags={"web-01": ["recovery/auto", "recovery/on-hang-reset"]})
    theatre.warm()
    hung_at = theatre.clock.elapsed

    theatre.world.hang("web-01")
    theatre.let_pass(1800)

    assert [one.action for one in theatre.asked()] == ["reboot"]
    assert theatre.asked()[0].at - hung_at >= 300
    assert theatre.case("web-01").state is State.HEALTHY


def test_a_vm_that_goes_on_hanging_is_reset_once_and_then_given_up(play: Play) -> None:
    theatre, _ = play(tags={"web-01": ["recovery/auto", "recovery/on-hang-reset"]})
    theatre.warm()

    hang_whatever_is_tried(theatre, "web-01", hours=8)

    assert [one.action for one in theatre.asked()] == ["reboot", "reset"]
    assert theatre.case("web-01").state is State.QUARANTINED


def test_a_vm_that_is_killed_because_it_hangs_is_started_again(play: Play) -> None:
    theatre, _ = play(tags={"web-01": ["recovery/auto", "recovery/on-hang-power-cycle"]})
    theatre.warm()

    hang_whatever_is_tried(theatre, "web-01", hours=6)

    assert [one.action for one in theatre.asked()] == ["reboot", "reset", "kill", "poweron"]
    assert theatre.running("web-01")
    assert theatre.case("web-01").state is State.HEALTHY


def test_a_vm_whose_owner_forbids_power_cycles_is_never_killed(play: Play) -> None:
    theatre, _ = play(tags={"web-01": ["recovery/auto", "recovery/on-hang-power-cycle"]})
    theatre.world.vm("web-01").disable_powercycle = True
    theatre.warm()

    hang_whatever_is_tried(theatre, "web-01", hours=8)

    assert [one.action for one in theatre.asked()] == ["reboot", "reset"]


# The platform changes under our hands.


def update(theatre: Theatre) -> None:
    """Update the platform as it is done: node after node, the API away for a minute each time."""
    for node in list(theatre.world.nodes.values()):
        theatre.world.node_enters_maintenance(node)
        theatre.let_pass(120)
        theatre.world.faults.turn_on("outage", lasting=60.0)
        theatre.let_pass(80)
        theatre.world.node_leaves_maintenance(node)
        theatre.let_pass(60)
    theatre.world.version = "27.0.0"


def test_an_update_of_the_platform_in_the_middle_of_a_recovery_is_waited_out(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.crash("web-01")
    until(theatre, lambda: bool(theatre.asked()))

    theatre.world.faults.turn_on("outage", lasting=60.0)
    update(theatre)
    theatre.let_pass(3600)

    assert len(theatre.asked()) == 1
    assert outcomes(theatre) == [Outcome.CONFIRMED]
    assert {theatre.case(name).state for name in theatre.names} == {State.HEALTHY}


# The process stands still, or ends in the middle.


@pytest.mark.parametrize("moment", ["answered GET /api/v4/tag_members", "prepared", "updated"])
def test_a_process_that_is_stopped_for_ten_minutes_as_it_is_about_to_act_does_not(
    moment: str, play: Play
) -> None:
    theatre, observer = play()
    theatre.warm()
    theatre.world.crash("web-01")
    theatre.let_pass(40)

    read: list[str] = []

    def sleep(step: str) -> None:
        read.append(step)
        if step == moment and "answered GET /api/v4/machine_logs" in read:
            observer.on_wire = observer.on_book = lambda _: None
            theatre.world.operator_starts(theatre.world.vm("web-01"))
            theatre.clock.elapsed += 600

    observer.on_wire = observer.on_book = sleep
    theatre.let_pass(ENOUGH)

    assert theatre.asked() == []
    assert set(outcomes(theatre)) <= {Outcome.ABANDONED}
    assert theatre.running("web-01")


def test_unsent_action_is_abandoned_and_decided_again(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.crash("web-01")

    kill_at(theatre, "prepared")
    theatre.warm().let_pass(ENOUGH)

    assert outcomes(theatre) == [Outcome.ABANDONED, Outcome.CONFIRMED]
    assert len(theatre.asked()) == 1


def test_what_was_marked_as_sent_counts_though_the_request_never_left(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.crash("web-01")

    kill_at(theatre, "updated")
    theatre.warm().let_pass(ENOUGH)

    assert outcomes(theatre) == [Outcome.UNKNOWN, Outcome.CONFIRMED]
    assert len(theatre.asked()) == 1


def test_request_without_recorded_answer_is_verified_and_not_sent_again(
    play: Play,
) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.crash("web-01")

    kill_at(theatre, "answered POST /api/v4/vm_actions")
    theatre.let_pass(60)

    assert outcomes(theatre) == [Outcome.CONFIRMED]
    assert len(theatre.asked()) == 1
    assert theatre.case("web-01").state is State.PROBATION


def test_who_has_no_journal_does_nothing(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.book.broken = "the disk is full"

    theatre.world.crash("web-01")
    theatre.let_pass(1800)
    asked_meanwhile = len(theatre.asked())
    theatre.book.broken = ""
    theatre.let_pass(1800)

    assert asked_meanwhile == 0
    assert theatre.running("web-01")


def test_a_journal_that_fails_while_a_start_is_verified_costs_nothing_but_time(
    play: Play,
) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.crash("web-01")
    until(theatre, lambda: bool(theatre.asked()))

    theatre.book.broken = "the database fails over"
    theatre.let_pass(300)
    theatre.book.broken = ""
    theatre.let_pass(ENOUGH)

    assert outcomes(theatre) == [Outcome.CONFIRMED]
    assert len(theatre.asked()) == 1


def test_a_journal_that_fails_right_after_the_request_is_no_reason_to_repeat_it(
    play: Play,
) -> None:
    theatre, observer = play()
    theatre.warm()

    def fail(step: str) -> None:
        if step == "update" and theatre.asked():
            raise JournalError("the disk is full")

    observer.on_book = fail
    theatre.world.crash("web-01")
    theatre.let_pass(200)
    observer.on_book = lambda _: None
    theatre.warm().let_pass(ENOUGH)

    assert len(theatre.asked()) == 1
    assert outcomes(theatre) == [Outcome.CONFIRMED]


@pytest.mark.parametrize(
    ("policy", "comes_back"),
    [("auto", False), ("on-failure", False), ("unless-stopped", True), ("always", True)],
)
def test_after_a_weekend_without_us_only_who_wants_it_so_is_started(
    play: Play, policy: str, comes_back: bool
) -> None:
    names = ["web-01", "app-01", "db-01"]
    theatre, _ = play(tags={name: [f"recovery/{policy}"] for name in names})
    theatre.warm()

    theatre.clock.elapsed += 86400
    for name in names:
        theatre.world.crash(name)
        theatre.clock.elapsed += 3600
    theatre.clock.elapsed += 86400
    theatre.new_process()
    theatre.warm().let_pass(2 * 3600)

    assert [theatre.running(name) for name in names] == [comes_back] * 3


def test_vm_stopped_during_an_outage_stays_down_under_always(play: Play) -> None:
    theatre, _ = play(tags={"web-01": ["recovery/always"]})
    theatre.warm()

    theatre.clock.elapsed += 86400
    theatre.world.operator_stops("web-01", graceful=False)
    theatre.clock.elapsed += 86400
    theatre.new_process()
    theatre.warm().let_pass(3600)

    assert not theatre.asked()


def test_restart_before_tags_were_read_keeps_all_cases(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("accepted_but_never_starts")
    theatre.world.crash("web-01")
    theatre.let_pass(1800)

    theatre.new_process()
    with theatre.world.faults.on("status", path="tag_members"):
        theatre.let_pass(100)
    theatre.let_pass(1200)

    assert theatre.case("web-01").state is State.QUARANTINED


# Clocks.


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_by_a_day_releases_nothing(play: Play, days: int) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("accepted_but_never_starts")
    theatre.world.crash("web-01")
    theatre.let_pass(1800)
    assert theatre.case("web-01").state is State.QUARANTINED

    theatre.clock.offset = timedelta(days=days)
    theatre.let_pass(1800)
    theatre.clock.offset = timedelta()
    theatre.let_pass(1800)

    assert len(theatre.asked()) == 3
    assert theatre.case("web-01").state is State.QUARANTINED


def test_a_pause_lasts_as_long_as_it_was_given_whatever_the_clock_says(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    command(theatre, CommandKind.PAUSE, seconds=3600.0)
    theatre.clock.offset = timedelta(days=1)

    theatre.world.crash("web-01")
    theatre.let_pass(3500)

    assert not theatre.asked()


# Owners and their words.


def test_who_denies_wins(play: Play) -> None:
    theatre, _ = play(tags={"web-01": ["recovery/always", "recovery/never"]})
    theatre.warm()

    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()


def test_who_is_disarmed_stays_so_until_a_person_arms_it(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    command(theatre, CommandKind.DISARM)
    theatre.world.crash("web-01")
    theatre.let_pass(2 * 3600)
    theatre.new_process()
    theatre.let_pass(1800)
    assert not theatre.asked()

    command(theatre, CommandKind.ARM)
    theatre.let_pass(580)
    assert not theatre.asked()
    theatre.let_pass(120)

    assert theatre.running("web-01")


# Who goes first.


def test_a_vm_waits_for_those_it_depends_on(play: Play) -> None:
    enrolment_rules = (EnrolmentRule(names=("web-01",), after=("db-01",)),)
    theatre, _ = play(
        setup=ENFORCE._replace(enrolment_rules=enrolment_rules), after={"web-01": ["db-01"]}
    )
    theatre.warm()

    theatre.world.crash("web-01")
    theatre.world.crash("db-01")
    theatre.let_pass(1800)

    database, web = (theatre.asked(name)[0].at for name in ("db-01", "web-01"))
    assert database < web
    assert theatre.running("web-01")


def test_a_vm_does_not_wait_for_ever(play: Play) -> None:
    enrolment_rules = (EnrolmentRule(names=("web-01",), after=("db-01",)),)
    theatre, _ = play(
        setup=ENFORCE._replace(enrolment_rules=enrolment_rules), after={"web-01": ["db-01"]}
    )
    theatre.warm()
    theatre.world.operator_stops("db-01", graceful=False)
    theatre.let_pass(200)

    theatre.world.crash("web-01")
    theatre.let_pass(500)
    early = len(theatre.asked())
    theatre.let_pass(300)

    assert early == 0
    assert theatre.running("web-01")


def test_the_important_go_first(play: Play) -> None:
    limits = Limits(max_concurrent_actions=1, breaker_min_vms=10, node_failure_vms=9)
    tags = {name: ["recovery/auto", f"recovery/tier-{tier}"]
            for name, tier in (("web-01", 4), ("db-01", 0), ("app-01", 2))}  # fmt: skip
    theatre, _ = play(limits=limits, tags=tags)
    theatre.warm()

    for name in tags:
        theatre.world.crash(name)
    theatre.let_pass(ENOUGH)

    asked = sorted(tags, key=lambda name: theatre.asked(name)[0].at)
    assert asked == ["db-01", "app-01", "web-01"]


# Storms.


def test_a_mass_outage_without_new_victims_is_probed_one_by_one_and_ends(play: Play) -> None:
    theatre, _ = play(vms=20)
    theatre.warm()
    victims = theatre.names[:5]

    for name in victims:
        theatre.world.crash(name)
    theatre.let_pass(880)
    early = len(theatre.asked())
    theatre.let_pass(4 * 3600)

    assert early == 0
    assert all(theatre.running(name) for name in victims)
    assert theatre.recovery.state.breaker.breaker_state is BreakerState.CLOSED
    moments = [one.at for one in theatre.asked()]
    assert moments[1] - moments[0] >= 60


def test_a_mass_outage_that_a_probe_does_not_calm_holds_for_twice_as_long(play: Play) -> None:
    theatre, _ = play(vms=20)
    theatre.warm()
    theatre.world.faults.turn_on("accepted_but_never_starts")

    for name in theatre.names[:5]:
        theatre.world.crash(name)
    theatre.let_pass(5 * 3600)

    moments = [one.at for one in theatre.asked()]
    assert moments[1] - moments[0] >= 1800
    assert moments[2] - moments[1] >= 3600


def test_no_secret_is_written_into_the_journal(play: Play) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("reset_after_acting", times=1)
    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    book = theatre.book
    written = repr((book.cases, book.intents, book.decisions, book.commands, book.changes))

    assert theatre.line.key not in written
    assert Action.POWER_ON in {intent.action for intent in book.intents.values()}

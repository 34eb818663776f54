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
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.model.cases import Action, Cause, Outcome, Reply
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.simulator.api.actions import ApiBehavior
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import ENFORCE, LIMITS, Harness, KilledError, at_once, outcomes, replies

ENOUGH = 900.0
"""Seconds in which a VM that crashed alone is back for certain."""


def cause(harness: Harness, name: str) -> Cause | None:
    diagnosis = harness.case(name).diagnosis
    return diagnosis.cause if diagnosis is not None else None


def reason(harness: Harness, name: str) -> GuardName | None:
    decision = harness.recovery.decisions.get(harness.world.vm(name).uuid)
    assert decision is not None
    return decision.failed_guard


def on_one_node(harness: Harness, count: int = 2) -> list[str]:
    """Return VMs that run on the same node."""
    for node in harness.world.nodes.values():
        names = [
            vm.name
            for vm in harness.world.live_vms()
            if vm.machine.status.node == node.key and vm.service is None
        ]
        if len(names) >= count:
            return names[:count]
    raise AssertionError("no node is that full")


def on_different_nodes(harness: Harness) -> list[str]:
    """Return one VM of every node."""
    first: dict[int | None, str] = {}
    for vm in harness.world.live_vms():
        if vm.service is None:
            first.setdefault(vm.machine.status.node, vm.name)
    return list(first.values())


def until(harness: Harness, holds: Callable[[], bool]) -> None:
    """Let time pass until something holds, but not for ever."""
    for _ in range(200):
        if holds():
            return
        harness.advance(harness.every)
    raise AssertionError("it never came to that")


def crash_twice(harness: Harness, name: str) -> None:
    """Let a VM crash, be started twice and crash again, so that a pause is due."""
    for tries in (1, 2):
        harness.world.crash(name)
        until(harness, lambda tries=tries: len(harness.asked(name)) == tries)  # type: ignore[misc]
        harness.advance(harness.every)
    harness.world.crash(name)


def kill_at(harness: Harness, what: str) -> None:
    """Let the process die the next time it does *what*, on the wire or in the journal."""

    def fall(step: str) -> None:
        if step == what:
            raise KilledError

    journal = harness.journal
    wire_before, journal_before = harness.fall, journal.fall

    def on_wire(step: str) -> None:
        wire_before(step)
        fall(step)

    def on_journal(step: str) -> None:
        journal_before(step)
        fall(step)

    harness.fall, journal.fall = on_wire, on_journal
    try:
        with pytest.raises(KilledError):
            harness.advance(ENOUGH)
    finally:
        harness.fall, journal.fall = wire_before, journal_before
    harness.new_process()


def command(harness: Harness, kind: CommandKind, *, name: str | None = None, **more: Any) -> None:
    uuid = harness.world.vm(name).uuid if name is not None else None
    at_once(harness.recovery.command(kind, owner="anna", reason="because", uuid=uuid, **more))


# Crashed, and back.


def test_crashed_vm_is_restarted_once(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert [one.action for one in harness.asked()] == ["poweron"]
    assert harness.running("web-01")
    assert harness.case("web-01").state is State.HEALTHY
    assert outcomes(harness) == [Outcome.CONFIRMED]


def test_vm_down_at_the_first_poll_is_not_started(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.world.crash("web-01")

    harness.warm().advance(3600)

    assert not harness.asked()
    assert harness.case("web-01").state is State.BASELINE


def test_guest_reboot_is_not_a_crash(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    for _ in range(20):
        harness.world.guest_reboots("app-01")
        harness.clock.elapsed += 1.0
        harness.poll()
        harness.advance(60)

    assert not harness.asked()


# Stopped on purpose.


@pytest.mark.parametrize("late", [0.0, 9.0, 11.0, 29.0])
def test_vm_killed_by_operator_is_not_restarted_despite_a_late_log_row(
    make_harness: MakeHarness, late: float
) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("late_logs", seconds=late)

    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(3600)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.STOPPED_BY_PERSON


@pytest.mark.parametrize("graceful", [True, False])
def test_vm_stopped_by_operator_is_not_restarted_under_always(
    make_harness: MakeHarness, graceful: bool
) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/always"]})
    harness.warm()

    harness.world.operator_stops("web-01", graceful=graceful)
    harness.advance(3600)

    assert not harness.asked()
    assert harness.case("web-01").state is State.STOPPED


def test_vm_stopped_by_guest_is_restarted_under_always_only(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/auto"], "app-01": ["recovery/always"]})
    harness.warm()

    harness.world.guest_shuts_down("web-01")
    harness.advance(ENOUGH)
    harness.world.guest_shuts_down("app-01")
    harness.advance(ENOUGH)

    assert not harness.running("web-01")
    assert harness.running("app-01")
    assert cause(harness, "web-01") is Cause.STOPPED_BY_GUEST


def test_vm_stopped_by_task_is_not_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    harness.world.task_stops("web-01", task="Friday off")
    harness.advance(3600)

    assert not harness.asked()


def test_status_set_by_operator_is_not_a_crash(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    harness.world.forces_status("web-01", word="stopped", running=False)
    harness.advance(3600)

    assert not harness.asked()


def test_mass_power_off_opens_the_breaker_and_is_diagnosed_as_stopped(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    harness.world.faults.turn_on("late_logs", seconds=90)

    for name in harness.names[:12]:
        harness.world.operator_stops(name, graceful=False)
    harness.advance(60)
    breaker_state = harness.recovery.state.breaker.breaker_state
    harness.advance(3600)

    assert breaker_state is BreakerState.OPEN
    assert not harness.asked()
    assert {harness.case(name).state for name in harness.names[:12]} == {State.STOPPED}
    assert harness.recovery.state.breaker.breaker_state is BreakerState.CLOSED


def test_vm_hibernated_by_operator_is_not_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    harness.world.hibernate("web-01")
    harness.advance(3600)

    assert not harness.asked()


def test_vm_started_by_operator_during_backoff_is_left_alone(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    crash_twice(harness, "web-01")
    until(harness, lambda: harness.case("web-01").state is State.BACKOFF)

    harness.world.operator_starts("web-01")
    harness.advance(ENOUGH)

    assert len(harness.asked("web-01")) == 2
    assert harness.running("web-01")
    assert harness.case("web-01").state is State.HEALTHY


def test_vm_stopped_by_operator_during_backoff_is_not_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    crash_twice(harness, "web-01")
    until(harness, lambda: harness.case("web-01").state is State.BACKOFF)

    harness.world.operator_stops("web-01")
    harness.advance(3600)

    assert len(harness.asked("web-01")) == 2
    assert harness.case("web-01").state is State.STOPPED


def test_vm_stopped_after_its_restart_is_not_restarted_despite_the_log(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.vm("web-01").machine.shutdown_seconds = 60.0
    harness.world.crash("web-01")
    until(harness, lambda: bool(harness.asked()))
    harness.world.faults.turn_on("lost_logs", share=1.0)

    harness.clock.elapsed += 5
    harness.world.operator_stops(harness.world.vm("web-01"), graceful=True)
    harness.advance(harness.every)
    assert harness.case("web-01").word == "stopping"
    harness.advance(3600)

    assert harness.case("web-01").state is State.STOPPED
    assert cause(harness, "web-01") is Cause.SEEN_STOPPING
    assert outcomes(harness) == [Outcome.FAILED]
    assert len(harness.asked()) == 1


def test_failed_start_by_operator_is_not_repeated(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(20)

    harness.world.start_waits("web-01", user="anna", word="initializing")
    harness.advance(40)
    harness.world.power.stop_now(harness.world.vm("web-01").machine)
    harness.advance(3600)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.START_FAILED


# A view that cannot be trusted.


@pytest.mark.parametrize("table", ["vms", "machine_status"])
def test_empty_table_is_rejected(make_harness: MakeHarness, table: str) -> None:
    harness, _ = make_harness()
    harness.warm()

    with harness.world.faults.on("empty_list", path=table):
        harness.advance(1800)
    harness.advance(1800)

    assert not harness.asked()
    assert len(harness.recovery.state.cases) == len(harness.names)


def test_table_cut_at_a_page_limit_is_rejected(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()

    with harness.world.faults.on("short_list", keep=0.5):
        harness.world.crash("web-01")
        harness.advance(1800)
    asked_meanwhile = len(harness.asked())
    harness.advance(1800)

    assert asked_meanwhile == 0
    assert len(harness.recovery.state.cases) == len(harness.names)


def test_mass_deletion_is_accepted_by_command(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()

    for name in harness.names[1:7]:
        harness.world.deletes(name)
    harness.advance(600)
    problem = harness.recovery.state.health.problem
    command(harness, CommandKind.ACCEPT)
    harness.advance(700)
    harness.world.crash(harness.names[0])
    harness.advance(300)

    assert problem is not None
    assert len(harness.recovery.state.cases) == len(harness.names)


def test_accept_command_long_before_the_next_inventory_is_ignored(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    harness.world.faults.turn_on("outage", lasting=1000.0)
    harness.advance(40)
    command(harness, CommandKind.ACCEPT)
    harness.advance(940)

    harness.world.faults.turn_on("short_list", keep=0.5, path="vms", lasting=100.0)
    harness.advance(60)

    assert harness.recovery.state.health.problem is not None
    assert len(harness.recovery.state.cases) == len(harness.names)


def test_arm_does_not_accept_a_short_table(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    harness.world.faults.turn_on("short_list", keep=0.5, path="vms", lasting=200.0)
    harness.advance(60)
    command(harness, CommandKind.DISARM)
    harness.advance(60)

    command(harness, CommandKind.ARM)
    harness.advance(60)

    assert harness.recovery.state.health.problem is not None
    assert len(harness.recovery.state.cases) == len(harness.names)


def test_accept_command_closes_the_breaker(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    began = harness.clock.elapsed
    for name in harness.names[:6]:
        harness.world.crash(name)
    harness.advance(60)
    before = harness.recovery.state.breaker.breaker_state

    command(harness, CommandKind.ACCEPT)
    harness.advance(harness.every)
    after = harness.recovery.state.breaker.breaker_state
    harness.advance(700)

    assert (before, after) == (BreakerState.OPEN, BreakerState.HALF_OPEN)
    times = [one.at - began for one in harness.asked()]
    assert 660 <= times[0] < LIMITS.breaker_probe_after_seconds
    assert all(later - earlier >= 60 for earlier, later in pairwise(times))


def test_forty_of_fifty_vms_down_at_once_are_not_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=51)
    harness.warm()

    for name in harness.names[:40]:
        harness.world.crash(name)
    harness.advance(900)

    assert not harness.asked()
    assert harness.recovery.state.breaker.breaker_state is BreakerState.OPEN


def test_frozen_inventory_starts_no_vm(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(20)

    with harness.world.faults.on("frozen_writer"):
        harness.world.operator_starts("web-01")
        harness.advance(1800)

    assert not harness.asked()


@pytest.mark.parametrize("fault", ["lost_logs", "status", "empty_list"])
def test_vm_with_unreadable_logs_is_not_restarted(make_harness: MakeHarness, fault: str) -> None:
    harness, _ = make_harness()
    harness.warm()
    settings: dict[str, Any] = {"share": 1.0} if fault == "lost_logs" else {}
    harness.world.faults.turn_on(fault, path="machine_logs", **settings)

    harness.world.crash("web-01")
    harness.advance(3600)

    assert not harness.asked()
    assert harness.case("web-01").state is State.UNKNOWN


def test_unexplained_log_row_makes_the_diagnosis_unknown(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    world = harness.world
    world.crash("web-01")
    machine = world.vm("web-01").machine.key
    world.platform_log.write("Flux capacitor drained", at=world.now, machine=machine, name="web-01")
    harness.advance(3600)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.LOGS_UNCLEAR


def test_two_vms_with_one_name_have_separate_cases(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    namesake = harness.world.vm("web-02")
    harness.world.renames(namesake, "web-01")
    harness.advance(900)

    harness.world.crash(namesake)
    harness.advance(ENOUGH)

    assert {one.vm_key for one in harness.asked()} == {namesake.key}


# Platform and nodes.


def test_vm_stopped_briefly_during_migration_is_not_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    machine = harness.world.vm("web-01").machine
    before = machine.status

    harness.world.power.force(machine, word="migrating")
    harness.advance(20)
    harness.world.power.force(machine, word="stopped", running=False, node=None)
    harness.advance(20)
    harness.world.power.force(machine, word="running", running=True, node=before.node)
    harness.advance(ENOUGH)

    assert not harness.asked()
    assert harness.case("web-01").state is State.HEALTHY


def test_vm_down_after_a_failed_migration_is_not_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    machine = harness.world.vm("web-01").machine

    harness.world.power.force(machine, word="migrating")
    harness.advance(20)
    harness.world.power.force(machine, word="stopped", running=False, node=None)
    harness.advance(3600)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.MIGRATED_SHORTLY_BEFORE


def test_vms_of_a_failed_node_are_left_to_vergeos(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    node = harness.world.node("node1")

    harness.world.node_fails(node)
    harness.advance(1800)

    assert not harness.asked()
    assert all(harness.running(name) for name in harness.names)
    assert {harness.case(name).state for name in harness.names} == {State.HEALTHY}


def test_vm_set_to_stay_off_after_power_loss_is_not_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    vm = harness.world.vm("web-01")
    harness.world.changes(vm, on_power_loss="leave_off")
    harness.advance(1200)  # until the change is no longer taken for a stop request
    node = harness.world.node(vm.machine.status.node or 0)

    harness.world.node_fails(node)
    harness.advance(40)
    harness.world.power.stop_now(vm.machine)
    harness.advance(20)
    harness.world.node_returns(node)
    harness.advance(3600)

    assert not harness.asked("web-01")
    assert cause(harness, "web-01") is Cause.LEFT_OFF_BY_POLICY


def test_vm_down_after_its_node_returned_is_restarted_late(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    vm = harness.world.vm("web-01")
    node = harness.world.node(vm.machine.status.node or 0)
    harness.world.power.force(node.machine, word="maintenance")
    harness.advance(20)
    harness.world.power.stop_now(vm.machine)
    harness.advance(20)
    returned_at = harness.clock.elapsed
    harness.world.power.force(node.machine, word="running")

    harness.advance(ENOUGH)

    assert [one.at >= returned_at + 300 for one in harness.asked()] == [True]


def test_vm_waiting_for_resources_is_left_to_vergeos(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    harness.world.power.wait_for_resources(harness.world.vm("web-01").machine)
    harness.advance(3600)

    assert not harness.asked()
    assert harness.case("web-01").state is State.PLATFORM


def test_two_vms_of_one_node_down_together_are_held(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    one, other = on_one_node(harness)

    harness.world.crash(one)
    harness.world.crash(other)
    harness.advance(200)
    early = len(harness.asked())
    harness.advance(ENOUGH)

    assert early == 0
    assert harness.running(one)
    assert harness.running(other)


def test_vm_down_while_its_row_is_missing_counts_for_its_node(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    seen, unseen = on_one_node(harness)
    harness.untold = {unseen}
    harness.advance(20)

    harness.world.crash(unseen)
    harness.world.crash(seen)
    harness.advance(20)
    harness.untold = set()
    harness.advance(200)
    early = len(harness.asked())
    harness.advance(ENOUGH)

    assert early == 0
    assert harness.running(seen)


def test_crash_is_kept_while_the_row_is_missing(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    harness.world.crash("web-01")
    harness.advance(20)
    harness.untold = {"web-01"}
    harness.advance(300)
    without = harness.case("web-01")
    harness.untold = set()
    harness.advance(ENOUGH)

    assert without.state is State.UNKNOWN
    assert without.diagnosis is not None
    assert without.diagnosis.cause is Cause.STATUS_MISSING
    assert harness.running("web-01")


@pytest.mark.parametrize(
    ("tag", "acts"), [("recovery/on-failure", False), ("recovery/unless-stopped", True)]
)
def test_vm_down_while_its_row_is_missing_went_down_unobserved(
    make_harness: MakeHarness, tag: str, acts: bool
) -> None:
    harness, _ = make_harness(tags={"web-01": [tag]})
    harness.warm()

    harness.untold = {"web-01"}
    harness.advance(200)
    harness.world.crash("web-01")
    harness.untold = set()
    harness.advance(ENOUGH)

    assert harness.running("web-01") is acts
    assert acts or cause(harness, "web-01") is Cause.WENT_DOWN_UNOBSERVED


def test_quarantine_is_kept_while_the_row_is_missing(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("accepted_but_never_starts")
    harness.world.crash("web-01")
    until(harness, lambda: harness.case("web-01").state is State.QUARANTINED)

    harness.untold = {"web-01"}
    harness.advance(300)
    harness.untold = set()
    harness.advance(ENOUGH)

    assert harness.case("web-01").state is State.QUARANTINED


def test_vm_without_status_row_is_removed_by_accept_command(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.untold = {"web-01"}
    harness.advance(300)

    command(harness, CommandKind.ACCEPT)
    harness.advance(40)

    assert "web-01" not in {case.name for case in harness.recovery.state.cases.values()}


def test_daemon_restart_does_not_report_a_node_failure(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(20)
    harness.new_process()
    harness.advance(100)

    early = cause(harness, "web-01")
    harness.advance(2 * ENOUGH)

    assert early is Cause.NODE_UNWATCHED
    assert harness.running("web-01")


def test_vm_another_user_tried_to_start_is_not_acted_on(make_harness: MakeHarness) -> None:
    setup = ENFORCE._replace(log_users=LogUsers(frozenset({"vergewatch"})))
    harness, _ = make_harness(setup=setup)
    harness.warm()

    harness.world.crash("web-01")
    harness.advance(20)
    harness.clock.elapsed += 1
    harness.world.operator_starts("web-01")
    harness.clock.elapsed += 3
    harness.world.crash("web-01")
    harness.advance(3600)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.START_FAILED


# What comes of a request.


def test_ineffective_start_is_retried_and_then_quarantined(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("accepted_but_never_starts")

    harness.world.crash("web-01")
    harness.advance(7200)

    assert len(harness.asked()) == 3
    assert outcomes(harness) == [Outcome.FAILED] * 3
    assert harness.case("web-01").state is State.QUARANTINED


def test_unsent_requests_use_no_restart_budget(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.line.is_cut = True

    harness.world.crash("web-01")
    harness.advance(2 * 3600)
    tried, state = outcomes(harness), harness.case("web-01").state
    harness.line.is_cut = False
    harness.advance(ENOUGH)

    assert len(tried) > 3
    assert set(tried) == {Outcome.ABANDONED}
    assert state is not State.QUARANTINED
    assert len(harness.asked()) == 1
    assert harness.running("web-01")


def test_stop_logged_after_the_first_attempt_prevents_the_second(
    make_harness: MakeHarness,
) -> None:
    harness = Harness()  # the checker would call the first try what it is
    harness.warm()
    harness.world.faults.turn_on("late_logs", seconds=100.0)

    harness.world.operator_stops("web-01", graceful=False)
    until(harness, lambda: bool(harness.asked()))
    while not harness.running("web-01"):
        harness.clock.elapsed += 1
        harness.world.catch_up()
    harness.world.crash("web-01")
    harness.advance(3600)

    assert len(harness.asked()) == 1
    assert cause(harness, "web-01") is Cause.STOPPED_BY_PERSON


def test_outcome_is_recorded_for_a_vm_that_was_replaced(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("reset_before_acting", times=1)
    harness.world.crash("web-01")
    until(harness, lambda: bool(harness.asked()))

    harness.world.vm("web-01").machine.key += 5000
    harness.advance(ENOUGH)

    assert ("acted", "poweron", "unknown") in harness.tally.measured


def test_request_with_lost_response_is_not_repeated(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("reset_after_acting", times=1)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert len(harness.asked()) == 1
    assert replies(harness) == [Reply.LOST]
    assert outcomes(harness) == [Outcome.CONFIRMED]


def test_lost_request_is_decided_on_again(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("reset_before_acting", times=1)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    first, second = harness.asked()
    assert second.at - first.at >= 60 + 60
    assert outcomes(harness) == [Outcome.UNKNOWN, Outcome.CONFIRMED]
    assert harness.running("web-01")


def test_already_running_vm_confirms_the_action(make_harness: MakeHarness) -> None:
    harness, checker = make_harness(behavior=ApiBehavior(already_running_status=409))
    harness.warm()

    def start_it(step: str) -> None:
        if step == "POST /api/v4/vm_actions":
            harness.world.operator_starts("web-01")
            harness.clock.elapsed += 1.0
            harness.world.catch_up()

    checker.on_wire = start_it
    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert [one.status for one in harness.asked()] == [409]
    assert replies(harness) == [Reply.ALREADY]
    assert outcomes(harness) == [Outcome.CONFIRMED]


def test_system_without_resources_pauses_starts_and_uses_no_budget(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(behavior=ApiBehavior(no_capacity_status=507))
    harness.warm()
    harness.world.faults.turn_on("no_capacity", code=507)

    for name in on_different_nodes(harness):
        harness.world.crash(name)
    harness.advance(2 * 3600)
    asked = len(harness.asked())
    harness.world.faults.turn_off("no_capacity")

    assert asked <= 16  # two VMs, ever more seldom
    assert State.QUARANTINED not in {case.state for case in harness.recovery.state.cases.values()}
    for name in ("web-01", "app-01"):
        command(harness, CommandKind.CLEAR, name=name)
    harness.advance(ENOUGH)
    assert all(harness.running(name) for name in harness.names)


def test_crash_loop_is_quarantined_after_at_most_three_starts(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    for _ in range(10):
        if harness.running("web-01"):
            harness.world.crash("web-01")
        harness.advance(300)

    assert len(harness.asked()) == 3
    assert harness.case("web-01").state is State.QUARANTINED


def test_quarantined_vm_started_by_operator_keeps_its_used_budget(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("accepted_but_never_starts")
    harness.world.crash("web-01")
    harness.advance(1800)
    harness.world.faults.clear()

    harness.world.operator_starts("web-01")
    harness.advance(60)
    probation = harness.case("web-01").state
    harness.world.crash("web-01")
    harness.advance(300)

    assert probation is State.PROBATION
    assert len(harness.asked()) == 3
    assert harness.case("web-01").state is State.QUARANTINED


def test_cleared_quarantined_vm_is_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("accepted_but_never_starts")
    harness.world.crash("web-01")
    harness.advance(1800)
    harness.world.faults.clear()

    command(harness, CommandKind.CLEAR, name="web-01")
    harness.advance(ENOUGH)

    assert harness.running("web-01")


# Hanging.


def hang_whatever_is_tried(harness: Harness, name: str, *, hours: float) -> None:
    """Let a VM hang, and hang again after every reboot."""
    harness.world.hang(name)
    for _ in range(int(hours * 3600 / harness.every)):
        before = len(harness.asked(name))
        harness.advance(harness.every)
        new = harness.asked(name)[before:]
        if new and new[0].action in ("reboot", "reset"):
            harness.world.hang(name)


def test_hung_vm_is_not_acted_on_without_on_hang_setting(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    harness.world.hang("web-01")
    harness.advance(7200)

    assert not harness.asked()
    assert reason(harness, "web-01") is GuardName.ACTION_ALLOWED


def test_hung_vm_is_rebooted_after_five_minutes(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/auto", "recovery/on-hang-reset"]})
    harness.warm()
    hung_at = harness.clock.elapsed

    harness.world.hang("web-01")
    harness.advance(1800)

    assert [one.action for one in harness.asked()] == ["reboot"]
    assert harness.asked()[0].at - hung_at >= 300
    assert harness.case("web-01").state is State.HEALTHY


def test_vm_still_hung_is_reset_once_and_then_quarantined(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/auto", "recovery/on-hang-reset"]})
    harness.warm()

    hang_whatever_is_tried(harness, "web-01", hours=8)

    assert [one.action for one in harness.asked()] == ["reboot", "reset"]
    assert harness.case("web-01").state is State.QUARANTINED


def test_hung_vm_killed_by_recovery_is_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/auto", "recovery/on-hang-power-cycle"]})
    harness.warm()

    hang_whatever_is_tried(harness, "web-01", hours=6)

    assert [one.action for one in harness.asked()] == ["reboot", "reset", "kill", "poweron"]
    assert harness.running("web-01")
    assert harness.case("web-01").state is State.HEALTHY


def test_vm_without_power_cycle_permission_is_not_killed(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/auto", "recovery/on-hang-power-cycle"]})
    harness.world.vm("web-01").disable_powercycle = True
    harness.warm()

    hang_whatever_is_tried(harness, "web-01", hours=8)

    assert [one.action for one in harness.asked()] == ["reboot", "reset"]


# The platform changes under our hands.


def update(harness: Harness) -> None:
    """Update the platform as it is done: node after node, the API away for a minute each time."""
    for node in list(harness.world.nodes.values()):
        harness.world.node_enters_maintenance(node)
        harness.advance(120)
        harness.world.faults.turn_on("outage", lasting=60.0)
        harness.advance(80)
        harness.world.node_leaves_maintenance(node)
        harness.advance(60)
    harness.world.version = "27.0.0"


def test_recovery_waits_during_a_platform_update(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.crash("web-01")
    until(harness, lambda: bool(harness.asked()))

    harness.world.faults.turn_on("outage", lasting=60.0)
    update(harness)
    harness.advance(3600)

    assert len(harness.asked()) == 1
    assert outcomes(harness) == [Outcome.CONFIRMED]
    assert {harness.case(name).state for name in harness.names} == {State.HEALTHY}


# The process stands still, or ends in the middle.


@pytest.mark.parametrize("moment", ["answered GET /api/v4/tag_members", "prepared", "updated"])
def test_process_suspended_just_before_an_action_does_not_act(
    moment: str, make_harness: MakeHarness
) -> None:
    harness, checker = make_harness()
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(40)

    read: list[str] = []

    def sleep(step: str) -> None:
        read.append(step)
        if step == moment and "answered GET /api/v4/machine_logs" in read:
            checker.on_wire = checker.on_journal = lambda _: None
            harness.world.operator_starts(harness.world.vm("web-01"))
            harness.clock.elapsed += 600

    checker.on_wire = checker.on_journal = sleep
    harness.advance(ENOUGH)

    assert harness.asked() == []
    assert set(outcomes(harness)) <= {Outcome.ABANDONED}
    assert harness.running("web-01")


def test_unsent_action_is_abandoned_and_decided_again(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.crash("web-01")

    kill_at(harness, "prepared")
    harness.warm().advance(ENOUGH)

    assert outcomes(harness) == [Outcome.ABANDONED, Outcome.CONFIRMED]
    assert len(harness.asked()) == 1


def test_action_marked_as_sent_uses_budget_even_if_unsent(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.crash("web-01")

    kill_at(harness, "updated")
    harness.warm().advance(ENOUGH)

    assert outcomes(harness) == [Outcome.UNKNOWN, Outcome.CONFIRMED]
    assert len(harness.asked()) == 1


def test_request_without_recorded_answer_is_verified_and_not_sent_again(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.crash("web-01")

    kill_at(harness, "answered POST /api/v4/vm_actions")
    harness.advance(60)

    assert outcomes(harness) == [Outcome.CONFIRMED]
    assert len(harness.asked()) == 1
    assert harness.case("web-01").state is State.PROBATION


def test_recovery_without_journal_does_not_act(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.journal.broken = "the disk is full"

    harness.world.crash("web-01")
    harness.advance(1800)
    asked_meanwhile = len(harness.asked())
    harness.journal.broken = ""
    harness.advance(1800)

    assert asked_meanwhile == 0
    assert harness.running("web-01")


def test_report_says_why_the_journal_cannot_be_opened(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.journal.broken = "the journal /x is in use: process 7 holds it"
    harness.poll()

    report = harness.recovery.report

    assert report.journal_problem == report.because == harness.journal.broken


def test_journal_failure_during_verification_only_delays_the_result(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.crash("web-01")
    until(harness, lambda: bool(harness.asked()))

    harness.journal.broken = "the database fails over"
    harness.advance(300)
    harness.journal.broken = ""
    harness.advance(ENOUGH)

    assert outcomes(harness) == [Outcome.CONFIRMED]
    assert len(harness.asked()) == 1


def test_journal_failure_after_the_request_does_not_repeat_it(
    make_harness: MakeHarness,
) -> None:
    harness, checker = make_harness()
    harness.warm()

    def fail(step: str) -> None:
        if step == "update" and harness.asked():
            raise JournalError("the disk is full")

    checker.on_journal = fail
    harness.world.crash("web-01")
    harness.advance(200)
    checker.on_journal = lambda _: None
    harness.warm().advance(ENOUGH)

    assert len(harness.asked()) == 1
    assert outcomes(harness) == [Outcome.CONFIRMED]


@pytest.mark.parametrize(
    ("policy", "comes_back"),
    [("auto", False), ("on-failure", False), ("unless-stopped", True), ("always", True)],
)
def test_long_daemon_outage_restarts_only_vms_whose_policy_allows_it(
    make_harness: MakeHarness, policy: str, comes_back: bool
) -> None:
    names = ["web-01", "app-01", "db-01"]
    harness, _ = make_harness(tags={name: [f"recovery/{policy}"] for name in names})
    harness.warm()

    harness.clock.elapsed += 86400
    for name in names:
        harness.world.crash(name)
        harness.clock.elapsed += 3600
    harness.clock.elapsed += 86400
    harness.new_process()
    harness.warm().advance(2 * 3600)

    assert [harness.running(name) for name in names] == [comes_back] * 3


def test_vm_stopped_during_an_outage_stays_down_under_always(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/always"]})
    harness.warm()

    harness.clock.elapsed += 86400
    harness.world.operator_stops("web-01", graceful=False)
    harness.clock.elapsed += 86400
    harness.new_process()
    harness.warm().advance(3600)

    assert not harness.asked()


def test_restart_before_tags_were_read_keeps_all_cases(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("accepted_but_never_starts")
    harness.world.crash("web-01")
    harness.advance(1800)

    harness.new_process()
    with harness.world.faults.on("status", path="tag_members"):
        harness.advance(100)
    harness.advance(1200)

    assert harness.case("web-01").state is State.QUARANTINED


# Clocks.


@pytest.mark.parametrize("days", [-1, 1])
def test_clock_jump_of_a_day_frees_no_budget(make_harness: MakeHarness, days: int) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("accepted_but_never_starts")
    harness.world.crash("web-01")
    harness.advance(1800)
    assert harness.case("web-01").state is State.QUARANTINED

    harness.clock.offset = timedelta(days=days)
    harness.advance(1800)
    harness.clock.offset = timedelta()
    harness.advance(1800)

    assert len(harness.asked()) == 3
    assert harness.case("web-01").state is State.QUARANTINED


def test_pause_keeps_its_duration_after_a_clock_jump(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    command(harness, CommandKind.PAUSE, seconds=3600.0)
    harness.clock.offset = timedelta(days=1)

    harness.world.crash("web-01")
    harness.advance(3500)

    assert not harness.asked()


# Owners and their words.


def test_denied_vm_is_not_restarted(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/always", "recovery/never"]})
    harness.warm()

    harness.world.crash("web-01")
    harness.advance(3600)

    assert not harness.asked()


def test_disarmed_recovery_stays_disarmed_until_it_is_armed(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    command(harness, CommandKind.DISARM)
    harness.world.crash("web-01")
    harness.advance(2 * 3600)
    harness.new_process()
    harness.advance(1800)
    assert not harness.asked()

    command(harness, CommandKind.ARM)
    harness.advance(580)
    assert not harness.asked()
    harness.advance(120)

    assert harness.running("web-01")


# Who goes first.


def test_vm_waits_for_its_dependencies(make_harness: MakeHarness) -> None:
    enrolment_rules = (EnrolmentRule(names=("web-01",), after=("db-01",)),)
    harness, _ = make_harness(
        setup=ENFORCE._replace(enrolment_rules=enrolment_rules), after={"web-01": ["db-01"]}
    )
    harness.warm()

    harness.world.crash("web-01")
    harness.world.crash("db-01")
    harness.advance(1800)

    database, web = (harness.asked(name)[0].at for name in ("db-01", "web-01"))
    assert database < web
    assert harness.running("web-01")


def test_wait_for_dependencies_is_limited(make_harness: MakeHarness) -> None:
    enrolment_rules = (EnrolmentRule(names=("web-01",), after=("db-01",)),)
    harness, _ = make_harness(
        setup=ENFORCE._replace(enrolment_rules=enrolment_rules), after={"web-01": ["db-01"]}
    )
    harness.warm()
    harness.world.operator_stops("db-01", graceful=False)
    harness.advance(200)

    harness.world.crash("web-01")
    harness.advance(500)
    early = len(harness.asked())
    harness.advance(300)

    assert early == 0
    assert harness.running("web-01")


def test_vms_are_restarted_by_priority(make_harness: MakeHarness) -> None:
    limits = Limits(max_concurrent_actions=1, breaker_min_vms=10, node_failure_vms=9)
    tags = {name: ["recovery/auto", f"recovery/tier-{tier}"]
            for name, tier in (("web-01", 4), ("db-01", 0), ("app-01", 2))}  # fmt: skip
    harness, _ = make_harness(limits=limits, tags=tags)
    harness.warm()

    for name in tags:
        harness.world.crash(name)
    harness.advance(ENOUGH)

    asked = sorted(tags, key=lambda name: harness.asked(name)[0].at)
    assert asked == ["db-01", "app-01", "web-01"]


# Storms.


def test_mass_outage_without_new_failures_is_recovered_one_by_one(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    victims = harness.names[:5]

    for name in victims:
        harness.world.crash(name)
    harness.advance(880)
    early = len(harness.asked())
    harness.advance(4 * 3600)

    assert early == 0
    assert all(harness.running(name) for name in victims)
    assert harness.recovery.state.breaker.breaker_state is BreakerState.CLOSED
    moments = [one.at for one in harness.asked()]
    assert moments[1] - moments[0] >= 60


def test_failure_after_a_probe_doubles_the_breaker_hold(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    harness.world.faults.turn_on("accepted_but_never_starts")

    for name in harness.names[:5]:
        harness.world.crash(name)
    harness.advance(5 * 3600)

    moments = [one.at for one in harness.asked()]
    assert moments[1] - moments[0] >= 1800
    assert moments[2] - moments[1] >= 3600


def test_no_secret_is_written_into_the_journal(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("reset_after_acting", times=1)
    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    journal = harness.journal
    written = repr(
        (journal.cases, journal.intents, journal.decisions, journal.commands, journal.changes)
    )

    assert harness.line.key not in written
    assert Action.POWER_ON in {intent.action for intent in journal.intents.values()}

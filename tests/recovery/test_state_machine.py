"""
Everything at once, in any order: what people, guests, nodes, networks and clocks can do.

Hypothesis generates the runs, the checker watches them. An operator's stop whose row in the log was
lost, or comes later than the logs are read, cannot be known: there the checker says nothing.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.errors import JournalError
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.model.commands import CommandKind, ControlState
from exporter.recovery.model.limits import Mode, Window
from exporter.recovery.model.views import AnswerRefusedError
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.simulator.api.accounts import USERNAME
from exporter.simulator.world.machines import VM, Node
from exporter.simulator.world.power import OFF
from tests.recovery.harness import Harness, KilledError, WindowLimits, at_once
from tests.recovery.invariants import InvariantChecker

HURRIED = WindowLimits(
    warmup_seconds=200.0,
    warmup_polls=5,
    confirm_hung_seconds=100.0,
    platform_seconds=100.0,
    log_before_seconds=300.0,
    log_read_seconds=40.0,
    probation_seconds=200.0,
    breaker_close_seconds=100.0,
    breaker_window_seconds=200.0,
    breaker_probe_after_seconds=300.0,
    breaker_max_open_seconds=1200.0,
    vm_windows=(Window(600.0, 3), Window(2400.0, 5), Window(7200.0, 8)),
    system_windows=(Window(300.0, 5), Window(3600.0, 20)),
    hard_reset_every_seconds=600.0,
    capacity_backoff_seconds=100.0,
    dependency_timeout_seconds=300.0,
)
"""The rules with their relations kept and their times shortened, so that more fits into a run."""

TAGS = (
    ["recovery/auto"],
    ["recovery/auto"],
    ["recovery/on-failure", "recovery/tier-0"],
    ["recovery/always"],
    ["recovery/unless-stopped", "recovery/tier-1"],
    ["recovery/auto", "recovery/on-hang-reset"],
    ["recovery/auto", "recovery/on-hang-power-cycle"],
    ["recovery/always", "recovery/on-hang-power-cycle"],
    ["recovery/auto"],
    ["recovery/auto"],
    ["recovery/never"],
)
VIEW_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("late_logs", {"seconds": 9.0}),
    ("late_logs", {"seconds": 30.0}),
    ("late_logs", {"seconds": 200.0}),
    ("lost_logs", {"share": 0.3}),
    ("lost_logs", {"share": 1.0}),
    ("frozen_writer", {}),
    ("frozen_clock", {}),
    ("short_list", {"keep": 0.5, "path": "vms"}),
    ("short_list", {"keep": 0.9, "path": "machine_status"}),
    ("empty_list", {"path": "vms"}),
    ("empty_list", {"path": "machine_logs"}),
    ("string_keys", {}),
    ("unknown_status", {"share": 1.0}),
    ("outage", {}),
    ("reset_after", {}),
    ("null_nodes", {}),
    ("status", {"code": 500}),
    ("status", {"code": 503, "path": "machine_logs"}),
    ("status", {"code": 429, "path": "vms"}),
    ("status", {"code": 500, "path": "tag_members"}),
    ("status", {"code": 500, "path": "nodes"}),
    ("storage_tier", {"word": "offline"}),
    ("storage_tier", {"word": "noredundant", "repairs_per_minute": 60}),
    ("platform_update", {"word": "installing"}),
    ("missing_devices", {}),
    ("status", {"code": 403, "path": "update_*"}),
)
ACTION_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("reset_before_acting", {}),
    ("reset_after_acting", {}),
    ("accepted_but_never_starts", {}),
    ("accepted_but_never_starts", {"word": "initializing"}),
    ("no_capacity", {}),
    ("no_capacity", {"code": 507}),
    ("busy", {}),
    ("busy", {"code": 423}),
    ("status", {"code": 500, "path": "vm_actions"}),
    ("status", {"code": 500, "path": "vm_actions", "after": True}),
    ("status", {"code": 408, "path": "vm_actions", "after": True}),
    ("status", {"code": 409, "path": "vm_actions"}),
    ("status", {"code": 422, "path": "vm_actions"}),
    ("status", {"code": 403, "path": "vm_actions"}),
)
UNKNOWN_TEXTS = (
    "{name} wurde beendet ({word})",
    "VM '{name}' reverted to snapshot created {word}",
    "Tag 'off' assigned to '{name}': powering down",
    "電源オフ: {name}",
    "killed on request of {word}",
    "Policy '{word}' applied to it's {name}",
    "VM has shutdown, says {word}",
    "VM action 'poweroff' sent to group {word}",
)
"""Texts that no log pattern matches."""
WORDS = ("x-1", "it's off", "VM has reset", "2026-11-28 10:00")
TABLES = ("both", "machine_logs", "logs")
WHICH = st.integers(0, 10)
STEPS = 40
"""Of one run."""
RUNNING = ("running",)


class Everything(RuleBasedStateMachine):
    """One system with its recovery, and the events that may happen to both."""

    @initialize(
        knows_itself=st.booleans(),
        seed=st.integers(1, 3),
        mode=st.sampled_from([Mode.ENFORCE, Mode.ENFORCE, Mode.ASK]),
    )
    def begin(self, *, knows_itself: bool, seed: int, mode: Mode) -> None:
        self.switch = ""
        self.deleted = 0
        self.breaker_opened = False
        self.kills = 0
        setup = RecoveryConfig(
            HURRIED,
            mode=mode,
            log_users=LogUsers(frozenset({USERNAME} if knows_itself else ())),
            kill_switch=lambda: self.switch,
        )
        harness = self.harness = Harness(setup=setup, seed=seed, tags={}, platform_every=60.0)
        for name, tags in zip(harness.names, TAGS, strict=True):
            for tag in tags:
                harness.world.tag(name, tag)
        self.checker = InvariantChecker(harness)
        self.advance(HURRIED.warmup_seconds + 20)

    def advance(self, seconds: float) -> None:
        """Let time pass; a process that dies is restarted by its supervisor."""
        harness = self.harness
        for _ in range(int(seconds / harness.every)):
            harness.clock.elapsed += harness.every
            try:
                harness.poll()
            except KilledError:
                self.kills += 1
                harness.new_process()
            self.breaker_opened = self.breaker_opened or (
                harness.recovery.state.breaker.breaker_state is not BreakerState.CLOSED
            )

    def crash(self, which: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.running:
            self.harness.world.crash(vm)

    def vm(self, which: int) -> VM:
        names = self.harness.names
        return self.harness.world.vm(names[which % len(names)])

    def node(self, which: int) -> Node:
        nodes = list(self.harness.world.nodes.values())
        return nodes[which % len(nodes)]

    # Time.

    @rule(polls=st.sampled_from([1, 1, 2, 3, 5, 8, 15, 30]))
    def time_passes(self, polls: int) -> None:
        self.advance(20.0 * polls)

    @rule(seconds=st.sampled_from([45.0, 90.0, 150.0, 400.0]))
    def the_process_is_stopped_and_goes_on(self, seconds: float) -> None:
        self.harness.clock.elapsed += seconds

    @rule(seconds=st.sampled_from([0.0, 45.0, 150.0, 3600.0]))
    def the_process_is_started_anew(self, seconds: float) -> None:
        self.harness.clock.elapsed += seconds
        self.harness.new_process()

    @rule(days=st.sampled_from([-1, 0, 1]))
    def the_clock_is_set(self, days: int) -> None:
        self.harness.clock.offset = timedelta(days=days)

    # Guests and fate.

    @rule(which=WHICH, polls=st.sampled_from([0, 0, 1, 3, 5]))
    def a_vm_crashes(self, which: int, polls: int) -> None:
        self.crash(which)
        self.advance(20.0 * polls)

    @rule(which=WHICH, times=st.integers(2, 4))
    def a_vm_crashes_again_and_again(self, which: int, times: int) -> None:
        for _ in range(times):
            self.crash(which)
            self.advance(100)

    @rule(first=WHICH, count=st.integers(3, 6))
    def many_vms_crash(self, first: int, count: int) -> None:
        for which in range(first, first + count):
            self.crash(which)
        self.advance(40)

    @rule(which=st.sampled_from([5, 6, 7, 8]), polls=st.sampled_from([0, 7, 12, 30]))
    def a_vm_hangs(self, which: int, polls: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in RUNNING:
            self.harness.world.hang(vm)
        self.advance(20.0 * polls)

    @rule(which=WHICH)
    def a_vm_wakes_up(self, which: int) -> None:
        self.harness.world.wake(self.vm(which))

    @rule(which=WHICH)
    def a_guest_shuts_down(self, which: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in RUNNING:
            self.harness.world.guest_shuts_down(vm)

    @rule(which=WHICH, seconds=st.sampled_from([0.0, 1.0, 3.2]))
    def a_guest_reboots(self, which: int, seconds: float) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in RUNNING:
            self.harness.world.guest_reboots(vm)
        self.harness.clock.elapsed += seconds

    # The platform.

    @rule(which=WHICH)
    def a_vm_migrates(self, which: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in RUNNING:
            self.harness.world.migrate(vm)

    @rule(which=WHICH)
    def a_vm_waits_for_resources(self, which: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in (*OFF, *RUNNING):
            self.harness.world.power.wait_for_resources(vm.machine)

    @rule(which=WHICH)
    def a_node_fails(self, which: int) -> None:
        node = self.node(which)
        if node.alive:
            self.harness.world.node_fails(node)

    @rule(which=WHICH)
    def a_node_returns(self, which: int) -> None:
        self.harness.world.node_returns(self.node(which))

    @rule(which=WHICH, leaves=st.booleans())
    def a_node_goes_into_maintenance_or_leaves_it(self, which: int, leaves: bool) -> None:
        node, world = self.node(which), self.harness.world
        if leaves and node.maintenance and node.alive:
            world.node_leaves_maintenance(node)
        elif not leaves and not node.maintenance and node.alive:
            world.node_enters_maintenance(node)

    # Log rows in other words.

    @rule(
        which=WHICH,
        text=st.sampled_from(UNKNOWN_TEXTS),
        word=st.sampled_from(WORDS),
        user=st.sampled_from(["anna", "system", "Jonas"]),
        table=st.sampled_from(TABLES),
        polls=st.sampled_from([0, 1, 4, 12]),
    )
    def a_vm_is_stopped_in_other_words(
        self, which: int, text: str, word: str, user: str, table: str, polls: int
    ) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in RUNNING:
            self.write_about(vm, text.format(name=vm.name, word=word), user=user, table=table)
            self.checker.remember_stop(vm.key)
            self.harness.world.crash(vm)
        self.advance(20.0 * polls)

    @rule(
        which=WHICH,
        text=st.sampled_from(UNKNOWN_TEXTS),
        word=st.sampled_from(WORDS),
        user=st.sampled_from(["anna", "system"]),
        about=st.sampled_from(["vm", "node", "many"]),
        happens=st.sampled_from(["nothing", "crash"]),
    )
    def an_unknown_row_is_written(
        self, which: int, text: str, word: str, user: str, about: str, happens: str
    ) -> None:
        vm, log = self.vm(which), self.harness.world.platform_log
        text = text.format(name=vm.name, word=word)
        if about == "vm":
            self.write_about(vm, text, user=user, table="both")
        elif about == "node":
            node = self.node(which).machine
            log.write(text, at=self.harness.world.now, user=user, object_type="node",
                      name=node.name, machine=node.key)  # fmt: skip
        else:
            log.write(text, at=self.harness.world.now, user=user, object_type="")
        self.checker.remember_unknown_row(vm.key if about == "vm" else None)
        if happens == "crash":
            self.crash(which)

    def write_about(self, vm: VM, text: str, *, user: str, table: Any) -> None:
        self.harness.world.platform_log.write(
            text,
            at=self.harness.world.now,
            user=user,
            table=table,
            name=vm.name,
            machine=vm.machine.key,
        )

    # People at the platform.

    @rule(which=WHICH, graceful=st.booleans(), polls=st.sampled_from([0, 1, 4]))
    def an_operator_stops_a_vm(self, which: int, graceful: bool, polls: int) -> None:
        self.harness.world.operator_stops(self.vm(which), graceful=graceful)
        self.advance(20.0 * polls)

    @rule(first=WHICH, count=st.integers(3, 6))
    def an_operator_stops_many_vms(self, first: int, count: int) -> None:
        for which in range(first, first + count):
            self.harness.world.operator_stops(self.vm(which), graceful=False)

    @rule(which=WHICH)
    def an_operator_starts_a_vm(self, which: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in OFF and vm.enabled:
            self.harness.world.operator_starts(vm)

    @rule()
    def an_operator_starts_everything(self) -> None:
        for name in self.harness.names:
            vm = self.harness.world.vm(name)
            if vm.machine.status.word in OFF and vm.enabled:
                self.harness.world.operator_starts(vm)

    @rule(which=WHICH)
    def an_operator_resets_a_vm(self, which: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.running:
            self.harness.world.operator_resets(vm, graceful=True)

    @rule(which=WHICH)
    def an_operator_hibernates_a_vm(self, which: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in RUNNING:
            self.harness.world.hibernate(vm)

    @rule(which=WHICH)
    def a_task_stops_a_vm(self, which: int) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in RUNNING:
            self.harness.world.task_stops(vm)

    @rule(which=WHICH, running=st.booleans())
    def operator_sets_a_status_by_hand(self, which: int, running: bool) -> None:
        vm = self.vm(which)
        if vm.machine.status.word in (*OFF, *RUNNING):
            word = "running" if running else "stopped"
            self.harness.world.forces_status(vm, word=word, running=running)

    @rule(which=WHICH, tag=st.sampled_from(["never", "auto", "always", "on-hang-power-cycle"]))
    def operator_tags_a_vm(self, which: int, tag: str) -> None:
        vm, tag = self.vm(which), f"recovery/{tag}"
        if tag not in self.harness.world.tags_of(vm):
            self.harness.world.tag(vm, tag)

    @rule(which=WHICH)
    def operator_removes_a_tag(self, which: int) -> None:
        vm = self.vm(which)
        for tag in sorted(self.harness.world.tags_of(vm)):
            if tag.startswith("recovery/"):
                self.harness.world.untag(vm, tag)
                return

    @rule(which=WHICH, name=st.sampled_from(["web-01", "renamed", "off", "it's 'powered on'"]))
    def operator_renames_a_vm(self, which: int, name: str) -> None:
        self.harness.world.renames(self.vm(which), name)

    @rule(which=WHICH, enabled=st.booleans(), power_cycle=st.booleans(), left_off=st.booleans())
    def operator_edits_a_vm(
        self, which: int, enabled: bool, power_cycle: bool, left_off: bool
    ) -> None:
        self.harness.world.changes(
            self.vm(which),
            enabled=enabled,
            disable_powercycle=not power_cycle,
            on_power_loss="leave_off" if left_off else "last_state",
        )

    @precondition(lambda self: self.deleted < 2)
    @rule(which=WHICH)
    def operator_deletes_a_vm(self, which: int) -> None:
        self.deleted += 1
        self.harness.world.deletes(self.vm(which))

    # What is between them and us.

    @rule(
        fault=st.sampled_from(VIEW_FAULTS),
        lasts=st.sampled_from([1, 2, 3, 6, 15]),
        which=WHICH,
        happens=st.sampled_from(["nothing", "crash", "stop", "late crash"]),
        polls=st.sampled_from([0, 2, 5, 12]),
    )
    def the_view_is_troubled(
        self,
        fault: tuple[str, dict[str, Any]],
        lasts: int,
        which: int,
        happens: str,
        polls: int,
    ) -> None:
        name, words = fault
        if happens == "late crash":
            self.crash(which)
            self.advance(20)
        self.harness.world.faults.turn_on(name, lasting=20.0 * lasts + 1, **words)
        if happens == "crash":
            self.crash(which)
        elif happens == "stop":
            self.harness.world.operator_stops(self.vm(which), graceful=False)
        self.advance(20.0 * polls)

    @rule(
        fault=st.sampled_from(ACTION_FAULTS),
        times=st.sampled_from([1, 1, 2, 9]),
        which=WHICH,
        polls=st.sampled_from([0, 4, 10, 30]),
        well_before=st.booleans(),
    )
    def requests_go_wrong(
        self,
        fault: tuple[str, dict[str, Any]],
        times: int,
        which: int,
        polls: int,
        well_before: bool,
    ) -> None:
        name, words = fault
        if well_before:
            self.all_is_well_again()
        self.harness.world.faults.turn_on(name, times=times, lasting=1000.0, **words)
        self.crash(which)
        self.advance(20.0 * polls)

    @rule(which=WHICH, polls=st.sampled_from([2, 4, 12]))
    def nothing_that_acts_gets_through(self, which: int, polls: int) -> None:
        self.harness.line.is_cut = True
        self.crash(which)
        self.advance(20.0 * polls)
        self.harness.line.is_cut = False

    @rule(which=WHICH, polls=st.sampled_from([1, 2, 4, 12]))
    def status_row_of_a_vm_is_missing(self, which: int, polls: int) -> None:
        self.harness.untold = {self.vm(which).name}
        self.crash(which)
        self.advance(20.0 * polls)
        self.harness.untold = set()

    @rule()
    def all_is_well_again(self) -> None:
        """Repair everything, and wait until recovery may act."""
        harness = self.harness
        self.checker.on_journal = self.checker.on_wire = lambda _: None
        harness.world.faults.clear()
        for node in harness.world.nodes.values():
            harness.world.node_returns(node)
            if node.maintenance:
                harness.world.node_leaves_maintenance(node)
        self.advance(20)
        if self.switch or harness.journal.broken or harness.recovery.commands != ControlState():
            self.operator_arms_and_resumes()
        self.an_operator_starts_everything()
        self.advance(HURRIED.warmup_seconds + 40)

    @rule(steps=st.integers(1, 30), which=WHICH, only_the_journal=st.booleans())
    def the_process_dies_soon(self, steps: int, which: int, only_the_journal: bool) -> None:
        left = [steps]

        def count(_step: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise KilledError

        self.crash(which)
        self.checker.on_journal = count
        self.checker.on_wire = (lambda _: None) if only_the_journal else count
        self.advance(80)

    @rule(
        what=st.sampled_from(["prepare", "prepared", "updated", "POST", "answered POST"]),
        which=WHICH,
        polls=st.sampled_from([0, 3, 15]),
    )
    def the_process_dies_as_it_acts(self, what: str, which: int, polls: int) -> None:
        def fall(step: str) -> None:
            if step in (what, f"{what} /api/v4/vm_actions"):
                self.checker.on_journal = self.checker.on_wire = lambda _: None
                raise KilledError

        self.all_is_well_again()
        self.checker.on_journal = self.checker.on_wire = fall
        self.crash(which)
        self.advance(80)
        self.advance(20.0 * polls)

    @rule(seconds=st.sampled_from([4.0, 6.0, 31.0]), which=WHICH)
    def the_log_is_slow_once(self, seconds: float, which: int) -> None:
        def tarry(step: str) -> None:
            if step == "answered GET /api/v4/machine_logs":
                self.harness.clock.elapsed += seconds
                self.checker.on_wire = lambda _: None

        self.checker.on_wire = tarry
        self.crash(which)
        self.advance(100)

    @rule(which=WHICH, polls=st.sampled_from([1, 3, 20]), repaired=st.booleans())
    def the_journal_fails(self, which: int, polls: int, repaired: bool) -> None:
        self.harness.journal.broken = "the disk is full"
        self.crash(which)
        self.advance(20.0 * polls)
        if repaired:
            self.harness.journal.broken = ""
            self.advance(60)

    # People at recovery.

    @rule(
        kind=st.sampled_from([CommandKind.PAUSE, CommandKind.DISARM]),
        which=WHICH,
        before=st.integers(0, 3),
        polls=st.sampled_from([1, 4, 12]),
        undone=st.booleans(),
    )
    def operator_pauses_or_disarms(
        self, kind: CommandKind, which: int, before: int, polls: int, undone: bool
    ) -> None:
        self.crash(which)
        self.advance(20.0 * before)
        self.command(kind, seconds=200.0 if kind is CommandKind.PAUSE else None)
        self.advance(20.0 * polls)
        if undone:
            self.command(CommandKind.RESUME if kind is CommandKind.PAUSE else CommandKind.ARM)

    @rule(lists_are_short=st.booleans())
    def operator_accepts_the_inventory(self, lists_are_short: bool) -> None:
        if lists_are_short:
            self.harness.world.faults.turn_on("short_list", keep=0.5, path="vms", lasting=50.0)
            self.advance(20)
        self.command(CommandKind.ACCEPT)

    @rule(which=WHICH)
    def operator_clears_a_vm(self, which: int) -> None:
        self.command(CommandKind.CLEAR, uuid=self.vm(which).uuid)

    @rule(which=WHICH, approves=st.sampled_from([True, True, False]), polls=st.integers(0, 40))
    def operator_answers_questions(self, which: int, approves: bool, polls: int) -> None:
        self.crash(which)
        kind = CommandKind.APPROVE if approves else CommandKind.DENY
        for _ in range(polls + 1):
            for question in self.harness.recovery.report.questions:
                self.command(kind, question=question.number)
            self.advance(20)

    @rule()
    def operator_arms_and_resumes(self) -> None:
        self.switch = ""
        self.harness.journal.broken = ""
        self.command(CommandKind.ARM)
        self.command(CommandKind.RESUME)

    @rule(which=WHICH, polls=st.sampled_from([1, 4, 12]), taken_away=st.booleans())
    def operator_uses_the_kill_switch(self, which: int, polls: int, taken_away: bool) -> None:
        self.crash(which)
        self.advance(40)
        self.switch = "/run/vergewatch/stop"
        self.advance(20.0 * polls)
        self.switch = "" if taken_away else self.switch

    def command(
        self,
        kind: CommandKind,
        *,
        seconds: float | None = None,
        uuid: str | None = None,
        question: int | None = None,
    ) -> None:
        with suppress(JournalError, AnswerRefusedError):
            try:
                at_once(
                    self.harness.recovery.command(
                        kind,
                        owner="anna",
                        reason="because",
                        seconds=seconds,
                        uuid=uuid,
                        question=question,
                    )
                )
            except KilledError:
                self.harness.new_process()

    @invariant()
    def nothing_happened_that_must_never(self) -> None:
        if hasattr(self, "checker"):
            self.checker.check()

    def teardown(self) -> None:
        if not hasattr(self, "checker") or self.checker.violations:
            return
        self._tell_what_happened()
        self.all_is_well_again()
        self.advance(600)

        self.checker.check()
        recovery = self.harness.recovery
        assert not recovery.system_facts.open_actions, "an intent stays open although all is well"
        assert not recovery.state.health.degraded_by, "it never trusts its eyes again"

    def _tell_what_happened(self) -> None:
        harness = self.harness
        event(f"requests: {min(len(harness.requests), 5)}")
        for outcome in {intent.outcome for intent in harness.journal.intents.values()}:
            event(f"an intent ended {outcome}")
        for action in {request.action for request in harness.requests}:
            event(f"asked for {action}")
        for state in {change.after for change in harness.journal.changes}:
            event(f"a VM was {state}")
        for reason in {decision.failed_guard for decision in harness.journal.decisions}:
            event(f"reason {reason}")
        event(f"circuit breaker opened: {self.breaker_opened}")
        event(f"killed: {min(self.kills, 2)}")


TestEverything = Everything.TestCase
# A few runs, the same each time, for a run of one folder; `make fuzz` runs
# thousands, with new seeds. Shrinking a failure can take minutes, so it is left out.
TestEverything.settings = settings(
    max_examples=20,
    stateful_step_count=STEPS,
    deadline=None,
    print_blob=True,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)

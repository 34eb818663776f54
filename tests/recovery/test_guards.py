"""Removing any guard breaks an invariant in some scenario."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import time
from typing import Any

import msgspec
import pytest

from exporter.errors import JournalError
from exporter.recovery.decide.guards import GUARDS, Guard
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.model.cases import Intent
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.confirmation import Confirmation, ConfirmationQuery
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import HOUR, Limits, Mode, Window
from exporter.recovery.model.ports import NoRoom, VMLocation
from exporter.recovery.model.states import ImpossibleTransitionError
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.simulator.api.accounts import USERNAME
from exporter.simulator.world.machines import VM
from tests.recovery.harness import (
    ENFORCE,
    EVERY,
    LIMITS,
    Harness,
    InMemoryJournal,
    LeadsInTurn,
    WindowLimits,
)
from tests.recovery.invariants import InvariantChecker
from tests.recovery.test_scenarios import (
    ENOUGH,
    command,
    crash_twice,
    on_different_nodes,
    on_one_node,
    until,
)

OURS = LogUsers(frozenset({USERNAME}))

Guards = Sequence[Guard]
Scenario = Callable[[Guards], InvariantChecker]
CROWDS_ALLOWED = Limits(breaker_min_vms=20, node_failure_vms=20)
SEVEN_ALLOWED = replace(CROWDS_ALLOWED, max_concurrent_actions=9, system_max_per_10_minutes=5)


def begin(guards: Guards, *, warm: bool = True, **kwargs: Any) -> tuple[Harness, InvariantChecker]:
    watched = {name: kwargs.pop(name) for name in ("after", "quiet", "silenced") if name in kwargs}
    harness = Harness(guards=guards, **kwargs)
    checker = InvariantChecker(harness, **watched)
    if warm:
        harness.warm()
    return harness, checker


def disarmed(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)
    command(harness, CommandKind.DISARM)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def paused(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)
    command(harness, CommandKind.PAUSE, seconds=3600.0)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def while_another_instance_acts(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, setup=ENFORCE._replace(log_users=OURS))
    harness.world.operator_resets("web-02", user=USERNAME)
    harness.advance(LIMITS.log_read_seconds + EVERY)
    checker.rival_until = harness.clock.elapsed + HOUR - EVERY

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def just_after_another_replica_led(guards: Guards) -> InvariantChecker:
    leadership = LeadsInTurn()
    harness, checker = begin(guards, leadership=leadership)
    leadership.forbids = "the replica other led before"
    checker.rival_until = harness.clock.elapsed + ENOUGH - EVERY

    harness.world.crash("web-01")
    harness.advance(ENOUGH - EVERY)
    return checker


def with_a_full_disk(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)

    def fail(step: str) -> None:
        if step == "save":
            raise JournalError("the disk is full")

    checker.on_journal = fail
    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def after_a_slow_action_on_another(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, limits=CROWDS_ALLOWED)

    def tarry(step: str) -> None:
        if step == "answered POST /api/v4/vm_actions" and len(harness.asked()) == 1:
            harness.clock.elapsed += 31.0

    checker.on_wire = tarry
    for name in on_different_nodes(harness)[:2]:
        harness.world.crash(name)
    harness.advance(ENOUGH)
    return checker


def after_rejected_inventories(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)
    with harness.world.faults.on("status", path="machine_status"):
        harness.advance(40)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def just_started(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, warm=False)
    harness.advance(60)

    harness.world.crash("web-01")
    harness.advance(400)
    return checker


def with_unreadable_tags(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)

    def strike_once(step: str) -> None:
        if step == "GET /api/v4/machine_status":
            harness.world.faults.turn_on("status", path="tag_members", times=1)

    checker.on_wire = strike_once
    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def stopped_by_an_operator(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)

    harness.world.operator_stops("web-01", graceful=False)
    with suppress(ImpossibleTransitionError):  # who acts on no proof ends in no known state
        harness.advance(ENOUGH)
    return checker


def armed_again_after_too_long(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, limits=Limits(crash_age_seconds=1500.0))
    command(harness, CommandKind.DISARM)
    harness.world.crash("web-01")
    harness.advance(1000)

    command(harness, CommandKind.ARM)
    harness.advance(ENOUGH)
    return checker


class LaxJournal(InMemoryJournal):
    """A journal that lacks the index which allows one open intent for each VM."""

    async def prepare(self, intent: Intent, decision: int, no_room: NoRoom, /) -> Intent:
        self.fall("prepare")
        intent = msgspec.structs.replace(intent, id=len(self.intents) + 1)
        self.intents[intent.id] = intent
        self.fall("prepared")
        return intent


def restored_while_it_starts(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, journal=LaxJournal())
    harness.world.crash("web-01")
    until(harness, lambda: bool(harness.asked()))

    harness.clock.elapsed += 5.0
    give_another_machine(harness, harness.world.vm("web-01"))
    harness.advance(20)
    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def give_another_machine(harness: Harness, vm: VM) -> None:
    """Do what a restore may do: the VM keeps its uuid, and runs in another machine."""
    world, old = harness.world, vm.machine
    vm.machine = replace(old, key=world.keys.next("machines"))
    del world.machines[old.key]
    world.machines[vm.machine.key] = vm.machine
    node = world.node(old.status.node or 0)
    node.release(old)
    node.host(vm.machine)


def in_a_crash_loop(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)

    for _ in range(6):
        harness.world.crash("web-01")
        harness.advance(300)
    return checker


def crashed_again_at_once(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)

    crash_twice(harness, "web-01")
    harness.advance(ENOUGH)
    return checker


def in_a_maintenance_window(guards: Guards) -> InvariantChecker:
    window = MaintenanceWindow(start=time(0, 0), hours=1, reason="backups run")
    harness, checker = begin(
        guards, setup=ENFORCE._replace(maintenance_windows=(window,)), quiet=((0.0, 3600.0),)
    )

    harness.world.crash("web-01")
    harness.advance(3600)
    return checker


class NamedSilence:
    """Silences that name one VM, for ever."""

    unknown = ""

    are_needed = True

    async def refresh(self) -> None:
        pass

    def holding(self, vm: VMLocation, /) -> str:
        return "it is silenced by alice: a new disk" if vm.vm_name == "web-01" else ""


def while_it_is_silenced(guards: Guards) -> InvariantChecker:
    setup = ENFORCE._replace(silences=NamedSilence())
    harness, checker = begin(guards, setup=setup, silenced={"web-01": (0.0, float("inf"))})

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def with_its_neighbour(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, vms=30)
    for name in on_one_node(harness):
        harness.world.crash(name)

    harness.advance(ENOUGH)
    return checker


def in_a_mass_outage(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)
    for name in harness.names[:5]:
        harness.world.crash(name)

    harness.advance(ENOUGH)
    return checker


def without_resources(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, limits=CROWDS_ALLOWED)
    harness.world.faults.turn_on("no_capacity")
    for name in harness.names[:5]:
        harness.world.crash(name)

    harness.advance(500)
    return checker


def during_an_update(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)
    harness.world.faults.turn_on("platform_update", word="installing")
    harness.advance(harness.platform_every)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def without_its_storage(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)
    harness.world.faults.turn_on("storage_tier", word="outofspace")
    harness.advance(harness.platform_every)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def without_memory(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, platform_every=20.0)
    for node in harness.world.nodes.values():
        node.memory_mb = 1024

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def without_its_device(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards)
    name = harness.names[0]
    harness.world.faults.turn_on("missing_devices", vm=name)
    harness.advance(harness.platform_every)

    harness.world.crash(name)
    harness.advance(ENOUGH)
    return checker


def three_at_once(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, limits=CROWDS_ALLOWED)
    for name in harness.names[:3]:
        harness.world.crash(name)

    harness.advance(ENOUGH)
    return checker


def seven_at_once(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, limits=SEVEN_ALLOWED)
    for name in harness.names[:7]:
        harness.world.crash(name)

    harness.advance(ENOUGH)
    return checker


def before_its_database(guards: Guards) -> InvariantChecker:
    enrolment_rules = (EnrolmentRule(names=("web-01",), after=("db-01",)),)
    harness, checker = begin(
        guards,
        setup=ENFORCE._replace(enrolment_rules=enrolment_rules),
        after={"web-01": ("db-01",)},
    )
    harness.world.operator_stops("db-01", graceful=False)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def reset_twice_within_an_hour(guards: Guards) -> InvariantChecker:
    tags = {"web-01": ["recovery/auto", "recovery/on-hang-reset"]}
    limits = WindowLimits(vm_windows=(Window(HOUR, 9),))
    harness, checker = begin(guards, tags=tags, limits=limits)

    for _ in range(2):
        for _ in ("rebooted", "reset"):  # the first does not help for long, the second does
            harness.world.hang("web-01")
            harness.advance(400)
        harness.advance(700)
    return checker


def with_a_credential_that_may_not(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, readonly=True)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


class ProbesThatSucceed:
    """A Prometheus whose probes reach every VM."""

    goes_on = True

    def is_needed(self, _vm_name: str, /) -> bool:
        return True

    async def find_problem(self) -> str:
        return ""

    async def ask(self, queries: Sequence[ConfirmationQuery], /) -> Sequence[Confirmation]:
        return [Confirmation("down", (0.0,)) for _ in queries]


def while_its_probes_succeed(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, setup=ENFORCE._replace(confirmer=ProbesThatSucceed()))
    checker.unconfirmed = lambda _name: True

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


def in_shadow(guards: Guards) -> InvariantChecker:
    harness, checker = begin(guards, mode=Mode.SHADOW)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)
    return checker


SCENARIOS: dict[GuardName, tuple[str, Scenario]] = {
    GuardName.ARMED: ("I14", disarmed),
    GuardName.NOT_PAUSED: ("I14", paused),
    GuardName.NO_RIVAL: ("I14", while_another_instance_acts),
    GuardName.LEADS: ("I14", just_after_another_replica_led),
    GuardName.JOURNAL_WRITABLE: ("I6", with_a_full_disk),
    GuardName.INVENTORY_FRESH: ("I4", after_a_slow_action_on_another),
    GuardName.INVENTORY_STABLE: ("I5", after_rejected_inventories),
    GuardName.WARMED_UP: ("I5", just_started),
    GuardName.ENROLLED: ("I1", with_unreadable_tags),
    GuardName.CRASHED: ("I10", stopped_by_an_operator),
    GuardName.CRASH_RECENT: ("I23", armed_again_after_too_long),
    GuardName.NO_OPEN_ACTION: ("I3", restored_while_it_starts),
    GuardName.WITHIN_RESTART_BUDGET: ("I2", in_a_crash_loop),
    GuardName.BACKOFF_ELAPSED: ("I18", crashed_again_at_once),
    GuardName.OUTSIDE_MAINTENANCE_WINDOW: ("I14", in_a_maintenance_window),
    GuardName.NOT_SILENCED: ("I14", while_it_is_silenced),
    GuardName.NODE_STABLE: ("I12", with_its_neighbour),
    GuardName.CIRCUIT_BREAKER_CLOSED: ("I13", in_a_mass_outage),
    GuardName.CAPACITY_AVAILABLE: ("I5", without_resources),
    GuardName.NO_PLATFORM_UPDATE: ("I22", during_an_update),
    GuardName.STORAGE_AVAILABLE: ("I22", without_its_storage),
    GuardName.MEMORY_AVAILABLE: ("I22", without_memory),
    GuardName.DEVICES_PRESENT: ("I22", without_its_device),
    GuardName.BELOW_CONCURRENCY_LIMIT: ("I3", three_at_once),
    GuardName.WITHIN_RATE_LIMIT: ("I2", seven_at_once),
    GuardName.DEPENDENCIES_UP: ("I21", before_its_database),
    GuardName.ACTION_ALLOWED: ("I20", reset_twice_within_an_hour),
    GuardName.WRITE_ACCESS: ("I7", with_a_credential_that_may_not),
    GuardName.DOWN_CONFIRMED: ("I25", while_its_probes_succeed),
    GuardName.MODE_PERMITS: ("I16", in_shadow),
}
"""For each guard: the invariant that breaks without it, and the scenario in which it does."""


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_removing_any_guard_breaks_an_invariant(guard: Guard) -> None:
    invariant, scenario = SCENARIOS[guard.name]
    rest = tuple(one for one in GUARDS if one is not guard)

    scenario(GUARDS).check()

    assert invariant in scenario(rest).broken

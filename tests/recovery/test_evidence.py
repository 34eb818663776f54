"""
Log texts, clocks and timings that recovery has not seen before.

Each situation comes in ten variations of names, texts, users and times. Whatever the log has, a VM
that was stopped on purpose stays off, and a crash is never called ``stopped``.
"""

import random
from typing import Any

import pytest

from exporter.recovery.model.cases import Cause, DiagnosisKind
from exporter.recovery.model.states import State
from tests.recovery.clock_skew import MICRO, Rows, retell
from tests.recovery.harness import Harness
from tests.recovery.test_scenarios import ENOUGH

NAMES = (
    "web-01", "it's responsive-web", "powered off by 'anna'", "VM has shutdown", "Datenbank Süd",
    "機械-01", "off", 'crashed "db"', "a" * 60, "node1 is online",
)  # fmt: skip
USERS = ("anna", "Jonas Müller", "svc-backup@corp", "root")
SEEDS = range(10)


class Play:
    """A harness with one VM that a test is about, and random choices that repeat."""

    def __init__(self, seed: int, **harness: object) -> None:
        self.dice = random.Random(seed)
        self.harness = Harness(seed=seed + 1, **harness)  # type: ignore[arg-type]
        self.name = NAMES[seed % len(NAMES)]
        self.world = self.harness.world
        if self.name != "web-01":
            self.world.renames("web-01", self.name)
        self.user = self.dice.choice(USERS)
        self.vm = self.world.vm(self.name)
        self.harness.warm()

    def write(self, text: str, *, user: str = "system", late: float = 0.0, **where: object) -> None:
        """Write a row about the VM, with placeholders for its name, a number and a word."""
        text = text.format(
            name=self.name,
            number=self.dice.randrange(1, 99),
            word=self.dice.choice(("alpha", "nightly", "x-ray", "Über", "2026-11-28 10:00")),
        )
        about = {"name": self.name, "machine": self.vm.machine.key, **where}
        at = self.world.now - late
        self.world.platform_log.write(text, at=at, user=user, **about)  # type: ignore[arg-type]

    def advance(self, seconds: float) -> None:
        self.harness.advance(seconds)

    def wait(self, most: float) -> None:
        """Let a random time pass, with polls."""
        self.harness.advance(self.dice.uniform(0.0, most))

    @property
    def cause(self) -> Cause | None:
        diagnosis = self.harness.case(self.name).diagnosis
        return diagnosis.cause if diagnosis is not None else None

    def assert_crash_is_not_silent(self) -> None:
        """Assert that the VM was started or that an alert fires for it."""
        if self.harness.running(self.name):
            assert len(self.harness.asked(self.name)) == 1
            return
        case = self.harness.case(self.name)
        assert case.state is not State.STOPPED
        assert case.diagnosis is not None
        assert case.diagnosis.kind in (DiagnosisKind.UNKNOWN, DiagnosisKind.PLATFORM)

    def assert_stays_off(self) -> None:
        assert not self.harness.asked(self.name)
        assert not self.harness.running(self.name)


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


# Crashes that the log seems to explain.


@pytest.mark.parametrize(
    "text",
    [
        "VM process was killed (signal {number})",
        "qemu[{number}]: terminated, powering off backend {word}",
        "VM '{name}' stopped unexpectedly",
        "VM '{name}' crashed",
        "Guest agent disconnected",
        "Machine is off: exit code {number}",
    ],
)
def test_row_of_the_system_at_the_crash_proves_no_stop(seed: int, text: str) -> None:
    play = Play(seed)
    play.wait(300)
    if play.dice.random() < 0.5:
        play.write(text)
    play.world.crash(play.name)
    play.write(text)

    play.advance(ENOUGH)

    play.assert_crash_is_not_silent()


@pytest.mark.parametrize(
    "text",
    [
        "Task 'Hourly snapshot {word}' ran on '{name}'",
        "Task '{word}' finished: stopped services were skipped",
        "Snapshot '{word}' of '{name}' taken",
        "Backup of '{name}' shut down cleanly after {number} s",
    ],
)
def test_row_of_a_task_before_the_crash_proves_no_stop(seed: int, text: str) -> None:
    play = Play(seed)
    play.write(text)
    play.wait(120)

    play.world.crash(play.name)
    play.advance(ENOUGH)

    play.assert_crash_is_not_silent()


@pytest.mark.parametrize(
    "text",
    [
        "Node 'node1' power supply {number} OK",
        "Node 'node1' updates available: {word}",
        "UPS on battery, shutdown in {number} min if it lasts",
    ],
)
def test_row_of_the_system_about_the_node_does_not_matter(seed: int, text: str) -> None:
    play = Play(seed)
    node = play.world.nodes[play.vm.machine.status.node or 0]
    play.write(text, object_type="node", name=node.machine.name, machine=node.machine.key)
    play.wait(500)

    play.world.crash(play.name)
    play.advance(ENOUGH)

    assert play.harness.running(play.name)
    assert len(play.harness.asked(play.name)) == 1


def test_maintenance_that_begins_after_the_crash_does_not_explain_it(seed: int) -> None:
    play = Play(seed)
    play.wait(60)
    node = play.vm.machine.status.node

    play.world.crash(play.name)
    play.harness.clock.elapsed += play.dice.uniform(0.5, 15.0)
    assert node is not None
    play.world.node_enters_maintenance(node, user=play.user)
    play.advance(ENOUGH)

    play.assert_crash_is_not_silent()


def test_crash_soon_after_a_maintenance_that_was_cancelled_is_no_stop(seed: int) -> None:
    play = Play(seed)
    node = play.world.nodes[play.vm.machine.status.node or 0]
    about: Any = {
        "object_type": "node", "name": node.machine.name, "machine": node.machine.key
    }  # fmt: skip
    play.write(f"Node '{node.machine.name}' entered maintenance mode", user=play.user, **about)
    play.wait(60)
    play.write(f"Node '{node.machine.name}' left maintenance mode", user=play.user, **about)
    play.advance(150)  # it runs on, and both rows are read

    play.world.crash(play.name)
    play.advance(ENOUGH)

    play.assert_crash_is_not_silent()


# Stops that the log tells of in other words, elsewhere, or late.

WISHES = (
    "VM '{name}' reverted to snapshot created {word}",
    "Tag 'night-off' assigned to '{name}': powering down",
    "'{name}' ausgeschaltet ({word})",
    "電源オフ: {name}",
    "Power schedule {word} applied",
    "VM '{name}' renamed and parked",
)


@pytest.mark.parametrize("text", WISHES)
@pytest.mark.parametrize("by_person", [True, False])
def test_vm_that_is_off_after_an_unknown_row_stays_off(
    seed: int, text: str, *, by_person: bool
) -> None:
    play = Play(seed)
    play.write(text, user=play.user if by_person else "system")
    play.wait(60)

    play.world.crash(play.name)  # it is off, and nothing else is logged
    play.advance(ENOUGH)

    play.assert_stays_off()


@pytest.mark.parametrize("text", WISHES)
def test_unknown_row_of_a_person_that_comes_late_counts_too(seed: int, text: str) -> None:
    play = Play(seed)

    play.world.crash(play.name)
    play.harness.clock.elapsed += play.dice.uniform(0.0, 28.0)
    play.write(text, user=play.user, late=30.0)
    play.advance(ENOUGH)

    play.assert_stays_off()


@pytest.mark.parametrize("graceful", [True, False])
def test_operator_stop_holds_for_every_vm_name(seed: int, *, graceful: bool) -> None:
    play = Play(seed)
    play.wait(60)

    play.world.operator_stops(play.name, user=play.user, graceful=graceful)
    play.advance(ENOUGH)

    play.assert_stays_off()
    assert play.harness.case(play.name).state is State.STOPPED


def test_stop_holds_whatever_time_the_log_shows(seed: int) -> None:
    play = Play(seed)
    shift = play.dice.uniform(-1800.0, 1800.0)

    def shifted(rows: Rows, _: object) -> Rows:
        return [{**row, "timestamp": row["timestamp"] + int(shift * MICRO)} for row in rows]

    retell(play.harness, "/machine_logs", shifted)
    retell(play.harness, "/logs", shifted)
    play.wait(60)

    play.world.operator_stops(play.name, user=play.user, graceful=False)
    play.advance(ENOUGH)

    play.assert_stays_off()


@pytest.mark.parametrize(
    ("text", "object_type"),
    [
        ("Power off of {number} VMs", "cluster"),
        ("6 VMs: action 'poweroff' sent", ""),
        ("Group '{word}' stopped", "group_of_vms"),
        ("{name} and 5 other VMs powered off", "task"),
        ("VM action 'poweroff' sent", "vm"),
    ],
)
def test_stop_that_only_the_system_log_has_holds(seed: int, text: str, object_type: str) -> None:
    play = Play(seed)
    name = "" if object_type in ("", "task", "group_of_vms") else play.name
    if object_type == "cluster":
        name = next(iter(play.world.clusters.values())).name
    play.write(text, user=play.user, table="logs", object_type=object_type, name=name)
    for victim in play.harness.names[:6]:
        play.world.crash(victim)
    if play.harness.running(play.name):
        play.world.crash(play.name)
    play.advance(ENOUGH)

    about_one = object_type == "vm"  # what it says of one VM is no doubt about the others
    assert not play.harness.asked(play.name if about_one else None)


@pytest.mark.parametrize("text", ["Stop of '{}' and {{name}}", "Stop of '{}' ({}'s), '{{name}}'"])
def test_stop_of_several_vms_holds_however_their_names_are_quoted(seed: int, text: str) -> None:
    play = Play(seed)
    other = next(name for name in play.harness.names if name != play.name)
    play.write(text.format(other, play.user), user=play.user, table="logs", object_type="", name="")

    play.world.crash(play.name)  # it is off, and nothing else is logged
    play.advance(ENOUGH)

    play.assert_stays_off()


def test_vm_stopped_while_another_is_started_stays_off(seed: int) -> None:
    play = Play(seed, vms=30)
    other = next(name for name in play.harness.names if name != play.name)

    def stop_meanwhile(step: str) -> None:
        if step == "POST /api/v4/vm_actions" and len(play.harness.requests) == 0:
            play.harness.clock.elapsed += play.dice.uniform(1.0, 15.0)
            for name in (play.name, other):
                vm = play.world.vm(name)
                play.world.platform_log.write(
                    "VM action 'kill' sent", at=play.world.now, user=play.user, name=name,
                    machine=vm.machine.key,
                )  # fmt: skip

    play.world.crash(play.name)
    play.world.crash(other)
    play.harness.fall = stop_meanwhile
    play.advance(ENOUGH)

    assert len(play.harness.requests) == 1


def test_reset_gives_the_platform_its_time(seed: int) -> None:
    play = Play(seed)
    play.write("VM has reset")
    play.world.crash(play.name)  # the power cycle of a reset
    play.advance(play.dice.uniform(60.0, 270.0))

    assert not play.harness.requests
    assert play.cause in (Cause.RESET_SHORTLY_BEFORE, Cause.NOT_LONG_ENOUGH)


# Doubt stays with what it concerns.


def crash_of_another(play: Play) -> str:
    other = next(
        vm.name
        for vm in play.world.live_vms()
        if vm.service is None
        and vm.uuid != play.vm.uuid
        and vm.machine.status.node != play.vm.machine.status.node
    )
    play.world.crash(other)
    return other


def test_clone_with_the_same_uuid_holds_no_other_vm(seed: int) -> None:
    play = Play(seed, vms=30)
    clone = next(vm for vm in play.world.live_vms() if vm.name != play.name and not vm.service)
    clone.uuid = play.vm.uuid
    play.wait(100)

    other = crash_of_another(play)
    play.world.crash(play.name)
    play.advance(ENOUGH)

    assert play.harness.running(other)
    assert not play.harness.asked(play.name)
    assert play.cause is Cause.UUID_SHARED


def test_clock_of_one_node_holds_no_vm_on_another(seed: int) -> None:
    play = Play(seed)
    ahead = play.dice.uniform(-1800.0, 1800.0)
    node = play.vm.machine.status.node

    def skewed(rows: Rows, _: object) -> Rows:
        for row in rows:
            if row.get("node") == node and row.get("last_update"):
                row["last_update"] = int(row["last_update"] + ahead)
        return rows

    retell(play.harness, "/machine_status", skewed)
    play.advance(play.dice.choice((20.0, 700.0)))
    other = crash_of_another(play)
    play.advance(ENOUGH)

    assert play.harness.running(other)


@pytest.mark.parametrize("how", ["same name", "renamed"])
def test_stop_of_another_vm_of_the_same_name_is_no_stop_of_this_one(seed: int, how: str) -> None:
    play = Play(seed, vms=30)
    uuid = play.vm.uuid
    other = next(vm for vm in play.world.live_vms() if vm.uuid != uuid and not vm.service)
    if how == "same name":
        play.world.renames(other, play.name)
        play.advance(20)
        play.world.operator_stops(other, user=play.user, graceful=False)
    else:  # this one gets the name that the other had when it was stopped
        name = other.name
        play.world.operator_stops(other, user=play.user, graceful=False)
        play.world.deletes(other)
        play.world.renames(play.vm, name)
        play.name = name
    play.wait(60)

    play.world.crash(play.vm)
    play.advance(ENOUGH)

    case = play.harness.recovery.state.cases[uuid]
    assert case.state is not State.STOPPED

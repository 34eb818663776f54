"""
A VM that is down, hung or stopped goes down a second time: recovery judges the logs again.

A row that VergeOS wrote after the first time is a consequence of that, but may be the cause of the
second.
"""

from typing import Any

import pytest

from exporter.recovery import log_tail
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.model.cases import DiagnosisKind
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.model.states import State
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.simulator.world.context import Timings
from tests.recovery.harness import Harness, at_once
from tests.recovery.test_evidence import Play, seed  # noqa: F401 - a fixture
from tests.recovery.test_scenarios import ENOUGH

HOURS = 3600.0
POWER_CYCLE = ["recovery/auto", "recovery/on-hang-power-cycle"]
TELLING_ROWS = [
    ("Bulk power off of {name}, web-02", "anna", {"table": "logs", "object_type": "", "name": ""}),
    ("Bulk power off of 4 VMs", "anna", {"table": "logs", "object_type": "", "name": ""}),
    ("Automation {word} switches the VM off", "system", {}),
]


def advance_to_our_kill(harness: Harness) -> None:
    """Let web-01 hang, whatever is tried, until recovery kills it."""
    harness.world.hang("web-01")
    for _ in range(1000):
        harness.advance(20.0)
        if any(one.action == "kill" for one in harness.asked()):
            return
        if len(harness.asked()) < 3 and harness.running("web-01"):
            harness.world.hang("web-01")
    raise AssertionError("it was not killed")


@pytest.mark.parametrize("between", ["nothing", "no row", "strange"])
@pytest.mark.parametrize(("text", "user", "about"), TELLING_ROWS)
def test_hung_vm_that_goes_off_after_an_unknown_row_stays_off(
    seed: int,  # noqa: F811
    text: str,
    user: str,
    about: dict[str, Any],
    between: str,
) -> None:
    play = Play(seed)
    play.world.hang(play.name)
    play.advance(400.0)
    play.write(text, user=user, **about)
    if between == "no row":
        play.harness.untold = {play.name}
        play.advance(20.0)
        play.harness.untold = set()
    elif between == "strange":
        play.world.forces_status(play.name, word="stopped", running=True)
        play.advance(20.0)
    play.world.crash(play.name)

    play.advance(ENOUGH)

    play.assert_stays_off()
    assert play.harness.case(play.name).state is State.UNKNOWN


@pytest.mark.parametrize(("text", "user", "about"), TELLING_ROWS)
def test_vm_that_goes_off_again_after_our_start_and_an_unknown_row_is_not_started_again(
    seed: int,  # noqa: F811
    text: str,
    user: str,
    about: dict[str, Any],
) -> None:
    play = Play(seed)
    play.world.crash(play.name)
    while not play.harness.asked(play.name):
        play.harness.poll()
        play.harness.clock.elapsed += 20.0
    play.world.catch_up()
    assert play.harness.running(play.name)
    play.write(text, user=user, **about)
    play.world.crash(play.name)  # before a poll has seen it up

    play.advance(ENOUGH)

    assert len(play.harness.asked(play.name)) == 1
    assert play.harness.case(play.name).state is State.UNKNOWN


@pytest.mark.parametrize("pause_seconds", [0.0, 2400.0])
@pytest.mark.parametrize("row", ["", "Core dump of VM saved"])
def test_start_of_ours_that_did_not_last_is_tried_again(row: str, pause_seconds: float) -> None:
    harness = Harness().warm()
    vm = harness.world.vm("web-01")
    harness.world.crash("web-01")
    harness.advance(20.0)
    if row:  # about the first time that it went down
        harness.world.platform_log.write(
            row, at=harness.world.now, table="machine_logs", machine=vm.machine.key, name=vm.name
        )
    if pause_seconds:
        at_once(harness.recovery.command(CommandKind.PAUSE, owner="jonas", reason="storage"))
        harness.advance(pause_seconds)
        at_once(harness.recovery.command(CommandKind.RESUME, owner="jonas", reason="done"))
    while not harness.asked("web-01"):
        harness.poll()
        harness.clock.elapsed += 20.0
    harness.world.catch_up()
    assert harness.running("web-01")
    harness.world.crash("web-01")  # before a poll has seen it up

    harness.advance(2 * ENOUGH)

    assert len(harness.asked("web-01")) == 2
    assert harness.running("web-01")


@pytest.mark.parametrize("tags", [["recovery/auto"], POWER_CYCLE])
def test_stop_that_is_seen_before_our_start_was_is_a_stop(tags: list[str]) -> None:
    harness = Harness(tags={"web-01": tags}).warm()
    if tags == POWER_CYCLE:
        advance_to_our_kill(harness)
    else:
        harness.world.crash("web-01")
    while not any(one.action == "poweron" for one in harness.asked()):
        harness.clock.elapsed += 20.0
        harness.poll()
    harness.clock.elapsed += 5.0
    harness.world.catch_up()
    assert harness.running("web-01")
    harness.world.forces_status("web-01", word="stopping", running=True)  # and no row tells of it
    harness.clock.elapsed += 5.0
    harness.poll()
    assert harness.case("web-01").state is State.STOPPED
    harness.world.crash("web-01")

    harness.advance(4 * ENOUGH)

    assert [one.action for one in harness.asked()].count("poweron") == 1
    assert not harness.running("web-01")
    assert not harness.recovery.bug


@pytest.mark.parametrize("tag", ["recovery/auto", "recovery/unless-stopped", "recovery/always"])
@pytest.mark.parametrize("restarts", [False, True])
def test_stopped_vm_that_ran_unseen_and_crashed_is_not_silent(tag: str, *, restarts: bool) -> None:
    harness = Harness(tags={"web-01": [tag]}).warm()
    harness.world.operator_stops("web-01")
    harness.advance(ENOUGH)
    assert harness.case("web-01").state is State.STOPPED

    harness.clock.elapsed += 1 * HOURS
    harness.world.operator_starts("web-01")
    harness.clock.elapsed += 6 * HOURS
    harness.world.catch_up()
    harness.world.crash("web-01")
    harness.clock.elapsed += 600.0
    harness.world.catch_up()
    if restarts:
        harness.new_process()
    harness.advance(3 * ENOUGH)

    if harness.running("web-01"):
        assert tag != "recovery/auto"
        return
    case = harness.case("web-01")
    assert case.diagnosis is not None
    assert case.diagnosis.kind is DiagnosisKind.UNKNOWN


@pytest.mark.parametrize("restarts", [False, True])
def test_rows_about_the_node_of_a_vm_that_is_down_cost_it_no_evidence(
    monkeypatch: pytest.MonkeyPatch, *, restarts: bool
) -> None:
    monkeypatch.setattr(log_tail, "MAX_EVIDENCE_ROWS", 50)
    harness = Harness().warm()
    vm = harness.world.vm("web-01")
    node = harness.world.node(vm.machine.status.node or 0)
    harness.world.crash("web-01")
    at_once(harness.recovery.command(CommandKind.PAUSE, owner="jonas", reason="storage"))
    harness.advance(120.0)
    for number in range(60):
        harness.world.platform_log.write(
            f"Fan {number} is fine",
            at=harness.world.now,
            table="machine_logs",
            machine=node.machine.key,
        )
        harness.advance(20.0)
    if restarts:
        harness.new_process()
        harness.poll()
    at_once(harness.recovery.command(CommandKind.RESUME, owner="jonas", reason="done"))

    harness.advance(3 * ENOUGH)

    assert harness.running("web-01")


@pytest.mark.parametrize("seconds", [160.0, 200.0, 400.0, 900.0])
@pytest.mark.parametrize("own", ["", "vergewatch"])
def test_kill_of_ours_that_takes_long_is_no_stop_by_a_person(seconds: float, own: str) -> None:
    harness = Harness(
        tags={"web-01": POWER_CYCLE},
        timings=Timings(migration_per_gb=0.2, kill=seconds),
        setup=RecoveryConfig(Limits(), Mode.ENFORCE, log_users=LogUsers(frozenset({own} - {""}))),
    ).warm()
    advance_to_our_kill(harness)

    harness.advance(seconds + 2 * ENOUGH)

    if harness.running("web-01"):
        assert [one.action for one in harness.asked()][-1] == "poweron"
        return
    case = harness.case("web-01")
    assert case.diagnosis is not None
    assert case.diagnosis.kind is not DiagnosisKind.STOPPED


@pytest.mark.parametrize("own", ["", "vergewatch"])
@pytest.mark.parametrize("after_seconds", [60.0, 400.0, 2000.0])
def test_kill_of_ours_is_no_stop_for_the_next_process(own: str, after_seconds: float) -> None:
    harness = Harness(
        tags={"web-01": POWER_CYCLE},
        setup=RecoveryConfig(Limits(), Mode.ENFORCE, log_users=LogUsers(frozenset({own} - {""}))),
    ).warm()
    advance_to_our_kill(harness)
    at_once(harness.recovery.command(CommandKind.PAUSE, owner="jonas", reason="storage"))
    harness.advance(after_seconds)
    assert not harness.running("web-01")

    harness.new_process()
    harness.poll()
    at_once(harness.recovery.command(CommandKind.RESUME, owner="jonas", reason="done"))
    harness.advance(3 * ENOUGH)

    assert harness.asked()[-1].action == "poweron"
    assert harness.running("web-01")


@pytest.mark.parametrize("row", ["", "Bulk power off of web-01, web-02"])
def test_vm_that_is_seen_stopping_after_a_kill_of_ours_that_failed_is_not_started(row: str) -> None:
    harness = Harness(
        tags={"web-01": POWER_CYCLE}, timings=Timings(migration_per_gb=0.2, kill=100_000.0)
    ).warm()
    advance_to_our_kill(harness)
    harness.advance(400.0)
    assert harness.case("web-01").kill_failed
    if row:
        harness.world.platform_log.write(
            row, at=harness.world.now, user="anna", table="logs", object_type="", name=""
        )
    harness.world.forces_status("web-01", word="stopping", running=True)
    harness.advance(40.0)
    harness.world.crash("web-01")

    harness.advance(4 * ENOUGH)

    case = harness.case("web-01")
    assert [one.action for one in harness.asked()][-1] == "kill"
    assert case.diagnosis is not None
    assert case.diagnosis.kind is DiagnosisKind.UNKNOWN


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("Watchdog of VM does not answer", {"name": "web-01"}),
        ("Report of the outage created", {"user": "anna", "table": "logs", "object_type": ""}),
    ],
)
def test_row_about_a_vm_that_hangs_does_not_prevent_the_start_after_our_kill(
    text: str, about: dict[str, Any]
) -> None:
    harness = Harness(tags={"web-01": POWER_CYCLE}).warm()
    machine = {"machine": harness.world.vm("web-01").machine.key} if "name" in about else {}
    harness.world.hang("web-01")
    harness.advance(100.0)
    harness.world.platform_log.write(
        text, at=harness.world.now, **{"name": "", "table": "machine_logs", **machine, **about}
    )

    for _ in range(400):
        before = len(harness.asked())
        harness.advance(20.0)
        actions = [one.action for one in harness.asked()]
        if "kill" in actions:
            break
        if len(actions) > before:  # it has no effect
            harness.world.hang("web-01")
    harness.advance(2 * ENOUGH)

    assert [one.action for one in harness.asked()] == ["reboot", "reset", "kill", "poweron"]
    assert harness.running("web-01")


def test_stop_after_a_start_that_first_a_strange_row_shows_is_not_forgotten() -> None:
    harness = Harness().warm()
    machine = harness.world.vm("web-01").machine
    harness.world.crash("web-01")
    harness.advance(20.0)
    harness.world.operator_starts("web-01")
    harness.clock.elapsed += 15.0
    harness.world.catch_up()
    assert harness.running("web-01")
    harness.world.platform_log.write(
        "Bulk power off of 4 VMs", at=harness.world.now, user="anna", table="logs", name=""
    )
    harness.world.crash("web-01")
    harness.world.power.force(machine, word="stopped", running=True)
    harness.clock.elapsed += 5.0
    harness.poll()
    harness.world.power.force(machine, word="stopped", running=False)

    harness.advance(2 * ENOUGH)

    assert not harness.asked()
    assert harness.case("web-01").state is State.UNKNOWN


@pytest.mark.parametrize("gap_seconds", [5.0, 6 * HOURS])
def test_quarantined_vm_that_ran_unseen_is_judged_anew_once_it_is_cleared(
    gap_seconds: float,
) -> None:
    harness = Harness().warm()
    for _ in range(4):
        harness.world.crash("web-01")
        harness.advance(300.0)
    harness.advance(200.0)
    assert harness.case("web-01").state is State.QUARANTINED
    asked = len(harness.asked())
    harness.world.operator_starts("web-01")
    harness.clock.elapsed += 14.0
    harness.world.catch_up()
    assert harness.running("web-01")
    harness.clock.elapsed += gap_seconds
    harness.world.catch_up()
    harness.world.platform_log.write(
        "Bulk power off of 4 VMs", at=harness.world.now, user="anna", table="logs", name=""
    )
    harness.world.crash("web-01")
    harness.clock.elapsed += 5.0
    harness.poll()
    harness.advance(1300.0)

    uuid = harness.case("web-01").uuid
    at_once(harness.recovery.command(CommandKind.CLEAR, owner="jonas", reason="x", uuid=uuid))
    harness.advance(ENOUGH)

    assert len(harness.asked()) == asked
    assert harness.case("web-01").state is State.UNKNOWN

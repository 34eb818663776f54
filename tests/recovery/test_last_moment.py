"""What changes between a decision and its request, or while a poll is processed, still counts."""

import asyncio
from pathlib import Path

import pytest

from exporter.config.kill_switch import KillSwitch
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Intent, Outcome
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.ports import SavedState
from exporter.recovery.model.states import State
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import (
    CONNECTED,
    ENFORCE,
    LIMITS,
    Harness,
    KilledError,
    at_once,
    outcomes,
)
from tests.recovery.test_scenarios import hang_whatever_is_tried

LOGS_ARE_READ = "answered GET /api/v4/machine_logs"


def pause(harness: Harness, seconds: float) -> None:
    at_once(
        harness.recovery.command(CommandKind.PAUSE, owner="anna", reason="because", seconds=seconds)
    )


@pytest.mark.parametrize("change", ["untag recovery/auto", "tag recovery/never"])
def test_tag_change_just_before_the_action_prevents_it(
    make_harness: MakeHarness, change: str
) -> None:
    harness, checker = make_harness()
    harness.warm()
    verb, tag = change.split()

    def edit(step: str) -> None:
        if step == LOGS_ARE_READ:
            getattr(harness.world, verb)("web-01", tag)

    checker.on_wire = edit
    harness.world.crash("web-01")
    harness.advance(3600)

    assert not harness.asked()


def test_kill_switch_just_before_the_action_prevents_it(make_harness: MakeHarness) -> None:
    switch = [""]
    setup = ENFORCE._replace(kill_switch=lambda: switch[0])
    harness, checker = make_harness(setup=setup)
    harness.warm()

    def flip(step: str) -> None:
        if step == "prepared":
            switch[0] = "/run/vergewatch/stop"

    checker.on_journal = flip
    harness.world.crash("web-01")
    harness.advance(3600)

    assert not harness.asked()
    assert outcomes(harness) == [Outcome.ABANDONED]


def test_lowered_policy_just_before_the_action_prevents_it(make_harness: MakeHarness) -> None:
    harness, checker = make_harness(tags={"web-01": ["recovery/always"]})
    harness.warm()

    def lower(step: str) -> None:
        if step == LOGS_ARE_READ and "recovery/always" in harness.world.tags_of("web-01"):
            harness.world.untag("web-01", "recovery/always")
            harness.world.tag("web-01", "recovery/on-failure")

    checker.on_wire = lower
    harness.world.guest_shuts_down("web-01")
    harness.advance(3600)

    assert not harness.asked()


def test_power_cycle_forbidden_at_the_last_moment_is_not_sent(make_harness: MakeHarness) -> None:
    harness, checker = make_harness(
        tags={"web-01": ["recovery/auto", "recovery/on-hang-power-cycle"]}
    )
    harness.warm()
    vm = harness.world.vm("web-01")

    def forbid(step: str) -> None:
        if len(harness.asked()) == 2 and step == "decide":  # to kill it
            harness.world.changes(vm, disable_powercycle=True)

    checker.on_journal = forbid
    hang_whatever_is_tried(harness, "web-01", hours=6)

    assert [one.action for one in harness.asked()] == ["reboot", "reset"]


def test_kill_switch_removed_during_a_poll_is_followed_by_warm_up(
    make_harness: MakeHarness,
) -> None:
    switch = ["/run/vergewatch/stop"]
    setup = ENFORCE._replace(kill_switch=lambda: switch[0])
    harness, checker = make_harness(setup=setup)
    harness.warm()
    taken_away: list[float] = []

    def flip(step: str) -> None:
        if step == LOGS_ARE_READ and switch[0]:
            switch[0] = ""
            taken_away.append(harness.clock.elapsed)

    checker.on_wire = flip
    harness.world.crash("web-01")
    harness.advance(3600)

    (request,) = harness.asked()
    assert request.at - taken_away[0] >= LIMITS.warmup_seconds


def test_pause_ending_during_a_poll_is_followed_by_warm_up(make_harness: MakeHarness) -> None:
    harness, checker = make_harness()
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(20)
    pause(harness, 41)
    ends_at = harness.clock.elapsed + 41

    def tarry(step: str) -> None:
        if step == LOGS_ARE_READ and ends_at - 2 < harness.clock.elapsed < ends_at:
            harness.clock.elapsed += 1.5

    checker.on_wire = tarry
    harness.advance(3600)

    (request,) = harness.asked()
    assert request.at - ends_at >= LIMITS.warmup_seconds


@pytest.mark.parametrize("kind", [CommandKind.RESUME, CommandKind.ARM])
async def test_resume_during_a_poll_is_followed_by_warm_up(
    kind: CommandKind,
) -> None:
    harness, reached, go_on = crashed_with_a_slow_log()
    before = CommandKind.PAUSE if kind is CommandKind.RESUME else CommandKind.DISARM
    await harness.recovery.command(before, owner="anna", reason="because", seconds=3600)

    taking = asyncio.create_task(harness.recovery.process(harness._read()))
    await reached.wait()
    await harness.recovery.command(kind, owner="anna", reason="done")
    go_on.set()
    await taking

    assert not harness.asked()
    assert harness.recovery.readiness_now.readiness is ReadinessState.WARMING_UP


@pytest.mark.parametrize("kind", [CommandKind.RESUME, CommandKind.ACCEPT])
async def test_command_while_an_outcome_is_written_is_followed_by_warm_up(
    kind: CommandKind,
) -> None:
    harness = Harness().warm()
    harness.world.crash("web-01")
    while not harness.asked():
        harness.advance(harness.every)
    await harness.recovery.command(CommandKind.PAUSE, owner="anna", reason="because", seconds=3600)
    harness.clock.elapsed += 60
    update = harness.journal.update

    async def update_while_a_command_is_given(intent: Intent, **lease: float) -> None:
        await harness.recovery.command(kind, owner="anna", reason="done")
        await update(intent, **lease)

    harness.journal.update = update_while_a_command_is_given
    await harness.recovery.process(harness._read())

    state = harness.recovery.state
    assert outcomes(harness) == [Outcome.CONFIRMED]
    assert state.health.warm_because == f"{kind} by anna"
    assert (state.accepted_at is not None) is (kind is CommandKind.ACCEPT)


async def test_command_while_an_unsent_action_is_closed_at_the_start_is_in_force() -> None:
    harness = Harness().warm()

    def fall(step: str) -> None:
        if step == "prepared":
            raise KilledError

    harness.journal.fall = fall
    harness.world.crash("web-01")
    with pytest.raises(KilledError):
        harness.advance(600)
    harness.journal.fall = lambda _: None
    update = harness.journal.update

    async def update_while_a_command_is_given(intent: Intent, **lease: float) -> None:
        await harness.recovery.command(CommandKind.ACCEPT, owner="anna", reason="it is so")
        await update(intent, **lease)

    harness.journal.update = update_while_a_command_is_given
    harness.new_process()
    harness.clock.elapsed += 20
    await harness.recovery.process(harness._read())

    assert outcomes(harness) == [Outcome.ABANDONED]
    assert harness.recovery.state.health.warm_because == "accept by anna"


async def test_command_during_a_poll_is_answered_immediately() -> None:
    harness, reached, go_on = crashed_with_a_slow_log()

    taking = asyncio.create_task(harness.recovery.process(harness._read()))
    await reached.wait()
    await asyncio.wait_for(disarm(harness), timeout=5)
    assert harness.recovery.report.readiness is ReadinessState.DISARMED
    go_on.set()
    await taking

    assert not harness.asked()


def crashed_with_a_slow_log() -> tuple[Harness, asyncio.Event, asyncio.Event]:
    """Return a harness whose next poll reads a log, an event for that, and one to let it go on."""
    harness = Harness()
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(40)
    harness.clock.elapsed += 20
    reached, go_on = asyncio.Event(), asyncio.Event()
    read = harness.line.read

    async def slowly(path: str, *given: object, **named: object) -> bytes:
        if path.endswith("machine_logs"):
            reached.set()
            await go_on.wait()
        return await read(path, *given, **named)  # type: ignore[arg-type]

    harness.line.read = slowly  # type: ignore[method-assign]
    return harness, reached, go_on


async def test_command_while_the_journal_is_reread_is_in_force() -> None:
    harness = Harness()
    harness.warm()
    load, commands = harness.journal.load, []

    async def load_while_a_command_is_given() -> SavedState:
        past: SavedState = await load()
        commands.append(asyncio.create_task(disarm(harness)))
        await asyncio.wait(commands, timeout=0)
        return past

    harness.journal.load = load_while_a_command_is_given
    harness.new_process()
    harness.clock.elapsed += 20
    await harness.recovery.process(harness._read())
    await asyncio.gather(*commands)

    assert harness.recovery.commands.disarm is not None


async def disarm(harness: Harness) -> None:
    await harness.recovery.command(CommandKind.DISARM, owner="anna", reason="stop")


def test_canceled_action_uses_no_restart_budget(make_harness: MakeHarness) -> None:
    harness, checker = make_harness()
    harness.warm()
    slow = [True] * 6

    def stumble(step: str) -> None:
        if step == "update" and slow:
            slow.pop()
            harness.clock.elapsed += LIMITS.reread_age_seconds + 1

    checker.on_journal = stumble
    harness.world.crash("web-01")
    harness.advance(3600)

    assert outcomes(harness)[-1] is Outcome.CONFIRMED
    assert outcomes(harness).count(Outcome.ABANDONED) >= 3
    assert len(harness.asked()) == 1
    assert harness.running("web-01")
    (action,) = harness.recovery.report.last_actions
    assert action.outcome is Outcome.CONFIRMED


def test_host_suspended_after_the_poll_sends_no_action() -> None:
    harness = Harness()
    asleep = [0.0]
    harness.clock.monotonic = lambda: harness.clock.elapsed - asleep[0]  # type: ignore[method-assign]
    harness.warm()

    def sleep(step: str) -> None:
        if step == "prepare" and not asleep[0]:
            asleep[0] = 1800.0
            harness.clock.elapsed += 600
            harness.world.operator_starts("web-01")
            harness.clock.elapsed += 600
            harness.world.operator_stops("web-01", graceful=False)
            harness.clock.elapsed += 600
            harness.world.catch_up()

    harness.journal.fall = sleep
    harness.world.crash("web-01")
    harness.advance(1800)

    assert asleep[0]
    assert not harness.asked()


def test_repeatedly_canceled_action_is_retried_with_backoff() -> None:
    harness = Harness()
    harness.warm()

    def stumble(step: str) -> None:
        if step == "update":
            harness.clock.elapsed += LIMITS.reread_age_seconds + 1

    harness.journal.fall = stumble
    harness.world.crash("web-01")
    harness.advance(3600)

    assert not harness.asked()
    assert 1 < len(harness.journal.intents) <= 3600 / LIMITS.capacity_backoff_seconds + 1


def test_stop_while_the_connection_is_made_prevents_the_action() -> None:
    harness = Harness().warm()

    def stop(step: str) -> None:
        if step == CONNECTED:
            harness.clock.elapsed += 3
            vm = harness.world.vm("web-01")
            harness.world.platform_log.write(
                "VM action 'kill' sent", at=harness.world.now, user="anna", name=vm.name,
                machine=vm.machine.key,
            )  # fmt: skip

    harness.fall = stop
    harness.world.crash("web-01")
    harness.advance(3600)

    assert not harness.asked()
    assert outcomes(harness) == [Outcome.ABANDONED]
    assert harness.case("web-01").state is State.STOPPED


def test_slow_connection_alone_prevents_no_action() -> None:
    harness = Harness().warm()

    def tarry(step: str) -> None:
        if step == CONNECTED:
            harness.clock.elapsed += 8

    harness.fall = tarry
    harness.world.crash("web-01")
    harness.advance(200)

    assert len(harness.asked("web-01")) == 1


def test_process_stopped_during_the_last_check_sends_nothing() -> None:
    steps: list[str] = []

    def stall() -> str:
        if steps and steps[-1] == CONNECTED:
            harness.clock.elapsed += 1.5
        return ""

    harness = Harness(setup=ENFORCE._replace(kill_switch=stall)).warm()
    harness.fall = steps.append
    harness.world.crash("web-01")
    harness.advance(600)

    assert CONNECTED in steps
    assert not harness.asked()
    assert set(outcomes(harness)) == {Outcome.ABANDONED}
    assert harness.journal.intents[1].detail == "the last check took 2 s"


@pytest.mark.parametrize("step", [CONNECTED, "POST /api/v4/vm_actions"])
def test_second_action_of_a_poll_is_looked_at_anew_after_a_slow_first(step: str) -> None:
    harness = Harness(vms=30).warm()
    names = [name for name in harness.names if harness.running(name)][:2]

    def tarry(reached: str) -> None:
        if reached == step and not harness.requests:
            harness.clock.elapsed += 4
            for name in names:
                harness.world.tag(name, "recovery/never")

    harness.fall = tarry
    for name in names:
        harness.world.crash(name)
    harness.advance(600)

    assert len(harness.requests) == (0 if step == CONNECTED else 1)


def test_kill_switch_in_a_directory_that_goes_away_still_prevents_actions(tmp_path: Path) -> None:
    directory = tmp_path / "ops"
    directory.mkdir()
    switch = KillSwitch(directory / "stop", tmp_path / "seen")
    harness = Harness(setup=ENFORCE._replace(kill_switch=switch)).warm()
    switch.path.touch()
    harness.poll()
    away = directory.rename(tmp_path / "away")

    harness.world.crash("web-01")
    harness.advance(1800)
    assert not harness.asked()

    harness.new_process()
    harness.advance(1800)
    assert not harness.asked()

    (away / "stop").unlink()
    away.rename(directory)
    harness.advance(1800)
    assert len(harness.asked("web-01")) == 1

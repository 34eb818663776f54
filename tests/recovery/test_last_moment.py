"""What changes between a decision and its request, or while a round is under way, still counts."""

import asyncio

import pytest

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Outcome
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.ports import SavedState
from tests.recovery.conftest import Play
from tests.recovery.harness import ENFORCE, LIMITS, Theatre, at_once, outcomes
from tests.recovery.test_stories import hang_whatever_is_tried

LOGS_ARE_READ = "answered GET /api/v4/machine_logs"


def pause(theatre: Theatre, seconds: float) -> None:
    at_once(
        theatre.recovery.command(CommandKind.PAUSE, owner="anna", reason="because", seconds=seconds)
    )


@pytest.mark.parametrize("change", ["untag recovery/auto", "tag recovery/never"])
def test_what_the_tags_forbid_at_the_last_moment_counts(play: Play, change: str) -> None:
    theatre, observer = play()
    theatre.warm()
    verb, tag = change.split()

    def edit(step: str) -> None:
        if step == LOGS_ARE_READ:
            getattr(theatre.world, verb)("web-01", tag)

    observer.on_wire = edit
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()


def test_a_kill_switch_that_appears_at_the_last_moment_counts(play: Play) -> None:
    switch = [""]
    setup = ENFORCE._replace(kill_switch=lambda: switch[0])
    theatre, observer = play(setup=setup)
    theatre.warm()

    def flip(step: str) -> None:
        if step == "prepared":
            switch[0] = "/run/vergewatch/stop"

    observer.on_book = flip
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert outcomes(theatre) == [Outcome.ABANDONED]


def test_a_policy_that_is_lowered_at_the_last_moment_counts(play: Play) -> None:
    theatre, observer = play(tags={"web-01": ["recovery/always"]})
    theatre.warm()

    def lower(step: str) -> None:
        if step == LOGS_ARE_READ and "recovery/always" in theatre.world.tags_of("web-01"):
            theatre.world.untag("web-01", "recovery/always")
            theatre.world.tag("web-01", "recovery/on-failure")

    observer.on_wire = lower
    theatre.world.guest_shuts_down("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()


def test_power_cycle_forbidden_at_the_last_moment_is_not_sent(play: Play) -> None:
    theatre, observer = play(tags={"web-01": ["recovery/auto", "recovery/on-hang-power-cycle"]})
    theatre.warm()
    vm = theatre.world.vm("web-01")

    def forbid(step: str) -> None:
        if len(theatre.asked()) == 2 and step == "decide":  # to kill it
            theatre.world.changes(vm, disable_powercycle=True)

    observer.on_book = forbid
    hang_whatever_is_tried(theatre, "web-01", hours=6)

    assert [one.action for one in theatre.asked()] == ["reboot", "reset"]


def test_a_kill_switch_that_is_taken_away_in_the_middle_of_a_round_ends_with_a_warm_up(
    play: Play,
) -> None:
    switch = ["/run/vergewatch/stop"]
    setup = ENFORCE._replace(kill_switch=lambda: switch[0])
    theatre, observer = play(setup=setup)
    theatre.warm()
    taken_away: list[float] = []

    def flip(step: str) -> None:
        if step == LOGS_ARE_READ and switch[0]:
            switch[0] = ""
            taken_away.append(theatre.clock.elapsed)

    observer.on_wire = flip
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    (request,) = theatre.asked()
    assert request.at - taken_away[0] >= LIMITS.warmup_seconds


def test_a_pause_that_ends_in_the_middle_of_a_round_ends_with_a_warm_up(play: Play) -> None:
    theatre, observer = play()
    theatre.warm()
    theatre.world.crash("web-01")
    theatre.let_pass(20)
    pause(theatre, 41)
    ends_at = theatre.clock.elapsed + 41

    def tarry(step: str) -> None:
        if step == LOGS_ARE_READ and ends_at - 2 < theatre.clock.elapsed < ends_at:
            theatre.clock.elapsed += 1.5

    observer.on_wire = tarry
    theatre.let_pass(3600)

    (request,) = theatre.asked()
    assert request.at - ends_at >= LIMITS.warmup_seconds


@pytest.mark.parametrize("kind", [CommandKind.RESUME, CommandKind.ARM])
async def test_an_order_to_go_on_in_the_middle_of_a_round_begins_with_a_warm_up(
    kind: CommandKind,
) -> None:
    theatre, reached, go_on = crashed_with_a_slow_log()
    before = CommandKind.PAUSE if kind is CommandKind.RESUME else CommandKind.DISARM
    await theatre.recovery.command(before, owner="anna", reason="because", seconds=3600)

    taking = asyncio.create_task(theatre.recovery.process(theatre._read()))
    await reached.wait()
    await theatre.recovery.command(kind, owner="anna", reason="done")
    go_on.set()
    await taking

    assert not theatre.asked()
    assert theatre.recovery.readiness_now.readiness is ReadinessState.WARMING_UP


async def test_command_during_a_poll_is_answered_immediately() -> None:
    theatre, reached, go_on = crashed_with_a_slow_log()

    taking = asyncio.create_task(theatre.recovery.process(theatre._read()))
    await reached.wait()
    await asyncio.wait_for(disarm(theatre), timeout=5)
    assert theatre.recovery.report.readiness is ReadinessState.DISARMED
    go_on.set()
    await taking

    assert not theatre.asked()


def crashed_with_a_slow_log() -> tuple[Theatre, asyncio.Event, asyncio.Event]:
    """Return a theatre whose next round reads a log, and what tells of that and lets it go on."""
    theatre = Theatre()
    theatre.warm()
    theatre.world.crash("web-01")
    theatre.let_pass(40)
    theatre.clock.elapsed += 20
    reached, go_on = asyncio.Event(), asyncio.Event()
    read = theatre.line.read

    async def slowly(path: str, *given: object, **named: object) -> bytes:
        if path.endswith("machine_logs"):
            reached.set()
            await go_on.wait()
        return await read(path, *given, **named)  # type: ignore[arg-type]

    theatre.line.read = slowly  # type: ignore[method-assign]
    return theatre, reached, go_on


async def test_an_order_that_is_given_while_the_journal_is_read_again_is_in_force() -> None:
    theatre = Theatre()
    theatre.warm()
    recall, commands = theatre.book.recall, []

    async def recall_as_somebody_speaks() -> SavedState:
        past: SavedState = await recall()
        commands.append(asyncio.create_task(disarm(theatre)))
        await asyncio.wait(commands, timeout=0)
        return past

    theatre.book.recall = recall_as_somebody_speaks
    theatre.new_process()
    theatre.clock.elapsed += 20
    await theatre.recovery.process(theatre._read())
    await asyncio.gather(*commands)

    assert theatre.recovery.commands.disarm is not None


async def disarm(theatre: Theatre) -> None:
    await theatre.recovery.command(CommandKind.DISARM, owner="anna", reason="stop")


def test_what_was_called_off_at_the_last_moment_is_not_held_against_the_vm(play: Play) -> None:
    theatre, observer = play()
    theatre.warm()
    slow = [True] * 6

    def stumble(step: str) -> None:
        if step == "update" and slow:
            slow.pop()
            theatre.clock.elapsed += LIMITS.reread_age_seconds + 1

    observer.on_book = stumble
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert outcomes(theatre)[-1] is Outcome.CONFIRMED
    assert outcomes(theatre).count(Outcome.ABANDONED) >= 3
    assert len(theatre.asked()) == 1
    assert theatre.running("web-01")
    (action,) = theatre.recovery.report.last_actions
    assert action.outcome is Outcome.CONFIRMED


def test_a_host_that_was_suspended_since_it_looked_asks_for_nothing() -> None:
    theatre = Theatre()
    asleep = [0.0]
    theatre.clock.monotonic = lambda: theatre.clock.elapsed - asleep[0]  # type: ignore[method-assign]
    theatre.warm()

    def sleep(step: str) -> None:
        if step == "prepare" and not asleep[0]:
            asleep[0] = 1800.0
            theatre.clock.elapsed += 600
            theatre.world.operator_starts("web-01")
            theatre.clock.elapsed += 600
            theatre.world.operator_stops("web-01", graceful=False)
            theatre.clock.elapsed += 600
            theatre.world.catch_up()

    theatre.book.fall = sleep
    theatre.world.crash("web-01")
    theatre.let_pass(1800)

    assert asleep[0]
    assert not theatre.asked()


def test_what_is_called_off_again_and_again_is_tried_ever_so_often() -> None:
    theatre = Theatre()
    theatre.warm()

    def stumble(step: str) -> None:
        if step == "update":
            theatre.clock.elapsed += LIMITS.reread_age_seconds + 1

    theatre.book.fall = stumble
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert 1 < len(theatre.book.intents) <= 3600 / LIMITS.capacity_backoff_seconds + 1

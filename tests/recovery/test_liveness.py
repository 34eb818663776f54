"""What must happen in the end: without it, a daemon that does nothing would pass every test."""

from typing import Any

import pytest

from exporter.recovery.model.limits import Window
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.circuit_breaker import BreakerState
from tests.recovery.conftest import Play
from tests.recovery.harness import WindowLimits
from tests.recovery.test_state_machine import VIEW_FAULTS

TITLES = [f"{name} {words or ''}".strip() for name, words in VIEW_FAULTS]


@pytest.mark.parametrize("which", range(11))
def test_one_vm_that_crashes_is_started_within_75_seconds_and_healthy_within_ten_minutes(
    play: Play, which: int
) -> None:
    theatre, _ = play(every=15.0)
    theatre.warm()
    name = theatre.names[which]
    theatre.clock.elapsed += which  # at any moment between two polls
    crashed_at = theatre.clock.elapsed

    theatre.world.crash(name)
    theatre.let_pass(75)

    assert [one.at - crashed_at <= 75 for one in theatre.asked(name)] == [True]
    theatre.let_pass(645)
    assert theatre.case(name).state is State.HEALTHY


@pytest.mark.parametrize("uptime", [10, 200, 500, 900])
def test_a_crash_loop_ends_in_quarantine(play: Play, uptime: int) -> None:
    limits = WindowLimits(vm_windows=(Window(1200.0, 3), Window(7200.0, 5)))
    theatre, _ = play(limits=limits)
    theatre.warm()

    for _ in range(12):
        if theatre.running("web-01"):
            theatre.let_pass(uptime)
            theatre.world.crash("web-01")
        theatre.let_pass(300)

    assert theatre.case("web-01").state is State.QUARANTINED


def test_after_mass_outage_all_vms_are_restarted_oldest_first(play: Play) -> None:
    theatre, _ = play(vms=20)
    theatre.warm()
    victims = theatre.names[:7]
    for name in victims:
        theatre.world.crash(name)
        theatre.let_pass(20)

    theatre.let_pass(2 * 3600)

    started = sorted(victims, key=lambda name: theatre.asked(name)[0].at)
    assert started == victims
    assert all(theatre.running(name) for name in victims)
    assert theatre.recovery.state.breaker.breaker_state is BreakerState.CLOSED


@pytest.mark.parametrize(("fault", "words"), VIEW_FAULTS, ids=TITLES)
def test_whatever_was_wrong_with_the_view_recovery_works_again_without_a_person(
    play: Play, fault: str, words: dict[str, Any]
) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on(fault, lasting=300, **words)
    theatre.let_pass(300 + 5 * 20 + 600 + 2 * 20)

    theatre.world.crash("web-01")
    theatre.let_pass(300)

    assert theatre.running("web-01")


@pytest.mark.parametrize("word", ["stopped", "initializing", "waitingforresources", "error"])
def test_no_request_is_waited_for_without_end(play: Play, word: str) -> None:
    theatre, _ = play()
    theatre.warm()
    theatre.world.faults.turn_on("accepted_but_never_starts", word=word, times=1)

    theatre.world.crash("web-01")
    theatre.let_pass(500)

    assert theatre.asked()
    assert theatre.case("web-01").state not in OPEN or len(theatre.asked()) > 1
    assert theatre.book.intents[1].outcome is not None


@pytest.mark.parametrize("word", ["error", "waitingforresources", "defragmenting", "unlicensed"])
def test_a_vm_that_ran_and_is_stuck_in_another_state_is_no_longer_called_healthy(
    play: Play, word: str
) -> None:
    theatre, _ = play()
    theatre.warm()

    machine = theatre.world.vm("web-01").machine
    theatre.world.power.force(machine, word=word, running=False, state="warning")
    theatre.let_pass(100)

    assert not theatre.asked()
    assert theatre.case("web-01").state in (State.PLATFORM, State.UNKNOWN)

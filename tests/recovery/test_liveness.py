"""What must happen in the end: without it, a daemon that does nothing would pass every test."""

from typing import Any

import pytest

from exporter.recovery.model.limits import Window
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.circuit_breaker import BreakerState
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import WindowLimits
from tests.recovery.test_state_machine import VIEW_FAULTS

TITLES = [f"{name} {words or ''}".strip() for name, words in VIEW_FAULTS]


@pytest.mark.parametrize("which", range(11))
def test_crashed_vm_is_restarted_within_75_seconds_and_healthy_within_ten_minutes(
    make_harness: MakeHarness, which: int
) -> None:
    harness, _ = make_harness(every=15.0)
    harness.warm()
    name = harness.names[which]
    harness.clock.elapsed += which  # at any moment between two polls
    crashed_at = harness.clock.elapsed

    harness.world.crash(name)
    harness.advance(75)

    assert [one.at - crashed_at <= 75 for one in harness.asked(name)] == [True]
    harness.advance(645)
    assert harness.case(name).state is State.HEALTHY


@pytest.mark.parametrize("uptime", [10, 200, 500, 900])
def test_a_crash_loop_ends_in_quarantine(make_harness: MakeHarness, uptime: int) -> None:
    limits = WindowLimits(vm_windows=(Window(1200.0, 3), Window(7200.0, 5)))
    harness, _ = make_harness(limits=limits)
    harness.warm()

    for _ in range(12):
        if harness.running("web-01"):
            harness.advance(uptime)
            harness.world.crash("web-01")
        harness.advance(300)

    assert harness.case("web-01").state is State.QUARANTINED


def test_after_mass_outage_all_vms_are_restarted_oldest_first(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    victims = harness.names[:7]
    for name in victims:
        harness.world.crash(name)
        harness.advance(20)

    harness.advance(2 * 3600)

    started = sorted(victims, key=lambda name: harness.asked(name)[0].at)
    assert started == victims
    assert all(harness.running(name) for name in victims)
    assert harness.recovery.state.breaker.breaker_state is BreakerState.CLOSED


@pytest.mark.parametrize(("fault", "words"), VIEW_FAULTS, ids=TITLES)
def test_recovery_resumes_by_itself_after_every_fault(
    make_harness: MakeHarness, fault: str, words: dict[str, Any]
) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on(fault, lasting=300, **words)
    harness.advance(300 + 5 * 20 + 600 + 2 * 20)

    harness.world.crash("web-01")
    harness.advance(300)

    assert harness.running("web-01")


@pytest.mark.parametrize("word", ["stopped", "initializing", "waitingforresources", "error"])
def test_every_request_has_a_time_limit(make_harness: MakeHarness, word: str) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("accepted_but_never_starts", word=word, times=1)

    harness.world.crash("web-01")
    harness.advance(500)

    assert harness.asked()
    assert harness.case("web-01").state not in OPEN or len(harness.asked()) > 1
    assert harness.journal.intents[1].outcome is not None


@pytest.mark.parametrize("word", ["error", "waitingforresources", "defragmenting", "unlicensed"])
def test_vm_stuck_in_another_status_is_not_healthy(make_harness: MakeHarness, word: str) -> None:
    harness, _ = make_harness()
    harness.warm()

    machine = harness.world.vm("web-01").machine
    harness.world.power.force(machine, word=word, running=False, state="warning")
    harness.advance(100)

    assert not harness.asked()
    assert harness.case("web-01").state in (State.PLATFORM, State.UNKNOWN)

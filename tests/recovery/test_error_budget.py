"""The error budget: after actions that people undid, recovery asks instead of acting."""

import pytest

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.observe.error_budget import UNDONE_SECONDS
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import ENFORCE, Harness, at_once


def crash_and_undo(
    harness: Harness, name: str, *, after: float = 120.0, graceful: bool = False
) -> None:
    """Crash a VM, wait for its start, and let a user stop it *after* so many seconds."""
    before = len(harness.asked(name))
    harness.world.crash(name)
    while len(harness.asked(name)) == before:
        harness.advance(20)
    harness.advance(after)
    harness.world.operator_stops(name, graceful=graceful)
    harness.advance(240)


def mode(harness: Harness) -> Mode:
    return harness.recovery.mode


def fell_back(harness: Harness) -> bool:
    return any(one.kind is CommandKind.FALL_BACK for one in harness.journal.commands)


@pytest.mark.parametrize("graceful", [False, True])
def test_two_undone_starts_make_recovery_ask(make_harness: MakeHarness, graceful: bool) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()

    crash_and_undo(harness, "web-01", graceful=graceful)
    assert mode(harness) is Mode.ENFORCE
    crash_and_undo(harness, "web-02", graceful=graceful)

    assert mode(harness) is Mode.ASK
    report = harness.recovery.report
    assert (report.mode, report.readiness) == ("ask", ReadinessState.ACTIVE)
    assert report.fell_back.endswith("2 times: web-01, web-02")
    assert "fell back to mode ask" in report.because
    harness.world.crash("db-01")
    harness.advance(900)
    assert not harness.asked("db-01")
    assert [one.vm_name for one in harness.recovery.report.questions] == ["db-01"]


def test_operator_arms_recovery_again_and_the_count_starts_anew(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    crash_and_undo(harness, "web-01")
    crash_and_undo(harness, "web-02")

    harness.new_process()
    harness.warm()
    assert mode(harness) is Mode.ASK
    at_once(harness.recovery.command(CommandKind.ARM, owner="anna", reason="found the cause"))
    assert harness.recovery.readiness_now.readiness is ReadinessState.WARMING_UP
    harness.warm()

    crash_and_undo(harness, "db-01")
    assert mode(harness) is Mode.ENFORCE
    crash_and_undo(harness, "app-01")
    assert mode(harness) is Mode.ASK


def test_stop_more_than_ten_minutes_after_the_start_undoes_nothing(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()

    for name in ("web-01", "web-02", "db-01"):
        crash_and_undo(harness, name, after=UNDONE_SECONDS + 60)

    assert not fell_back(harness)


def test_stop_by_the_guest_or_another_crash_undoes_nothing(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    for name in ("web-01", "web-02"):
        harness.world.crash(name)
        harness.advance(180)
        harness.world.guest_shuts_down(name)
        harness.advance(180)
    harness.world.crash("db-01")
    harness.advance(180)
    harness.world.crash("db-01")
    harness.advance(600)

    assert not fell_back(harness)


def test_stop_while_the_start_is_verified_undoes_it(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()

    crash_and_undo(harness, "web-01", after=5.0, graceful=True)
    crash_and_undo(harness, "web-02", after=5.0, graceful=True)

    assert mode(harness) is Mode.ASK


@pytest.mark.parametrize(("most", "falls"), [(0, False), (1, True), (2, False)])
def test_limit_of_undone_actions_is_a_setting(
    make_harness: MakeHarness, most: int, falls: bool
) -> None:
    setup = ENFORCE._replace(limits=Limits(undone_actions=most))
    harness, _ = make_harness(setup=setup, vms=20)
    harness.warm()

    crash_and_undo(harness, "web-01")

    assert (mode(harness) is Mode.ASK) is falls


def test_fallback_waits_for_the_journal(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    crash_and_undo(harness, "web-01")
    harness.world.crash("web-02")
    harness.advance(180)
    harness.world.operator_stops("web-02", graceful=False)
    harness.journal.broken = "the disk is full"
    harness.advance(240)
    assert mode(harness) is Mode.ENFORCE

    harness.journal.broken = ""
    harness.advance(60)

    assert mode(harness) is Mode.ASK

"""What people may tell recovery, and what each order leaves of those before it."""

from datetime import timedelta

import pytest

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.commands import Command, CommandKind, ControlState
from tests.fakes import START
from tests.recovery.harness import Harness, at_once


def given(kind: CommandKind, *, at: float = 0.0, until: float | None = None) -> Command:
    return Command(
        kind=kind, owner="anna", reason="because", at=at, time=START + timedelta(seconds=at),
        until=until,
    )  # fmt: skip


def tell(harness: Harness, kind: CommandKind, *, seconds: float | None = None) -> None:
    command = harness.recovery.command(kind, owner="anna", reason="because", seconds=seconds)
    at_once(command)


def test_new_pause_does_not_shorten_a_longer_one() -> None:
    long = given(CommandKind.PAUSE, until=7200.0)
    short = given(CommandKind.PAUSE, at=60.0, until=120.0)
    longer = given(CommandKind.PAUSE, at=60.0, until=9000.0)

    paused = ControlState().after(long)

    assert paused.after(short).pause is long
    assert paused.after(longer).pause is longer
    assert paused.after(given(CommandKind.RESUME)).after(short).pause is short


@pytest.mark.parametrize("kind", [CommandKind.RESUME, CommandKind.ARM])
def test_resume_without_pause_changes_nothing(kind: CommandKind) -> None:
    harness = Harness()
    harness.warm()

    tell(harness, kind)

    assert harness.recovery.readiness_now.readiness is ReadinessState.ACTIVE


def test_resume_leaves_recovery_disarmed() -> None:
    harness = Harness()
    harness.warm()
    tell(harness, CommandKind.DISARM)
    tell(harness, CommandKind.PAUSE, seconds=3600)

    tell(harness, CommandKind.RESUME)

    assert harness.recovery.readiness_now.readiness is ReadinessState.DISARMED


def test_expired_pause_is_followed_by_warm_up_despite_a_later_command() -> None:
    harness = Harness()
    harness.warm()
    tell(harness, CommandKind.PAUSE, seconds=5)
    harness.clock.elapsed += 10

    tell(harness, CommandKind.ARM)
    harness.advance(20)

    assert harness.recovery.readiness_now.readiness is ReadinessState.WARMING_UP

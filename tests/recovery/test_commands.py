"""What people may tell recovery, and what each order leaves of those before it."""

from datetime import timedelta

import pytest

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.commands import Command, CommandKind, ControlState
from tests.fakes import START
from tests.recovery.harness import Theatre, at_once


def given(kind: CommandKind, *, at: float = 0.0, until: float | None = None) -> Command:
    return Command(
        kind=kind, owner="anna", reason="because", at=at, time=START + timedelta(seconds=at),
        until=until,
    )  # fmt: skip


def tell(theatre: Theatre, kind: CommandKind, *, seconds: float | None = None) -> None:
    command = theatre.recovery.command(kind, owner="anna", reason="because", seconds=seconds)
    at_once(command)


def test_a_pause_never_shortens_another() -> None:
    long = given(CommandKind.PAUSE, until=7200.0)
    short = given(CommandKind.PAUSE, at=60.0, until=120.0)
    longer = given(CommandKind.PAUSE, at=60.0, until=9000.0)

    paused = ControlState().after(long)

    assert paused.after(short).pause is long
    assert paused.after(longer).pause is longer
    assert paused.after(given(CommandKind.RESUME)).after(short).pause is short


@pytest.mark.parametrize("kind", [CommandKind.RESUME, CommandKind.ARM])
def test_who_ends_what_is_not_there_ends_nothing(kind: CommandKind) -> None:
    theatre = Theatre()
    theatre.warm()

    tell(theatre, kind)

    assert theatre.recovery.readiness_now.readiness is ReadinessState.ACTIVE


def test_resume_leaves_recovery_disarmed() -> None:
    theatre = Theatre()
    theatre.warm()
    tell(theatre, CommandKind.DISARM)
    tell(theatre, CommandKind.PAUSE, seconds=3600)

    tell(theatre, CommandKind.RESUME)

    assert theatre.recovery.readiness_now.readiness is ReadinessState.DISARMED


def test_a_pause_that_ended_unnoticed_is_followed_by_a_warm_up_whatever_is_said_then() -> None:
    theatre = Theatre()
    theatre.warm()
    tell(theatre, CommandKind.PAUSE, seconds=5)
    theatre.clock.elapsed += 10

    tell(theatre, CommandKind.ARM)
    theatre.let_pass(20)

    assert theatre.recovery.readiness_now.readiness is ReadinessState.WARMING_UP

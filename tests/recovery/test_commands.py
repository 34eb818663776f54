"""What people may tell recovery, and what each order leaves of those before it."""

from datetime import timedelta

import pytest

from exporter.recovery.decide.readiness import Posture
from exporter.recovery.model.commands import Order, OrderKind, Standing
from tests.fakes import START
from tests.recovery.harness import Theatre, at_once


def given(kind: OrderKind, *, at: float = 0.0, until: float | None = None) -> Order:
    return Order(
        kind=kind, owner="anna", reason="because", at=at, time=START + timedelta(seconds=at),
        until=until,
    )  # fmt: skip


def tell(theatre: Theatre, kind: OrderKind, *, seconds: float | None = None) -> None:
    order = theatre.recovery.order(kind, owner="anna", reason="because", seconds=seconds)
    at_once(order)


def test_a_pause_never_shortens_another() -> None:
    long = given(OrderKind.PAUSE, until=7200.0)
    short = given(OrderKind.PAUSE, at=60.0, until=120.0)
    longer = given(OrderKind.PAUSE, at=60.0, until=9000.0)

    paused = Standing().after(long)

    assert paused.after(short).pause is long
    assert paused.after(longer).pause is longer
    assert paused.after(given(OrderKind.RESUME)).after(short).pause is short


@pytest.mark.parametrize("kind", [OrderKind.RESUME, OrderKind.ARM])
def test_who_ends_what_is_not_there_ends_nothing(kind: OrderKind) -> None:
    theatre = Theatre()
    theatre.warm()

    tell(theatre, kind)

    assert theatre.recovery.stance.posture is Posture.ACTIVE


def test_whoever_resumes_what_is_disarmed_leaves_it_disarmed() -> None:
    theatre = Theatre()
    theatre.warm()
    tell(theatre, OrderKind.DISARM)
    tell(theatre, OrderKind.PAUSE, seconds=3600)

    tell(theatre, OrderKind.RESUME)

    assert theatre.recovery.stance.posture is Posture.DISARMED


def test_a_pause_that_ended_unnoticed_is_followed_by_a_warm_up_whatever_is_said_then() -> None:
    theatre = Theatre()
    theatre.warm()
    tell(theatre, OrderKind.PAUSE, seconds=5)
    theatre.clock.elapsed += 10

    tell(theatre, OrderKind.ARM)
    theatre.let_pass(20)

    assert theatre.recovery.stance.posture is Posture.WARMING_UP

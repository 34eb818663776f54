"""The circuit breaker exactly at, just below and just above each of its limits."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.recovery.model.limits import HOUR, Limits
from exporter.recovery.observe.circuit_breaker import (
    BreakerState,
    CircuitBreaker,
    Losses,
    after_accept,
    after_failed_action,
    after_poll,
    resumed,
    threshold,
)

LIMITS = Limits(breaker_max_vms=4)
VMS = 40
"""Of so many VMs, four lost ones open the breaker, and fewer than two let it close."""
NOW = 10_000.0


def units(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def losses(*recent: str, **fields: Any) -> Losses:
    own = {"explained": frozenset(), "left": 0, "down": 0, "of": VMS, "last_at": NOW - 5}
    return Losses(**{"recent": units(*recent), "relapsed": False, **own, **fields})


def breaker(of: BreakerState, *, age: float = 100.0, **fields: Any) -> CircuitBreaker:
    """Return a breaker that has been so for *age* seconds."""
    own = {"since": NOW - age, "hold_seconds": 300.0, "outage": units("a", "b", "c", "d")}
    return CircuitBreaker(**{"breaker_state": of, "accepted_at": 7.0, **own, **fields})


def polled(before: CircuitBreaker, found: Losses, limits: Limits = LIMITS) -> CircuitBreaker:
    return after_poll(before, found, limits, now=NOW)


@pytest.mark.parametrize(
    ("of", "most", "vms"),
    [
        (0, 5, 3),
        (10, 5, 3),  # 15 % are fewer than three
        (20, 5, 3),
        (30, 5, 5),  # 15 % are 4.5
        (34, 5, 5),
        (10_000, 5, 5),
        (10_000, 2, 3),
    ],
)
def test_breaker_opens_at_five_vms_or_15_percent_whichever_is_less_but_at_least_three(
    of: int, most: int, vms: int
) -> None:
    assert threshold(of, Limits(breaker_max_vms=most)) == vms


def test_breaker_and_losses_are_values() -> None:
    with pytest.raises(AttributeError):
        CircuitBreaker().since = 3.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        losses().of = 3  # type: ignore[misc]


@pytest.mark.parametrize(("recent", "opens"), [("abc", False), ("abcd", True), ("abcde", True)])
def test_closed_breaker_opens_at_its_limit(recent: str, opens: bool) -> None:
    closed = CircuitBreaker(accepted_at=7.0)

    after = polled(closed, losses(*recent))

    assert after == (
        CircuitBreaker(
            BreakerState.OPEN,
            since=NOW,
            hold_seconds=300.0,
            outage=units(*recent),
            accepted_at=7.0,
        )
        if opens
        else closed
    )


def test_vms_of_one_node_count_once() -> None:
    of_node = dict.fromkeys("abcd", "node 1")

    assert polled(CircuitBreaker(), losses(recent=of_node)) == CircuitBreaker()
    more = of_node | units("e", "f", "g")
    assert polled(CircuitBreaker(), losses(recent=more)).breaker_state is BreakerState.OPEN


@pytest.mark.parametrize("of", [BreakerState.OPEN, BreakerState.HALF_OPEN])
@pytest.mark.parametrize(("explained", "closes"), [("a", True), ("", False)])
def test_breaker_closes_when_enough_of_its_outage_were_stops(
    of: BreakerState, explained: str, closes: bool
) -> None:
    after = polled(breaker(of), losses(explained=frozenset(explained), left=4, down=4))

    if closes:
        assert after == CircuitBreaker(since=NOW, accepted_at=7.0)
    else:
        assert after.breaker_state is of
        assert after.since == NOW - 100


def test_outage_grows_by_what_is_lost_and_shrinks_by_what_is_explained() -> None:
    found = losses("e", "f", explained=frozenset("af"), left=4, down=4)

    assert polled(breaker(BreakerState.OPEN), found).outage == units("b", "c", "d", "e")


@pytest.mark.parametrize(
    ("recent", "calm_since", "calm", "last_loss_at"),
    [
        ("", None, NOW, 3.0),
        ("e", None, NOW, 3.0),
        ("e", NOW - 60, NOW - 60, 3.0),
        ("ef", None, None, NOW - 5),
        ("ef", NOW - 60, None, NOW - 5),
    ],
)
def test_calm_lasts_while_fewer_than_half_of_the_limit_are_lost(
    recent: str, calm_since: float | None, calm: float | None, last_loss_at: float
) -> None:
    before = breaker(BreakerState.OPEN, calm_since=calm_since, last_loss_at=3.0)

    after = polled(before, losses(*recent, left=4))

    assert after.breaker_state is BreakerState.OPEN
    assert (after.calm_since, after.last_loss_at) == (calm, last_loss_at)


@pytest.mark.parametrize(
    ("calm", "left", "half_opens"),
    [
        (299.0, 1, False),
        (300.0, 1, True),
        (301.0, 0, True),
        (300.0, 2, False),
        (None, 1, False),
    ],
)
def test_open_breaker_half_opens_after_a_calm_with_fewer_than_half_of_the_limit_left(
    calm: float | None, left: int, half_opens: bool
) -> None:
    before = breaker(BreakerState.OPEN, calm_since=NOW - calm if calm else None, last_loss_at=NOW)

    after = polled(before, losses(left=left))

    assert after.breaker_state is (BreakerState.HALF_OPEN if half_opens else BreakerState.OPEN)
    assert after.since == (NOW if half_opens else NOW - 100)
    assert after.outage == before.outage


def test_open_breaker_stays_open_while_half_of_the_limit_are_lost_just_now() -> None:
    before = breaker(BreakerState.OPEN, age=5000.0, calm_since=NOW - 400, last_loss_at=0.0)

    assert polled(before, losses("e", "f", left=0)).breaker_state is BreakerState.OPEN


@pytest.mark.parametrize(
    ("age", "last_loss", "hold", "auto", "half_opens"),
    [
        (900.0, 5000.0, 300.0, True, True),
        (899.0, 5000.0, 300.0, True, False),
        (5000.0, 900.0, 300.0, True, True),
        (5000.0, 899.0, 300.0, True, False),
        (5000.0, 5000.0, 300.0, False, False),
        (1799.0, 5000.0, 600.0, True, False),  # twice as long after a relapse
        (1800.0, 5000.0, 600.0, True, True),
    ],
)
def test_open_breaker_half_opens_without_a_mass_loss_for_long_if_that_is_allowed(
    age: float, last_loss: float, hold: float, auto: bool, half_opens: bool
) -> None:
    before = breaker(
        BreakerState.OPEN, age=age, last_loss_at=NOW - last_loss, hold_seconds=hold, calm_since=NOW
    )
    limits = Limits(breaker_max_vms=4, breaker_auto_probe=auto)

    after = polled(before, losses(left=4), limits)

    assert after.breaker_state is (BreakerState.HALF_OPEN if half_opens else BreakerState.OPEN)


@pytest.mark.parametrize(
    ("recent", "relapsed", "reopens"),
    [("", False, False), ("", True, True), ("efg", False, False), ("efgh", False, True)],
)
def test_half_open_breaker_opens_again_for_twice_as_long(
    recent: str, relapsed: bool, reopens: bool
) -> None:
    before = breaker(BreakerState.HALF_OPEN, calm_since=NOW - 50)

    after = polled(before, losses(*recent, relapsed=relapsed, down=2))

    if reopens:
        outage = units("a", "b", "c", "d", *recent)
        assert after == replace(
            before,
            breaker_state=BreakerState.OPEN,
            since=NOW,
            calm_since=None,
            last_loss_at=NOW - 5 if recent else 0.0,
            hold_seconds=600.0,
            outage=outage,
        )
    else:
        assert (after.breaker_state, after.hold_seconds) == (BreakerState.HALF_OPEN, 300.0)


@pytest.mark.parametrize(
    ("down", "age", "closes"),
    [
        (1, 0.0, True),
        (2, 0.0, False),
        (2, HOUR - 1, False),
        (2, HOUR, True),
    ],
)
def test_half_open_breaker_closes_with_few_vms_down_or_after_an_hour(
    down: int, age: float, closes: bool
) -> None:
    after = polled(breaker(BreakerState.HALF_OPEN, age=age), losses(down=down, left=down))

    assert after.breaker_state is (BreakerState.CLOSED if closes else BreakerState.HALF_OPEN)
    assert after.accepted_at == 7.0
    assert after.hold_seconds == (0.0 if closes else 300.0)


@pytest.mark.parametrize(
    ("outage", "down", "opens"),
    [("abc", 3, False), ("abcd", 1, False), ("abcd", 2, True), ("abcd", 4, True)],
)
def test_new_process_opens_the_breaker_for_an_outage_of_which_half_of_the_limit_lasts(
    outage: str, down: int, opens: bool
) -> None:
    found = resumed(units(*outage), down=down, of=VMS, limits=LIMITS, now=NOW)

    opened = CircuitBreaker(BreakerState.OPEN, since=NOW, hold_seconds=300.0, outage=units(*outage))
    assert found == (opened if opens else CircuitBreaker())


@pytest.mark.parametrize("of", BreakerState)
def test_accept_half_opens_an_open_breaker_only(of: BreakerState) -> None:
    before = breaker(of)

    after = after_accept(before, now=NOW)

    assert after.accepted_at == NOW
    if of is BreakerState.OPEN:
        assert (after.breaker_state, after.since) == (BreakerState.HALF_OPEN, NOW)
    else:
        assert after == replace(before, accepted_at=NOW)


@pytest.mark.parametrize("of", BreakerState)
def test_failed_action_opens_a_half_open_breaker_only(of: BreakerState) -> None:
    before = breaker(of, calm_since=NOW - 50)

    after = after_failed_action(before, LIMITS, now=NOW)

    if of is BreakerState.HALF_OPEN:
        assert after == replace(
            before,
            breaker_state=BreakerState.OPEN,
            since=NOW,
            calm_since=None,
            hold_seconds=600.0,
        )
    else:
        assert after is before

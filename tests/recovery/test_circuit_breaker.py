from hypothesis import given
from hypothesis import strategies as st

from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.circuit_breaker import (
    BreakerState,
    CircuitBreaker,
    Count,
    after_failed_action,
    after_poll,
    threshold,
)

RULES = Limits()
STEP = 20.0


def counts() -> st.SearchStrategy[Count]:
    return st.builds(
        Count, st.integers(0, 12), st.just(20), nodes_well=st.booleans(), dropped=st.booleans()
    )


def breaker_after(
    breaker: CircuitBreaker, count: Count, *, seconds: float, since: float
) -> CircuitBreaker:
    for number in range(int(seconds / STEP)):
        breaker = after_poll(breaker, count, RULES, now=since + (number + 1) * STEP)
    return breaker


def opened(*, at: float = 0.0) -> CircuitBreaker:
    return after_poll(CircuitBreaker(), Count(5, 20, nodes_well=True, dropped=True), RULES, now=at)


def test_three_vms_or_fifteen_percent_open_the_breaker() -> None:
    assert threshold(5, RULES) == 3
    assert threshold(20, RULES) == 3
    assert threshold(100, RULES) == 15


def test_breaker_opens_immediately() -> None:
    calm = after_poll(CircuitBreaker(), Count(2, 20, nodes_well=True, dropped=True), RULES, now=0.0)

    assert calm.breaker_state is BreakerState.CLOSED
    assert opened().breaker_state is BreakerState.OPEN


def test_breaker_closes_through_half_open_without_failures() -> None:
    calm = Count(1, 20, nodes_well=True, dropped=False)

    early = breaker_after(opened(), calm, seconds=300, since=0)
    half_open = breaker_after(opened(), calm, seconds=320, since=0)

    assert early.breaker_state is BreakerState.OPEN
    assert half_open.breaker_state is BreakerState.HALF_OPEN
    assert after_poll(half_open, calm, RULES, now=340).breaker_state is BreakerState.CLOSED


def test_open_breaker_becomes_half_open_without_new_failures() -> None:
    many = Count(5, 20, nodes_well=True, dropped=False)
    ill = Count(5, 20, nodes_well=False, dropped=False)

    assert breaker_after(opened(), many, seconds=880, since=0).breaker_state is BreakerState.OPEN
    assert (
        breaker_after(opened(), many, seconds=900, since=0).breaker_state is BreakerState.HALF_OPEN
    )
    assert breaker_after(opened(), ill, seconds=9000, since=0).breaker_state is BreakerState.OPEN


def test_failure_in_half_open_doubles_the_hold_up_to_an_hour() -> None:
    breaker, holds = opened(), []
    for number in range(6):
        holds.append(breaker.hold_seconds)
        breaker = after_failed_action(
            CircuitBreaker(BreakerState.HALF_OPEN, hold_seconds=breaker.hold_seconds),
            RULES,
            now=number,
        )

    assert holds == [300, 600, 1200, 2400, 3600, 3600]


@given(st.lists(st.tuples(counts(), st.booleans()), max_size=200))
def test_breaker_does_not_flap_faster_than_its_cool_down(
    polls: list[tuple[Count, bool]],
) -> None:
    breaker, opened_at = CircuitBreaker(), None
    for number, (count, failed) in enumerate(polls):
        now = number * STEP
        before = breaker
        breaker = after_poll(breaker, count, RULES, now=now)
        if failed:
            breaker = after_failed_action(breaker, RULES, now=now)
        if breaker.breaker_state is BreakerState.OPEN and breaker.since == now:
            opened_at = now
        if (
            before.breaker_state is BreakerState.OPEN
            and breaker.breaker_state is not BreakerState.OPEN
        ):
            assert opened_at is not None
            assert now - opened_at >= RULES.breaker_close_seconds
        assert not (
            before.breaker_state is BreakerState.OPEN
            and breaker.breaker_state is BreakerState.CLOSED
        )

from hypothesis import given
from hypothesis import strategies as st

from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.circuit_breaker import (
    BreakerState,
    CircuitBreaker,
    Losses,
    after_failed_action,
    after_poll,
)

RULES = Limits()
STEP = 20.0


def lost(
    count: int, *, left: int | None = None, unknown: int = 0, relapsed: bool = False
) -> Losses:
    vms = {f"vm-{number}": f"vm-{number}" for number in range(count)}
    still_left = count if left is None else left
    down = still_left + unknown
    return Losses(vms, frozenset(), still_left, down, 20, last_at=0.0, relapsed=relapsed)


def losses() -> st.SearchStrategy[Losses]:
    some = st.integers(0, 12)
    return st.builds(lost, some, left=some, unknown=some, relapsed=st.booleans())


def breaker_after(
    breaker: CircuitBreaker, count: Losses, *, seconds: float, since: float
) -> CircuitBreaker:
    for number in range(int(seconds / STEP)):
        breaker = after_poll(breaker, count, RULES, now=since + (number + 1) * STEP)
    return breaker


def opened(*, at: float = 0.0) -> CircuitBreaker:
    return after_poll(CircuitBreaker(), lost(5), RULES, now=at)


def test_breaker_opens_immediately() -> None:
    calm = after_poll(CircuitBreaker(), lost(2), RULES, now=0.0)

    assert calm.breaker_state is BreakerState.CLOSED
    assert opened().breaker_state is BreakerState.OPEN


def test_breaker_closes_through_half_open_without_failures() -> None:
    calm = lost(1)

    early = breaker_after(opened(), calm, seconds=300, since=0)
    half_open = breaker_after(opened(), calm, seconds=320, since=0)

    assert early.breaker_state is BreakerState.OPEN
    assert half_open.breaker_state is BreakerState.HALF_OPEN
    assert after_poll(half_open, calm, RULES, now=340).breaker_state is BreakerState.CLOSED


def test_half_open_breaker_does_not_close_before_few_vms_of_the_outage_are_down() -> None:
    half_open = breaker_after(opened(), lost(0, unknown=5), seconds=320, since=0)
    late = RULES.breaker_max_open_seconds + 300

    def after(unknown: int, *, now: float) -> BreakerState:
        return after_poll(half_open, lost(0, unknown=unknown), RULES, now=now).breaker_state

    assert half_open.breaker_state is BreakerState.HALF_OPEN
    assert after(1, now=340) is BreakerState.CLOSED
    assert after(2, now=340) is BreakerState.HALF_OPEN
    assert after(5, now=late) is BreakerState.HALF_OPEN
    assert after(5, now=late + STEP) is BreakerState.CLOSED


def test_open_breaker_becomes_half_open_without_new_failures() -> None:
    many = lost(0, left=5)

    assert breaker_after(opened(), many, seconds=880, since=0).breaker_state is BreakerState.OPEN
    assert (
        breaker_after(opened(), many, seconds=900, since=0).breaker_state is BreakerState.HALF_OPEN
    )


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


@given(st.lists(st.tuples(losses(), st.booleans()), max_size=200))
def test_breaker_does_not_flap_faster_than_its_cool_down(
    polls: list[tuple[Losses, bool]],
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

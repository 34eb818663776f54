"""The hourly budget, at and beyond every limit."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.polling.schedule import HOUR_SECONDS
from exporter.vergeos.budget import RequestBudget

TICK = 2**-10
"""A time step that floats add and subtract exactly."""


def spend(budget: RequestBudget, count: int, *, at: float, urgent: bool = False) -> None:
    for _ in range(count):
        assert budget.take(at=at, urgent=urgent) == 0.0


def test_polling_cannot_use_the_reserve() -> None:
    budget = RequestBudget(1000, reserve=0.15)

    spend(budget, 850, at=0)

    assert budget.take(at=0) == HOUR_SECONDS
    assert budget.left(at=0) == 0


def test_urgent_requests_may_use_the_whole_budget() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    spend(budget, 850, at=0)

    spend(budget, 150, at=0, urgent=True)

    assert budget.take(at=0, urgent=True) == HOUR_SECONDS
    assert budget.spent(at=0) == 1000


def test_polling_may_use_the_whole_budget_without_a_reserve() -> None:
    budget = RequestBudget(3, reserve=0)

    spend(budget, 3, at=0)

    assert budget.take(at=0) == budget.take(at=0, urgent=True) == HOUR_SECONDS


def test_fractional_budget_is_rounded_down() -> None:
    assert RequestBudget(7, reserve=0.5).for_polling == 3


def test_integral_budget_is_exact() -> None:
    assert RequestBudget(10, reserve=0.8).for_polling == 2


def test_request_counts_for_exactly_an_hour() -> None:
    budget = RequestBudget(1, reserve=0)
    spend(budget, 1, at=100)

    assert budget.take(at=100 + HOUR_SECONDS - TICK) == TICK
    assert budget.spent(at=100 + HOUR_SECONDS - TICK) == 1
    assert budget.take(at=100 + HOUR_SECONDS) == 0.0
    assert budget.spent(at=100 + HOUR_SECONDS) == 1


def test_wait_lasts_until_a_counted_request_expires() -> None:
    budget = RequestBudget(3, reserve=0)
    for at in (0.0, 10.0, 25.0):
        spend(budget, 1, at=at)

    assert budget.take(at=30) == HOUR_SECONDS - 30
    spend(budget, 1, at=HOUR_SECONDS)
    assert budget.take(at=HOUR_SECONDS) == 10
    spend(budget, 1, at=HOUR_SECONDS + 10)
    assert budget.take(at=HOUR_SECONDS + 10) == 15


def test_polling_waits_for_urgent_requests_to_expire() -> None:
    budget = RequestBudget(4, reserve=0.5)
    for at in (0.0, 1.0, 2.0, 3.0):
        spend(budget, 1, at=at, urgent=True)

    assert budget.take(at=5, urgent=True) == HOUR_SECONDS - 5
    assert budget.take(at=5) == HOUR_SECONDS + 2 - 5  # when only one of them still counts


def test_last_at_is_the_latest_request() -> None:
    budget, heir = RequestBudget(2, reserve=0), RequestBudget(2, reserve=0)
    assert budget.last_at < 0
    for at in (7.0, 9.0):
        spend(budget, 1, at=at)
    budget.take(at=11)  # refused

    heir.carry_on(budget)

    assert budget.last_at == heir.last_at == 9


def test_refused_request_is_not_counted() -> None:
    budget = RequestBudget(1, reserve=0)
    spend(budget, 1, at=0)

    for _ in range(5):
        budget.take(at=1)

    assert budget.spent(at=1) == 1
    assert budget.take(at=HOUR_SECONDS) == 0.0


def test_left_recovers_and_is_never_negative() -> None:
    budget = RequestBudget(4, reserve=0.5)

    assert budget.left(at=0) == 2
    spend(budget, 1, at=0)
    assert budget.left(at=0) == 1
    spend(budget, 3, at=1, urgent=True)
    assert budget.left(at=1) == 0
    assert budget.left(at=HOUR_SECONDS) == 0
    assert budget.left(at=HOUR_SECONDS + 1) == 2


def test_zero_polling_budget_always_waits() -> None:
    assert RequestBudget(1, reserve=0.15).take(at=0) > 0


def test_rounding_grants_no_extra_request() -> None:
    budget = RequestBudget(1, reserve=0)
    spend(budget, 1, at=1e-13)

    granted = [budget.take(at=HOUR_SECONDS) for _ in range(3)]

    assert granted.count(0.0) <= 1


moments = st.lists(
    st.tuples(
        st.one_of(
            st.integers(0, 4).map(lambda steps: steps * TICK),
            st.integers(0, 2**12).map(float),
            st.sampled_from([HOUR_SECONDS - TICK, HOUR_SECONDS, HOUR_SECONDS + TICK]),
        ),
        st.booleans(),
    ),
    max_size=60,
)


@given(st.integers(2, 8), st.sampled_from([0.0, 0.25, 0.5]), moments)
def test_no_hour_exceeds_the_budget(
    per_hour: int, reserve: float, steps: list[tuple[float, bool]]
) -> None:
    budget = RequestBudget(per_hour, reserve=reserve)
    granted: list[float] = []
    now = 0.0

    for pause, urgent in steps:
        now += pause
        recent = sum(moment > now - HOUR_SECONDS for moment in granted)
        limit = per_hour if urgent else int(per_hour * (1 - reserve))
        wait = budget.take(at=now, urgent=urgent)

        assert (wait == 0.0) == (recent < limit)
        if wait == 0.0:
            granted.append(now)
        assert budget.spent(at=now) == sum(moment > now - HOUR_SECONDS for moment in granted)

    for first in granted:
        assert sum(first <= moment < first + HOUR_SECONDS for moment in granted) <= per_hour


@given(st.integers(2, 8), moments, st.booleans())
def test_the_wait_is_exact(per_hour: int, steps: list[tuple[float, bool]], urgent: bool) -> None:
    now = 0.0
    budget, early, late = (RequestBudget(per_hour, reserve=0.5) for _ in range(3))
    for pause, hurry in steps:
        now += pause
        for each in (budget, early, late):
            each.take(at=now, urgent=hurry)

    wait = budget.take(at=now, urgent=urgent)

    if wait:
        assert 0 < wait <= HOUR_SECONDS
        assert early.take(at=now + wait - TICK, urgent=urgent) == TICK
        assert late.take(at=now + wait, urgent=urgent) == 0.0

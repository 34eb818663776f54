"""The hourly budget, at and beyond every limit."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.polling.schedule import HOUR_SECONDS
from exporter.vergeos.budget import RequestBudget, Spent

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


def test_urgent_requests_within_the_reserve_take_nothing_from_polling() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    spend(budget, 150, at=0, urgent=True)

    assert budget.left(at=0) == 850
    spend(budget, 850, at=0)


def test_polling_waits_for_urgent_requests_that_used_up_the_whole_budget() -> None:
    budget = RequestBudget(4, reserve=0.5)
    for at in (0.0, 1.0, 2.0, 3.0):
        spend(budget, 1, at=at, urgent=True)

    assert budget.left(at=5) == 0
    assert budget.take(at=5, urgent=True) == HOUR_SECONDS - 5
    assert budget.take(at=5) == HOUR_SECONDS - 5


def test_polling_waits_for_whichever_limit_is_reached_longer() -> None:
    budget = RequestBudget(4, reserve=0.5)
    spend(budget, 2, at=10)
    spend(budget, 2, at=0, urgent=True)

    assert budget.take(at=11) == HOUR_SECONDS + 10 - 11
    assert budget.take(at=11, urgent=True) == HOUR_SECONDS - 11


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
    assert budget.left(at=HOUR_SECONDS) == 1
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
    polls: list[float] = []
    now = 0.0

    for pause, urgent in steps:
        now += pause
        recent = sum(moment > now - HOUR_SECONDS for moment in granted)
        recent_polls = sum(moment > now - HOUR_SECONDS for moment in polls)
        has_share = urgent or recent_polls < int(per_hour * (1 - reserve))
        wait = budget.take(at=now, urgent=urgent)

        assert (wait == 0.0) == (recent < per_hour and has_share)
        if wait == 0.0:
            granted.append(now)
            polls += [] if urgent else [now]
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


# Across restarts

NOON = 1_800_000_000.0
"""The time of day at 0 of the first process' clock; a whole minute."""


def restarted(
    budget: RequestBudget, *, at: float, after: float = 0.0, clock_set_by: float = 0.0
) -> tuple[RequestBudget, float, float]:
    """Return a budget that continues *budget* on another monotonic clock, and both its times."""
    heir = RequestBudget(budget.per_hour, reserve=0.15)
    now = NOON + at + after + clock_set_by
    heir.resume(budget.minutes(at=at, now=NOON + at), at=7.0, now=now)
    return heir, 7.0, now


def test_requests_are_remembered_by_minute_and_kind() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    spend(budget, 3, at=0)
    spend(budget, 2, at=59, urgent=True)
    spend(budget, 1, at=60)

    minute = int(NOON // 60)
    assert budget.minutes(at=61, now=NOON + 61) == {minute: (3, 2), minute + 1: (1, 0)}


def test_restart_does_not_give_the_hour_back() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    spend(budget, 850, at=0)
    spend(budget, 100, at=30, urgent=True)

    heir, at, _ = restarted(budget, at=600)

    assert heir.spent(at=at) == 950
    assert heir.left(at=at) == 0
    assert heir.take(at=at, urgent=True) == 0.0


def test_remembered_requests_count_at_least_as_long_as_in_the_first_process() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    spend(budget, 850, at=0)

    heir, at, _ = restarted(budget, at=600)

    assert heir.take(at=at + HOUR_SECONDS - 600) > 0
    assert heir.left(at=at + HOUR_SECONDS - 600 + 60) == 850


def test_requests_older_than_an_hour_are_forgotten() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    spend(budget, 850, at=0)

    heir, at, _ = restarted(budget, at=600, after=HOUR_SECONDS - 540)

    assert heir.spent(at=at) == 0


@given(st.floats(-1e9, 1e9))
def test_clock_that_was_set_blocks_for_no_more_than_an_hour(seconds: float) -> None:
    budget = RequestBudget(1000, reserve=0.15)
    spend(budget, 850, at=0)

    heir, at, _ = restarted(budget, at=600, clock_set_by=seconds)

    assert heir.spent(at=at) in (0, 850)
    assert heir.left(at=at + HOUR_SECONDS) == 850


def test_clock_that_was_far_wrong_forgets_the_requests() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    spend(budget, 850, at=0)

    heir, at, _ = restarted(budget, at=600, clock_set_by=-86_400)

    assert heir.spent(at=at) == 0


def test_damaged_memory_counts_no_absurd_number() -> None:
    heir = RequestBudget(1000, reserve=0.15)
    minute = int(NOON // 60)

    heir.resume({minute: Spent(10**18, -5), 10**15: Spent(9, 9)}, at=7.0, now=NOON)

    assert heir.left(at=7) == 0
    assert heir.left(at=7 + HOUR_SECONDS) == 850


def test_requests_of_another_process_count_and_are_not_remembered_twice() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    minute = int(NOON // 60)
    for _ in range(3):  # read again every minute
        budget.count_elsewhere({minute: Spent(900, 90)}, at=60.0, now=NOON + 60)

    assert budget.left(at=60) == 10
    spend(budget, 10, at=60)
    assert budget.take(at=60, urgent=True) == HOUR_SECONDS
    assert sum(map(sum, budget.minutes(at=60, now=NOON + 60).values())) == 10


def test_polls_of_replicas_leave_the_reserve_to_recovery() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    budget.count_replicas([{0: Spent(400, 20)}, {0: Spent(300, 0), 1: Spent(50, 0)}], at=60, now=60)

    assert budget.spent(at=60) == 770
    assert budget.left(at=60) == 100
    assert [budget.take(at=60) for _ in range(100)] == [0.0] * 100
    assert budget.take(at=60) > 0
    assert [budget.take(at=60, urgent=True) for _ in range(130)] == [0.0] * 130
    assert budget.take(at=60, urgent=True) > 0


def test_newer_counts_of_replicas_replace_the_older_ones() -> None:
    budget = RequestBudget(1000, reserve=0.15)
    for polls in (10, 20):
        budget.count_replicas([{0: Spent(polls, 0)}], at=60, now=60)

    assert budget.spent(at=60) == 20
    assert budget.spent(at=60 + 3601) == 0


def test_counts_of_replicas_outlast_a_reload() -> None:
    budget, heir = RequestBudget(100, reserve=0), RequestBudget(100, reserve=0)
    budget.count_replicas([{0: Spent(90, 5)}], at=60, now=60)

    heir.carry_on(budget)

    assert heir.left(at=60) == 5

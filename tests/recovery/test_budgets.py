import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.recovery.decide.budgets import (
    backoff_seconds,
    endless_loops,
    simulate_crash_loop,
    uses,
)
from exporter.recovery.model.limits import DAY, HOUR, WEEK, Limits, Window
from tests.recovery.harness import WindowLimits

HOURLY, DAILY, WEEKLY = Window(HOUR, 3), Window(DAY, 6), Window(WEEK, 10)


@pytest.mark.parametrize(
    ("dies_after", "restarts", "hours"),
    [
        (5.0, 3, 0.2),
        (300.0, 3, 0.4),
        (900.0, 3, 0.8),
        (1500.0, 6, 2.6),
        (HOUR, 6, 6.1),
        (4 * HOUR, 10, 40.0),
        (12 * HOUR, 10, 120.0),
    ],
)
def test_crash_loops_of_the_study_end_in_quarantine(
    dies_after: float, restarts: int, hours: float
) -> None:
    loop = simulate_crash_loop(dies_after, Limits())

    assert loop.restarts == restarts
    assert loop.quarantined_after_seconds == pytest.approx(hours * HOUR, rel=0.15)


def test_vm_crashing_once_a_day_is_not_quarantined() -> None:
    assert simulate_crash_loop(25 * HOUR, Limits()).quarantined_after_seconds is None


@pytest.mark.parametrize(
    ("windows", "endless"),
    [
        ((HOURLY, DAILY, WEEKLY), ()),
        ((Window(HOUR, 5),), (300.0, 900.0, 1500.0, HOUR, 4 * HOUR, 12 * HOUR)),
        ((HOURLY,), (1500.0, HOUR, 4 * HOUR, 12 * HOUR)),
        ((Window(DAY, 3),), (12 * HOUR,)),
        ((HOURLY, DAILY), (4 * HOUR, 12 * HOUR)),
    ],
)
def test_budget_window_that_never_fills_is_detected(
    windows: tuple[Window, ...], endless: tuple[float, ...]
) -> None:
    found = endless_loops(WindowLimits(vm_windows=windows))

    assert tuple(loop.dies_after_seconds for loop in found) == endless


@given(st.floats(1.0, 12 * HOUR))
def test_vm_crashing_every_twelve_hours_is_quarantined_within_a_week(dies_after: float) -> None:
    quarantined_after = simulate_crash_loop(dies_after, Limits()).quarantined_after_seconds

    assert quarantined_after is not None
    assert quarantined_after <= WEEK


@given(st.integers(1, 200), st.floats(0.0, 1.0))
def test_backoff_is_bounded_for_every_random_value(attempts: int, dice: float) -> None:
    limits = Limits()

    pause = backoff_seconds(attempts, limits, random=dice)

    assert 0.8 * limits.backoff_seconds <= pause <= 1.2 * limits.backoff_max_seconds


def test_first_attempt_has_no_backoff_and_each_later_one_doubles_it() -> None:
    pauses = [backoff_seconds(attempts, Limits(), random=0.5) for attempts in range(8)]

    assert pauses == [0, 60, 120, 240, 480, 960, 1800, 1800]


@given(st.lists(st.integers(0, 9000), max_size=12), st.integers(0, 9000))
def test_budget_is_free_at_the_announced_time(times: list[int], now: int) -> None:
    past = [at for at in times if at <= now]
    (use,) = uses((HOURLY,), past, now=now)

    assert use.spent == (sum(at > now - HOUR for at in past) >= 3)
    if use.frees_at is not None:
        assert not uses((HOURLY,), past, now=use.frees_at)[0].spent
        assert uses((HOURLY,), past, now=use.frees_at - 1)[0].spent

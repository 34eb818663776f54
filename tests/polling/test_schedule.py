"""A grid of table_schedules, pauses that double, and an hour that has to pay for it all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ConfigError
from exporter.polling.schedule import (
    TableSchedule,
    check_budget,
    next_due,
    requests_per_hour,
    retry_due,
)

FAST = TableSchedule("vms", 30.0, essential=True)
SLOW = TableSchedule("machine_nics", 60.0, phase_seconds=20.0)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (0.0, 30.0),
        (0.5, 30.0),
        (29.999, 30.0),
        (30.0, 60.0),  # a beat that is met is over
        (30.001, 60.0),
        (59.999, 60.0),
        (95.0, 120.0),  # two were missed, and are not made up for
        (3600.0, 3630.0),
        (86_400 * 365 + 1.0, 86_400 * 365 + 30.0),
    ],
)
def test_a_table_keeps_to_its_grid(now: float, due: float) -> None:
    assert next_due(FAST, now=now) == due


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (0.0, 20.0),  # after the start, which reads everything
        (19.999, 20.0),
        (20.0, 80.0),
        (79.999, 80.0),
        (80.0, 140.0),
        (205.0, 260.0),
    ],
)
def test_a_phase_moves_the_grid(now: float, due: float) -> None:
    assert next_due(SLOW, now=now) == due


def test_a_slow_answer_does_not_shift_later_beats() -> None:
    moments = [0.0]

    for answered_after in (0.2, 7.0, 29.0, 0.1):
        moments.append(next_due(FAST, now=moments[-1] + answered_after))

    assert moments == [0.0, 30.0, 60.0, 90.0, 120.0]


def test_slow_tables_of_different_turns_never_meet() -> None:
    turns = [TableSchedule(f"t{turn}", 60.0, phase_seconds=turn * 20.0) for turn in range(3)]

    dues = [{next_due(beat, now=at / 2) for at in range(1200)} for beat in turns]

    assert not dues[0] & dues[1]
    assert not dues[1] & dues[2]
    assert not dues[0] & dues[2]


wholes = st.integers(1, 3600).map(float)


@given(wholes, st.integers(0, 3599), st.floats(0, 1e7))
def test_the_next_beat_is_ahead_by_no_more_than_one_period(
    every: float, phase: int, now: float
) -> None:
    beat = TableSchedule("t", every, phase_seconds=phase % every)

    due = next_due(beat, now=now)

    assert now < due <= now + every + 1e-6
    assert (due - beat.phase_seconds) % every == 0


@pytest.mark.parametrize(
    ("failures", "pause"), [(1, 30), (2, 60), (3, 120), (4, 180), (5, 180), (1000, 180)]
)
def test_the_pause_doubles_up_to_three_of_the_tables_own(failures: int, pause: int) -> None:
    assert retry_due(SLOW, failures=failures, now=7.0, base_seconds=30.0) == 7.0 + pause


@pytest.mark.parametrize(("failures", "pause"), [(1, 30), (2, 60), (3, 90), (4, 90)])
def test_the_fastest_table_doubles_once_before_it_meets_its_bound(
    failures: int, pause: int
) -> None:
    assert retry_due(FAST, failures=failures, now=0.0, base_seconds=30.0) == pause


def test_a_daily_table_that_always_failed_still_comes_to_its_bound() -> None:
    daily = TableSchedule("identity", 86_400.0)

    assert retry_due(daily, failures=17, now=0.0, base_seconds=1.0) == 65_536
    assert retry_due(daily, failures=10**9, now=0.0, base_seconds=1.0) == 65_536
    assert retry_due(daily, failures=10**9, now=0.0, base_seconds=20.0) == 3 * 86_400


@given(wholes, wholes, st.integers(1, 10**6))
def test_a_table_that_keeps_failing_waits_longer_each_time_within_bounds(
    every: float, base: float, failures: int
) -> None:
    beat = TableSchedule("t", every)

    first = retry_due(beat, failures=1, now=0.0, base_seconds=base)
    pause = retry_due(beat, failures=failures, now=0.0, base_seconds=base)
    longer = retry_due(beat, failures=failures + 1, now=0.0, base_seconds=base)

    assert 0 < first <= pause <= longer <= 3 * every
    assert first == min(base, 3 * every)


def test_the_cost_of_a_schedule_is_the_sum_of_its_beats() -> None:
    assert requests_per_hour([]) == 0
    assert requests_per_hour([FAST, SLOW]) == 120 + 60
    assert requests_per_hour([TableSchedule("identity", 3600.0, requests=2)]) == 2
    assert requests_per_hour([TableSchedule("t", 7.0)]) == pytest.approx(514.29, abs=0.01)


def test_a_schedule_that_fits_to_the_last_request_is_allowed() -> None:
    check_budget([TableSchedule("t", 4.0)], per_hour=1000, reserve=0.1)  # 900 of 900
    check_budget([], per_hour=1, reserve=0.99)


def test_a_schedule_that_fits_is_allowed_however_its_sum_is_rounded() -> None:
    check_budget([TableSchedule("t", 3600 * 3 / 850)] * 3, per_hour=850, reserve=0.0)


def test_a_schedule_that_needs_one_more_is_refused() -> None:
    with pytest.raises(ConfigError):
        check_budget([TableSchedule("t", 4.0)], per_hour=999, reserve=0.1)


def test_what_is_left_after_the_reserve_is_rounded_down() -> None:
    with pytest.raises(ConfigError, match="and 899 are allowed"):
        check_budget([TableSchedule("t", 4.0)], per_hour=999, reserve=0.1)


def test_a_refusal_shows_the_sum_and_what_to_change() -> None:
    table_schedules = [
        TableSchedule("vms", 5.0),
        TableSchedule("identity", 3600.0, requests=2),
        TableSchedule("machine_nics", 7.5),
    ]

    with pytest.raises(ConfigError) as caught:
        check_budget(table_schedules, per_hour=1000, reserve=0.15)

    assert str(caught.value) == (
        "the schedule needs 1202 requests an hour, "
        "and 850 are allowed (1000 less 15% kept for recovery):\n"
        "  vms                  every      5 s     720.0\n"
        "  identity             every   3600 s       2.0\n"
        "  machine_nics         every    7.5 s     480.0\n"
        "  make poll.fast_seconds or poll.slow_seconds longer, "
        "or raise api.requests_per_hour if your VergeOS allows more"
    )


def test_a_refusal_never_says_that_it_needs_what_is_allowed() -> None:
    with pytest.raises(ConfigError) as caught:
        check_budget([TableSchedule("t", 3600 / 850.4)], per_hour=1000, reserve=0.15)

    assert "needs 850 requests an hour, and 850 are allowed" not in str(caught.value)

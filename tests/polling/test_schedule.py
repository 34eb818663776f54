"""Due times on a grid, retry delays, and the fit of a schedule to the request budget."""

from collections.abc import Iterable
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ConfigError
from exporter.polling.schedule import (
    MAX_STRETCH,
    TableSchedule,
    fit_to_budget,
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
        (30.0, 60.0),  # a poll at its due time is done
        (30.001, 60.0),
        (59.999, 60.0),
        (95.0, 120.0),  # missed polls are skipped
        (3600.0, 3630.0),
        (86_400 * 365 + 1.0, 86_400 * 365 + 30.0),
    ],
)
def test_polls_keep_to_the_grid(now: float, due: float) -> None:
    assert next_due(FAST, now=now) == due


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (0.0, 20.0),  # the start reads every table
        (19.999, 20.0),
        (20.0, 80.0),
        (79.999, 80.0),
        (80.0, 140.0),
        (205.0, 260.0),
    ],
)
def test_phase_shifts_the_grid(now: float, due: float) -> None:
    assert next_due(SLOW, now=now) == due


def test_slow_answer_does_not_delay_later_polls() -> None:
    polls = [0.0]

    for answered_after in (0.2, 7.0, 29.0, 0.1):
        polls.append(next_due(FAST, now=polls[-1] + answered_after))

    assert polls == [0.0, 30.0, 60.0, 90.0, 120.0]


def test_slow_tables_of_different_turns_are_never_due_together() -> None:
    schedules = [TableSchedule(f"t{turn}", 60.0, phase_seconds=turn * 20.0) for turn in range(3)]

    dues = [{next_due(schedule, now=at / 2) for at in range(1200)} for schedule in schedules]

    assert not dues[0] & dues[1]
    assert not dues[1] & dues[2]
    assert not dues[0] & dues[2]


intervals_in_seconds = st.integers(1, 3600).map(float)


@given(intervals_in_seconds, st.integers(0, 3599), st.floats(0, 1e7))
def test_next_poll_is_due_within_one_interval(every: float, phase: int, now: float) -> None:
    schedule = TableSchedule("t", every, phase_seconds=phase % every)

    due = next_due(schedule, now=now)

    assert now < due <= now + every + 1e-6
    assert (due - schedule.phase_seconds) % every == 0


@pytest.mark.parametrize(
    ("failures", "delay"), [(1, 30), (2, 60), (3, 120), (4, 180), (5, 180), (1000, 180)]
)
def test_retry_delay_doubles_up_to_three_intervals(failures: int, delay: int) -> None:
    assert retry_due(SLOW, failures=failures, now=7.0, base_seconds=30.0) == 7.0 + delay


@pytest.mark.parametrize(("failures", "delay"), [(1, 30), (2, 60), (3, 90), (4, 90)])
def test_retry_delay_of_the_fastest_table_doubles_once(failures: int, delay: int) -> None:
    assert retry_due(FAST, failures=failures, now=0.0, base_seconds=30.0) == delay


def test_retry_delay_of_a_daily_table_is_bounded_after_many_failures() -> None:
    daily = TableSchedule("identity", 86_400.0)

    assert retry_due(daily, failures=17, now=0.0, base_seconds=1.0) == 65_536
    assert retry_due(daily, failures=10**9, now=0.0, base_seconds=1.0) == 65_536
    assert retry_due(daily, failures=10**9, now=0.0, base_seconds=20.0) == 3 * 86_400


@given(intervals_in_seconds, intervals_in_seconds, st.integers(1, 10**6))
def test_retry_delay_never_shrinks_and_never_exceeds_three_intervals(
    every: float, base: float, failures: int
) -> None:
    schedule = TableSchedule("t", every)

    first = retry_due(schedule, failures=1, now=0.0, base_seconds=base)
    delay = retry_due(schedule, failures=failures, now=0.0, base_seconds=base)
    longer = retry_due(schedule, failures=failures + 1, now=0.0, base_seconds=base)

    assert 0 < first <= delay <= longer <= 3 * every
    assert first == min(base, 3 * every)


def test_requests_per_hour_are_the_sum_over_all_tables() -> None:
    assert requests_per_hour([]) == 0
    assert requests_per_hour([FAST, SLOW]) == 120 + 60
    assert requests_per_hour([TableSchedule("identity", 3600.0, requests=2)]) == 2
    assert requests_per_hour([TableSchedule("t", 7.0)]) == pytest.approx(514.29, abs=0.01)


def intervals(schedules: Iterable[TableSchedule]) -> dict[str, float]:
    return {one.table: one.every_seconds for one in schedules}


def test_schedule_within_the_budget_is_unchanged() -> None:
    schedules = (TableSchedule("t", 4.0),)

    assert fit_to_budget(schedules, per_hour=1003, reserve=0.1) == schedules  # 900 of 902
    assert fit_to_budget((), per_hour=1, reserve=0.99) == ()


def test_fitted_schedule_has_room_for_a_start() -> None:
    schedules = (TableSchedule("t", 4.0), TableSchedule("u", 3600.0, requests=5))

    fitted = fit_to_budget(schedules, per_hour=1006, reserve=0.1)  # 905 of 905

    assert intervals(fitted)["t"] > 4
    assert requests_per_hour(fitted) <= 905 - 2 * 6


def test_fixed_schedule_needs_no_such_room() -> None:
    schedules = (TableSchedule("t", 4.0, fixed=True),)

    assert fit_to_budget(schedules, per_hour=1000, reserve=0.1) == schedules  # 900 of 900


def test_reserve_pays_for_the_reads_of_recovery_as_far_as_it_goes() -> None:
    schedules = (TableSchedule("t", 6.0, fixed=True),)  # 600 requests an hour
    logs = (TableSchedule("logs", 120.0, requests=2),)  # 60

    assert fit_to_budget(schedules, per_hour=660, reserve=0, besides=logs) == schedules
    assert fit_to_budget(schedules, per_hour=667, reserve=0.1, besides=logs) == schedules
    with pytest.raises(ConfigError, match=r"needs 600 .* 599 are allowed .659 less 60 reserved"):
        fit_to_budget(schedules, per_hour=659, reserve=0, besides=logs)
    with pytest.raises(ConfigError, match=r"needs 600 .* 599 are allowed .666 less 67 reserved"):
        fit_to_budget(schedules, per_hour=666, reserve=0.1, besides=logs)


def test_running_schedule_that_no_longer_fits_is_stretched_as_a_whole() -> None:
    schedules = (
        TableSchedule("vms", 20.0, requests=4, essential=True, fixed=True),
        TableSchedule("nics", 60.0, requests=10, fixed=True),
    )

    fitted = fit_to_budget(schedules, per_hour=1000, reserve=0.15, is_running=True)

    assert 0.9 * 850 < requests_per_hour(fitted) <= 850 - 14
    assert intervals(fitted)["nics"] == pytest.approx(3 * intervals(fitted)["vms"], abs=3)


@given(
    pages=st.integers(1, 500),
    per_hour=st.integers(300, 10_000),
    elsewhere=st.floats(0, 0.5),
    paged=st.booleans(),
)
def test_running_schedule_uses_what_it_may_however_many_pages_its_tables_have(
    pages: int, per_hour: int, elsewhere: float, paged: bool
) -> None:
    schedules = (
        TableSchedule("vms", 20.0, requests=pages, essential=True, fixed=True),
        TableSchedule("machine_status", 20.0, requests=pages, essential=True, fixed=True),
        *(TableSchedule(f"rare {number}", 60.0, importance=1) for number in range(5)),
    )
    allowed = floor(per_hour * (1 - elsewhere))

    fitted = fit_to_budget(
        schedules,
        per_hour=per_hour,
        reserve=0,
        elsewhere=per_hour * elsewhere,
        paged=paged,
        is_running=True,
    )

    assert requests_per_hour(fitted) <= allowed + 1
    if fitted != schedules:  # whole seconds are less exact where intervals are short
        assert requests_per_hour(fitted) >= 0.4 * allowed - 50


@pytest.mark.parametrize("paged", [False, True])
def test_running_schedule_without_room_for_a_start_is_the_one_that_it_started_with(
    paged: bool,
) -> None:
    schedules = (
        TableSchedule("vms", 20.0, essential=True, fixed=True),
        *(TableSchedule(f"rare {number}", 3600.0, fixed=True) for number in range(20)),
    )

    started, running = (
        fit_to_budget(schedules, per_hour=200, reserve=0, paged=paged, is_running=is_running)
        for is_running in (False, True)
    )

    assert started == running == schedules  # 200 of 200


def test_schedule_within_the_budget_is_unchanged_however_its_sum_is_rounded() -> None:
    schedules = (TableSchedule("t", 3600 * 3 / 850),) * 3

    assert fit_to_budget(schedules, per_hour=856, reserve=0.0) == schedules


THREE = (
    TableSchedule("vms", 6.0, importance=3, fixed=True),  # 600 requests an hour
    TableSchedule("nics", 20.0, importance=1),  # 180
    TableSchedule("snapshots", 36.0, importance=0),  # 100
)


@pytest.mark.parametrize(("paged", "seconds"), [(False, 77.0), (True, 82.0)])
def test_least_important_tables_are_stretched_first_and_no_more_than_needed(
    paged: bool, seconds: float
) -> None:
    fitted = fit_to_budget(THREE, per_hour=1000, reserve=0.17, paged=paged)

    assert intervals(fitted) == {"vms": 6.0, "nics": 20.0, "snapshots": seconds}


def test_more_important_tables_are_stretched_when_the_others_are_not_enough() -> None:
    fitted = fit_to_budget(THREE, per_hour=1000, reserve=0.3)

    assert intervals(fitted)["snapshots"] == 36.0 * MAX_STRETCH
    assert 20.0 < intervals(fitted)["nics"] < 20.0 * MAX_STRETCH
    assert requests_per_hour(fitted) <= 700


def test_interval_set_by_the_operator_is_not_stretched() -> None:
    schedules = (
        TableSchedule("vms", 6.0, importance=3, fixed=True),
        TableSchedule("snapshots", 36.0, importance=0, fixed=True),
    )

    with pytest.raises(ConfigError):
        fit_to_budget(schedules, per_hour=1000, reserve=0.35)


@given(
    st.lists(
        st.builds(
            TableSchedule,
            table=st.text("abcdefgh", min_size=1, max_size=8),
            every_seconds=st.integers(5, 600).map(float),
            requests=st.integers(0, 3),
            importance=st.integers(0, 3),
            fixed=st.booleans(),
        ),
        max_size=8,
        unique_by=lambda one: one.table,
    ),
    st.integers(50, 5000),
)
def test_fitted_schedule_is_within_the_budget_and_never_faster(
    schedules: list[TableSchedule], per_hour: int
) -> None:
    try:
        fitted = fit_to_budget(schedules, per_hour=per_hour, reserve=0.15)
    except ConfigError:
        return
    assert requests_per_hour(fitted) <= per_hour * 0.85
    for before, after in zip(schedules, fitted, strict=True):
        assert after.every_seconds >= before.every_seconds
        assert after.every_seconds <= ceil(before.every_seconds * MAX_STRETCH)
        if before.fixed:
            assert after == before


def test_essential_tables_that_do_not_fit_are_refused_with_the_arithmetic() -> None:
    schedules = [
        TableSchedule("vms", 5.0, fixed=True),
        TableSchedule("identity", 3600.0, requests=2),
        TableSchedule("machine_nics", 7.5, fixed=True),
    ]

    with pytest.raises(ConfigError) as caught:
        fit_to_budget(schedules, per_hour=1000, reserve=0.15)

    assert str(caught.value) == (
        "polling needs 1201 requests an hour, and 850 are allowed (1000 less 150 reserved for "
        "recovery), although every interval that may be stretched already is:\n"
        "  vms                  every      5 s     720.0\n"
        "  identity             every  43200 s       0.2\n"
        "  machine_nics         every    7.5 s     480.0\n"
        "  Make poll.fast_seconds longer, switch off a collector, remove intervals under "
        "poll.tables, or raise api.requests_per_hour if your VergeOS allows more"
    )


def test_requests_allowed_are_rounded_down_and_requests_needed_up() -> None:
    with pytest.raises(ConfigError, match="needs 901 requests an hour, and 899 are allowed"):
        fit_to_budget([TableSchedule("t", 3.999, fixed=True)], per_hour=999, reserve=0.1)

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.recovery.decide.budgets import (
    ActionHistory,
    Use,
    backoff_seconds,
    endless_loops,
    no_room,
    simulate_crash_loop,
    uses,
)
from exporter.recovery.model.cases import Action, Reply, Spent
from exporter.recovery.model.limits import DAY, HOUR, WEEK, Limits, Window
from tests.recovery.harness import WindowLimits
from tests.recovery.test_edges import DOWN

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
    assert use.spent == (use.frees_at is not None)
    if use.frees_at is not None:
        assert not uses((HOURLY,), past, now=use.frees_at)[0].spent
        assert uses((HOURLY,), past, now=use.frees_at - 1)[0].spent


def test_use_of_a_budget_tells_how_many_and_when_one_is_free_again() -> None:
    windows = (Window(100.0, 2), Window(1000.0, 4))

    found = uses(windows, (900.0, 10.0, 950.0, 500.0), now=999.0)

    assert found == (Use(windows[0], 2, frees_at=1000.0), Use(windows[1], 4, frees_at=1010.0))
    assert [use.spent for use in found] == [True, True]
    found = uses(windows, (900.0, 10.0, 950.0), now=1000.0)
    assert found == (Use(windows[0], 1, None), Use(windows[1], 3, None))
    assert [use.spent for use in found] == [False, False]


def test_budget_that_is_exceeded_is_free_when_enough_actions_left_it() -> None:
    (use,) = uses((Window(100.0, 2),), (10.0, 20.0, 30.0, 40.0), now=50.0)

    assert use == Use(Window(100.0, 2), 4, frees_at=130.0)


@pytest.mark.parametrize(("random", "share"), [(0.0, 0.8), (0.25, 0.9), (0.5, 1.0), (1.0, 1.2)])
def test_jitter_makes_a_pause_longer_or_shorter_by_a_fifth(random: float, share: float) -> None:
    for attempts, pause in ((1, 60.0), (2, 120.0), (100, 1800.0), (10_000, 1800.0)):
        assert backoff_seconds(attempts, Limits(), random=random) == pytest.approx(share * pause)
    assert backoff_seconds(0, Limits(), random=random) == 0.0


# The crash loops that every configuration must end.


@pytest.mark.parametrize(
    ("dies_after", "restarts", "ends_after"),
    [
        (5.0, 3, 30 + (35 + 30 + 60) + (35 + 30 + 120) + (35 + 30 + 240)),
        (599.0, 3, 30 + (629 + 30 + 60) + (629 + 30 + 120) + (629 + 30 + 240)),
        (600.0, 3, 30 + 3 * (630 + 30)),  # it stayed up for long enough: no pause
        (HOUR, 6, 30 + 6 * (HOUR + 60)),
    ],
)
def test_crash_loop_takes_confirmation_pause_start_and_uptime(
    dies_after: float, restarts: int, ends_after: float
) -> None:
    loop = simulate_crash_loop(dies_after, Limits())

    assert loop == (dies_after, restarts, ends_after)


@pytest.mark.parametrize(("dies_after", "restarts"), [(WEEK - 60.0, 1), (WEEK - 61.0, 2)])
def test_crash_loop_is_simulated_for_a_week(dies_after: float, restarts: int) -> None:
    limits = WindowLimits(vm_windows=(Window(WEEK, 10),))

    assert simulate_crash_loop(dies_after, limits) == (dies_after, restarts, None)


def test_limits_are_tried_with_short_and_long_uptimes() -> None:
    lax = WindowLimits(vm_windows=(Window(WEEK, 10**6),))

    assert [loop.dies_after_seconds for loop in endless_loops(lax)] == [
        *(5, 5 * 60, 15 * 60, 25 * 60, 60 * 60, 4 * 60 * 60, 12 * 60 * 60)
    ]


# The actions of one system.


def on_vm(at: float, reply: Reply | None = Reply.ACCEPTED, uuid: str = "u") -> Spent:
    return Spent(at, uuid, Action.POWER_ON, reply)


REPLIES = (*Reply, None)
FREE = {Reply.NO_CAPACITY, Reply.BUSY, Reply.NOT_SENT}
"""Replies for which the VM is not the cause, and after which nothing was done."""


@pytest.mark.parametrize("reply", REPLIES)
def test_action_counts_unless_vergeos_could_not_take_it(reply: Reply | None) -> None:
    one = Window(DAY, 1)
    limits = WindowLimits(vm_windows=(one,), system_windows=(one,))
    history = ActionHistory(limits, [on_vm(100.0, reply)])

    counts = reply not in FREE
    assert list(history.on(DOWN)) == [on_vm(100.0, reply)] * counts
    assert history.uses(DOWN, now=200.0)[0].spent == counts
    assert history.system_uses(now=200.0)[0].spent == counts
    assert history.exhausted_by_vm(DOWN, now=200.0) == (counts and reply is not Reply.FORBIDDEN)
    assert list(history.no_capacity) == [100.0] * (reply is Reply.NO_CAPACITY)


def test_budget_counts_what_happened_since_the_vm_was_cleared() -> None:
    history = ActionHistory(Limits(), [on_vm(99.0), on_vm(100.0), on_vm(101.0)])
    cleared = replace(DOWN, cleared_at=100.0)

    assert [one.at for one in history.on(cleared)] == [100.0, 101.0]
    assert [use.used for use in history.uses(cleared, now=200.0)] == [2, 2, 2]


def test_budgets_of_two_vms_are_apart() -> None:
    history = ActionHistory(Limits(), [on_vm(1.0, uuid="other"), on_vm(2.0), on_vm(3.0, uuid="b")])

    assert [one.at for one in history.on(DOWN)] == [2.0]
    assert [use.used for use in history.uses(DOWN, now=200.0)] == [1, 1, 1]
    assert [use.used for use in history.system_uses(now=200.0)] == [3, 3]
    assert not history.on(replace(DOWN, uuid="never"))


@pytest.mark.parametrize(("seconds", "requests"), [(600.0, 3), (HOUR, 3), (HOUR + 1, 1)])
def test_rate_limit_of_an_hour_or_less_counts_refused_requests_too(
    seconds: float, requests: int
) -> None:
    limits = WindowLimits(system_windows=(Window(seconds, 9),))
    replies = (Reply.ACCEPTED, Reply.BUSY, Reply.NO_CAPACITY)
    history = ActionHistory(limits, [on_vm(100.0, reply) for reply in replies])

    assert [use.used for use in history.system_uses(now=200.0)] == [requests]


def test_rate_limit_follows_each_action_and_the_time() -> None:
    limits = WindowLimits(system_windows=(Window(100.0, 9),))
    history = ActionHistory(limits, [on_vm(10.0)])

    def used(now: float) -> int:
        return history.system_uses(now=now)[0].used

    assert used(20.0) == 1
    history.add(on_vm(20.0))
    assert used(20.0) == 2
    assert used(110.0) == 1


def test_rate_limit_follows_changed_limits_at_once() -> None:
    history = ActionHistory(WindowLimits(system_windows=(Window(100.0, 1),)), [on_vm(10.0)])
    assert history.system_uses(now=20.0)[0].spent

    history.use(WindowLimits(system_windows=(Window(100.0, 2),)))
    assert not history.system_uses(now=20.0)[0].spent


@pytest.mark.parametrize(
    ("open_actions", "sent", "reason"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (2, 0, "2 of 2 actions are open"),
        (0, 3, "3 of 3 actions in 1 h"),
        (0, 4, "4 of 3 actions in 1 h"),
    ],
)
def test_limits_of_a_system_leave_room_or_tell_why_not(
    open_actions: int, sent: int, reason: str
) -> None:
    limits = WindowLimits(system_windows=(HOURLY, DAILY), max_concurrent_actions=2)
    spent = [on_vm(10.0 * number) for number in range(sent)]

    assert no_room(limits, open_actions, spent, now=100.0) == reason


def test_rate_limit_is_computed_once_for_all_vms() -> None:
    history = ActionHistory(Limits(), [on_vm(10.0)])

    assert history.system_uses(now=20.0) is history.system_uses(now=20.0)


def test_action_is_forgotten_when_no_budget_counts_it_any_more() -> None:
    history = ActionHistory(
        Limits(),
        [
            *(on_vm(0.0, Reply.NO_CAPACITY, "a"), on_vm(0.5), on_vm(1.0, Reply.NO_CAPACITY)),
            *(on_vm(1.5, Reply.NO_CAPACITY, "b"), on_vm(2.0)),
        ],
    )

    history.forget(now=WEEK)
    assert [one.at for one in history.sent] == [0.5, 1.0, 1.5, 2.0]
    assert history.uuids == ["b", "u"]
    assert list(history.no_capacity) == [1.0, 1.5]
    assert [one.at for one in history.on(DOWN)] == [0.5, 2.0]

    history.forget(now=WEEK + 1)
    assert [one.at for one in history.sent] == [1.5, 2.0]
    assert history.uuids == ["b", "u"]
    assert list(history.no_capacity) == [1.5]
    assert [one.at for one in history.on(DOWN)] == [2.0]

    history.forget(now=2 * WEEK)
    assert (list(history.sent), history.uuids, list(history.no_capacity)) == ([], [], [])
    assert history.acted_at is None


def test_last_action_is_the_newest_of_any_vm() -> None:
    history = ActionHistory(Limits())
    assert history.acted_at is None

    for at, uuid in ((10.0, "u"), (20.0, "other"), (30.0, "u")):
        history.add(on_vm(at, uuid=uuid))
        assert history.acted_at == at


@pytest.mark.parametrize(
    ("actions", "number"),
    [
        ([], 0),
        ([on_vm(100.0)], 0),
        ([on_vm(100.0, Reply.BUSY)], 1),
        ([on_vm(100.0, Reply.BUSY), on_vm(200.0, Reply.NOT_SENT)], 2),
        ([on_vm(100.0, Reply.NO_CAPACITY), on_vm(200.0, Reply.BUSY, "other")], 1),
        ([on_vm(100.0, Reply.BUSY), on_vm(200.0), on_vm(300.0, Reply.BUSY)], 1),
        ([on_vm(100.0, Reply.BUSY), on_vm(200.0)], 0),
        ([on_vm(100.0, Reply.FORBIDDEN)], 0),
    ],
)
def test_refusals_in_a_row_end_with_an_action_that_counts(
    actions: Sequence[Spent], number: int
) -> None:
    history = ActionHistory(Limits(), actions)

    assert history.refused_in_a_row(DOWN, now=300.0) == number


@pytest.mark.parametrize(
    ("at", "now", "number"),
    [
        ((0.0, HOUR), 2 * HOUR, 2),
        ((0.0, HOUR), 2 * HOUR + 1, 0),
        ((0.0, HOUR + 1), 2 * HOUR, 1),
        ((0.0, HOUR, 2 * HOUR, 3 * HOUR), 4 * HOUR, 4),
    ],
)
def test_refusals_in_a_row_are_at_most_an_hour_apart(
    at: Sequence[float], now: float, number: int
) -> None:
    history = ActionHistory(Limits(), [on_vm(one, Reply.BUSY) for one in at])

    assert history.refused_in_a_row(DOWN, now=now) == number

"""The status history: half hours, the worst of each, from polls and from the journal."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.console.status_history import (
    CODES,
    SLOT_SECONDS,
    SLOTS,
    Segment,
    StatusHistory,
    slot_of,
    slots_before,
)
from exporter.console.system_history import SystemHistory
from exporter.console.vm_condition import Condition, condition_in_state, condition_of
from exporter.console.vm_rows import MAX_GONE
from exporter.model import RecoveryReport, RecoveryVM
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import StatusRecords
from exporter.recovery.model.states import State
from tests.fakes import START
from tests.recovery.inventory_values import inventory, vm

MINUTE = timedelta(minutes=1)
SLOT = timedelta(seconds=SLOT_SECONDS)
FIRST = slot_of(START)
SEEN = st.lists(
    st.tuples(st.integers(0, 60 * 30), st.sampled_from(Condition)), min_size=1, max_size=60
).map(lambda seen: sorted(seen, key=lambda one: one[0]))
"""Minutes after the start, and what was seen then; more than 24 hours of them."""


def conditions(segments: Sequence[Segment]) -> list[Condition | None]:
    return [one.condition for one in segments for _ in range(one.slots)]


def change(minute: float, before: State | None, after: State | None, word: str = "") -> Change:
    return Change(
        uuid="u1", vm_key=1, name="web-1", at=minute * 60, time=START + minute * MINUTE,
        before=before, after=after, word=word, diagnosis=None,
    )  # fmt: skip


@given(SEEN)
def test_each_half_hour_has_the_worst_condition_seen_in_it(
    seen: list[tuple[int, Condition]],
) -> None:
    history, order = StatusHistory(), list(Condition)
    now = START + seen[-1][0] * MINUTE

    for minute, condition in seen:
        history.record([(0, CODES[condition])], 1, START + minute * MINUTE)

    segments = history.segments(0, now)
    assert sum(one.slots for one in segments) == SLOTS
    assert segments[-1].begin <= now < segments[-1].end
    assert all(one.end == other.begin for one, other in pairwise(segments))
    assert all(one.condition is not other.condition for one, other in pairwise(segments))
    for number, shown in enumerate(conditions(segments), slot_of(now) - SLOTS + 1):
        there = [one for minute, one in seen if slot_of(START + minute * MINUTE) == number]
        assert shown is (min(there, key=order.index) if there else None)


@given(SEEN)
def test_no_more_half_hours_are_kept_than_are_shown(seen: list[tuple[int, Condition]]) -> None:
    history = StatusHistory()

    for minute, condition in seen:
        history.record([(0, CODES[condition])], 1, START + minute * MINUTE)

    assert len(history._slots) <= SLOTS


def test_vm_without_a_row_was_never_observed() -> None:
    assert StatusHistory().segments(None, START) == (Segment(START - 47 * SLOT, SLOTS, None),)


def test_journal_gives_the_worst_of_each_half_hour_in_which_a_daemon_polled() -> None:
    changes = [
        change(10, State.HEALTHY, State.SUSPECT),
        change(15, State.SUSPECT, State.HELD),
        change(70, State.HELD, State.PROBATION),
        change(100, State.PROBATION, State.HEALTHY),
    ]
    observed = [FIRST, FIRST + 1, FIRST + 2, FIRST + 4]

    found = set(slots_before(changes, observed, Condition.OFF))

    running, down = CODES[Condition.RUNNING], CODES[Condition.DOWN]
    assert found == {
        (FIRST, running),
        (FIRST, down),
        (FIRST + 1, down),
        (FIRST + 2, down),
        (FIRST + 2, running),
        (FIRST + 4, running),
    }


def test_vm_without_changes_was_as_it_is() -> None:
    found = list(slots_before([], [FIRST, FIRST + 3], Condition.OFF))

    assert found == [(FIRST, CODES[Condition.OFF]), (FIRST + 3, CODES[Condition.OFF])]


def test_new_vm_was_not_observed_before() -> None:
    changes = [change(40, None, State.BASELINE)]

    found = list(slots_before(changes, [FIRST, FIRST + 1, FIRST + 2], Condition.OFF))

    assert found == [(FIRST + 1, CODES[Condition.OFF]), (FIRST + 2, CODES[Condition.OFF])]


@given(
    st.lists(
        st.tuples(st.integers(0, 60 * 24), st.sampled_from(State), st.sampled_from(["", "error"])),
        max_size=20,
    ).map(lambda seen: sorted(seen, key=lambda one: one[0]))
)
def test_journal_agrees_with_what_the_daemon_saw(seen: list[tuple[int, State, str]]) -> None:
    """Read back after a restart, the half hours are those that were recorded as it happened."""
    live, saved, changes = StatusHistory(), StatusHistory(), list[Change]()
    state, word = State.HEALTHY, ""
    for minute in range(60 * 24):
        for _, after, its_word in (one for one in seen if one[0] == minute):
            changes.append(change(minute, state, after, its_word))
            state, word = after, its_word
            live.record([(0, CODES[condition_in_state(state, word)])], 1, START + minute * MINUTE)
        if minute % 5 == 0:
            code = CODES[condition_in_state(state, word)]
            live.record([(0, code)], 1, START + minute * MINUTE)

    for number, code in slots_before(changes, range(FIRST, FIRST + SLOTS), Condition.RUNNING):
        saved.add(0, number, code)

    now = START + timedelta(hours=23, minutes=59)
    shown, expected = (conditions(one.segments(0, now)) for one in (saved, live))
    order = [*Condition, None]
    # What began a half hour counts in it, also if it changed before the first poll of it.
    assert all(
        order.index(one) <= order.index(other) for one, other in zip(shown, expected, strict=True)
    )
    assert Condition.DOWN in shown or Condition.DOWN not in expected


@pytest.mark.parametrize(
    ("state", "word", "condition"),
    [
        (State.HEALTHY, "running", Condition.RUNNING),
        (State.HEALTHY, "migrating", Condition.CHANGING),
        (State.HELD, "unresponsive", Condition.TROUBLE),
        (State.HELD, "stopped", Condition.DOWN),
        (State.VERIFYING, "starting", Condition.DOWN),
        (State.STOPPED, "stopped", Condition.OFF),
        (State.BASELINE, "", Condition.OFF),
        (State.PROBATION, "", Condition.RUNNING),
    ],
)
def test_condition_of_a_state(state: State, word: str, condition: Condition) -> None:
    assert condition_in_state(state, word) is condition


@pytest.mark.parametrize(
    ("state", "condition"),
    [
        (None, Condition.OFF),
        (State.BASELINE, Condition.OFF),
        (State.STOPPED, Condition.OFF),
        (State.HEALTHY, Condition.DOWN),
        (State.PROBATION, Condition.DOWN),
        (State.SUSPECT, Condition.DOWN),
    ],
)
def test_vm_that_recovery_last_saw_up_is_down_and_not_off(
    state: State | None, condition: Condition
) -> None:
    known = in_state(state) if state is not None else None
    assert condition_of(vm(1, running=False, word="stopped"), known) is condition


def recovery(*vms: RecoveryVM) -> RecoveryReport:
    return RecoveryReport(
        mode="shadow", readiness="active", because="", ready=True, vms=vms, budgets_remaining=(),
        last_actions=(), open_actions=0, journal_problem="", inventory_at=START,
    )  # fmt: skip


def in_state(state: State, key: int = 1) -> RecoveryVM:
    return RecoveryVM(key, f"web-{key}", "shadow", state.value, START)


def test_history_of_a_system_records_each_inventory_once() -> None:
    history = SystemHistory(0)
    crashed = vm(1, running=False, word="stopped")

    history.record(inventory([vm(1)], taken_at=START), None)
    # The same poll, published again for another table: it has no newer status.
    history.record(inventory([crashed], taken_at=START), recovery(in_state(State.HELD)))
    assert history.status(1, START)[-1].condition is Condition.RUNNING

    history.record(inventory([crashed], taken_at=START + MINUTE), recovery(in_state(State.HELD)))
    assert history.status(1, START)[-1].condition is Condition.DOWN
    assert history.status(2, START) == (Segment(START - 47 * SLOT, SLOTS, None),)


def test_row_of_a_vm_that_is_gone_for_a_day_is_given_to_a_new_vm_empty() -> None:
    history = SystemHistory(24)
    gone, stays, later = vm(1, running=False, word="error"), vm(2), START + timedelta(hours=25)
    history.record(inventory([gone, stays], taken_at=START), None)
    history.record(inventory([stays], taken_at=START + MINUTE), None)
    assert history.last_seen(1) == START
    assert history.status(1, START)[-1].condition is Condition.TROUBLE

    history.record(inventory([stays, vm(3)], taken_at=later), None)

    assert history.last_seen(1) is None
    assert history._rows.count == 2
    assert [one.condition for one in history.status(3, later)] == [None, Condition.RUNNING]


def test_rows_are_bounded_while_vms_come_and_go() -> None:
    history = SystemHistory(0)

    for number in range(30):
        vms = [vm(100 * number + one) for one in range(100)]
        history.record(inventory(vms, taken_at=START + number * MINUTE), None)

    assert history._rows.count <= MAX_GONE + 200


def test_new_vm_does_not_inherit_the_history_of_its_row() -> None:
    history, count = SystemHistory(0), MAX_GONE + 100
    failed = [vm(number, running=False, word="error") for number in range(1, count)]
    history.record(inventory(failed, taken_at=START), None)

    new = [vm(number) for number in range(count, 2 * count)]
    history.record(inventory(new, taken_at=START + MINUTE), None)

    assert history._rows.count < 2 * count - 1  # some rows are used again
    shown = {history.status(one.config.key, START)[-1].condition for one in new}
    assert shown == {Condition.RUNNING}


def test_vm_that_is_back_has_its_history() -> None:
    history = SystemHistory(0)
    down = vm(1, running=False, word="error")
    history.record(inventory([down], taken_at=START), None)
    history.record(inventory([], taken_at=START + MINUTE), None)
    history.record(inventory([vm(1)], taken_at=START + 2 * MINUTE), None)

    assert history.last_seen(1) is None
    assert history.status(1, START + SLOT)[-2].condition is Condition.TROUBLE


def test_what_the_journal_knows_is_added_to_monitored_vms() -> None:
    history, now = SystemHistory(0), START + timedelta(hours=3)
    history.record(inventory([vm(1), vm(2), vm(3)], taken_at=now), None)
    polls: list[datetime] = [START + minute * MINUTE for minute in range(0, 90, 5)]
    changes = [
        change(35, State.HEALTHY, State.SUSPECT, "stopped"),
        change(40, State.SUSPECT, State.HEALTHY, "running"),
    ]

    history.add_saved(
        StatusRecords(changes, polls), [in_state(State.HEALTHY), in_state(State.HEALTHY, 2)]
    )

    up, down = Condition.RUNNING, Condition.DOWN
    assert conditions(history.status(1, now))[-7:] == [up, down, up, None, None, None, up]
    assert conditions(history.status(2, now))[-7:] == [up, up, up, None, None, None, up]
    assert conditions(history.status(3, now))[-7:] == [None] * 6 + [up]
    assert history.is_complete

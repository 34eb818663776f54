"""What a new process makes of the journal: which actions are open, and where each VM is."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.recovery.model.cases import (
    Action,
    Case,
    Intent,
    ObservedState,
    Outcome,
    Spent,
)
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import SavedState
from exporter.recovery.model.states import State
from exporter.recovery.observe.boot import Boot, boot
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.health import Health
from tests.recovery.inventory_values import CLOCK, QUESTION, TIME, case, down, intent

LIMITS = Limits()
SENT_AT = 900.0


def started(uuid: str = "u1", **fields: Any) -> Intent:
    return intent(**{"uuid": uuid, "sent_at": SENT_AT, **fields})


def begin(*cases: Case, **saved: Any) -> Boot:
    own = {"watched": 1000.0, "cases": cases, "clock": CLOCK, "time": TIME}
    return boot(
        SavedState(**{**own, **saved}), LIMITS, pause_seconds=lambda attempt: 100.0 * attempt
    )


def test_new_process_goes_on_where_the_journal_ends() -> None:
    found = begin(case(1), case(2))

    assert (found.watched, found.open_actions, list(found.closed)) == (1000.0, {}, [])
    state = found.state
    assert dict(state.cases) == {"u1": case(1), "u2": case(2)}
    assert (state.enrolments, state.nodes, state.inventory) == ({}, {}, None)
    assert state.health == Health(warm_since=1000.0, warm_because="its start")
    assert state.breaker.breaker_state is BreakerState.CLOSED
    assert (state.seen_at, state.seen_time, state.seen_clock) == (1000.0, TIME, CLOCK)


def test_time_of_the_last_inventory_is_unknown_in_an_empty_journal() -> None:
    state = begin(time=None, clock=None).state

    assert (state.seen_at, state.seen_time, state.seen_clock) == (None, None, None)


@pytest.mark.parametrize(("sent_at", "watched"), [(1100.0, 1100.0), (900.0, 1000.0)])
def test_time_goes_on_from_the_last_action_if_that_is_later(sent_at: float, watched: float) -> None:
    found = begin(case(1), spent=[Spent(sent_at, "u1", Action.POWER_ON)])

    assert found.watched == found.state.health.warm_since == watched
    assert found.state.seen_at == 1000.0


def test_action_that_was_sent_is_verified_by_the_new_process() -> None:
    before = down(State.VERIFYING, attempts=1)

    found = begin(before, open_actions=[started()])

    assert found.open_actions == {"u1": started()}
    assert not found.closed
    assert found.state.cases["u1"] is before


@pytest.mark.parametrize("of", [State.HELD, State.SUSPECT, State.QUARANTINED])
def test_action_whose_case_was_not_written_any_more_counts_and_is_verified(of: State) -> None:
    found = begin(down(of, attempts=2), open_actions=[started()])

    after = found.state.cases["u1"]
    assert (after.state, after.since) == (State.INDETERMINATE, 1000.0)
    assert (after.attempts, after.retry_at) == (3, SENT_AT + 300.0)


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (started(sent_at=None), Outcome.ABANDONED),
        (started("u9"), Outcome.UNKNOWN),  # its VM is followed no longer
        (started("u9", sent_at=None), Outcome.ABANDONED),
    ],
)
def test_action_that_was_not_sent_or_has_no_vm_is_closed(sent: Intent, outcome: Outcome) -> None:
    found = begin(down(State.ACTING), open_actions=[sent])

    assert found.open_actions == {}
    (closed,) = found.closed
    assert closed.detail
    assert closed == replace(sent, outcome=outcome, detail=closed.detail)
    assert found.state.cases["u1"].state is State.SUSPECT  # no request without a new proof


@pytest.mark.parametrize(
    ("spent", "kept"),
    [
        ([], True),
        ([(49.0, "u1")], True),
        ([(50.0, "u1")], False),
        ([(10.0, "u1"), (60.0, "u1")], False),
        ([(60.0, "u2")], True),
    ],
)
def test_approval_that_was_used_permits_no_second_action(
    spent: list[tuple[float, str]], kept: bool
) -> None:
    question = replace(QUESTION, asked_at=50.0)

    found = begin(
        down(State.HELD, question=question),
        case(2),
        spent=[Spent(at, uuid, Action.POWER_ON) for at, uuid in spent],
    )

    assert found.state.cases["u1"].question == (question if kept else None)
    assert found.state.cases["u2"].question is None


def test_vms_that_were_lost_together_keep_the_breaker_open() -> None:
    lost = [
        replace(down(lost_at=990.0), uuid=f"u{number}", observed=ObservedState.DOWN)
        for number in range(3)
    ]

    breaker = begin(*lost).state.breaker

    assert (breaker.breaker_state, breaker.since) == (BreakerState.OPEN, 1000.0)


def test_later_time_of_day_is_that_of_the_journal() -> None:
    later = TIME + timedelta(days=1)

    assert begin(case(1), time=later).state.seen_time == later

"""What is not to be believed, and what a status row says."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from exporter.model import PollResult, StatusWord
from exporter.recovery.model.cases import ObservedState
from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.inventory_checks import (
    CheckedInventory,
    RejectedInventory,
    check_inventory,
    observed_state_of,
)
from tests.recovery.harness import Theatre

RULES = Limits()


def poll_of(theatre: Theatre) -> PollResult:
    return theatre._read()


@pytest.fixture
def theatre() -> Theatre:
    return Theatre(vms=30)


def believed(
    poll: PollResult, last: CheckedInventory | None = None, **enrolled: int
) -> CheckedInventory | RejectedInventory:
    return check_inventory(poll, last, RULES, enrolled=enrolled)


def first_picture(theatre: Theatre) -> CheckedInventory:
    inventory = believed(poll_of(theatre))
    assert isinstance(inventory, CheckedInventory)
    return inventory


def shorter(poll: PollResult, keep: int) -> PollResult:
    assert poll.inventory is not None
    return poll._replace(inventory=replace(poll.inventory, vms=poll.inventory.vms[:keep]))


def fewer_statuses(poll: PollResult, keep: int) -> PollResult:
    inventory = poll.inventory
    assert inventory is not None
    rows = dict(list(inventory.sources["machine_status"].items())[:keep])  # type: ignore[attr-defined]
    return poll._replace(
        inventory=replace(inventory, sources={**inventory.sources, "machine_status": rows})
    )


def twice(poll: PollResult) -> PollResult:
    assert poll.inventory is not None
    vms = poll.inventory.vms
    return poll._replace(inventory=replace(poll.inventory, vms=(*vms, vms[0])))


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("unread", lambda poll: poll._replace(inventory=None, problem="no answer")),
        ("slow", lambda poll: poll._replace(took_seconds=poll.every_seconds + 0.1)),
        ("empty", lambda poll: shorter(poll, 0)),
        ("empty", lambda poll: fewer_statuses(poll, 0)),
        ("short", lambda poll: shorter(poll, 23)),
        ("short", lambda poll: fewer_statuses(poll, 20)),
        ("duplicate", twice),
        ("rows_missing", lambda poll: poll._replace(rows_skipped=4)),
    ],
)
def test_a_poll_is_not_believed(
    theatre: Theatre, reason: str, spoil: Callable[[PollResult], PollResult]
) -> None:
    last = first_picture(theatre)
    theatre.clock.elapsed += 20

    found = believed(spoil(poll_of(theatre)), last)

    assert isinstance(found, RejectedInventory)
    assert found.reason == reason


@pytest.mark.parametrize(
    "spare",
    [
        lambda poll: poll,
        lambda poll: poll._replace(took_seconds=poll.every_seconds),
        lambda poll: shorter(poll, 24),
        lambda poll: poll._replace(rows_skipped=3),
    ],
)
def test_a_poll_on_the_edge_is_believed(
    theatre: Theatre, spare: Callable[[PollResult], PollResult]
) -> None:
    last = first_picture(theatre)
    theatre.clock.elapsed += 20

    assert isinstance(believed(spare(poll_of(theatre)), last), CheckedInventory)


def test_enrolled_vms_that_are_not_there_make_it_doubtful(theatre: Theatre) -> None:
    gone = {f"uuid-{number}": number for number in range(4)}

    found = check_inventory(poll_of(theatre), None, RULES, enrolled=gone)

    assert isinstance(found, RejectedInventory)
    assert found.reason == "rows_missing"
    gone.popitem()
    assert isinstance(
        check_inventory(poll_of(theatre), None, RULES, enrolled=gone), CheckedInventory
    )


def test_a_platform_that_touches_no_row_for_half_a_minute_is_frozen(theatre: Theatre) -> None:
    theatre.world.faults.turn_on("frozen_clock")
    theatre.api.notice_faults()
    inventory: CheckedInventory | RejectedInventory = first_picture(theatre)

    reasons = []
    for _ in range(3):
        theatre.clock.elapsed += 20
        assert isinstance(inventory, CheckedInventory)
        found = believed(poll_of(theatre), inventory)
        reasons.append(found.reason if isinstance(found, RejectedInventory) else "")
        inventory = inventory if isinstance(found, RejectedInventory) else found

    assert reasons == ["", "frozen", "frozen"]


def test_rows_that_lag_behind_the_newest_are_not_believed(theatre: Theatre) -> None:
    poll = poll_of(theatre)
    assert poll.inventory is not None
    rows = poll.inventory.sources["machine_status"]
    newest = max(row.updated_at or 0 for row in rows.values())  # type: ignore[attr-defined]
    late = {
        key: replace(row, updated_at=newest - (61 if number else 0))
        for number, (key, row) in enumerate(rows.items())  # type: ignore[attr-defined]
    }
    sources = {**poll.inventory.sources, "machine_status": late}

    found = believed(poll._replace(inventory=replace(poll.inventory, sources=sources)))

    assert isinstance(found, RejectedInventory)
    assert found.reason == "lagging"


@pytest.mark.parametrize("word", StatusWord)
@pytest.mark.parametrize("running", [True, False, None])
def test_only_what_runs_is_up_and_only_what_is_stopped_is_down(
    word: StatusWord, running: bool | None
) -> None:
    observed = observed_state_of(word, running)

    up = word in ("running", "needsrefresh", "needsrestart", "driversreloading")
    assert (observed is ObservedState.UP) is (up and running is True)
    assert (observed is ObservedState.DOWN) is (word == "stopped" and running is False)
    assert (observed is ObservedState.HUNG) is (word == "unresponsive")


def test_unrecognized_status_never_leads_to_an_action() -> None:
    assert observed_state_of("defragmenting", running=False) is ObservedState.INCONSISTENT
    assert observed_state_of("stopped", running=True) is ObservedState.INCONSISTENT
    assert observed_state_of("stopped", running=None) is ObservedState.INCONSISTENT
    assert observed_state_of("stopped", running=False, state="error") is ObservedState.ERROR

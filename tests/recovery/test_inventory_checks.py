"""What is not to be believed, and what a status row says."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import MachineStatus, PollResult, StatusWord
from exporter.recovery.model.cases import ObservedState
from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.inventory_checks import (
    CheckedInventory,
    RejectedInventory,
    check_inventory,
    observed_state_of,
)
from tests.recovery.harness import Harness

RULES = Limits()


def poll_of(harness: Harness) -> PollResult:
    return harness._read()


@pytest.fixture
def harness() -> Harness:
    return Harness(vms=30)


def believed(
    poll: PollResult, last: CheckedInventory | None = None, **enrolled: int
) -> CheckedInventory | RejectedInventory:
    return check_inventory(poll, last, RULES, enrolled=enrolled)


def first_picture(harness: Harness) -> CheckedInventory:
    inventory = believed(poll_of(harness))
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


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("unread", lambda poll: poll._replace(inventory=None, problem="no answer")),
        ("slow", lambda poll: poll._replace(took_seconds=poll.every_seconds + 0.1)),
        ("empty", lambda poll: shorter(poll, 0)),
        ("empty", lambda poll: fewer_statuses(poll, 0)),
        ("short", lambda poll: shorter(poll, 23)),
        ("short", lambda poll: fewer_statuses(poll, 20)),
        ("rows_missing", lambda poll: poll._replace(rows_skipped=4)),
    ],
)
def test_implausible_poll_is_rejected(
    harness: Harness, reason: str, spoil: Callable[[PollResult], PollResult]
) -> None:
    last = first_picture(harness)
    harness.clock.elapsed += 20

    found = believed(spoil(poll_of(harness)), last)

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
def test_poll_at_the_limit_is_accepted(
    harness: Harness, spare: Callable[[PollResult], PollResult]
) -> None:
    last = first_picture(harness)
    harness.clock.elapsed += 20

    assert isinstance(believed(spare(poll_of(harness)), last), CheckedInventory)


def test_missing_enrolled_vms_reject_the_inventory(harness: Harness) -> None:
    gone = {f"uuid-{number}": number for number in range(4)}

    found = check_inventory(poll_of(harness), None, RULES, enrolled=gone)

    assert isinstance(found, RejectedInventory)
    assert found.reason == "rows_missing"
    gone.popitem()
    assert isinstance(
        check_inventory(poll_of(harness), None, RULES, enrolled=gone), CheckedInventory
    )


def test_rows_unchanged_for_half_a_minute_are_frozen(harness: Harness) -> None:
    harness.world.faults.turn_on("frozen_clock")
    harness.api.notice_faults()
    inventory: CheckedInventory | RejectedInventory = first_picture(harness)

    reasons = []
    for _ in range(3):
        harness.clock.elapsed += 20
        assert isinstance(inventory, CheckedInventory)
        found = believed(poll_of(harness), inventory)
        reasons.append(found.reason if isinstance(found, RejectedInventory) else "")
        inventory = inventory if isinstance(found, RejectedInventory) else found

    assert reasons == ["", "frozen", "frozen"]


def with_stamps(
    poll: PollResult, stamp: Callable[[int, MachineStatus], float | None]
) -> PollResult:
    """Return the poll with other times of its status rows; *stamp* gets the number of each."""
    assert poll.inventory is not None
    rows: Any = poll.inventory.sources["machine_status"]
    stamped = {
        key: replace(row, updated_at=stamp(number, row))
        for number, (key, row) in enumerate(rows.items())
    }
    sources = {**poll.inventory.sources, "machine_status": stamped}
    return poll._replace(inventory=replace(poll.inventory, sources=sources))


def test_rows_lagging_behind_the_newest_of_their_node_are_rejected(harness: Harness) -> None:
    first_of_node: dict[int | None, int] = {}

    def stamp(number: int, row: MachineStatus) -> float:
        fresh = first_of_node.setdefault(row.node, number) == number
        return 2e9 - (0 if fresh else 61)

    found = believed(with_stamps(poll_of(harness), stamp))

    assert isinstance(found, RejectedInventory)
    assert found.reason == "lagging"


@pytest.mark.parametrize("ahead", [-1800.0, -80.0, 80.0, 1800.0])
def test_one_node_with_another_time_rejects_nothing(harness: Harness, ahead: float) -> None:
    def stamp(_: int, row: MachineStatus) -> float | None:
        wrong = row.node == 1 and row.updated_at is not None
        return (row.updated_at or 0) + ahead if wrong else row.updated_at

    last = believed(with_stamps(poll_of(harness), stamp))
    assert isinstance(last, CheckedInventory)
    harness.clock.elapsed += 20
    found = believed(poll_of(harness), last)

    assert isinstance(found, CheckedInventory)
    assert last.clock is not None
    assert found.clock == pytest.approx(last.clock + 20, abs=15)


def test_vm_keeps_its_place_when_another_one_gets_its_uuid(harness: Harness) -> None:
    last = first_picture(harness)
    poll = poll_of(harness)
    assert poll.inventory is not None
    original, other = poll.inventory.vms[:2]
    clone = replace(other, config=replace(other.config, uuid=original.config.uuid))
    vms = (clone, original, *poll.inventory.vms[2:])

    found = believed(poll._replace(inventory=replace(poll.inventory, vms=vms)), last)

    assert isinstance(found, CheckedInventory)
    assert found.shared_uuids == {original.config.uuid}
    assert found.vms[original.config.uuid].config.key == original.config.key


@pytest.mark.parametrize("word", StatusWord)
@pytest.mark.parametrize("running", [True, False, None])
def test_only_running_is_up_and_only_stopped_is_down(
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

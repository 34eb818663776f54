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
from exporter.simulator.world.builder import ClusterPlan
from tests.recovery.harness import Harness

RULES = Limits()
ONE_NODE = (ClusterPlan("prod", 1),)


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


# Rows that stand still, of a VM that hangs or whose status was set by hand.


def with_rows(poll: PollResult, of: Callable[[MachineStatus], MachineStatus]) -> PollResult:
    """Return the poll with other status rows."""
    assert poll.inventory is not None
    rows: Any = poll.inventory.sources["machine_status"]
    sources = {
        **poll.inventory.sources,
        "machine_status": {key: of(row) for key, row in rows.items()},
    }
    return poll._replace(inventory=replace(poll.inventory, sources=sources))


def a_vm(harness: Harness) -> int:
    return harness.world.vm("web-01").machine.key


def test_inventory_is_accepted_again_when_only_other_nodes_write_rows(harness: Harness) -> None:
    by_hand = a_vm(harness)
    began = harness.world.now

    def stands_still(row: MachineStatus) -> MachineStatus:
        return replace(row, node=None, updated_at=began) if row.machine == by_hand else row

    def runs_alone(row: MachineStatus) -> MachineStatus:
        off = replace(row, running=False, word="stopped", node=None)
        return stands_still(row) if row.machine == by_hand else off

    last = believed(with_rows(poll_of(harness), runs_alone))
    for passed in (600, 20, 60):
        harness.clock.elapsed += passed
        assert isinstance(last, CheckedInventory)
        last = believed(with_rows(poll_of(harness), stands_still), last)

        assert isinstance(last, CheckedInventory)
        assert last.clock == pytest.approx(harness.world.now, abs=15)


@pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
def test_clock_that_was_set_is_followed_beside_a_row_that_stands_still(ahead: float) -> None:
    harness = Harness(vms=30, clusters=ONE_NODE)
    hung = a_vm(harness)
    at_first: dict[int, float | None] = {}

    def before(_: int, row: MachineStatus) -> float | None:
        at_first[row.machine] = row.updated_at + ahead if row.updated_at else None
        return at_first[row.machine]

    def after(_: int, row: MachineStatus) -> float | None:
        return at_first[hung] if row.machine == hung else row.updated_at

    last = believed(with_stamps(poll_of(harness), before))

    for _ in range(4):
        harness.clock.elapsed += 60  # longer than rows may stand still
        assert isinstance(last, CheckedInventory)
        last = believed(with_stamps(poll_of(harness), after), last)
        assert isinstance(last, CheckedInventory)
        assert last.clock == pytest.approx(harness.world.now, abs=15)


def test_row_without_a_node_does_not_set_the_time_at_the_start() -> None:
    harness = Harness(vms=30, clusters=ONE_NODE)
    hand_set = a_vm(harness)

    found = believed(
        with_rows(
            poll_of(harness),
            lambda row: replace(row, node=None, updated_at=1e9) if row.machine == hand_set else row,
        )
    )

    assert isinstance(found, CheckedInventory)
    assert found.clock == pytest.approx(harness.world.now, abs=15)


def test_vms_that_hang_do_not_make_the_rows_of_their_node_lag(harness: Harness) -> None:
    harness.advance(20)
    for name in harness.names:
        harness.world.hang(name)

    harness.advance(200)

    assert harness.recovery.state.health.problem is None


def test_inventory_is_trusted_again_after_all_nodes_failed_beside_a_row_set_by_hand() -> None:
    harness = Harness().warm()
    harness.world.crash("web-01")
    for node in harness.world.nodes.values():
        harness.world.node_fails(node)
    harness.advance(300)
    harness.world.forces_status("web-01", word="running", running=True)
    harness.new_process()
    harness.advance(300)
    assert harness.recovery.state.health.degraded_by  # only that row runs, and it stands still

    for node in harness.world.nodes.values():
        harness.world.node_returns(node)
    harness.advance(200)

    assert not harness.recovery.state.health.degraded_by

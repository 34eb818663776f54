"""Which status rows VergeOS no longer updates."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.collectors.inventory import join
from exporter.model import FrozenStatus, Inventory, MachineStatus, StatusWord
from exporter.status_updates import STATUS, StatusUpdates, without_frozen
from tests.exposition.builders import config, status

AFTER = 120.0
ONE, TWO = 1, 2


def vm_row(key: int, node: int | None, at: float | None, **changes: object) -> MachineStatus:
    """Return the row of a VM that runs."""
    return replace(status(machine=100 + key), node=node, updated_at=at, **changes)


def off(key: int, at: float) -> MachineStatus:
    return vm_row(key, None, at, running=False, word=StatusWord.STOPPED)


def inventory(rows: Iterable[MachineStatus]) -> Inventory:
    """Return an inventory with a VM for each row."""
    rows = list(rows)
    vms = tuple(replace(config(row.machine - 100, "vm"), machine=row.machine) for row in rows)
    return join(
        {"vms": vms, STATUS: {row.machine: row for row in rows}},
        system_name="prod",
        identity=None,
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def frozen_after(polls: Mapping[Any, Iterable[MachineStatus]]) -> FrozenStatus:
    """Return what is frozen after *polls*, by the time of our clock."""
    updates = StatusUpdates()
    for at, rows in polls.items():
        updates = updates.after(inventory(rows), at=at)
    return updates.frozen(after_seconds=AFTER)


def test_nothing_is_frozen_while_a_row_of_each_node_moves() -> None:
    polls = {
        at: [vm_row(1, ONE, 1000 + at), vm_row(2, TWO, 1000 + at // 60), vm_row(3, TWO, 7)]
        for at in range(0, 600, 20)
    }

    assert frozen_after(polls) == FrozenStatus(system=False)


def test_system_is_frozen_when_no_row_of_any_node_moves() -> None:
    rows = [vm_row(1, ONE, 1000), vm_row(2, TWO, 1010), off(3, 5)]

    assert frozen_after({0: rows, 119: rows}) == FrozenStatus()  # not known yet
    assert frozen_after({0: rows, 120: rows}) == FrozenStatus(
        system=True,
        nodes=frozenset({ONE, TWO}),
        machines=frozenset({101, 102, 103}),  # one that is off may have been started since
    )


def test_frozen_node_concerns_only_its_own_vms() -> None:
    polls = {
        at: [vm_row(1, ONE, 1000), vm_row(2, ONE, 1010), vm_row(3, TWO, 1000 + at), off(4, 5)]
        for at in (0, 60, 120)
    }

    assert frozen_after(polls) == FrozenStatus(
        system=False, nodes=frozenset({ONE}), machines=frozenset({101, 102})
    )


@pytest.mark.parametrize("skew", [-1e6, -3600.0, 0.0, 3600.0, 1e6])
def test_clock_of_the_platform_may_be_any(skew: float) -> None:
    polls = {at: [vm_row(1, ONE, 2e9 + skew + at)] for at in (0, 60, 120, 180, 240)}

    assert frozen_after(polls).system is False


def test_clock_that_is_set_back_freezes_nothing() -> None:
    polls = {at: [vm_row(1, ONE, 1000 + at - 3600 * (at >= 120))] for at in (0, 60, 120, 180, 240)}

    assert frozen_after(polls).system is False


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [off(1, 1000), off(2, 1010)],
        [vm_row(1, ONE, None)],
        [vm_row(1, ONE, 1000, word=StatusWord.UNRESPONSIVE)],
    ],
    ids=["no VM", "all are off", "no times", "the only one hangs"],
)
def test_without_vms_whose_rows_move_nothing_is_frozen(rows: list[MachineStatus]) -> None:
    assert frozen_after({0: rows, 1e6: rows}) == FrozenStatus(system=False)


def test_physical_node_that_is_not_updated_is_no_evidence() -> None:
    node = vm_row(50, ONE, 1000)
    updates = StatusUpdates()
    for at in (0.0, 1e6):
        found = inventory([off(1, 5)])
        sources = {**found.sources, STATUS: {101: off(1, 5), node.machine: node}}
        updates = updates.after(replace(found, sources=sources), at=at)

    assert updates.frozen(after_seconds=AFTER) == FrozenStatus(system=False)


def test_row_without_a_node_was_set_by_hand() -> None:
    polls = {at: [vm_row(1, ONE, 1000 + at), vm_row(2, None, 1000)] for at in (0, 60, 120)}

    assert frozen_after(polls) == FrozenStatus(system=False)


def test_rows_of_a_release_that_tells_no_nodes_are_one_group() -> None:
    rows = [vm_row(1, None, 1000), vm_row(2, None, 1000)]

    assert frozen_after({0: rows, 120: rows}).system is True


def test_first_vm_that_starts_on_a_node_is_not_frozen_at_once() -> None:
    still = [vm_row(1, ONE, 1000)]

    assert frozen_after({0: still, 120: still, 140: [*still, vm_row(2, TWO, 900)]}) == FrozenStatus(
        system=False, nodes=frozenset({ONE}), machines=frozenset({101})
    )


def test_update_ends_a_freeze() -> None:
    rows = [vm_row(1, ONE, 1000), vm_row(2, ONE, 1000)]
    moved = [vm_row(1, ONE, 1000), vm_row(2, ONE, 1200)]

    assert frozen_after({0: rows, 120: rows, 140: moved}) == FrozenStatus(system=False)


nodes = st.sampled_from([ONE, TWO, None])
moves = st.lists(st.tuples(nodes, st.booleans()), min_size=1, max_size=8)


@given(st.lists(moves, min_size=2, max_size=10))
def test_vm_whose_row_moved_at_the_last_poll_is_never_frozen(history: list[list[Any]]) -> None:
    polls = {
        60.0 * number: [
            vm_row(key, node, 1e9 + number * moves) for key, (node, moves) in enumerate(rows)
        ]
        for number, rows in enumerate(history)
    }
    frozen = frozen_after(polls)
    last, before = list(polls.values())[-1], list(polls.values())[-2]
    was = {row.machine: row for row in before}
    for row in last:
        moved = row.machine in was and was[row.machine].updated_at != row.updated_at
        if moved and row.node is not None:
            assert row.machine not in frozen.machines


def test_withdrawn_inventory_has_no_status_of_frozen_machines() -> None:
    rows = [vm_row(1, ONE, 1000), vm_row(2, TWO, 1000)]
    frozen = FrozenStatus(system=False, nodes=frozenset({ONE}), machines=frozenset({101}))
    found = replace(inventory(rows), frozen=frozen)

    shown = without_frozen(found)

    assert [vm.status for vm in shown.vms] == [None, rows[1]]
    assert [vm.config for vm in shown.vms] == [vm.config for vm in found.vms]
    assert shown.sources[STATUS] == {102: rows[1]}
    assert shown.status_updated_at == found.status_updated_at
    assert without_frozen(inventory(rows)) == inventory(rows)

"""How the nodes have been: what may be the cause of their VMs' trouble."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import Node
from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.node_history import (
    Drop,
    NodeHistory,
    has_failed,
    lost_several,
    update_node_histories,
    was_sick,
)
from tests.recovery.inventory_values import checked, node

LIMITS = Limits()
AT = 5000.0
KEPT = LIMITS.node_failure_window_seconds + LIMITS.platform_seconds
WINDOW = LIMITS.node_failure_window_seconds
BEFORE = NodeHistory(100.0, drops=(Drop(AT - 1, "u9"),), sick_at=40.0, failed_at=30.0)


def after(
    of: Node | None,
    before: NodeHistory | None = BEFORE,
    dropped: Mapping[str, int] | None = None,
) -> dict[int, NodeHistory]:
    histories = {1: before} if before else {}
    shown = checked(at=AT, nodes=[of] if of else [])
    return update_node_histories(histories, shown, dropped or {}, LIMITS)


@pytest.mark.parametrize(
    ("of", "well_since", "sick_at", "failed_at"),
    [
        (node(), 100.0, 40.0, 30.0),
        (node(maintenance=True), None, AT, 30.0),  # which is no failure
        (node(word="maintenance"), None, AT, 30.0),
        (node(word="stopped", running=False), None, AT, AT),
    ],
)
def test_inventory_shows_how_a_node_is(
    of: Node, well_since: float | None, sick_at: float, failed_at: float
) -> None:
    found = after(of)[1]

    assert (found.well_since, found.sick_at, found.failed_at) == (well_since, sick_at, failed_at)
    assert found.drops == BEFORE.drops
    assert of.status is not None
    assert found.started_clock == of.status.started_at


@pytest.mark.parametrize("before", [None, BEFORE._replace(well_since=None)])
def test_node_is_well_since_the_first_inventory_that_shows_it(before: NodeHistory | None) -> None:
    found = after(node(), before)[1]

    assert found.well_since == AT
    assert found.sick_at == (40.0 if before else None)


def test_node_that_is_not_listed_is_not_known_to_be_well() -> None:
    assert after(None) == {1: BEFORE._replace(well_since=None)}


def test_node_without_a_status_has_failed_and_no_start() -> None:
    found = after(replace(node(), status=None))[1]

    assert (found.failed_at, found.started_clock) == (AT, None)


def test_drops_are_kept_for_as_long_as_the_platform_may_act() -> None:
    old, kept = Drop(AT - KEPT, "old"), Drop(AT - KEPT + 1, "kept")
    before = NodeHistory(None, drops=(old, kept))

    found = after(node(), before, {"u1": 1, "u2": 2, "u3": 1})[1]

    assert found.drops == (kept, Drop(AT, "u1"), Drop(AT, "u3"))


@pytest.mark.parametrize(
    ("history", "clock", "failed"),
    [
        ({}, 90.0, False),
        ({"failed_at": 49.0}, 90.0, False),
        ({"failed_at": 50.0}, 90.0, True),
        ({"failed_at": 51.0}, None, True),
        ({"started_clock": 90.0}, 90.0, False),
        ({"started_clock": 91.0}, 90.0, True),
        ({"started_clock": 91.0}, None, False),
        ({"failed_at": 49.0, "started_clock": 91.0}, 90.0, True),
        ({"sick_at": 60.0}, 90.0, False),
    ],
)
def test_node_has_failed_if_it_did_not_run_since_or_was_started_since(
    history: dict[str, Any], clock: float | None, failed: bool
) -> None:
    of = NodeHistory(None, **history)

    assert has_failed(of, since=50.0, since_clock=clock) is failed
    assert was_sick(of, since=50.0, since_clock=clock) is (failed or history.get("sick_at") == 60.0)


@pytest.mark.parametrize(("sick_at", "sick"), [(None, False), (49.0, False), (50.0, True)])
def test_node_was_sick_if_an_inventory_since_showed_it_not_well(
    sick_at: float | None, sick: bool
) -> None:
    assert was_sick(NodeHistory(None, sick_at=sick_at), since=50.0, since_clock=None) is sick


@pytest.mark.parametrize(
    ("drops", "lost_at"),
    [
        ([], None),
        ([("a", 100)], None),
        ([("a", 100), ("a", 101)], None),  # one VM that falls again and again
        ([("a", 100), ("b", 100)], 100),
        ([("a", 100), ("b", 100 + WINDOW)], 100 + WINDOW),
        ([("a", 100), ("b", 101 + WINDOW)], None),
        ([("a", 100), ("b", 110), ("c", 900)], 110),
        ([("c", 900), ("d", 910), ("a", 100), ("b", 110)], 910),
    ],
)
def test_node_lost_several_vms_if_two_went_down_within_two_minutes(
    drops: list[tuple[str, float]], lost_at: float | None
) -> None:
    of = NodeHistory(None, drops=tuple(Drop(at, uuid) for uuid, at in drops))

    assert lost_several(of, LIMITS) == lost_at

"""Exactly when an inventory is believed, and how VergeOS' time follows from its rows."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM, MachineStatus, Node, StatusWord
from exporter.recovery.model.cases import ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.inventory_checks import (
    CheckedInventory,
    RejectedInventory,
    check_inventory,
    classify,
    is_eligible,
    is_running,
    is_well,
    observed_state_of,
    repeated,
    went_back,
)
from tests.recovery.inventory_values import (
    CLOCK,
    DOWN,
    ENROLLED,
    EVERY,
    IGNORED,
    MONITORED,
    TIME,
    config,
    inventory,
    node,
    poll,
    row,
    vm,
)

LIMITS = Limits()
FROZEN = LIMITS.frozen_after_seconds
LAG = LIMITS.max_lag_seconds
Rows = Iterable[MachineStatus]


def shown(
    rows: Rows,
    last: CheckedInventory | None = None,
    *,
    at: float = EVERY,
    enrolled: Mapping[str, int] | None = None,
    **fields: Any,
) -> CheckedInventory | RejectedInventory:
    """Return what an inventory of VMs with these *rows* shows."""
    vms = [VM(config(one.machine - 100), one) for one in rows]
    return check_inventory(
        poll(inventory(vms), at=at, **fields), last, LIMITS, enrolled=enrolled or {}
    )


def accepted(
    rows: Rows, last: CheckedInventory | None = None, *, at: float = EVERY
) -> CheckedInventory:
    found = shown(rows, last, at=at)
    assert isinstance(found, CheckedInventory)
    return found


def reason(found: CheckedInventory | RejectedInventory) -> str:
    return found.reason if isinstance(found, RejectedInventory) else ""


def on(node: int | None, number: int, seconds: float, **fields: Any) -> MachineStatus:
    """Return the row of a VM on *node*, written so many seconds after 0 by VergeOS' time."""
    return row(number, node=node, updated_at=CLOCK + seconds, **fields)


def count(vms: int, of: int = 1) -> list[MachineStatus]:
    return [on(1, number, 20.0 * of) for number in range(1, vms + 1)]


# What is believed.


def test_inventory_has_what_the_poll_has() -> None:
    nodes = [node(1), node(2)]
    reported = inventory([vm(1), vm(2, updated_at=CLOCK + 9)], nodes=nodes)

    found = check_inventory(poll(reported, at=50.0), None, LIMITS, enrolled={})

    assert found == CheckedInventory(
        at=50.0,
        time=TIME + timedelta(seconds=50),
        clock=CLOCK + 9,
        written_at=50.0,
        node_clocks={1: CLOCK + 9},
        vms={"u1": reported.vms[0], "u2": reported.vms[1]},
        shared_uuids=frozenset(),
        nodes={1: nodes[0], 2: nodes[1]},
        vm_count=2,
        status_count=2,
        reported=reported,
    )


@pytest.mark.parametrize("problem", ["no answer", ""])
def test_poll_without_an_inventory_is_rejected_with_its_problem(problem: str) -> None:
    found = check_inventory(poll(None, problem=problem), None, LIMITS, enrolled={})

    assert isinstance(found, RejectedInventory)
    assert found.reason == "unread"
    assert found.detail
    assert found.detail == problem or not problem


@pytest.mark.parametrize(("took", "why"), [(EVERY, ""), (EVERY + 1, "slow")])
def test_poll_that_takes_longer_than_its_interval_is_slow(took: float, why: str) -> None:
    assert reason(shown(count(1), took_seconds=took)) == why


@pytest.mark.parametrize("sources", [{}, {"machine_status": {}}, {"machine_status": None}])
def test_inventory_without_a_status_row_is_empty(sources: dict[str, Any]) -> None:
    found = inventory([vm()], sources=sources)

    assert reason(check_inventory(poll(found), None, LIMITS, enrolled={})) == "empty"


def test_inventory_without_a_vm_is_empty() -> None:
    found = inventory([], rows=[row()])

    assert reason(check_inventory(poll(found), None, LIMITS, enrolled={})) == "empty"


@pytest.mark.parametrize(
    ("vms", "rows", "why"),
    [(8, 8, ""), (7, 8, "short"), (8, 7, "short"), (12, 12, "")],
)
def test_inventory_with_less_than_four_fifths_of_the_rows_before_is_short(
    vms: int, rows: int, why: str
) -> None:
    last = accepted(count(10))
    found = inventory(
        [VM(config(number), None) for number in range(1, vms + 1)], rows=count(rows, 2)
    )

    assert reason(check_inventory(poll(found, at=40.0), last, LIMITS, enrolled={})) == why


@pytest.mark.parametrize(
    ("enrolled", "missing", "why"),
    [
        (20, 3, ""),
        (20, 4, "rows_missing"),
        (60, 3, ""),
        (61, 4, "rows_missing"),
        (100, 5, ""),  # five percent
        (100, 6, "rows_missing"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_few_enrolled_vms_may_be_missing_or_lack_their_row(
    enrolled: int, missing: int, why: str, listed: bool
) -> None:
    vms = [vm(number) for number in range(1, enrolled + 1)]
    kept = vms[missing:]
    if listed:
        kept += [VM(one.config, None) for one in vms[:missing]]
    uuids = {one.config.uuid: one.config.key for one in vms}

    found = check_inventory(poll(inventory(kept)), None, LIMITS, enrolled=uuids)

    assert reason(found) == why


@pytest.mark.parametrize(("skipped", "why"), [(3, ""), (4, "rows_missing")])
def test_few_rows_may_be_unreadable(skipped: int, why: str) -> None:
    assert reason(shown(count(9), rows_skipped=skipped)) == why


# VMs that share a UUID, or have none.


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), set()),
        (("a", "b"), set()),
        (("a", "b", "a"), {"a"}),
        (("a",) * 3 + ("b",) * 2, {"a", "b"}),
    ],
)
def test_words_that_occur_more_than_once_are_found(words: tuple[str, ...], found: set[str]) -> None:
    assert repeated(words) == found


@pytest.mark.parametrize(
    ("had_before", "enrolled", "known"),
    [(True, {}, True), (False, {"u1": 1}, True), (False, {}, False)],
)
def test_vm_whose_uuid_cannot_be_read_is_the_one_that_had_its_key(
    *, had_before: bool, enrolled: Mapping[str, int], known: bool
) -> None:
    vms = [vm(number) for number in range(1, 6)]
    before = check_inventory(poll(inventory(vms)), None, LIMITS, enrolled={})
    assert isinstance(before, CheckedInventory)
    unread = VM(config(1, uuid="", unreadable=frozenset({"uuid"})), row(1))
    last = before if had_before else None

    found = check_inventory(
        poll(inventory([unread, *vms[1:]]), at=EVERY), last, LIMITS, enrolled=enrolled
    )

    assert isinstance(found, CheckedInventory)
    assert ("u1" in found.vms) is known
    assert not known or found.vms["u1"].status is None


@pytest.mark.parametrize(
    ("enrolled", "before", "kept"),
    [
        ({"u1": 1}, None, 1),
        ({"u1": 2}, None, 2),
        ({}, 1, 1),
        ({}, 2, 2),
        ({"u1": 2}, 1, 2),
        ({}, None, None),  # which of them it is cannot be known
    ],
)
def test_of_vms_that_share_a_uuid_the_one_that_had_it_before_keeps_it(
    enrolled: dict[str, int], before: int | None, kept: int | None
) -> None:
    twins = [VM(config(number, uuid="u1"), row(number)) for number in (1, 2)]
    others = [VM(config(3), row(3)), VM(config(4, uuid=""), row(4)), VM(config(5, uuid=""), row(5))]
    last = None
    if before:
        first = inventory([twins[before - 1], *others])
        checked = check_inventory(poll(first), None, LIMITS, enrolled={})
        assert isinstance(checked, CheckedInventory)
        last = checked

    found = check_inventory(poll(inventory([*twins, *others])), last, LIMITS, enrolled=enrolled)

    assert isinstance(found, CheckedInventory)
    assert found.shared_uuids == {"u1"}
    assert {uuid: one.config.key for uuid, one in found.vms.items()} == (
        {"u1": kept, "u3": 3} if kept else {"u3": 3}
    )


# VergeOS' time.


@pytest.mark.parametrize(
    ("rows", "clocks", "clock"),
    [
        ([on(1, 1, 0), on(1, 2, -9), on(1, 3, 4)], {1: 4}, 4),
        ([on(1, 1, 0), on(2, 2, 5), on(3, 3, 100)], {1: 0, 2: 5, 3: 100}, 5),
        ([on(1, 1, 0), on(2, 2, 5)], {1: 0, 2: 5}, 0),
        # A row of a VM that is off, or of no node, tells no time while others do.
        ([on(1, 1, 0), on(2, 2, 50, **DOWN)], {1: 0}, 0),
        ([on(1, 1, 0), on(None, 2, 50)], {1: 0}, 0),
        ([on(None, 1, 7), on(2, 2, 50, **DOWN)], {None: 7}, 7),
        ([on(2, 1, 50, **DOWN), on(None, 2, 60, **DOWN)], {2: 50, None: 60}, 50),
        ([on(1, 1, 0), row(2, node=2, updated_at=None)], {1: 0}, 0),
        ([row(1, updated_at=None)], {}, None),
    ],
)
def test_first_time_is_that_of_the_middle_node_by_the_rows_of_vms_that_run(
    rows: Rows, clocks: dict[int | None, float], clock: float | None
) -> None:
    found = accepted(rows)

    assert found.node_clocks == {key: CLOCK + time for key, time in clocks.items()}
    assert found.clock == (CLOCK + clock if clock is not None else None)


LAST = accepted([on(1, 1, 0), on(1, 4, 10), on(2, 2, 10), on(3, 3, 10)], at=0.0)
"""Three nodes whose time is 10; the first has two VMs."""


@pytest.mark.parametrize(
    ("rows", "clocks", "clock"),
    [
        ([on(1, 1, 30), on(2, 2, 30), on(3, 3, 30)], {1: 30, 2: 30, 3: 30}, 30),
        ([on(1, 1, 20), on(2, 2, 30), on(3, 3, 40)], {1: 20, 2: 30, 3: 40}, 30),
        # A node that does not write stands still, and does not count.
        ([on(1, 4, 10), on(2, 2, 30), on(3, 3, 32)], {1: 10, 2: 30, 3: 32}, 30),
        ([on(1, 1, 10), on(1, 4, 10), on(2, 2, 30)], {1: 10, 2: 30}, 30),
        ([on(1, 1, 11), on(2, 2, 11), on(3, 3, 40)], {1: 11, 2: 11, 3: 40}, 11),
        # Its newest VM has stopped: its time does not go back.
        (
            [on(1, 1, 0), on(1, 4, 10, **DOWN), on(2, 2, 30), on(3, 3, 30)],
            {1: 10, 2: 30, 3: 30},
            30,
        ),
        # One node is set back.
        ([on(1, 1, -990), on(2, 2, 30), on(3, 3, 30)], {1: -990, 2: 30, 3: 30}, 30),
        # A node or VM that was not there before moves nothing.
        ([on(1, 1, 30), on(2, 2, 30), on(9, 3, 900)], {1: 30, 2: 30, 9: 900}, 30),
        ([on(1, 1, 30), on(2, 2, 30), on(9, 9, 900)], {1: 30, 2: 30, 9: 900}, 30),
        # Only nodes write that were not there before.
        ([on(8, 1, 700), on(9, 2, 900)], {8: 700, 9: 900}, 30),
        ([on(9, 9, 900), on(3, 3, 10)], {9: 900, 3: 10}, 10),
        # All nodes were set back, by less and by more than rows that come and go explain.
        ([on(1, 1, -90), on(2, 2, -90), on(3, 3, -90)], {1: -90, 2: -90, 3: -90}, 10),
        ([on(1, 1, -290), on(2, 2, -290)], {1: -290, 2: -290}, 10),
        ([on(1, 1, -291), on(2, 2, -291)], {1: -291, 2: -291}, -291),
        # No row tells a time any more.
        ([row(1, updated_at=None), row(2, updated_at=None)], {}, 10),
    ],
)
def test_time_goes_on_as_far_as_most_nodes_that_write(
    rows: Rows, clocks: dict[int | None, float], clock: float
) -> None:
    found = accepted([*rows, *(row(number, updated_at=None) for number in (5, 6, 7))], LAST)

    assert found.node_clocks == {key: CLOCK + time for key, time in clocks.items()}
    assert found.clock == CLOCK + clock


def test_time_begins_when_the_first_row_tells_one() -> None:
    timeless = accepted([row(1, updated_at=None)], at=0.0)

    found = accepted([on(1, 1, 20)], timeless, at=500.0)

    assert (found.clock, found.written_at) == (CLOCK + 20, 500.0)


@pytest.mark.parametrize(("still", "why"), [(FROZEN, ""), (FROZEN + 1, "frozen")])
def test_inventory_is_frozen_if_no_row_was_written_for_longer_than_half_a_minute(
    still: float, why: str
) -> None:
    first = accepted([on(1, 1, 0)], at=100.0)
    second = accepted([on(1, 1, 0)], first, at=110.0)
    assert (second.written_at, second.clock) == (100.0, CLOCK)

    assert reason(shown([on(1, 1, 0)], second, at=100.0 + still)) == why
    written = accepted([on(1, 1, 1)], second, at=100.0 + still)
    assert written.written_at == 100.0 + still


def test_frozen_rows_that_were_set_back_are_believed() -> None:
    last = accepted([on(1, 1, 0)], at=100.0)

    assert accepted([on(1, 1, -301)], last, at=900.0).clock == CLOCK - 301


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([on(1, 1, 0), on(1, 2, -LAG), on(1, 3, -LAG)], ""),
        ([on(1, 1, 0), on(1, 2, -LAG - 1), on(1, 3, -LAG - 1)], "lagging"),
        ([on(1, 1, 0), on(1, 2, 0), on(1, 3, -900)], ""),
        # Another node is in time.
        ([on(1, 1, 0), on(1, 2, -900), on(1, 3, -900), on(2, 4, 0)], ""),
        ([on(1, 1, 0), on(1, 2, -900), on(2, 4, 0), on(2, 5, -900)], "lagging"),
        # The rows of VMs that hang or are off may stand still.
        ([on(1, 1, 0), *(on(1, n, -900, word="unresponsive") for n in (2, 3, 4))], ""),
        ([on(1, 1, 0), *(on(1, n, -900, **DOWN) for n in (2, 3, 4))], ""),
        ([on(1, 1, 0, running=False), *(on(1, n, -900, running=False) for n in (2, 3))], ""),
        ([on(1, 1, 0, **DOWN), *(on(1, n, -900, **DOWN) for n in (2, 3))], ""),
    ],
)
def test_inventory_lags_if_on_every_node_most_rows_are_over_a_minute_old(
    rows: Rows, why: str
) -> None:
    assert reason(shown(rows)) == why


@pytest.mark.parametrize(
    ("before", "clock", "back"),
    [
        (1000.0, 700.0, False),
        (1000.0, 699.0, True),
        (1000.0, 1200.0, False),
        (None, 1.0, False),
        (1000.0, None, False),
        (None, None, False),
    ],
)
def test_clock_went_back_by_more_than_half_the_margin_of_the_logs(
    before: float | None, clock: float | None, back: bool
) -> None:
    assert went_back(before, clock, Limits(log_before_seconds=600)) is back


# What a row says.

S = ObservedState
WORDS: Mapping[str, ObservedState] = {
    **dict.fromkeys(("running", "needsrefresh", "needsrestart", "driversreloading"), S.UP),
    **dict.fromkeys(("initializing", "starting", "importing"), S.BUSY),
    **dict.fromkeys(("initmigrate", "startmigrate", "migrating", "migratecomplete"), S.BUSY),
    **dict.fromkeys(("maintenance", "leavingmaintenance"), S.BUSY),
    **dict.fromkeys(("stopping", "hibernating"), S.STOPPING),
    **dict.fromkeys(("waitingforresources", "unlicensed"), S.WAITING),
    "hibernated": S.HIBERNATED,
    "error": S.ERROR,
    "unresponsive": S.HUNG,
    "stopped": S.DOWN,
    "defragmenting": S.INCONSISTENT,
}


def test_every_known_word_has_a_meaning() -> None:
    assert WORDS.keys() - {"defragmenting"} == set(StatusWord)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("running", [True, False, None])
@pytest.mark.parametrize("of", ["", "online", "error"])
def test_row_says_what_its_word_means_unless_it_contradicts_itself(
    word: str, running: bool | None, of: str
) -> None:
    expected = WORDS[word]
    contradicts = {S.UP: running is not True, S.DOWN: running is not False}.get(expected, False)
    if contradicts or expected is S.INCONSISTENT:
        expected = S.INCONSISTENT
    if expected in (S.DOWN, S.INCONSISTENT) and of == "error" and not running:
        expected = S.ERROR

    assert observed_state_of(word, running, of) is expected


@pytest.mark.parametrize(
    ("of", "observed"),
    [
        (None, S.GONE),
        (vm(), S.UP),
        (vm(**DOWN), S.DOWN),
        (vm(state="error", **DOWN), S.ERROR),
        (VM(config(), None), S.GONE),
        (VM(config(enabled=None), row()), S.GONE),
        (VM(config(enabled=False), row()), S.INELIGIBLE),
        (VM(config(enabled=False), None), S.INELIGIBLE),
    ],
)
def test_vm_is_what_its_row_says_if_it_is_listed_eligible_and_has_one(
    of: VM | None, observed: ObservedState
) -> None:
    assert classify(of, ENROLLED) is observed


@pytest.mark.parametrize(
    ("unreadable", "has_status", "expected"),
    [
        (frozenset({"uuid"}), False, ObservedState.GONE),  # perhaps it is another one
        (frozenset({"uuid"}), True, ObservedState.INELIGIBLE),
        (frozenset({"cpu_cores"}), False, ObservedState.INELIGIBLE),
        (frozenset(), False, ObservedState.INELIGIBLE),
    ],
)
def test_vm_that_was_not_seen_is_gone_even_if_what_is_left_of_it_is_ineligible(
    unreadable: frozenset[str], expected: ObservedState, *, has_status: bool
) -> None:
    disabled = config(1, enabled=False, unreadable=unreadable)

    assert classify(VM(disabled, row(1) if has_status else None), ENROLLED) is expected


@pytest.mark.parametrize(
    ("fields", "enrolment", "eligible"),
    [
        ({}, ENROLLED, True),
        ({}, MONITORED, True),
        ({}, IGNORED, False),
        ({}, None, False),
        ({"enabled": None}, ENROLLED, True),
        ({"enabled": False}, ENROLLED, False),
        ({"service": True}, ENROLLED, False),
        ({"uuid": ""}, ENROLLED, False),
    ],
)
def test_vm_is_eligible_unless_it_is_ignored_disabled_a_service_or_without_a_uuid(
    fields: dict[str, Any], enrolment: Any, eligible: bool
) -> None:
    assert is_eligible(VM(config(**fields), row()), enrolment) is eligible
    assert (classify(VM(config(**fields), row()), enrolment) is not S.INELIGIBLE) is eligible


@pytest.mark.parametrize(
    ("of", "runs", "well"),
    [
        (None, False, False),
        (replace(node(), status=None), False, False),
        (node(), True, True),
        (node(maintenance=None), True, True),
        (node(maintenance=True), True, False),
        (node(word="maintenance"), True, False),
        *((node(word=word), True, True) for word in WORDS if WORDS[word] is S.UP),
        (node(word="leavingmaintenance"), False, False),
        (node(word="unresponsive"), False, False),
        (node(running=False), False, False),
        (node(running=None), False, False),
        (node(running=False, word="maintenance"), False, False),
    ],
)
def test_node_runs_in_maintenance_too_but_is_well_only_outside_of_it(
    of: Node | None, runs: bool, well: bool
) -> None:
    assert (is_running(of), is_well(of)) == (runs, well)


def test_policies_that_act_are_all_but_two() -> None:
    assert {policy for policy in Policy if not policy.acts} == {Policy.NO, Policy.IGNORE}

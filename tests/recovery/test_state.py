"""How one poll changes what is known of a system."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM, PlatformStatus
from exporter.recovery.model.cases import Case, Enrolment, ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.circuit_breaker import BreakerState, CircuitBreaker
from exporter.recovery.observe.health import Health
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.node_history import Drop, NodeHistory
from exporter.recovery.observe.platform_history import PlatformHistory
from exporter.recovery.observe.state import (
    CLOCK_JUMPED,
    RecoveryState,
    accepted,
    advance,
    newly_down,
    update_cases,
    warmed_up,
)
from tests.recovery.inventory_values import (
    CLOCK,
    DOWN,
    ENROLLED,
    EVERY,
    IGNORED,
    MONITORED,
    NO_EVIDENCE,
    TIME,
    case,
    checked,
    config,
    down,
    inventory,
    moment,
    node,
    poll,
    row,
    state,
    vm,
)

LIMITS = Limits()
GAP = LIMITS.max_gap_seconds
CLOCK_BACK = LIMITS.log_before_seconds / 2
"""How far VergeOS' clock may go back, as rows come and go."""


def written(at: float, *vms: VM) -> tuple[VM, ...]:
    """Return the VMs with rows that were written *at*."""
    return tuple(
        VM(one.config, replace(one.status, updated_at=CLOCK + at)) if one.status else one
        for one in vms
    )


def watched(*vms: VM, cases: tuple[Case, ...] | None = None, **fields: Any) -> RecoveryState:
    """Return what is known after an inventory of *vms* at 1000 s."""
    own = cases if cases is not None else tuple(case(one.config.key) for one in vms)
    last = checked(written(1000.0, *vms), at=1000.0, node_clocks={1: CLOCK + 1000})
    seen = {"inventory": last, "seen_at": last.at, "seen_time": last.time, "seen_clock": last.clock}
    return state(own, **{**seen, **fields})


def ten(**changed: Any) -> tuple[VM, ...]:
    return tuple(vm(number, **changed) for number in range(1, 11))


def next_poll(
    before: RecoveryState,
    *vms: VM,
    at: float = 1000.0 + EVERY,
    clock: float | None = None,
    enrolments: Mapping[str, Enrolment] | None = None,
    update: str = "",
    **fields: Any,
) -> RecoveryState:
    """Return the state after a poll of *vms*, whose rows are written then."""
    found = inventory(
        written(at if clock is None else clock, *vms), platform=PlatformStatus(update=update)
    )
    known = before.enrolments if enrolments is None else enrolments
    return advance(before, poll(found, at=at, **fields), known, LIMITS)


# Of a poll.


def test_valid_inventory_replaces_the_one_before() -> None:
    breaker = CircuitBreaker(BreakerState.OPEN, since=900.0)
    before = watched(*ten(), breaker=breaker, accepted_at=4.0)
    enrolments = {"u1": MONITORED}

    after = next_poll(before, *ten(), enrolments=enrolments, update="installing")

    assert after.inventory is after.valid_inventory
    assert after.valid_inventory.at == 1020.0
    assert after.enrolments is enrolments
    assert (after.seen_at, after.seen_time) == (1020.0, TIME + timedelta(seconds=1020))
    assert after.seen_clock == CLOCK + 1020
    assert after.breaker is breaker
    assert after.accepted_at is None
    assert after.health == Health(
        warm_since=1020.0,
        warm_because="nothing was seen for 1020 s",
        polls=1,
        valid_in_a_row=1,
        last_valid_at=1020.0,
    )
    assert after.platform == PlatformHistory("installing", 1020.0)
    assert after.cases.keys() == {"u1"}  # the others are enrolled no longer


def test_rejected_inventory_changes_the_health_alone() -> None:
    before = watched(*ten())

    after = next_poll(before, *ten()[:7])

    assert after.health.problem is not None
    assert after.health.problem.reason == "short"
    assert after == before._replace(health=after.health)


def test_state_is_replaced_and_shares_what_did_not_change() -> None:
    before = watched(*ten())

    assert before.with_cases({}) is before
    changed = before.with_cases({"u1": case(2)})
    assert changed.cases["u1"] == case(2)
    assert changed.cases["u2"] is before.cases["u2"]
    assert isinstance(changed.cases, MappingProxyType)


def test_rows_of_enrolled_vms_may_not_be_missing_but_those_of_others_may() -> None:
    twenty = tuple(vm(number) for number in range(1, 21))
    cases = [case(one.config.key) for one in twenty]
    without = tuple(VM(one.config, None if one.config.key > 16 else one.status) for one in twenty)
    for number in range(16, 20):
        cases[number] = replace(cases[number], policy=Policy.NO)

    enrolled = next_poll(watched(*twenty), *without)
    monitored = next_poll(watched(*twenty, cases=tuple(cases)), *without)

    assert enrolled.health.problem is not None
    assert enrolled.health.problem.reason == "rows_missing"
    assert monitored.health.problem is None


@pytest.mark.parametrize(
    ("accepted_at", "believed"),
    [(1020.0, True), (1020.0 - GAP, True), (1019.0 - GAP, False), (None, False)],
)
def test_short_inventory_that_an_operator_accepted_counts_and_forgets_the_vms_it_lacks(
    accepted_at: float | None, believed: bool
) -> None:
    cases = (*(case(number) for number in range(1, 10)), case(10, state=State.VERIFYING))
    before = watched(*ten(), cases=cases, accepted_at=accepted_at)
    shown = (*ten()[:4], VM(config(5), None))

    after = next_poll(before, *shown)

    assert (after.health.problem is None) is believed
    assert (after.inventory is before.inventory) is not believed
    if believed:
        assert after.cases.keys() == {"u1", "u2", "u3", "u4", "u10"}
        assert after.cases["u1"] is before.cases["u1"]


@pytest.mark.parametrize("of", State)
def test_accepted_inventory_lacks_no_vm_whose_action_is_open(of: State) -> None:
    before = watched(*ten(), cases=(case(1), case(2, state=of)), accepted_at=1000.0)

    after = next_poll(before, vm(1))

    assert after.health.problem is None
    assert ("u2" in after.cases) is (of in OPEN)


def test_accepted_poll_that_could_not_be_read_shows_nothing() -> None:
    before = watched(*ten(), accepted_at=1000.0)

    after = advance(before, poll(None, at=1020.0), before.enrolments, LIMITS)

    assert after.health.problem is not None
    assert after.cases is before.cases


def test_accept_is_remembered_with_its_time_and_half_opens_the_breaker() -> None:
    before = state(breaker=CircuitBreaker(BreakerState.OPEN))

    after = accepted(before, at=50.0)

    assert after.accepted_at == after.breaker.accepted_at == 50.0
    assert after.breaker.breaker_state is BreakerState.HALF_OPEN


def test_warm_up_has_its_time_and_its_reason() -> None:
    after = warmed_up(state(health=Health(polls=7)), "a pause", at=50.0)

    assert after.health == Health(warm_since=50.0, warm_because="a pause", polls=0)


# Of clocks.


def identity(number: int) -> dict[str, Any]:
    return {name: getattr(case(number), name) for name in ("uuid", "key", "machine", "name")}


@pytest.mark.parametrize(("back", "is_set_back"), [(CLOCK_BACK, False), (CLOCK_BACK + 1, True)])
def test_no_time_of_a_clock_that_was_set_back_is_kept(back: float, is_set_back: bool) -> None:
    cases = (
        case(1),
        down(**identity(2), up_clock=5.0),
        down(**identity(3), lost_clock=6.0),
        down(**identity(4)),
    )
    vms = (vm(1), *(vm(number, **DOWN) for number in (2, 3, 4)))
    vms = (*vms, vm(9))
    before = watched(*vms, cases=cases, health=Health(last_valid_at=1000.0))

    after = next_poll(before, vm(1, **DOWN), *vms[1:], clock=1000.0 - back)

    clocks = [(one.up_clock, one.lost_clock) for one in after.cases.values()]
    clock = after.seen_clock
    now = CLOCK + 1000
    if is_set_back:
        assert clock == now - back
        assert clocks == [(None, clock), (None, None), (None, None), (None, None)]
    else:
        assert clocks == [(now, now), (5.0, None), (None, 6.0), (None, None)]
    assert (after.health.warm_because == CLOCK_JUMPED) is is_set_back
    assert after.health.warm_since == (1020.0 if is_set_back else 0.0)


@pytest.mark.parametrize(
    ("off", "jumped"), [(0.0, False), (40.0, False), (-40.0, False), (41.0, True), (-41.0, True)]
)
@pytest.mark.parametrize("is_first", [False, True])
def test_time_of_day_that_moves_otherwise_than_time_does_is_followed_by_a_warm_up(
    off: float, jumped: bool, is_first: bool
) -> None:
    fields: dict[str, Any] = {"inventory": None} if is_first else {}
    before = watched(vm(1), health=Health(last_valid_at=1000.0), **fields)

    after = next_poll(before, vm(1), time=TIME + timedelta(seconds=1020 + off))

    assert (after.health.warm_because == CLOCK_JUMPED) is (jumped and not is_first)


@pytest.mark.parametrize(
    ("seen", "gap"),
    [
        ({}, 20.0),
        ({"seen_at": 970.0}, 50.0),
        ({"seen_time": TIME + timedelta(seconds=960)}, 60.0),
        ({"seen_time": None}, 20.0),
        ({"seen_clock": CLOCK + 950}, 70.0),
        ({"seen_clock": None}, 20.0),
        ({"seen_at": None}, 0.0),
    ],
)
def test_gap_before_a_vm_goes_down_is_the_longest_by_any_clock(
    seen: dict[str, Any], gap: float
) -> None:
    before = watched(vm(1), **seen)

    after = next_poll(before, vm(1, **DOWN)).cases["u1"]

    assert after.max_gap_seconds == gap
    first = seen == {"seen_at": None}
    assert after.up_at == (1020.0 if first else seen.get("seen_at", 1000.0))
    assert after.up_clock == (CLOCK + 1020 if first else seen.get("seen_clock", CLOCK + 1000))


def test_unknown_time_of_the_platform_is_no_gap() -> None:
    before = watched(vm(1))
    rowless = VM(config(1), row(1, updated_at=None, **DOWN))

    after = advance(before, poll(inventory([rowless]), at=1020.0), before.enrolments, LIMITS)
    started = advance(
        before._replace(inventory=None),
        poll(inventory([rowless]), at=1020.0),
        before.enrolments,
        LIMITS,
    )

    assert after.cases["u1"].max_gap_seconds == started.cases["u1"].max_gap_seconds == 20.0
    assert started.seen_clock is None


# Of the VMs.

HEALTHY = case(1)


def cases_after(
    before: Case | None, of: VM | None, enrolment: Enrolment | None = ENROLLED
) -> dict[str, Case]:
    return update_cases(
        {before.uuid: before} if before else {},
        checked([of] if of else []),
        {"u1": enrolment} if enrolment else {},
        moment(),
        LIMITS,
    )


def test_case_of_a_vm_that_stays_up_is_the_same_object() -> None:
    assert cases_after(HEALTHY, vm())["u1"] is HEALTHY


@pytest.mark.parametrize(
    ("before", "of", "after"),
    [
        ({"state": State.PROBATION}, vm(), {"state": State.HEALTHY, "since": 1000.0}),
        ({"observed": ObservedState.GONE, "missing": 2, "up_at": 940.0}, vm(), {}),
        ({}, vm(running=False), {"observed": ObservedState.INCONSISTENT}),
        ({}, vm(running=None), {"observed": ObservedState.INCONSISTENT}),
        ({}, vm(word="needsrestart"), {"word": "needsrestart"}),
        ({}, vm(node=2), {"node": 2}),
        ({}, vm(node=None), {"node": None}),
        ({}, VM(config(machine=555), row()), {"machine": 555, "since": 1000.0}),
        ({}, VM(config(name="new"), row()), {"name": "new", "former_names": ("web-1",)}),
        ({}, VM(config(enabled=None), row()), {"observed": ObservedState.GONE}),
        ({}, VM(config(), None), {"observed": ObservedState.GONE}),
        ({"policy": Policy.ALWAYS}, vm(), {"policy": Policy.ON_FAILURE}),
        ({"word": "needsrestart"}, vm(), {}),
    ],
)
def test_every_change_of_a_vm_that_is_up_is_noticed(
    before: dict[str, Any], of: VM, after: dict[str, Any]
) -> None:
    found = cases_after(replace(HEALTHY, **before), of)["u1"]

    for name, value in after.items():
        assert getattr(found, name) == value
    if "observed" not in after:
        assert found == replace(HEALTHY, **after)


@pytest.mark.parametrize(
    ("of", "enrolment"),
    [
        (VM(config(enabled=False), row()), ENROLLED),
        (VM(config(service=True), row()), ENROLLED),
        (vm(), None),
        (vm(), IGNORED),
    ],
)
@pytest.mark.parametrize("policy", [Policy.ON_FAILURE, Policy.IGNORE])
def test_vm_that_is_ignored_is_followed_no_longer(
    of: VM, enrolment: Enrolment | None, policy: Policy
) -> None:
    assert cases_after(replace(HEALTHY, policy=policy), of, enrolment) == {}


def test_vm_that_is_not_listed_keeps_its_policy_for_three_inventories() -> None:
    missing = cases_after(HEALTHY, None, None)["u1"]

    assert (missing.policy, missing.missing) == (Policy.ON_FAILURE, 1)
    assert cases_after(replace(missing, missing=2), None, None) == {}


@pytest.mark.parametrize(
    ("of", "followed"),
    [
        (vm(), State.HEALTHY),
        (vm(**DOWN), State.BASELINE),
        (VM(config(), None), None),
        (VM(config(enabled=False), row()), None),
        (None, None),
    ],
)
def test_new_vm_is_followed_once_it_has_a_status_row(of: VM | None, followed: State | None) -> None:
    found = cases_after(None, of, replace(ENROLLED, policy=Policy.ALWAYS))

    assert {(one.state, one.policy, one.since) for one in found.values()} == (
        {(followed, Policy.ALWAYS, 1000.0)} if followed else set()
    )


# Which VMs are newly down, for the history of their nodes.


@pytest.mark.parametrize(
    ("was", "of", "dropped"),
    [
        (vm(node=3), vm(**DOWN), True),
        (vm(node=3), vm(), False),
        (vm(node=3), VM(config(), None), False),
        (vm(node=3), vm(word="stopping"), False),
        (vm(node=3), vm(word="stopping", running=False), False),
        (vm(node=3), vm(word="stopped", running=None), False),
        (vm(node=3, word="stopped", running=False), vm(**DOWN), False),
        (vm(node=None), vm(**DOWN), False),
        (None, vm(**DOWN), False),  # it has no case either
    ],
)
def test_vm_that_ran_on_a_node_and_is_off_now_is_newly_down(
    was: VM | None, of: VM, dropped: bool
) -> None:
    before = state(inventory=checked([was] if was else []))

    assert newly_down(before, checked([of])) == ({"u1": 3} if dropped else {})


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({}, True),
        ({"observed": ObservedState.GONE, "up_at": 940.0}, True),
        ({"observed": ObservedState.GONE, "trouble_at": 960.0}, False),
        ({"observed": ObservedState.BUSY}, False),
        ({"trouble_at": 960.0}, False),
        ({"node": None}, False),
    ],
)
@pytest.mark.parametrize("last", [None, checked([]), checked([VM(config(), None)])])
def test_case_tells_where_a_vm_ran_after_a_restart_or_while_its_row_was_missing(
    fields: dict[str, Any], dropped: bool, last: CheckedInventory | None
) -> None:
    before = state([case(**{"node": 3, **fields})], inventory=last)

    assert newly_down(before, checked([vm(**DOWN)])) == ({"u1": 3} if dropped else {})


def test_node_of_a_vm_that_went_down_remembers_it() -> None:
    before = watched(vm(1))
    rows = written(1020.0, vm(1, **DOWN))

    after = advance(
        before, poll(inventory(rows, nodes=[node()]), at=1020.0), before.enrolments, LIMITS
    )

    assert after.nodes[1] == NodeHistory(
        1020.0, drops=(Drop(1020.0, "u1"),), started_clock=CLOCK - 5000
    )


def test_evidence_of_a_vm_that_is_up_is_empty() -> None:
    assert {name: getattr(HEALTHY, name) for name in NO_EVIDENCE} == NO_EVIDENCE

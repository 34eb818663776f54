"""Which VMs count as lost, for the circuit breaker and for the history of nodes."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.circuit_breaker import BreakerState, CircuitBreaker, Losses
from exporter.recovery.observe.losses import after_diagnoses, breaker_at_start, count_losses
from exporter.recovery.observe.node_history import Drop, NodeHistory
from exporter.recovery.observe.state import RecoveryState
from tests.recovery.inventory_values import CLOCK, IGNORED, case, checked, down, state

LIMITS = Limits()
WINDOW = LIMITS.breaker_window_seconds
AT = 5000.0


def lost(number: int = 1, of: State = State.SUSPECT, **fields: Any) -> Case:
    """Return the case of a VM that was lost just before the inventory at 5000 s."""
    own = {"up_at": AT - 40, "lost_at": AT - 20, "uuid": f"u{number}", "name": f"web-{number}"}
    return down(of, **{**own, **fields})


def known(cases: Iterable[Case], **fields: Any) -> RecoveryState:
    return state(list(cases), **{"inventory": checked(at=AT), **fields})


def counted(
    *cases: Case, outage: Iterable[str] = (), explained: Iterable[str] = (), **fields: Any
) -> Losses:
    breaker = CircuitBreaker(outage={uuid: uuid for uuid in outage})
    of_state = known(cases, **{"breaker": breaker, **fields})
    return count_losses(of_state, frozenset(explained), LIMITS)


def test_without_a_loss_nothing_is_counted_but_the_vms_that_could_be_up() -> None:
    found = counted(case(1), case(2, observed=ObservedState.BUSY), case(3, policy=Policy.NO))

    assert found == Losses({}, frozenset(), left=0, down=0, of=2, last_at=0.0, relapsed=False)


def test_vms_lost_within_the_window_are_recent_and_the_last_of_them_counts() -> None:
    found = counted(
        lost(1, lost_at=AT - WINDOW),  # just too old
        lost(2, lost_at=AT - WINDOW + 1),
        lost(3, lost_at=AT),
        lost(4, lost_at=AT - 7),
    )

    assert found.recent == {"u2": "u2", "u3": "u3", "u4": "u4"}
    assert (found.last_at, found.of) == (AT, 4)


def test_what_was_lost_before_an_operator_accepted_it_is_not_recent() -> None:
    breaker = CircuitBreaker(accepted_at=AT - 20)

    found = counted(lost(1, lost_at=AT - 20), lost(2, lost_at=AT - 19), breaker=breaker)

    assert found.recent.keys() == {"u2"}


@pytest.mark.parametrize("of", State)
def test_each_state_counts_as_far_as_the_vm_is_lost_and_could_be_up(of: State) -> None:
    up = of in (State.HEALTHY, State.PROBATION)
    vm = case(state=of) if up else lost(of=of)

    found = counted(vm)

    could_be_up = of not in (State.BASELINE, State.STOPPED, State.QUARANTINED)
    assert found.of == could_be_up
    assert bool(found.recent) is (not up and of not in (State.BASELINE, State.STOPPED))


@pytest.mark.parametrize("observed", [ObservedState.UP, ObservedState.HIBERNATED])
def test_quarantined_vm_that_is_up_or_hibernated_is_neither_lost_nor_expected_up(
    observed: ObservedState,
) -> None:
    vm = case(state=State.QUARANTINED, observed=observed)
    if observed is ObservedState.HIBERNATED:
        vm = replace(vm, lost_at=AT)

    found = counted(vm)

    assert (found.recent, found.of) == ({}, 0)


@pytest.mark.parametrize("of", [State.SUSPECT, *OPEN])
@pytest.mark.parametrize("policy", Policy)
def test_only_enrolled_vms_and_those_with_an_open_action_count(of: State, policy: Policy) -> None:
    found = counted(lost(of=of, policy=policy))

    counts = policy.acts or of in OPEN
    assert (len(found.recent), found.of) == (counts, counts)


@pytest.mark.parametrize("policy", [Policy.ON_FAILURE, Policy.NO])
def test_vm_that_is_ignored_now_counts_no_longer_though_its_action_is_open(policy: Policy) -> None:
    vm = lost(of=State.VERIFYING, policy=policy)

    assert counted(vm, enrolments={"u1": IGNORED}).of == 0
    assert counted(vm, enrolments={}).of == 1


def test_vm_whose_going_down_is_explained_is_not_lost() -> None:
    found = counted(lost(1), lost(2), lost(3), outage=("u1", "u3"), explained=("u1", "u2"))

    assert found.recent.keys() == {"u3"}
    assert found.explained == {"u1"}
    assert (found.down, found.of) == (1, 1)


@pytest.mark.parametrize(
    "of", [State.SUSPECT, State.PLATFORM, State.BACKOFF, State.HELD, *OPEN, State.UNKNOWN]
)
@pytest.mark.parametrize("recent", [False, True])
@pytest.mark.parametrize("in_outage", [False, True])
def test_vm_of_the_outage_is_left_while_recovery_may_still_start_it(
    of: State, recent: bool, in_outage: bool
) -> None:
    vm = lost(of=of, lost_at=AT - (0 if recent else WINDOW))

    found = counted(vm, outage=["u1"] if in_outage else ["u9"])

    assert found.down == in_outage
    assert found.left == (in_outage and (recent or of is not State.UNKNOWN))


@pytest.mark.parametrize(
    ("attempts", "lost_at", "relapsed"),
    [(1, AT, True), (2, AT, True), (0, AT, False), (1, AT - 20, False)],
)
def test_vm_that_goes_down_again_after_an_action_is_a_relapse(
    attempts: int, lost_at: float, relapsed: bool
) -> None:
    vm = lost(1, attempts=attempts, lost_at=lost_at)

    assert counted(vm, lost(2)).relapsed is relapsed
    assert counted(lost(2), vm).relapsed is relapsed


@pytest.mark.parametrize(
    ("node", "up_at", "history", "unit"),
    [
        (1, AT - 40, NodeHistory(None, failed_at=AT - 40), "node 1"),
        (1, AT - 40, NodeHistory(None, sick_at=AT), "node 1"),
        (1, AT - 40, NodeHistory(None, sick_at=AT - 41), "u1"),  # before it was last up
        (1, AT - 40, NodeHistory(0.0), "u1"),
        (1, AT - 40, NodeHistory(0.0, started_clock=CLOCK + 1), "node 1"),
        (1, AT - 40, NodeHistory(0.0, started_clock=CLOCK), "u1"),
        (1, None, NodeHistory(None, sick_at=0.0), "node 1"),
        (2, AT - 40, NodeHistory(None, sick_at=AT), "u1"),  # it ran on another node
        (None, AT - 40, NodeHistory(None, sick_at=AT), "u1"),
    ],
)
def test_vms_of_a_failed_node_count_as_that_node(
    node: int | None, up_at: float | None, history: NodeHistory, unit: str
) -> None:
    vm = lost(node=node, up_at=up_at, up_clock=CLOCK)

    assert counted(vm, nodes={1: history}).recent == {"u1": unit}


# After the diagnoses.


def test_explained_loss_is_taken_from_the_vm_and_the_others_keep_theirs() -> None:
    cases = [lost(number, losses=(100.0, AT - 20)) for number in (1, 2)]
    never = lost(3, lost_at=None, losses=(100.0,))
    before = known([*cases, never])

    after = after_diagnoses(before, frozenset({"u1", "u3"}), LIMITS)

    assert after.cases["u1"].losses == (100.0,)
    assert after.cases["u2"] is cases[1]
    assert after.cases["u3"] is never


@pytest.mark.parametrize(("vms", "opens"), [(2, False), (3, True)])
def test_vms_lost_together_open_the_breaker_at_the_time_of_the_inventory(
    vms: int, opens: bool
) -> None:
    before = known(lost(number) for number in range(1, vms + 1))

    after = after_diagnoses(before, frozenset(), LIMITS).breaker

    assert after.breaker_state is (BreakerState.OPEN if opens else BreakerState.CLOSED)
    assert after.since == (AT if opens else 0.0)
    assert after_diagnoses(before, frozenset({"u1"}), LIMITS).breaker == CircuitBreaker()


@pytest.mark.parametrize(
    ("of", "since", "explained", "stays"),
    [
        (State.SUSPECT, 950.0, False, True),
        (State.SUSPECT, 1050.0, False, True),
        (State.SUSPECT, 950.0, True, False),
        (State.STOPPED, 950.0, False, False),
        (State.PROBATION, 1001.0, False, False),  # recovery brought it back
        (State.PROBATION, 1000.0, False, True),
        (State.PROBATION, 950.0, False, True),
        (State.HEALTHY, 1001.0, False, True),  # not by recovery: it did go down with the others
        (None, 0.0, False, True),
        (None, 0.0, True, False),
    ],
)
def test_node_loses_its_count_of_vms_that_were_stopped_or_that_recovery_brought_back(
    of: State | None, since: float, explained: bool, stays: bool
) -> None:
    cases = [case(2), *([case(1, state=of, since=since)] if of else [])]
    other = Drop(1000.0, "u2")
    nodes = {
        1: NodeHistory(None, drops=(Drop(1000.0, "u1"), other), sick_at=4.0),
        2: NodeHistory(7.0),
    }
    of_vm = frozenset({"u1"} if explained else ())
    before = known(cases, nodes=nodes)
    if of is None and explained:
        before = before._replace(cases=known([*cases, case(1)]).cases)

    after = after_diagnoses(before, of_vm, LIMITS).nodes

    drops = (Drop(1000.0, "u1"), other) if stays else (other,)
    assert after == {1: NodeHistory(None, drops=drops, sick_at=4.0), 2: NodeHistory(7.0)}


# A new process.

MAX_OPEN = LIMITS.breaker_max_open_seconds


def at_start(*cases: Case) -> CircuitBreaker:
    return breaker_at_start(cases, LIMITS, at=AT)


def three(**fields: Any) -> tuple[Case, ...]:
    return tuple(lost(number, **fields) for number in (1, 2, 3))


def is_open(breaker: CircuitBreaker) -> bool:
    return breaker.breaker_state is BreakerState.OPEN


def test_new_process_opens_the_breaker_for_the_vms_that_were_lost_together() -> None:
    healthy = case(4)
    early = lost(5, lost_at=AT - 20 - WINDOW)

    found = at_start(*three(), healthy, early)

    assert is_open(found)
    assert found.since == AT
    assert found.outage == {"u1": "u1", "u2": "u2", "u3": "u3"}
    assert at_start(*three()[:2], healthy, early) == CircuitBreaker()


@pytest.mark.parametrize(
    ("last", "together"), [(AT - 20, True), (AT - 21 + WINDOW, True), (AT - 20 + WINDOW, False)]
)
def test_vms_are_lost_together_within_the_window(last: float, together: bool) -> None:
    assert is_open(at_start(*three()[:2], lost(3, lost_at=last))) is together


@pytest.mark.parametrize(
    ("fields", "opens"),
    [
        ({"lost_at": AT - MAX_OPEN}, False),  # it would have closed since
        ({"lost_at": AT - MAX_OPEN + 1}, True),
        ({"of": State.BASELINE}, False),
        ({"of": State.STOPPED}, False),
        ({"of": State.QUARANTINED}, True),
        ({"policy": Policy.NO}, False),
        ({"policy": Policy.NO, "of": State.VERIFYING}, True),
        ({"losses": (AT - 20,)}, True),
        ({"lost_at": None}, False),
    ],
)
def test_losses_of_enrolled_vms_open_the_breaker_of_a_new_process_while_they_last(
    fields: Mapping[str, Any], opens: bool
) -> None:
    assert is_open(at_start(*three(**fields))) is opens


@pytest.mark.parametrize(("down", "opens"), [(0, False), (1, False), (2, True)])
def test_vms_that_are_up_again_count_for_the_outage_but_half_of_it_must_last(
    down: int, opens: bool
) -> None:
    again_up = [case(number, losses=(AT - 20,)) for number in (4, 5)]

    found = at_start(*three()[:down], *again_up, case(6, losses=(AT - 20,)))

    assert is_open(found) is opens
    assert len(found.outage) == (5 if opens else 0)


def test_of_two_outages_the_one_that_lasts_counts() -> None:
    over = [case(number, losses=(AT - 2000,)) for number in range(10, 14)]

    found = at_start(*three(), *over)

    assert found.outage.keys() == {"u1", "u2", "u3"}

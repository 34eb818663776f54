"""What recovery knows of one system, and how one poll changes it."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from exporter.model import VM, PollResult
from exporter.recovery.model.cases import Case, Enrolment, ObservedState
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.circuit_breaker import CircuitBreaker, after_accept
from exporter.recovery.observe.health import Health, after_invalid, after_valid, warm_up
from exporter.recovery.observe.inventory_checks import (
    CheckedInventory,
    RejectedInventory,
    check_inventory,
    classify,
    is_eligible,
    observed_state_of,
    went_back,
)
from exporter.recovery.observe.lifecycle import Moment, new_case, observe
from exporter.recovery.observe.node_history import NodeHistory, update_node_histories
from exporter.recovery.observe.platform_history import PlatformHistory, update_platform_history

CLOCK_JUMPED = "a clock jumped"
CLOCKS_DISAGREE = 2.0
"""Cadences by which two clocks may come apart from one poll to the next."""


class RecoveryState(NamedTuple):
    """What recovery knows of one system: immutable, replaced by each poll."""

    cases: MappingProxyType[str, Case]
    """By uuid, read-only."""
    enrolments: Mapping[str, Enrolment]
    nodes: Mapping[int, NodeHistory]
    health: Health
    breaker: CircuitBreaker
    inventory: CheckedInventory | None = None
    """The last valid one of this process."""
    seen_at: float | None = None
    """When the last valid inventory was taken, perhaps by a process before this one."""
    seen_time: datetime | None = None
    seen_clock: float | None = None
    accepted_at: float | None = None
    """When an operator last accepted the current inventory."""
    platform: PlatformHistory = PlatformHistory()

    @property
    def valid_inventory(self) -> CheckedInventory:
        """The last valid inventory; read only after a valid poll."""
        assert self.inventory is not None  # noqa: S101 - a rejected poll is not processed further
        return self.inventory

    def with_cases(self, changed: Mapping[str, Case]) -> "RecoveryState":
        """Return the state with *changed* in place of the cases of the same VMs."""
        if not changed:
            return self
        return self._replace(cases=MappingProxyType(self.cases | changed))


def advance(
    state: RecoveryState, poll: PollResult, enrolments: Mapping[str, Enrolment], limits: Limits
) -> RecoveryState:
    """Return what is known after *poll*; one that is not to be believed changes no VM."""
    accepts = (
        state.accepted_at is not None
        and poll.asked_at - state.accepted_at <= limits.max_gap_seconds
    )
    known = _still_there(state.cases, poll) if accepts else state.cases
    enrolled = {uuid: case.key for uuid, case in known.items() if case.policy.acts}
    last = None if accepts else state.inventory
    inventory = check_inventory(poll, last, limits, enrolled=enrolled)
    if isinstance(inventory, RejectedInventory):
        return state._replace(health=after_invalid(state.health, inventory, limits))
    moment = _moment(state, inventory)
    health = after_valid(
        state.health,
        limits,
        at=inventory.at,
        gap_seconds=_unseen_seconds(state, inventory),
        every_seconds=poll.every_seconds,
    )
    set_back = went_back(state.seen_clock, inventory.clock, limits)
    if set_back:
        known = {uuid: _undated(case) for uuid, case in known.items()}
        moment = moment._replace(before_clock=None)
    if set_back or _clocks_disagree(state, inventory, poll.every_seconds):
        health = warm_up(health, CLOCK_JUMPED, at=inventory.at)
    cases = update_cases(known, inventory, enrolments, moment, limits)
    dropped = newly_down(state, inventory)
    nodes = update_node_histories(state.nodes, inventory, dropped, limits)
    return RecoveryState(
        cases=MappingProxyType(cases),
        enrolments=enrolments,
        nodes=nodes,
        health=health,
        breaker=state.breaker,
        inventory=inventory,
        seen_at=inventory.at,
        seen_time=inventory.time,
        seen_clock=inventory.clock,
        platform=update_platform_history(state.platform, inventory),
    )


def accepted(state: RecoveryState, *, at: float) -> RecoveryState:
    """Return what is known once an operator said that what is seen is so."""
    return state._replace(accepted_at=at, breaker=after_accept(state.breaker, now=at))


def warmed_up(state: RecoveryState, because: str, *, at: float) -> RecoveryState:
    """Return *state* at the beginning of a warm-up."""
    return state._replace(health=warm_up(state.health, because, at=at))


def _still_there(cases: Mapping[str, Case], poll: PollResult) -> dict[str, Case]:
    """Return the cases of VMs that *poll* shows, and those of which something is under way."""
    vms = poll.inventory.vms if poll.inventory is not None else ()
    shown = {vm.config.uuid for vm in vms if vm.status is not None}
    return {uuid: case for uuid, case in cases.items() if uuid in shown or case.state in OPEN}


def update_cases(
    cases: Mapping[str, Case],
    inventory: CheckedInventory,
    enrolments: Mapping[str, Enrolment],
    moment: Moment,
    limits: Limits,
) -> dict[str, Case]:
    """Return the cases after *inventory*; that of a VM that stays up is the same object."""
    found: dict[str, Case] = {}
    vms = inventory.vms
    for uuid, case in cases.items():
        vm, enrolment = vms.get(uuid), enrolments.get(uuid)
        if vm is not None and _is_as_before(case, vm, enrolment):
            found[uuid] = case  # nothing happened, as to nearly every VM nearly always
            continue
        policy = enrolment.policy if enrolment is not None else case.policy
        followed = observe(case, vm, classify(vm, enrolment), policy, moment, limits)
        if followed is not None:
            found[uuid] = followed
    for uuid, enrolment in enrolments.items():
        if uuid not in found and uuid in vms:
            observed = classify(vms[uuid], enrolment)
            if observed not in (ObservedState.INELIGIBLE, ObservedState.GONE):
                found[uuid] = new_case(vms[uuid], observed, enrolment.policy, moment)
    return found


def _is_as_before(case: Case, vm: VM, enrolment: Enrolment | None) -> bool:
    """Return whether *vm* is up, was up already and has not changed since."""
    config, status = vm.config, vm.status
    return (
        case.state is State.HEALTHY
        and case.observed is ObservedState.UP
        and status is not None
        and status.running is True
        and status.word == case.word
        and status.node == case.node
        and config.machine == case.machine
        and config.name == case.name
        and config.enabled is True
        and enrolment is not None
        and enrolment.policy is case.policy
        and is_eligible(vm, enrolment)
    )


def newly_down(state: RecoveryState, inventory: CheckedInventory) -> dict[str, int]:
    """Return the VMs that ran when last seen and are down now, with the nodes they ran on."""
    found: dict[str, int] = {}
    for uuid, vm in inventory.vms.items():
        status = vm.status
        if status is None or status.running is True:
            continue
        node = _ran_on(state, uuid)
        if (
            node is not None
            and observed_state_of(status.word, status.running) is ObservedState.DOWN
        ):
            found[uuid] = node
    return found


def _ran_on(state: RecoveryState, uuid: str) -> int | None:
    """Return where a VM ran when it was last seen; None if it did not run then."""
    was = state.inventory.vms.get(uuid) if state.inventory is not None else None
    if was is not None and was.status is not None:
        return was.status.node if was.status.running is True else None
    # After a restart, or as long as its row is missing, its case alone knows.
    case = state.cases.get(uuid)
    if case is None or case.trouble_at is not None:
        return None
    return case.node if case.observed in (ObservedState.UP, ObservedState.GONE) else None


def _moment(state: RecoveryState, inventory: CheckedInventory) -> Moment:
    """Return the time of *inventory* and the longest gap since the last valid poll."""
    if state.seen_at is None:
        return Moment(inventory.at, inventory.clock, inventory.at, inventory.clock, 0.0)
    gap = _gap_seconds(inventory, state.seen_at, state.seen_time, state.seen_clock)
    return Moment(inventory.at, inventory.clock, state.seen_at, state.seen_clock, gap)


def _unseen_seconds(state: RecoveryState, inventory: CheckedInventory) -> float:
    """
    Return the longest gap since this process last saw the system.

    A replica that takes over saw it later than the journal, whose cases end with the former leader.
    """
    last = state.inventory
    if last is None:
        return _moment(state, inventory).gap_seconds
    return _gap_seconds(inventory, last.at, last.time, last.clock)


def _gap_seconds(
    inventory: CheckedInventory, at: float, time: datetime | None, clock: float | None
) -> float:
    """Return how long *inventory* was taken after a moment, by the clock that shows most."""
    gaps = [inventory.at - at]
    if time is not None:
        gaps.append((inventory.time - time).total_seconds())
    if clock is not None and inventory.clock is not None:
        gaps.append(inventory.clock - clock)
    return max(gaps)


def _undated(case: Case) -> Case:
    """Return a case of which no time of VergeOS' clock means anything any more."""
    if case.up_clock is None and case.lost_clock is None:
        return case
    return replace(case, up_clock=None, lost_clock=None)


def _clocks_disagree(
    state: RecoveryState, inventory: CheckedInventory, every_seconds: float
) -> bool:
    """Return whether the time of day moved otherwise than time does, within this process."""
    if state.inventory is None:
        return False
    by_watch = inventory.at - state.inventory.at
    by_time = (inventory.time - state.inventory.time).total_seconds()
    return abs(by_time - by_watch) > CLOCKS_DISAGREE * every_seconds

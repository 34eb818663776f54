"""Counts the VMs that are lost: down without an explanation, for the circuit breaker and nodes."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.circuit_breaker import (
    CircuitBreaker,
    Losses,
    after_poll,
    resumed,
    threshold,
)
from exporter.recovery.observe.lifecycle import without_last_loss
from exporter.recovery.observe.node_history import Drop, NodeHistory, was_sick
from exporter.recovery.observe.state import RecoveryState

LEFT = (State.SUSPECT, State.PLATFORM, State.BACKOFF, State.HELD, *OPEN)
"""States of VMs that recovery may still have to start."""


def after_diagnoses(
    state: RecoveryState, explained: AbstractSet[str], limits: Limits
) -> RecoveryState:
    """
    Return the state with its losses counted.

    Args:
        explained: The VMs that are down and whose going down is explained.

    """
    at = state.valid_inventory.at
    losses = count_losses(state, explained, limits)
    changed = {
        uuid: after
        for uuid in explained
        if (after := without_last_loss(state.cases[uuid])) is not state.cases[uuid]
    }
    return state.with_cases(changed)._replace(
        breaker=after_poll(state.breaker, losses, limits, now=at),
        nodes=_without_drops(state, explained),
    )


def count_losses(state: RecoveryState, explained: AbstractSet[str], limits: Limits) -> Losses:
    """Return the enrolled VMs that are lost, and of how many."""
    at, outage = state.valid_inventory.at, state.breaker.outage
    since = max(at - limits.breaker_window_seconds, state.breaker.accepted_at)
    recent = dict[str, str]()
    of = left = down = 0
    last_at = 0.0
    relapsed = False
    for uuid, case in state.cases.items():
        if case.state is State.HEALTHY:
            of += case.policy.acts
            continue
        if not _counts(case, state) or uuid in explained:
            continue
        of += case.state is not State.QUARANTINED
        if case.lost_at is None:
            continue
        relapsed = relapsed or (case.lost_at == at and case.attempts > 0)
        is_recent = case.lost_at > since
        down += uuid in outage
        left += uuid in outage and (case.state in LEFT or is_recent)
        if is_recent:
            recent[uuid] = _unit(case, state.nodes)
            last_at = max(last_at, case.lost_at)
    return Losses(recent, explained & outage.keys(), left, down, of, last_at, relapsed)


def breaker_at_start(cases: Iterable[Case], limits: Limits, *, at: float) -> CircuitBreaker:
    """Return the breaker of a new process: what it did before is known by its cases alone."""
    since = at - limits.breaker_max_open_seconds
    enrolled = [
        case
        for case in cases
        if case.policy.acts or case.state in OPEN
        if case.state not in (State.BASELINE, State.STOPPED)
    ]
    losses = [
        (lost_at, case.uuid)
        for case in enrolled
        for lost_at in {*case.losses, case.lost_at}  # also of those that are up again
        if lost_at is not None and lost_at > since
    ]
    down = {case.uuid for case in enrolled if case.lost_at is not None}
    of = len(enrolled)
    limit = threshold(of, limits)
    outages = (
        outage
        for outage in _lost_together(losses, limits.breaker_window_seconds)
        if len(outage) >= limit
    )
    outage = max(outages, key=lambda uuids: len(uuids & down), default=frozenset())
    units = {uuid: uuid for uuid in outage}
    return resumed(units, down=len(outage & down), of=of, limits=limits, now=at)


def _lost_together(
    losses: Collection[tuple[float, str]], seconds: float
) -> Iterator[AbstractSet[str]]:
    """Yield the VMs that were lost within so many seconds from each loss on."""
    for begin in {lost_at for lost_at, _ in losses}:  # few: those of a poll are lost at once
        yield {uuid for lost_at, uuid in losses if begin <= lost_at < begin + seconds}


def _counts(case: Case, state: RecoveryState) -> bool:
    """Return whether a VM that is not healthy is one of ours, and could be up."""
    enrolment = state.enrolments.get(case.uuid)
    if enrolment is not None and enrolment.policy is Policy.IGNORE:
        return False
    if not case.policy.acts and case.state not in OPEN:
        return False
    stopped = case.state is State.STOPPED or case.observed is ObservedState.HIBERNATED
    return not stopped and case.state is not State.BASELINE


def _unit(case: Case, nodes: Mapping[int, NodeHistory]) -> str:
    """Return what a lost VM counts as: the VMs of a failed node count once, as that node."""
    node = nodes.get(case.node) if case.node is not None else None
    since = case.up_at if case.up_at is not None else float("-inf")
    if node is not None and was_sick(node, since=since, since_clock=case.up_clock):
        return f"node {case.node}"
    return case.uuid


def _without_drops(state: RecoveryState, explained: AbstractSet[str]) -> dict[int, NodeHistory]:
    """Return the nodes' histories without VMs that were stopped, or that are back on probation."""

    def is_over(drop: Drop) -> bool:
        if drop.uuid in explained:
            return True
        case = state.cases.get(drop.uuid)
        if case is None:
            return False
        brought_back = case.state is State.PROBATION and case.since > drop.at
        return brought_back or case.state is State.STOPPED

    return {
        key: history._replace(drops=tuple(one for one in history.drops if not is_over(one)))
        if history.drops
        else history
        for key, history in state.nodes.items()
    }

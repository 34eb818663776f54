"""Counts the VMs that are lost: down without an explanation, for the circuit breaker and nodes."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.circuit_breaker import CircuitBreaker, Losses, after_poll, resumed
from exporter.recovery.observe.lifecycle import without_last_loss
from exporter.recovery.observe.node_history import Drop, NodeHistory, was_sick
from exporter.recovery.observe.state import RecoveryState

NOT_LOST = (State.BASELINE, State.HEALTHY, State.PROBATION, State.STOPPED)
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
        if case.state is State.HEALTHY and case.observed is ObservedState.UP:
            of += case.policy.acts
            continue
        if not _counts(case, state) or uuid in explained:
            continue
        of += case.state is not State.QUARANTINED
        if case.lost_at is None or case.state in NOT_LOST:
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
    enrolled = [case for case in cases if case.policy.acts or case.state in OPEN]
    lost = {
        case.uuid: case.lost_at
        for case in enrolled
        if case.state in (*LEFT, State.UNKNOWN) and case.lost_at is not None
        if case.lost_at > since
    }
    of = sum(case.state not in (State.BASELINE, State.STOPPED) for case in enrolled)
    return resumed(_lost_together(lost, limits.breaker_window_seconds), of, limits, now=at)


def _lost_together(lost: Mapping[str, float], seconds: float) -> Mapping[str, str]:
    """Return the most VMs that were lost within any so many seconds, each counting as itself."""
    in_order = sorted(lost, key=lost.__getitem__)
    times = [lost[uuid] for uuid in in_order]
    spans = [(bisect_left(times, at + seconds), first) for first, at in enumerate(times)]
    end, first = max(spans, key=lambda span: span[0] - span[1], default=(0, 0))
    return {uuid: uuid for uuid in in_order[first:end]}


def _counts(case: Case, state: RecoveryState) -> bool:
    """Return whether a VM that is not simply up is one of ours, and could be up."""
    enrolment = state.enrolments.get(case.uuid)
    if enrolment is not None and enrolment.policy is Policy.IGNORE:
        return False
    if not case.policy.acts and case.state not in OPEN:
        return False
    stopped = case.state is State.STOPPED or case.observed is ObservedState.HIBERNATED
    return not stopped and case.state is not State.BASELINE


def _unit(case: Case, nodes: Mapping[int, NodeHistory]) -> str:
    """Return what a lost VM counts as: the VMs of a failed node count once, as that node."""
    node = nodes.get(case.node or 0)
    since = case.up_at or 0.0
    if node is not None and was_sick(node, since=since, since_clock=case.up_clock):
        return f"node {case.node}"
    return case.uuid


def _without_drops(state: RecoveryState, explained: AbstractSet[str]) -> dict[int, NodeHistory]:
    """Return the nodes' histories without VMs that were stopped, or that recovery brought back."""

    def is_over(drop: Drop) -> bool:
        case = state.cases.get(drop.uuid)
        if drop.uuid in explained or case is None:
            return drop.uuid in explained
        brought_back = case.state is State.PROBATION and case.since > drop.at
        return brought_back or case.state is State.STOPPED

    return {
        key: history._replace(drops=tuple(one for one in history.drops if not is_over(one)))
        if history.drops
        else history
        for key, history in state.nodes.items()
    }

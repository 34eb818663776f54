"""
The circuit breaker: protects against mass restarts when many VMs are down at once.

It opens at once. It becomes half-open after a calm time and then permits one action at a time. A
failure while half-open opens it again for twice as long.
"""

from enum import StrEnum

import msgspec

from exporter.recovery.model.limits import Limits


class BreakerState(StrEnum):
    """The state of the circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """Half open: one action at a time."""


class CircuitBreaker(msgspec.Struct, frozen=True, gc=False):
    """The breaker at one moment."""

    breaker_state: BreakerState = BreakerState.CLOSED
    since: float = 0.0
    calm_since: float | None = None
    """Since when few enough are down."""
    last_drop_at: float = 0.0
    """When a VM was last newly found down."""
    hold_seconds: float = 0.0
    """How long the calm must last; 0 until it opens for the first time."""


class Count(msgspec.Struct, frozen=True, gc=False):
    """How many of the enrolled VMs are not proven up."""

    down: int
    of: int
    nodes_well: bool
    """Whether every node is."""
    dropped: bool
    """Whether a VM went down in this inventory."""


def threshold(of: int, limits: Limits) -> float:
    """Return how many VMs must be down to open the breaker."""
    return max(limits.breaker_min_vms, limits.breaker_share * of)


def after_poll(
    breaker: CircuitBreaker, count: Count, limits: Limits, *, now: float
) -> CircuitBreaker:
    """Return the breaker after a valid inventory."""
    limit = threshold(count.of, limits)
    last_drop_at = now if count.dropped else breaker.last_drop_at
    few = count.down < limit / 2
    calm_since = (breaker.calm_since if breaker.calm_since is not None else now) if few else None
    breaker = msgspec.structs.replace(breaker, last_drop_at=last_drop_at, calm_since=calm_since)
    match breaker.breaker_state:
        case BreakerState.CLOSED:
            return _break(breaker, limits, now=now) if count.down >= limit else breaker
        case BreakerState.OPEN:
            calm = calm_since is not None and now - calm_since >= breaker.hold_seconds
            patient = (
                limits.breaker_auto_probe
                and count.nodes_well
                and now - max(last_drop_at, breaker.since) >= _patience(breaker, limits)
            )
            if calm or patient:
                return msgspec.structs.replace(
                    breaker, breaker_state=BreakerState.HALF_OPEN, since=now
                )
            return breaker
        case BreakerState.HALF_OPEN:
            if count.dropped:
                return _break(breaker, limits, now=now)
            if few:
                return msgspec.structs.replace(
                    breaker, breaker_state=BreakerState.CLOSED, since=now, hold_seconds=0.0
                )
            return breaker


def after_accept(breaker: CircuitBreaker, *, now: float) -> CircuitBreaker:
    """Return the breaker after `accept`: an open one becomes half-open."""
    if breaker.breaker_state is BreakerState.OPEN:
        return msgspec.structs.replace(breaker, breaker_state=BreakerState.HALF_OPEN, since=now)
    return breaker


def after_failed_action(breaker: CircuitBreaker, limits: Limits, *, now: float) -> CircuitBreaker:
    """Return the breaker after an action failed: half open, it opens again."""
    if breaker.breaker_state is BreakerState.HALF_OPEN:
        return _break(breaker, limits, now=now)
    return breaker


def _break(breaker: CircuitBreaker, limits: Limits, *, now: float) -> CircuitBreaker:
    """Open, and hold for twice as long as the time before, if there was one."""
    hold = min(
        max(limits.breaker_close_seconds, 2 * breaker.hold_seconds), limits.breaker_max_open_seconds
    )
    return msgspec.structs.replace(
        breaker, breaker_state=BreakerState.OPEN, since=now, calm_since=None, hold_seconds=hold
    )


def _patience(breaker: CircuitBreaker, limits: Limits) -> float:
    """Return after how long without new failures an open breaker becomes half-open."""
    return limits.breaker_probe_after_seconds * breaker.hold_seconds / limits.breaker_close_seconds

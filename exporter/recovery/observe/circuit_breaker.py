"""
The storm breaker: when many VMs are down at once, the likeliest thing that is broken is our view.

It opens at once and closes slowly, so that it cannot flap: calm for a while, then one action at a
time, then business as usual. One failure on the way and it holds for twice as long.
"""

from enum import StrEnum

import msgspec

from exporter.recovery.model.limits import Limits


class BreakerState(StrEnum):
    """How it stands with the breaker."""

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
    """How long the calm has to last; 0 until the first storm."""


class Count(msgspec.Struct, frozen=True, gc=False):
    """How many of the VMs in recovery's care are not proven up."""

    down: int
    of: int
    nodes_well: bool
    """Whether every node is."""
    dropped: bool
    """Whether one was newly found down in this picture."""


def threshold(of: int, limits: Limits) -> float:
    """Return how many troubled VMs are a storm."""
    return max(limits.breaker_min_vms, limits.breaker_share * of)


def after_poll(
    breaker: CircuitBreaker, count: Count, limits: Limits, *, now: float
) -> CircuitBreaker:
    """Return the breaker after a valid picture."""
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
    """Return the breaker after a person said that the view is right: a storm is half over."""
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
    """Return how long a storm without new victims is waited out; as often doubled as the hold."""
    return limits.breaker_probe_after_seconds * breaker.hold_seconds / limits.breaker_close_seconds

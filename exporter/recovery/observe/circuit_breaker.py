"""
The circuit breaker: protects against mass restarts when many VMs are lost at once.

It opens at once, and closes at once when the losses turn out to be stops. After a calm time it
becomes half-open and permits one action at a time. A failure while half-open opens it again for
twice as long.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from math import ceil
from types import MappingProxyType

import msgspec

from exporter.recovery.model.limits import Limits


class BreakerState(StrEnum):
    """The state of the circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """Half open: one action at a time."""


NONE: Mapping[str, str] = MappingProxyType({})


class CircuitBreaker(msgspec.Struct, frozen=True):
    """The breaker at one moment."""

    breaker_state: BreakerState = BreakerState.CLOSED
    since: float = 0.0
    calm_since: float | None = None
    """Since when few enough VMs are lost."""
    last_loss_at: float = 0.0
    """When a VM was last lost together with others."""
    hold_seconds: float = 0.0
    """How long the calm must last; 0 until it opens for the first time."""
    outage: Mapping[str, str] = NONE
    """The VMs lost in the mass outage, each with what it counts as; empty while closed."""
    accepted_at: float = float("-inf")
    """When an operator last accepted the inventory: what was lost before does not count."""


class Losses(msgspec.Struct, frozen=True):
    """The enrolled VMs that went down without an explanation."""

    recent: Mapping[str, str]
    """Those within the window, by UUID, each with what it counts as: itself or its node."""
    explained: AbstractSet[str]
    """Those of the outage that turned out to be stopped."""
    left: int
    """VMs of the outage that recovery may still have to start."""
    down: int
    """VMs of the outage that are down without a proven stop: those left, unknown, quarantined."""
    of: int
    """The number of VMs that could be up."""
    last_at: float
    """When the last of the recent ones was lost."""
    relapsed: bool
    """Whether a VM that recovery restarted went down again in this inventory."""


def threshold(of: int, limits: Limits) -> int:
    """Return how many lost VMs open the breaker."""
    share = ceil(limits.breaker_share * of)
    # 0.07 * 100 is more than 7, but 7 of 100 VMs are 0.07 of them.
    if share and (share - 1) / of >= limits.breaker_share:
        share -= 1
    return max(limits.breaker_min_vms, min(limits.breaker_max_vms, share))


def after_poll(
    breaker: CircuitBreaker, losses: Losses, limits: Limits, *, now: float
) -> CircuitBreaker:
    """Return the breaker after a valid inventory."""
    limit = threshold(losses.of, limits)
    many, few = _weight(losses.recent) >= limit, _weight(losses.recent) < limit / 2
    calm_since = (breaker.calm_since if breaker.calm_since is not None else now) if few else None
    if breaker.breaker_state is BreakerState.CLOSED:
        if not many:
            return breaker
        return _open(breaker, limits, outage=losses.recent, now=now)
    lost = {**breaker.outage, **losses.recent}
    outage = {uuid: unit for uuid, unit in lost.items() if uuid not in losses.explained}
    breaker = msgspec.structs.replace(
        breaker,
        calm_since=calm_since,
        last_loss_at=breaker.last_loss_at if few else losses.last_at,
        outage=outage,
    )
    if _weight(outage) < limit:
        return _close(breaker, now=now)  # it never was a mass outage
    if breaker.breaker_state is BreakerState.HALF_OPEN:
        if losses.relapsed or many:
            return _open(breaker, limits, outage=outage, now=now)
        # An unknown VM may be diagnosed as crashed any time: when the log is back, or is taught.
        few_down = losses.down < limit / 2
        over = now - breaker.since >= limits.breaker_max_open_seconds
        return _close(breaker, now=now) if few_down or over else breaker
    few_left = losses.left < limit / 2
    calm = few_left and calm_since is not None and now - calm_since >= breaker.hold_seconds
    last_loss_at = max(breaker.last_loss_at, breaker.since)
    patient = limits.breaker_auto_probe and now - last_loss_at >= _patience(breaker, limits)
    return _half_open(breaker, now=now) if calm or patient else breaker


def resumed(
    outage: Mapping[str, str], *, down: int, of: int, limits: Limits, now: float
) -> CircuitBreaker:
    """Return the breaker of a new process, open if *outage* is a mass outage that lasts."""
    closed, limit = CircuitBreaker(), threshold(of, limits)
    if _weight(outage) < limit or down < limit / 2:
        return closed
    return _open(closed, limits, outage=outage, now=now)


def after_accept(breaker: CircuitBreaker, *, now: float) -> CircuitBreaker:
    """Return the breaker after `accept`: an open one becomes half-open."""
    breaker = msgspec.structs.replace(breaker, accepted_at=now)
    return _half_open(breaker, now=now) if breaker.breaker_state is BreakerState.OPEN else breaker


def after_failed_action(breaker: CircuitBreaker, limits: Limits, *, now: float) -> CircuitBreaker:
    """Return the breaker after an action failed: half open, it opens again."""
    if breaker.breaker_state is BreakerState.HALF_OPEN:
        return _open(breaker, limits, outage=breaker.outage, now=now)
    return breaker


def _weight(lost: Mapping[str, str]) -> int:
    """Return how many VMs *lost* counts as."""
    return len(set(lost.values()))


def _open(
    breaker: CircuitBreaker, limits: Limits, *, outage: Mapping[str, str], now: float
) -> CircuitBreaker:
    """Open, and hold for twice as long as the time before, if there was one."""
    hold = min(
        max(limits.breaker_close_seconds, 2 * breaker.hold_seconds), limits.breaker_max_open_seconds
    )
    return msgspec.structs.replace(
        breaker,
        breaker_state=BreakerState.OPEN,
        since=now,
        calm_since=None,
        hold_seconds=hold,
        outage=outage,
    )


def _half_open(breaker: CircuitBreaker, *, now: float) -> CircuitBreaker:
    return msgspec.structs.replace(breaker, breaker_state=BreakerState.HALF_OPEN, since=now)


def _close(breaker: CircuitBreaker, *, now: float) -> CircuitBreaker:
    return CircuitBreaker(since=now, accepted_at=breaker.accepted_at)


def _patience(breaker: CircuitBreaker, limits: Limits) -> float:
    """Return after how long without a mass loss an open breaker becomes half-open."""
    return limits.breaker_probe_after_seconds * breaker.hold_seconds / limits.breaker_close_seconds

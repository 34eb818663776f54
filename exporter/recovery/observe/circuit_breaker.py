"""
The storm breaker: when many VMs are down at once, the likeliest thing that is broken is our view.

It opens at once and closes slowly, so that it cannot flap: calm for a while, then one action at a
time, then business as usual. One failure on the way and it holds for twice as long.
"""

from enum import StrEnum

import msgspec

from exporter.recovery.model.limits import Rules


class Weather(StrEnum):
    """How it stands with the breaker."""

    CALM = "calm"
    STORM = "storm"
    CLEARING = "clearing"
    """Half open: one action at a time."""


class Breaker(msgspec.Struct, frozen=True, gc=False):
    """The breaker at one moment."""

    weather: Weather = Weather.CALM
    since: float = 0.0
    calm_since: float | None = None
    """Since when few enough are down."""
    last_drop_at: float = 0.0
    """When a VM was last newly found down."""
    hold_seconds: float = 0.0
    """How long the calm has to last; 0 until the first storm."""


class Count(msgspec.Struct, frozen=True, gc=False):
    """How many of the VMs in recovery's care are not proven up."""

    troubled: int
    of: int
    nodes_well: bool
    """Whether every node is."""
    dropped: bool
    """Whether one was newly found down in this picture."""


def threshold(of: int, rules: Rules) -> float:
    """Return how many troubled VMs are a storm."""
    return max(rules.storm_least, rules.storm_share * of)


def weigh(breaker: Breaker, count: Count, rules: Rules, *, now: float) -> Breaker:
    """Return the breaker after a valid picture."""
    limit = threshold(count.of, rules)
    last_drop_at = now if count.dropped else breaker.last_drop_at
    few = count.troubled < limit / 2
    calm_since = (breaker.calm_since if breaker.calm_since is not None else now) if few else None
    breaker = msgspec.structs.replace(breaker, last_drop_at=last_drop_at, calm_since=calm_since)
    match breaker.weather:
        case Weather.CALM:
            return _break(breaker, rules, now=now) if count.troubled >= limit else breaker
        case Weather.STORM:
            calm = calm_since is not None and now - calm_since >= breaker.hold_seconds
            patient = (
                rules.storm_auto_probe
                and count.nodes_well
                and now - max(last_drop_at, breaker.since) >= _patience(breaker, rules)
            )
            if calm or patient:
                return msgspec.structs.replace(breaker, weather=Weather.CLEARING, since=now)
            return breaker
        case Weather.CLEARING:
            if count.dropped:
                return _break(breaker, rules, now=now)
            if few:
                return msgspec.structs.replace(
                    breaker, weather=Weather.CALM, since=now, hold_seconds=0.0
                )
            return breaker


def vouched_for(breaker: Breaker, *, now: float) -> Breaker:
    """Return the breaker after a person said that the view is right: a storm is half over."""
    if breaker.weather is Weather.STORM:
        return msgspec.structs.replace(breaker, weather=Weather.CLEARING, since=now)
    return breaker


def disappointed(breaker: Breaker, rules: Rules, *, now: float) -> Breaker:
    """Return the breaker after an action failed: half open, it opens again."""
    if breaker.weather is Weather.CLEARING:
        return _break(breaker, rules, now=now)
    return breaker


def _break(breaker: Breaker, rules: Rules, *, now: float) -> Breaker:
    """Open, and hold for twice as long as the time before, if there was one."""
    hold = min(
        max(rules.storm_calm_seconds, 2 * breaker.hold_seconds), rules.storm_hold_most_seconds
    )
    return msgspec.structs.replace(
        breaker, weather=Weather.STORM, since=now, calm_since=None, hold_seconds=hold
    )


def _patience(breaker: Breaker, rules: Rules) -> float:
    """Return how long a storm without new victims is waited out; as often doubled as the hold."""
    return rules.storm_patience_seconds * breaker.hold_seconds / rules.storm_calm_seconds

"""How recovery stands as a whole: one word, and why."""

from enum import StrEnum
from typing import NamedTuple

from exporter.recovery.model.commands import Standing
from exporter.recovery.model.limits import Mode, Rules
from exporter.recovery.observe.circuit_breaker import Breaker, Weather
from exporter.recovery.observe.health import Health, is_warm


class Posture(StrEnum):
    """What recovery is ready for."""

    BROKEN = "broken"
    """By a bug of its own: it does nothing until the process is started anew."""
    DISARMED = "disarmed"
    PAUSED = "paused"
    JOURNAL_DOWN = "journal_down"
    DEGRADED = "degraded"
    WARMING_UP = "warming_up"
    STORM = "storm"
    CLEARING = "clearing"
    """One action at a time, after a storm."""
    ACTIVE = "active"


class Stance(NamedTuple):
    """A posture, and why."""

    posture: Posture
    because: str


def stance(
    *,
    bug: str,
    switch: str,
    standing: Standing,
    journal_problem: str,
    health: Health,
    breaker: Breaker,
    read_only: str,
    rules: Rules,
    at: float,
) -> Stance:
    """
    Return how recovery stands; of several reasons to do nothing, the one that lasts longest.

    Args:
        read_only: Why our credential may not act; empty when nothing is known against it.

    """
    if bug:
        return Stance(Posture.BROKEN, bug)
    if switch:
        return Stance(Posture.DISARMED, f"{switch} is there")
    if standing.disarm is not None:
        return Stance(Posture.DISARMED, f"by {standing.disarm.owner}: {standing.disarm.reason}")
    if standing.pause is not None:
        return Stance(Posture.PAUSED, f"by {standing.pause.owner}: {standing.pause.reason}")
    if journal_problem:
        return Stance(Posture.JOURNAL_DOWN, journal_problem)
    if health.degraded_by:
        return Stance(Posture.DEGRADED, health.degraded_by)
    if breaker.weather is Weather.STORM:
        return Stance(Posture.STORM, "too many VMs are down at once")
    if not is_warm(health, rules, at=at):
        left = max(0.0, rules.warmup_seconds - (at - health.warm_since))
        still = f", {left:.0f} s and valid pictures to go" if left else ", valid pictures to go"
        return Stance(Posture.WARMING_UP, f"since {health.warm_because}{still}")
    if breaker.weather is Weather.CLEARING:
        return Stance(Posture.CLEARING, "a storm is nearly over: one VM at a time")
    return Stance(Posture.ACTIVE, _ready(rules, read_only))


def _ready(rules: Rules, read_only: str) -> str:
    if rules.mode is not Mode.ENFORCE:
        return "it decides, writes it down, and never acts"
    return f"it would act, and may not: {read_only}" if read_only else "ready to act"

"""Readiness: whether recovery would act now, and why not."""

from enum import StrEnum
from typing import NamedTuple

from exporter.recovery.model.commands import ControlState
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.observe.circuit_breaker import BreakerState, CircuitBreaker
from exporter.recovery.observe.health import Health, is_warm


class ReadinessState(StrEnum):
    """What recovery is ready for."""

    BROKEN = "broken"
    """By a bug of its own: it does nothing until the process is restarted."""
    DISARMED = "disarmed"
    PAUSED = "paused"
    JOURNAL_DOWN = "journal_down"
    DEGRADED = "degraded"
    WARMING_UP = "warming_up"
    CIRCUIT_BREAKER_OPEN = "circuit_breaker_open"
    CIRCUIT_BREAKER_HALF_OPEN = "circuit_breaker_half_open"
    """One action at a time."""
    ACTIVE = "active"


class Readiness(NamedTuple):
    """The readiness and its reason."""

    readiness: ReadinessState
    because: str


def readiness_now(
    *,
    bug: str,
    switch: str,
    control_state: ControlState,
    journal_problem: str,
    health: Health,
    breaker: CircuitBreaker,
    read_only: str,
    limits: Limits,
    mode: Mode,
    at: float,
) -> Readiness:
    """
    Return the readiness; of several reasons not to act, the one that lasts longest.

    Args:
        read_only: Why our credential may not act; empty when nothing is known against it.

    """
    if bug:
        return Readiness(ReadinessState.BROKEN, bug)
    if switch:
        return Readiness(ReadinessState.DISARMED, f"{switch} is there")
    if control_state.disarm is not None:
        return Readiness(
            ReadinessState.DISARMED,
            f"by {control_state.disarm.owner}: {control_state.disarm.reason}",
        )
    if control_state.pause is not None:
        return Readiness(
            ReadinessState.PAUSED, f"by {control_state.pause.owner}: {control_state.pause.reason}"
        )
    if journal_problem:
        return Readiness(ReadinessState.JOURNAL_DOWN, journal_problem)
    if health.degraded_by:
        return Readiness(ReadinessState.DEGRADED, health.degraded_by)
    if breaker.breaker_state is BreakerState.OPEN:
        return Readiness(ReadinessState.CIRCUIT_BREAKER_OPEN, "too many VMs are down at once")
    if not is_warm(health, limits, at=at):
        left = max(0.0, limits.warmup_seconds - (at - health.warm_since))
        still = (
            f", {left:.0f} s and valid inventories to go" if left else ", valid inventories to go"
        )
        return Readiness(ReadinessState.WARMING_UP, f"since {health.warm_because}{still}")
    if breaker.breaker_state is BreakerState.HALF_OPEN:
        return Readiness(
            ReadinessState.CIRCUIT_BREAKER_HALF_OPEN,
            "the circuit breaker is half open: one VM at a time",
        )
    return Readiness(ReadinessState.ACTIVE, _ready(mode, read_only))


def _ready(mode: Mode, read_only: str) -> str:
    if mode is not Mode.ENFORCE:
        return "it decides, writes it down, and never acts"
    return f"it would act, and may not: {read_only}" if read_only else "ready to act"

"""Readiness: whether recovery would act now, and why not."""

from enum import StrEnum
from typing import NamedTuple

from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.model.commands import Command
from exporter.recovery.model.limits import Mode
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.health import is_warm


class ReadinessState(StrEnum):
    """Whether recovery acts, or the kind of reason why it does not."""

    BROKEN = "broken"
    """A bug stopped recovery; it takes no action until the process restarts."""
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


def readiness_now(system: SystemFacts, *, bug: str) -> Readiness:
    """
    Return the readiness; of several reasons not to act, the one that lasts longest.

    Args:
        bug: The error that stopped recovery; empty if none did.

    """
    control_state, limits = system.control_state.at(system.at), system.limits
    health, breaker = system.state.health, system.state.breaker
    if bug:
        return Readiness(ReadinessState.BROKEN, bug)
    if system.kill_switch:
        return Readiness(ReadinessState.DISARMED, f"the kill switch {system.kill_switch} exists")
    if control_state.disarm is not None:
        return Readiness(ReadinessState.DISARMED, _by(control_state.disarm))
    if control_state.pause is not None:
        return Readiness(ReadinessState.PAUSED, _by(control_state.pause))
    if system.journal_problem:
        return Readiness(ReadinessState.JOURNAL_DOWN, system.journal_problem)
    if health.degraded_by:
        return Readiness(ReadinessState.DEGRADED, health.degraded_by)
    if breaker.breaker_state is BreakerState.OPEN:
        return Readiness(ReadinessState.CIRCUIT_BREAKER_OPEN, "too many VMs are down at once")
    if not is_warm(health, limits, at=system.at):
        left = max(0.0, limits.warmup_seconds - (system.at - health.warm_since))
        seconds = f"{left:.0f} s and " if left else ""
        since = f"since {health.warm_because}, {seconds}valid inventories to go"
        return Readiness(ReadinessState.WARMING_UP, since)
    if breaker.breaker_state is BreakerState.HALF_OPEN:
        because = "the circuit breaker is half open: one VM at a time"
        return Readiness(ReadinessState.CIRCUIT_BREAKER_HALF_OPEN, because)
    return Readiness(ReadinessState.ACTIVE, _ready(system))


def _by(command: Command) -> str:
    return f"by {command.owner}: {command.reason}"


def _ready(system: SystemFacts) -> str:
    mode, read_only = system.mode, system.read_only
    if not mode.acts:
        return f"the mode is {mode}: decisions are recorded, no action is sent"
    if read_only:
        return f"no write access: {read_only}"
    if system.fell_back:
        return f"fell back to mode ask until an operator arms recovery: {system.fell_back}"
    if mode is Mode.ASK:
        return "ready to ask: the mode is ask, and each action needs an operator's approval"
    return "ready to act"

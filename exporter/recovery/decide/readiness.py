"""Readiness: whether recovery would act now, and why not."""

from enum import StrEnum
from typing import NamedTuple

from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.decide.inputs import missing_inputs
from exporter.recovery.model.commands import Command, ControlState
from exporter.recovery.model.limits import Mode
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.health import is_warm


class ReadinessState(StrEnum):
    """Whether recovery acts, or the kind of reason why it does not."""

    BROKEN = "broken"
    """A bug stopped recovery; it takes no action until the process restarts."""
    DISARMED = "disarmed"
    PAUSED = "paused"
    RIVAL = "rival"
    """Another instance acts on the system."""
    JOURNAL_DOWN = "journal_down"
    STANDBY = "standby"
    """Another replica leads, and acts."""
    DEGRADED = "degraded"
    """Inventories are rejected, or an input is missing without which recovery starts no VM."""
    PLATFORM_UPDATE = "platform_update"
    """VergeOS installs or applies an update, or did so shortly before."""
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
    if bug:
        return Readiness(ReadinessState.BROKEN, bug)
    active = Readiness(ReadinessState.ACTIVE, _ready(system))
    return _stopped(system) or _unfit(system) or active


def _stopped(system: SystemFacts) -> Readiness | None:
    """Return by whom recovery is stopped, or that it has no journal."""
    if system.standby and not system.journal_problem:
        return Readiness(ReadinessState.STANDBY, system.standby)
    control_state = system.control_state.at(system.at)
    if held := _held_by_command(control_state, system.kill_switch):
        return held
    if system.journal_problem:
        return Readiness(ReadinessState.JOURNAL_DOWN, system.journal_problem)
    return None


def _unfit(system: SystemFacts) -> Readiness | None:
    """Return what is wrong with the system or with what is read of it."""
    health, breaker = system.state.health, system.state.breaker
    if health.degraded_by:
        return Readiness(ReadinessState.DEGRADED, health.degraded_by)
    if breaker.breaker_state is BreakerState.OPEN:
        return Readiness(ReadinessState.CIRCUIT_BREAKER_OPEN, "too many VMs are down at once")
    missing = missing_inputs(system)
    if missing:
        return Readiness(ReadinessState.DEGRADED, "; ".join(missing))
    if waits := _waits(system):
        return waits
    if breaker.breaker_state is BreakerState.HALF_OPEN:
        because = "the circuit breaker is half open: one VM at a time"
        return Readiness(ReadinessState.CIRCUIT_BREAKER_HALF_OPEN, because)
    return None


def _waits(system: SystemFacts) -> Readiness | None:
    """Return the wait for the end of an update or of the warm-up."""
    health, limits = system.state.health, system.limits
    if system.update_hold:
        return Readiness(ReadinessState.PLATFORM_UPDATE, system.update_hold)
    if system.lease_problem:
        return Readiness(ReadinessState.WARMING_UP, system.lease_problem)
    if is_warm(health, limits, at=system.at):
        return None
    left = max(0.0, limits.warmup_seconds - (system.at - health.warm_since))
    seconds = f"{left:.0f} s and " if left else ""
    since = f"since {health.warm_because}, {seconds}valid inventories to go"
    return Readiness(ReadinessState.WARMING_UP, since)


def _held_by_command(control_state: ControlState, kill_switch: str) -> Readiness | None:
    """Return the readiness while a command or the kill switch forbids all actions; else None."""
    if kill_switch:
        return Readiness(ReadinessState.DISARMED, f"the kill switch {kill_switch} exists")
    if control_state.disarm is not None:
        return Readiness(ReadinessState.DISARMED, _by(control_state.disarm))
    if control_state.pause is not None:
        return Readiness(ReadinessState.PAUSED, _by(control_state.pause))
    if control_state.rival is not None:
        return Readiness(ReadinessState.RIVAL, control_state.rival.reason)
    return None


def _by(command: Command) -> str:
    return f"by {command.owner}: {command.reason}"


def _ready(system: SystemFacts) -> str:
    mode = system.mode
    if not mode.acts:
        return f"the mode is {mode}: decisions are recorded, no action is sent"
    if system.fell_back:
        return f"fell back to mode ask until an operator arms recovery: {system.fell_back}"
    if mode is Mode.ASK:
        return "ready to ask: the mode is ask, and each action needs an operator's approval"
    return "ready to act"

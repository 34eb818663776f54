"""The one classification of VMs that every count and every filter of VMs uses."""

from enum import StrEnum

from exporter.model import VM, MachineStatus, RecoveryVM, StatusWord
from exporter.recovery.model.states import State

_TROUBLE = frozenset({StatusWord.ERROR, StatusWord.UNRESPONSIVE, StatusWord.UNLICENSED})
_CHANGING = frozenset(
    {
        StatusWord.INITIALIZING,
        StatusWord.STARTING,
        StatusWord.STOPPING,
        StatusWord.HIBERNATING,
        StatusWord.INITMIGRATE,
        StatusWord.STARTMIGRATE,
        StatusWord.MIGRATING,
        StatusWord.MIGRATECOMPLETE,
        StatusWord.IMPORTING,
        StatusWord.LEAVINGMAINTENANCE,
        StatusWord.DRIVERSRELOADING,
    }
)
_UP_IN_RECOVERY = frozenset({State.HEALTHY, State.PROBATION})
_OFF_IN_RECOVERY = frozenset({State.STOPPED, State.BASELINE})


class Condition(StrEnum):
    """How a VM is doing; the worst first."""

    DOWN = "down"
    """It does not run, and nothing proves that it was stopped on purpose."""
    TROUBLE = "trouble"
    """VergeOS reports an error, that it does not respond, or that it is not licensed."""
    UNKNOWN = "unknown"
    """It has no status that can be read."""
    CHANGING = "changing"
    """It starts, stops or moves."""
    RUNNING = "running"
    OFF = "off"
    """It was stopped on purpose, is hibernated, or did not run when it was first seen."""


def condition_of(vm: VM, recovery: RecoveryVM | None) -> Condition:
    """
    Return the condition of *vm*.

    Args:
        vm: As the inventory shows it.
        recovery: What recovery knows of it. Without it, a VM that does not run counts as off:
            what stopped it is not known.

    """
    status = vm.status
    if status is None or status.running is None:
        return Condition.UNKNOWN
    state = State(recovery.state) if recovery is not None else None
    return _condition(status.word, state, running=status.running)


def condition_in_state(state: State, word: str) -> Condition:
    """Return the condition of a VM that was in *state*, with VergeOS' status *word*."""
    return _condition(word, state, running=state in _UP_IN_RECOVERY or word == StatusWord.RUNNING)


def _condition(word: str, state: State | None, *, running: bool) -> Condition:
    is_down = state is not None and state not in _UP_IN_RECOVERY | _OFF_IN_RECOVERY
    if word in _TROUBLE:
        return Condition.TROUBLE
    if word in _CHANGING and not is_down:
        return Condition.CHANGING
    if running:
        return Condition.RUNNING
    # Recovery may have seen it up only: its first look at the VM that went down is yet to come.
    return Condition.DOWN if is_down or state in _UP_IN_RECOVERY else Condition.OFF


def runs(status: MachineStatus | None) -> bool:
    """Return whether the machine is known to run."""
    return status is not None and status.running is True

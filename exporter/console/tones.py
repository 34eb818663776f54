"""How bad a value is: the tone in which every page shows it."""

from collections.abc import Mapping

from exporter.console.health import State
from exporter.console.vm_condition import Condition
from exporter.recovery.report.presentation import Tone as RecoveryTone

OK, PENDING, INACTIVE, WARNING, CRITICAL = "ok", "pending", "inactive", "warning", "critical"
"""CSS classes too."""

OF_STATE: Mapping[State, str] = {
    State.UP: OK,
    State.WAITING: PENDING,
    State.UNNAMED: WARNING,
    State.STALE: CRITICAL,
    State.FROZEN: CRITICAL,
    State.UNREACHABLE: CRITICAL,
    State.REFUSED: CRITICAL,
}
OF_CONDITION: Mapping[Condition, str] = {
    Condition.DOWN: CRITICAL,
    Condition.TROUBLE: CRITICAL,
    Condition.UNKNOWN: WARNING,
    Condition.CHANGING: PENDING,
    Condition.RUNNING: OK,
    Condition.OFF: INACTIVE,
}
OF_RECOVERY: Mapping[RecoveryTone, str] = {
    RecoveryTone.GOOD: OK,
    RecoveryTone.MOVING: PENDING,
    RecoveryTone.QUIET: INACTIVE,
    RecoveryTone.WARN: WARNING,
    RecoveryTone.BAD: CRITICAL,
}


def tone_of_state(state: State) -> str:
    """Return the tone of the state of a system."""
    return OF_STATE[state]


def tone_of_condition(condition: Condition) -> str:
    """Return the tone of the condition of a VM."""
    return OF_CONDITION[condition]

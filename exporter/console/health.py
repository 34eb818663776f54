"""How the poller of a system is doing, in one state and one sentence."""

from datetime import datetime
from enum import Enum

from exporter.formatting import ago
from exporter.model import SystemReport


class State(Enum):
    """The state of a system; its value is the text that is shown."""

    UP = "up"
    FROZEN = "status frozen"
    WAITING = "waiting for the first poll"
    UNNAMED = "waiting for its name"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    REFUSED = "credentials refused"


def state_of(report: SystemReport) -> State:
    """Return the state of *report*; refused credentials outrank everything else."""
    if not report.authenticated:
        return State.REFUSED
    if report.frozen:
        return State.FROZEN
    if report.up:
        return State.UP
    if not report.named and any(table.success for table in report.tables):
        return State.UNNAMED
    error = _first_error(report)
    if all(table.last_success_at is None for table in report.tables):
        return State.WAITING if error is None else State.UNREACHABLE
    first_poll = error is None and any(table.success is None for table in report.tables)
    return State.WAITING if first_poll else State.STALE


def reason_of(report: SystemReport, now: datetime) -> str:
    """Return why *report* is in its state; empty where the state needs no reason."""
    state = state_of(report)
    if state in (State.UP, State.WAITING):
        return report.throttled
    if state is State.FROZEN:
        return "VergeOS no longer updates the status of VMs"
    error = _first_error(report)
    if state is State.UNNAMED:
        return f"its VMs are not exported before its name is known: {error or 'not read yet'}"
    if state is not State.STALE:
        return error or ""
    last = max(table.last_success_at for table in report.tables if table.last_success_at)
    return "; ".join(filter(None, (f"last successful poll {ago(last, now)}", error)))


def _first_error(report: SystemReport) -> str | None:
    return next((table.error for table in report.tables if table.error is not None), None)

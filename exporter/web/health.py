"""How a cloud is doing, in one word and one sentence."""

from datetime import datetime
from enum import Enum

from exporter.model import SystemReport
from exporter.web.wording import ago


class State(Enum):
    """The word for a cloud; its value is what people read."""

    UP = "up"
    WAITING = "waiting for the first answer"
    STALE = "stale"
    UNREACHED = "no answer"
    REFUSED = "key refused"


def state_of(report: SystemReport) -> State:
    """Return the word for *report*; what its owner has to see to comes first."""
    if not report.authenticated:
        return State.REFUSED
    if report.up:
        return State.UP
    if any(table.last_success_at is not None for table in report.tables):
        return State.WAITING if _starting(report) else State.STALE
    return State.WAITING if _first_error(report) is None else State.UNREACHED


def reason_of(report: SystemReport, now: datetime) -> str:
    """Return why *report* is in its state; empty where the state says it all."""
    state = state_of(report)
    error = _first_error(report)
    if state in (State.UP, State.WAITING):
        return ""
    parts = [] if error is None else [error]
    if state is State.STALE:
        parts.insert(0, f"last good answer {ago(_last_success(report), now)}")
    return "; ".join(parts)


def _starting(report: SystemReport) -> bool:
    """Say whether this is only the first round of readings, and all is well so far."""
    return _first_error(report) is None and any(table.success is None for table in report.tables)


def _first_error(report: SystemReport) -> str | None:
    return next((table.error for table in report.tables if table.error is not None), None)


def _last_success(report: SystemReport) -> datetime | None:
    times = [table.last_success_at for table in report.tables if table.last_success_at is not None]
    return max(times, default=None)

"""The error budget: how many actions people may undo before recovery asks first."""

from collections.abc import Mapping

from msgspec.structs import replace

from exporter.recovery.model.cases import Case, Cause
from exporter.recovery.model.commands import ControlState
from exporter.recovery.model.limits import WEEK, Limits

UNDONE_SECONDS = 600.0
"""A person who stops a VM so soon after recovery started it undoes that action."""


def with_undone(case: Case, *, at: float) -> Case:
    """Return a case that was diagnosed *at*; a stop by a person may undo an action on it."""
    diagnosis = case.diagnosis
    if case.helped_at is None or diagnosis is None:
        return case
    if diagnosis.cause is not Cause.STOPPED_BY_PERSON:
        return case
    up_at = case.up_at if case.up_at is not None else at
    if up_at - case.helped_at > UNDONE_SECONDS:
        return replace(case, helped_at=None)
    recent = (one for one in case.undone if one > at - WEEK)
    return replace(case, helped_at=None, undone=(*recent, at))


def overspent(
    cases: Mapping[str, Case], control_state: ControlState, limits: Limits, *, at: float
) -> str:
    """Return which actions people undid, if those are too many; else an empty text."""
    if limits.undone_actions == 0 or control_state.fallback is not None:
        return ""
    since = at - WEEK
    if control_state.fell_back_at is not None:
        since = max(since, control_state.fell_back_at)
    undone = sorted(
        (one, case.name) for case in cases.values() for one in case.undone if one > since
    )
    if len(undone) < limits.undone_actions:
        return ""
    names = ", ".join(dict.fromkeys(name for _, name in undone))
    return f"people stopped VMs soon after recovery started them, {len(undone)} times: {names}"

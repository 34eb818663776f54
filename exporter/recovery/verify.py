"""Verifies an action by the inventory; no request is repeated for it."""

from typing import NamedTuple

from exporter.recovery.model.cases import Action, Case, Intent, ObservedState, Outcome, Reply
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN

LEAVING = frozenset({ObservedState.STOPPING, ObservedState.HIBERNATED})
IN_TRANSITION = frozenset({ObservedState.BUSY, ObservedState.STOPPING})


class Finding(NamedTuple):
    """The result of verifying an action."""

    outcome: Outcome | None
    """``None``: still open."""
    why: str
    extend: bool = False
    """Whether the VM is in transition and gets more time, once."""
    overruled: bool = False
    """Whether the VM was stopped again."""


def deadline_seconds(action: Action, limits: Limits) -> float:
    """Return the seconds within which the inventory must show the effect of *action*."""
    if action is Action.POWER_ON:
        return limits.verify_power_on_seconds
    return limits.verify_reset_seconds


def verify(intent: Intent, case: Case | None, limits: Limits, *, at: float) -> Finding:
    """
    Return the result of *intent*.

    Args:
        case: The VM in the inventory requested *at*; None if it was deleted. A case
            that was created after the request proves nothing about it.

    """
    if intent.sent_at is None:
        return Finding(Outcome.ABANDONED, "the action was never sent")
    if at <= intent.sent_at:
        return Finding(None, "the inventory is older than the request")
    if case is None or case.state not in OPEN:
        over = at >= intent.deadline
        return Finding(Outcome.UNKNOWN if over else None, "the VM was replaced")
    if case.observed is (ObservedState.DOWN if intent.action is Action.KILL else ObservedState.UP):
        return Finding(Outcome.CONFIRMED, f"the VM is {case.observed}")
    if intent.action is Action.POWER_ON and case.observed in LEAVING:
        why = f"the VM is {case.word}: it was stopped again"
        return Finding(Outcome.FAILED, why, overruled=True)
    in_transition = case.observed in IN_TRANSITION
    lost = intent.reply is None or intent.reply is Reply.LOST
    waited = at - intent.sent_at
    if lost and not in_transition and waited >= limits.verify_lost_seconds:
        return Finding(
            Outcome.UNKNOWN, f"no reply, and the VM is {case.observed} after {waited:.0f} s"
        )
    if at < intent.deadline:
        return Finding(None, f"the VM is {case.observed}")
    if in_transition and not intent.extended:
        return Finding(None, f"the VM is {case.observed}; the deadline is extended", extend=True)
    outcome = Outcome.UNKNOWN if lost else Outcome.FAILED
    return Finding(outcome, f"the VM is {case.observed} after {waited:.0f} s")

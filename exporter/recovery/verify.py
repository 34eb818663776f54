"""Whether an action helped, by looking; nothing is ever repeated to find out."""

from typing import NamedTuple

from exporter.recovery.model.cases import Action, Case, Intent, ObservedState, Outcome, Reply
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.states import OPEN

LEAVING = frozenset({ObservedState.STOPPING, ObservedState.HIBERNATED})
ON_ITS_WAY = frozenset({ObservedState.BUSY, ObservedState.STOPPING})


class Finding(NamedTuple):
    """What looking at an intent's VM came to."""

    outcome: Outcome | None
    """``None``: too early to say."""
    why: str
    extend: bool = False
    """Whether the VM is on its way and gets more time, which happens once."""
    overruled: bool = False
    """Whether the VM was stopped again."""


def deadline_seconds(action: Action, limits: Limits) -> float:
    """Return how long *action* may take to show."""
    if action is Action.POWER_ON:
        return limits.verify_power_on_seconds
    return limits.verify_reset_seconds


def verify(intent: Intent, case: Case | None, limits: Limits, *, at: float) -> Finding:
    """
    Return what has become of *intent*.

    Args:
        case: The VM in the inventory requested *at*; None if it is not followed any more. A case
            that was created after the request proves nothing about it.

    """
    if intent.sent_at is None:
        return Finding(Outcome.ABANDONED, "it was never sent")
    if at <= intent.sent_at:
        return Finding(None, "the inventory is older than the request")
    if case is None or case.state not in OPEN:
        over = at >= intent.deadline
        return Finding(Outcome.UNKNOWN if over else None, "it is another one by now")
    if case.observed is (ObservedState.DOWN if intent.action is Action.KILL else ObservedState.UP):
        return Finding(Outcome.CONFIRMED, f"it is {case.observed}")
    if intent.action is Action.POWER_ON and case.observed in LEAVING:
        why = f"it is {case.word}: it is being stopped again"
        return Finding(Outcome.FAILED, why, overruled=True)
    on_its_way = case.observed in ON_ITS_WAY
    lost = intent.reply is None or intent.reply is Reply.LOST
    waited = at - intent.sent_at
    if lost and not on_its_way and waited >= limits.verify_lost_seconds:
        return Finding(
            Outcome.UNKNOWN, f"no answer came, and it is {case.observed} {waited:.0f} s on"
        )
    if at < intent.deadline:
        return Finding(None, f"it is {case.observed}")
    if on_its_way and not intent.extended:
        return Finding(None, f"it is {case.observed}, and gets more time", extend=True)
    outcome = Outcome.UNKNOWN if lost else Outcome.FAILED
    return Finding(outcome, f"it is {case.observed} after {waited:.0f} s")

"""Whether an action helped, by looking; nothing is ever repeated to find out."""

from typing import NamedTuple

from exporter.recovery.model.cases import Action, Case, Intent, Outcome, Reply, Sight
from exporter.recovery.model.limits import Rules
from exporter.recovery.model.states import OPEN

LEAVING = frozenset({Sight.STOPPING, Sight.HIBERNATED})
ON_ITS_WAY = frozenset({Sight.BUSY, Sight.STOPPING})


class Finding(NamedTuple):
    """What looking at an intent's VM came to."""

    outcome: Outcome | None
    """``None``: too early to say."""
    why: str
    extend: bool = False
    """Whether the VM is on its way and gets more time, which happens once."""
    overruled: bool = False
    """Whether somebody stopped the VM again."""


def deadline_seconds(action: Action, rules: Rules) -> float:
    """Return how long *action* may take to show."""
    if action is Action.POWER_ON:
        return rules.verify_power_on_seconds
    return rules.verify_reset_seconds


def verify(intent: Intent, case: Case | None, rules: Rules, *, at: float) -> Finding:
    """
    Return what has become of *intent*.

    Args:
        case: The VM as a picture shows it that was asked for *at*; None when nobody looks at
            it any more. One that was met anew since the request says nothing of what came of it.

    """
    if intent.sent_at is None:
        return Finding(Outcome.ABANDONED, "it was never sent")
    if at <= intent.sent_at:
        return Finding(None, "the picture is older than the request")
    if case is None or case.state not in OPEN:
        over = at >= intent.deadline
        return Finding(Outcome.UNKNOWN if over else None, "it is another one by now")
    if case.sight is (Sight.DOWN if intent.action is Action.KILL else Sight.UP):
        return Finding(Outcome.CONFIRMED, f"it is {case.sight}")
    if intent.action is Action.POWER_ON and case.sight in LEAVING:
        why = f"it is {case.word}: somebody stops it again"
        return Finding(Outcome.FAILED, why, overruled=True)
    on_its_way = case.sight in ON_ITS_WAY
    lost = intent.reply is None or intent.reply is Reply.LOST
    waited = at - intent.sent_at
    if lost and not on_its_way and waited >= rules.verify_lost_seconds:
        return Finding(Outcome.UNKNOWN, f"no answer came, and it is {case.sight} {waited:.0f} s on")
    if at < intent.deadline:
        return Finding(None, f"it is {case.sight}")
    if on_its_way and not intent.extended:
        return Finding(None, f"it is {case.sight}, and gets more time", extend=True)
    outcome = Outcome.UNKNOWN if lost else Outcome.FAILED
    return Finding(outcome, f"it is {case.sight} after {waited:.0f} s")

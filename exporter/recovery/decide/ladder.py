"""Which action is the next on a VM: a start if it is down, a ladder of actions if it hangs."""

from collections.abc import Mapping

from exporter.recovery.model.cases import Action, Case, Enrolment, ObservedState, OnHang

LADDERS: Mapping[OnHang, tuple[Action, ...]] = {
    OnHang.ALERT: (),
    OnHang.RESET: (Action.REBOOT, Action.RESET),
    OnHang.POWER_CYCLE: (Action.REBOOT, Action.RESET, Action.KILL),
}
"""The actions on a VM that hangs, graceful before hard. A power-on follows a kill."""


def next_action(case: Case, enrolment: Enrolment | None) -> Action | None:
    """Return the next allowed action; None if no action is left."""
    if case.observed is not ObservedState.HUNG:
        return Action.POWER_ON
    ladder = LADDERS[enrolment.on_hang] if enrolment is not None else ()
    return ladder[case.ladder_step] if case.ladder_step < len(ladder) else None

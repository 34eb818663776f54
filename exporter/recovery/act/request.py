"""A decided action, and whether the VM still needs it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from exporter.clock import Moment
from exporter.recovery.decide.ladder import next_action
from exporter.recovery.model.cases import Action, Case, Enrolment, ObservedState
from exporter.recovery.model.platform_log import LogPosition
from exporter.recovery.model.ports import FreshVM
from exporter.recovery.observe.inventory_checks import observed_state_of


class ActionRequest(NamedTuple):
    """An action, and the conditions that must still hold when it is sent."""

    case: Case
    action: Action
    decision: int
    """Its number in the journal."""
    log_position: LogPosition | None
    """The newest rows of the logs."""
    read_at: Moment
    """When reading the logs for it began."""
    enrolled: Callable[[FreshVM], Enrolment]
    """Returns the enrolment of the VM as it is now."""
    forbidden: Callable[[], str]
    """Returns why no action may be sent at this moment; empty if it may."""
    overtaken: Callable[[], Awaitable[str]]
    """Reads the logs again; returns why the decision no longer holds, empty if it does."""
    overruled: Callable[[], Awaitable[str]]
    """Reads the commands of other replicas; returns why they forbid it, empty if they do not."""


def obsolete(request: ActionRequest, fresh: FreshVM | None) -> str:
    """Return why *request* does not fit the VM as it is now; empty if it does."""
    case = request.case
    if fresh is None:
        return "the VM was deleted"
    if fresh.unreadable:
        return f"fields of the VM cannot be read: {', '.join(sorted(fresh.unreadable))}"
    if fresh.uuid != case.uuid or fresh.machine != case.machine:
        return "the key belongs to another VM"
    if fresh.enabled is not True or fresh.is_snapshot or fresh.service:
        return "the VM is disabled, a snapshot or part of a service"
    enrolment = request.enrolled(fresh)
    if enrolment.policy is not case.policy:
        return f"its policy is now {enrolment.policy}: {enrolment.because}"
    if next_action(case, enrolment) is not request.action:
        return f"its enrolment no longer allows {request.action}"
    if request.action is Action.KILL and fresh.disable_powercycle is not False:
        return "disable_powercycle is set on the VM"
    observed = observed_state_of(fresh.word, fresh.running)
    wanted = ObservedState.DOWN if request.action is Action.POWER_ON else ObservedState.HUNG
    if observed is not wanted:
        return f"the VM is {observed} now ({fresh.word})"
    return ""

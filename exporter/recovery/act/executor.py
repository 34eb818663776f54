"""
The action executor: reads the VM again, records the action, sends it once, records the reply.

Each step is logged by its name, in this order:

1. ``recovery.reread``    the VM still needs the action
2. ``recovery.prepared``  the action is in the journal
3. ``recovery.sending``   the journal marks it as sent: from here on it uses up budgets
4. ``recovery.answered``  VergeOS replied, or its reply is lost
5. ``recovery.recorded``  the reply is in the journal

A process that ends after any step leaves a journal from which the next process continues: a
prepared action was never sent; a sent action is verified and never sent again.
"""

from collections.abc import Callable
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from exporter.clock import Clock
from exporter.errors import VergeOSError
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.decide.guards import next_action
from exporter.recovery.model.cases import (
    Action,
    Case,
    Enrolment,
    Intent,
    ObservedState,
    Outcome,
    Reply,
)
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import LogPosition
from exporter.recovery.model.ports import FreshVM, Platform
from exporter.recovery.observe.inventory_checks import observed_state_of
from exporter.recovery.verify import deadline_seconds

log = structlog.get_logger()


class ActionRequest(NamedTuple):
    """An action, and the conditions that must still hold when it is sent."""

    case: Case
    action: Action
    decision: int
    """Its number in the journal."""
    log_position: LogPosition | None
    """The newest rows of the logs."""
    enrolled: Callable[[FreshVM], Enrolment]
    """Returns the enrolment of the VM as it is now."""
    forbidden: Callable[[], str]
    """Returns why no action may be sent at this moment; empty if it may."""


class ActionExecutor:
    """
    Carries out actions, one at a time.

    Args:
        watched: Returns the seconds of monitored time.

    """

    def __init__(
        self,
        platform: Platform,
        journal_writer: JournalWriter,
        limits: Limits,
        clock: Clock,
        *,
        watched: Callable[[], float],
    ) -> None:
        self._platform = platform
        self._journal_writer = journal_writer
        self._limits = limits
        self._clock = clock
        self._watched = watched

    async def carry_out(self, request: ActionRequest) -> Intent | str:
        """
        Carry out *request* unless it is obsolete.

        Returns:
            The action as it was recorded, or why it was obsolete and nothing was recorded.

        Raises:
            JournalError: The journal could not be written; where that was before the request,
                nothing was sent.

        """
        case = request.case
        logger = log.bind(vm=case.name, vm_id=case.key, action=str(request.action))
        read_at = self._moment()
        try:
            fresh = await self._platform.read_vm(case.key)
        except VergeOSError as error:
            return f"the VM could not be read again: {error}"
        if reason := obsolete(request, fresh):
            return reason
        logger.info("recovery.reread")

        intent = await self._journal_writer.store.prepare(
            _intent(request, self._watched()), request.decision
        )
        logger = logger.bind(intent=intent.id)
        logger.info("recovery.prepared")
        if reason := self._too_late(request, read_at):
            return await self._abandon(intent, reason)

        sent_at = self._watched()
        intent = replace(
            intent,
            sent_at=sent_at,
            sent_position=request.log_position,
            deadline=sent_at + deadline_seconds(request.action, self._limits),
        )
        await self._journal_writer.store.update(intent)
        logger.info("recovery.sending")
        if reason := self._too_late(request, read_at):
            return await self._abandon(intent, reason)

        answer = await self._platform.act(case.key, request.action)
        logger.info("recovery.answered", reply=str(answer.reply), detail=answer.detail)
        intent = replace(intent, reply=answer.reply, detail=answer.detail)
        if answer.reply is Reply.NOT_SENT:
            intent = replace(intent, outcome=Outcome.ABANDONED)
        elif answer.reply in (Reply.NO_CAPACITY, Reply.BUSY, Reply.FORBIDDEN, Reply.REFUSED):
            intent = replace(intent, outcome=Outcome.FAILED)
        await self._journal_writer.store.update(intent)
        logger.info("recovery.recorded")
        return intent

    async def _abandon(self, intent: Intent, why: str) -> Intent:
        intent = replace(
            intent, sent_at=None, sent_position=None, outcome=Outcome.ABANDONED, detail=why
        )
        await self._journal_writer.store.update(intent)
        return intent

    def _moment(self) -> tuple[float, float]:
        """Return both clocks: the first stops while its machine sleeps, the second can be set."""
        return self._clock.monotonic(), self._clock.now().timestamp()

    def _too_late(self, request: ActionRequest, read_at: tuple[float, float]) -> str:
        """Return why the request must not be sent; empty if it may."""
        age = max(now - then for now, then in zip(self._moment(), read_at, strict=True))
        if age > self._limits.reread_age_seconds:
            return f"the VM was read {age:.0f} s ago"
        return request.forbidden()


def obsolete(request: ActionRequest, fresh: FreshVM | None) -> str:
    """Return why *request* does not fit the VM as it is now; empty if it does."""
    case = request.case
    if fresh is None:
        return "the VM was deleted"
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


def _intent(request: ActionRequest, at: float) -> Intent:
    case = request.case
    return Intent(
        id=0,
        uuid=case.uuid,
        vm_key=case.key,
        name=case.name,
        action=request.action,
        prepared_at=at,
        deadline=at,
    )

"""
The action executor: reads the VM again, writes the action, sends it once, writes the result.

Each step is logged by its name, in this order:

1. ``recovery.reread``    the VM is as we think, seen at most seconds ago
2. ``recovery.prepared``  the intent is in the journal
3. ``recovery.sending``   the journal says that it is sent: from here on it counts
4. ``recovery.answered``     an answer came, or surely none will
5. ``recovery.recorded``  the journal knows the answer

A process that ends after any of them leaves a journal from which the next one goes on: what was
prepared was never sent, what was sent is verified and never sent again.
"""

from collections.abc import Callable
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from exporter.clock import Clock
from exporter.errors import VergeOSError
from exporter.recovery.decide.guards import next_action
from exporter.recovery.model.cases import (
    Action,
    Case,
    Enrolment,
    Intent,
    ObservedState,
    Outcome,
    Policy,
    Reply,
)
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import FreshVM, JournalStore, Platform
from exporter.recovery.observe.inventory_checks import observed_state_of
from exporter.recovery.verify import deadline_seconds

log = structlog.get_logger()


class ActionRequest(NamedTuple):
    """What is to be done, and what must still hold when it is."""

    case: Case
    action: Action
    decision: int
    """Its number in the journal."""
    clock: float | None
    """VergeOS' time, in Unix seconds."""
    policy: Policy
    """What it was judged by, and what its owner must still say."""
    enrolled: Callable[[FreshVM], Enrolment]
    """Returns what its owner allows for it as it is now."""


class ActionResult(NamedTuple):
    """What came of an order."""

    intent: Intent | None
    """``None``: there was no reason left to act, and nothing was written down."""
    why_not: str = ""


class ActionExecutor:
    """
    Carries out orders, one at a time.

    Args:
        forbidden: Returns why nothing may be sent at this very moment, or nothing.
        watched: Returns the seconds of watch.

    """

    def __init__(
        self,
        platform: Platform,
        book: JournalStore,
        limits: Limits,
        clock: Clock,
        *,
        forbidden: Callable[[], str],
        watched: Callable[[], float],
    ) -> None:
        self._platform = platform
        self._book = book
        self._limits = limits
        self._clock = clock
        self._forbidden = forbidden
        self._watched = watched

    async def carry_out(self, command: ActionRequest) -> ActionResult:
        """
        Do what *order* says if it is still right, and return what came of it.

        Raises:
            JournalError: The journal could not be written; where that was before the request,
                nothing was sent.

        """
        case = command.case
        tell = log.bind(vm=case.name, vm_id=case.key, action=str(command.action))
        looked_at = self._moment()
        try:
            fresh = await self._platform.look(case.key)
        except VergeOSError as error:
            return ActionResult(None, f"it could not be looked at again: {error}")
        why_not = overtaken(command, fresh)
        if why_not:
            return ActionResult(None, why_not)
        tell.info("recovery.reread")

        intent = await self._book.prepare(_intent(command, self._watched()), command.decision)
        tell = tell.bind(intent=intent.id)
        tell.info("recovery.prepared")
        if why_not := self._too_late(looked_at):
            return ActionResult(await self._abandon(intent, why_not), why_not)

        sent_at = self._watched()
        intent = replace(
            intent,
            sent_at=sent_at,
            sent_clock=self._clock.now().timestamp() if command.clock is None else command.clock,
            deadline=sent_at + deadline_seconds(command.action, self._limits),
        )
        await self._book.update(intent)
        tell.info("recovery.sending")
        if why_not := self._too_late(looked_at):
            return ActionResult(await self._abandon(intent, why_not), why_not)

        answer = await self._platform.act(case.key, command.action)
        tell.info("recovery.answered", reply=str(answer.reply), detail=answer.detail)
        intent = replace(intent, reply=answer.reply, detail=answer.detail)
        if answer.reply is Reply.NOT_SENT:
            intent = replace(intent, outcome=Outcome.ABANDONED)
        elif answer.reply in (Reply.NO_CAPACITY, Reply.FORBIDDEN, Reply.REFUSED):
            intent = replace(intent, outcome=Outcome.FAILED)
        await self._book.update(intent)
        tell.info("recovery.recorded")
        return ActionResult(intent)

    async def _abandon(self, intent: Intent, why: str) -> Intent:
        intent = replace(
            intent, sent_at=None, sent_clock=None, outcome=Outcome.ABANDONED, detail=why
        )
        await self._book.update(intent)
        return intent

    def _moment(self) -> tuple[float, float]:
        """Return what both clocks say: one stands still while its machine does, one may be set."""
        return self._clock.monotonic(), self._clock.now().timestamp()

    def _too_late(self, looked_at: tuple[float, float]) -> str:
        """Return why the request must not be sent any more."""
        age = max(now - then for now, then in zip(self._moment(), looked_at, strict=True))
        if age > self._limits.reread_age_seconds:
            return f"the last look at it is {age:.0f} s old"
        return self._forbidden()


def overtaken(command: ActionRequest, fresh: FreshVM | None) -> str:
    """Return why *order* is not right any more for the VM as it is now; empty when it is."""
    case = command.case
    if fresh is None:
        return "it is gone"
    if fresh.uuid != case.uuid or fresh.machine != case.machine:
        return "it is another VM by now"
    if fresh.enabled is not True or fresh.is_snapshot or fresh.service:
        return "it is disabled, a snapshot or a service's"
    enrolment = command.enrolled(fresh)
    if enrolment.policy is not command.policy:
        return f"its owner says {enrolment.policy} by now: {enrolment.because}"
    if next_action(case, enrolment) is not command.action:
        return f"its owner does not allow to {command.action} it any more"
    if command.action is Action.KILL and fresh.disable_powercycle is not False:
        return "its owner forbids power cycles"
    observed = observed_state_of(fresh.word, fresh.running)
    wanted = ObservedState.DOWN if command.action is Action.POWER_ON else ObservedState.HUNG
    if observed is not wanted:
        return f"it is {observed} now ({fresh.word})"
    return ""


def _intent(command: ActionRequest, at: float) -> Intent:
    case = command.case
    return Intent(
        id=0,
        uuid=case.uuid,
        vm_key=case.key,
        name=case.name,
        action=command.action,
        prepared_at=at,
        deadline=at,
    )

"""
The action executor: reads the VM again, records the action, sends it once, records the reply.

Each step is logged by its name, in this order:

1. ``recovery.reread``    the VM still needs the action
2. ``recovery.prepared``  the action is in the journal
3. ``recovery.sending``   the journal marks it as sent: from here on it uses up budgets. It is
                          checked once more on the established connection, and abandoned if it
                          must not be sent
4. ``recovery.answered``  VergeOS replied, or its reply is lost
5. ``recovery.recorded``  the reply is in the journal

A process that ends after any step leaves a journal from which the next process continues: a
prepared action was never sent; a sent action is verified and never sent again.
"""

from collections.abc import Callable
from functools import partial

import structlog
from msgspec.structs import replace

from exporter.clock import Clock
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.act.last_look import LastLook
from exporter.recovery.act.request import ActionRequest
from exporter.recovery.decide.budgets import no_room
from exporter.recovery.model.cases import Intent, Outcome, Reply
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import Platform
from exporter.recovery.verify import deadline_seconds

log = structlog.get_logger()

LEASE_MARGIN_SECONDS = 5.0
"""This replica must lead at least so much longer than the last look before an action may take."""


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

    def use(self, limits: Limits) -> None:
        """Act by other limits."""
        self._limits = limits

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
        look = LastLook(request, self._platform, self._limits, self._clock)
        if reason := await look.read_vm():
            return reason
        logger.info("recovery.reread")

        intent = _intent(request, self._watched())
        room = partial(no_room, self._limits, now=intent.prepared_at)
        intent = await self._journal_writer.store.prepare(intent, request.decision, room)
        logger = logger.bind(intent=intent.id)
        logger.info("recovery.prepared")
        if reason := look.forbidden():
            return await self._abandon(intent, reason)

        sent_at = self._watched()
        intent = replace(
            intent,
            sent_at=sent_at,
            sent_position=request.log_position,
            deadline=sent_at + deadline_seconds(request.action, self._limits),
        )
        await self._journal_writer.store.update(
            intent, lease_seconds=self._limits.reread_age_seconds + LEASE_MARGIN_SECONDS
        )
        logger.info("recovery.sending")
        if reason := look.forbidden():
            return await self._abandon(intent, reason)

        denied = ""

        async def last_check() -> str:
            nonlocal denied
            denied = await look.on_connection()
            return denied

        answer = await self._platform.act(case.key, request.action, last_check)
        logger.info("recovery.answered", reply=str(answer.reply), detail=answer.detail)
        if denied:
            return await self._abandon(intent, denied)
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

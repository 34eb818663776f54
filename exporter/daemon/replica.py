"""Keeps the lease of one system's recovery while this replica leads, and else waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from exporter.clock import Clock, moment
from exporter.errors import JournalError
from exporter.recovery.leadership import Tenure

if TYPE_CHECKING:
    from exporter.journal.lease import Lease

log = structlog.get_logger()

STEP_SECONDS = 1.0
"""A replica that waits looks so often whether it may lead."""
RENEW_SECONDS = 5.0
STEP_DOWN_SECONDS = 60.0
"""How long a replica that stepped down leaves the lead to the others."""


class Replica:
    """
    One replica's part in leading recovery of one system: the `Leadership` of its recovery.

    Args:
        name: Of this replica, which no other replica has.
        open_lease: Opens the journal; called again until it succeeds.
        former_seconds: How long after the end of its lease the last action of the former leader may
            still reach VergeOS.

    """

    is_shared = True

    def __init__(
        self,
        name: str,
        open_lease: Callable[[], Awaitable["Lease"]],
        clock: Clock,
        *,
        former_seconds: float,
    ) -> None:
        self.name = name
        self._open_lease = open_lease
        self._clock = clock
        self.former_seconds = former_seconds
        self._turn = asyncio.Lock()
        self._lease: Lease | None = None
        self._tenure: Tenure | None = None
        self._other = ""
        """The other replica that leads."""
        self._other_epoch: int | None = None
        """None until the journal was asked: 0 would look like many leaders in a short time."""
        self._other_renewed_at: float | None = None
        """In monotonic seconds; None as long as there is no lease."""
        self._waits_until = 0.0
        """Until when it leaves the lead to the others, in monotonic seconds."""
        self.problem = "the journal was not asked yet which replica leads"

    @property
    def term(self) -> int | None:
        tenure = self._tenure
        return tenure.epoch if tenure is not None and tenure.leads(moment(self._clock)) else None

    @property
    def leader(self) -> str:
        return self.name if self.term is not None else self._other

    @property
    def epoch(self) -> int | None:
        return self._tenure.epoch if self._tenure is not None else self._other_epoch

    @property
    def age_seconds(self) -> float | None:
        if self._tenure is not None:
            return self._tenure.age(moment(self._clock))
        renewed_at = self._other_renewed_at
        return None if renewed_at is None else self._clock.monotonic() - renewed_at

    def forbidden(self) -> str:
        if self._tenure is None:
            return f"the replica {self._other} leads" if self._other else "no replica leads"
        return self._tenure.forbids(moment(self._clock), former_seconds=self.former_seconds)

    async def run(self, changed: Callable[[], None], *, may_lead: Callable[[], bool]) -> None:
        """
        Keep or await the lease, until cancelled.

        Args:
            changed: Called when this replica begins or ceases to lead.
            may_lead: Whether its recovery can act at all.

        """
        before = self.term
        while True:
            async with self._turn:
                await self._step(may_lead=may_lead())
            if self.term != before:
                before = self.term
                log.info("recovery.leader", leads=before is not None, epoch=before)
                changed()
            await self._clock.sleep(STEP_SECONDS)

    async def step_down(self) -> None:
        """
        Leave the lead to another replica, and lead again only if none takes it for a minute.

        Raises:
            JournalError: The lease could not be released.

        """
        async with self._turn:
            self._waits_until = self._clock.monotonic() + STEP_DOWN_SECONDS
            await self._release()

    async def end(self) -> None:
        """Release the lease, if that is possible; recovery has ended."""
        if self._tenure is None:
            return
        problem = self.problem  # a journal that does not answer would only delay the end
        if not problem:
            try:
                await self._release()
            except JournalError as error:
                problem = str(error)
        if problem:
            log.warning("recovery.lease_not_released", error=problem)

    async def _step(self, *, may_lead: bool) -> None:
        try:
            if self._lease is None:
                self._lease = await self._open_lease()
            if self._tenure is not None and may_lead:
                await self._renew(self._lease, self._tenure)
            elif self._tenure is not None:
                await self._release()
            else:
                await self._wait(self._lease, may_lead=may_lead)
        except JournalError as error:
            self._lease = None  # its database may have been replaced
            if self.problem != str(error):
                log.error("recovery.lease_unknown", error=str(error))
            self.problem = str(error)
        else:
            self.problem = ""

    async def _renew(self, lease: "Lease", tenure: Tenure) -> None:
        sent_at = moment(self._clock)
        if tenure.age(sent_at) < RENEW_SECONDS:
            return
        if await lease.renew(tenure.epoch):
            self._tenure = tenure._replace(renewed_at=sent_at)
        else:
            log.warning("recovery.lease_lost", epoch=tenure.epoch)
            self._tenure = None

    async def _wait(self, lease: "Lease", *, may_lead: bool) -> None:
        self._other, self._other_epoch, age_seconds = await lease.state()
        self._other_renewed_at = self._clock.monotonic() - age_seconds
        if self._other or not may_lead or self._clock.monotonic() < self._waits_until:
            return
        sent_at = moment(self._clock)
        acquired = await lease.acquire()
        if acquired is not None:
            self._tenure = Tenure(acquired.epoch, moment(self._clock), sent_at, acquired.former)

    async def _release(self) -> None:
        tenure, self._tenure = self._tenure, None
        if tenure is not None and self._lease is not None:
            await self._lease.release(tenure.epoch)
            log.info("recovery.lease_released", epoch=tenure.epoch)

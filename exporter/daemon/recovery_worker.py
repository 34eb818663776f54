"""The journal's handle, and the task that runs recovery beside polling."""

import asyncio
from collections import deque
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING

import structlog

from exporter.clock import Clock
from exporter.config.journal import SQLITE, JournalSettings, journal_place
from exporter.config.recovery import RecoverySettings
from exporter.config.recovery_setup import directory
from exporter.errors import JournalError
from exporter.executor import run_in_thread
from exporter.model import PollResult
from exporter.recovery.model.limits import DAY, HOUR

if TYPE_CHECKING:
    from exporter.journal.journal import Journal
    from exporter.journal.key_uses import KeyUses
    from exporter.journal.lease import Lease
    from exporter.journal.writer import SystemJournal
    from exporter.recovery.engine import Recovery

log = structlog.get_logger()


class JournalHandle:
    """
    The journal, opened on first use and shared by all systems.

    While it cannot be opened, recovery sends no action and reports why; monitoring goes on.
    """

    def __init__(
        self,
        settings: RecoverySettings,
        clock: Clock,
        database: JournalSettings = SQLITE,
    ) -> None:
        self.directory = directory(settings)
        self._place = journal_place(database, self.directory)
        self.is_shared = database.url is not None
        """Whether other replicas can use it."""
        self.replica = database.replica_name
        self.apply(settings)
        self._clock = clock
        self._opening = asyncio.Lock()
        self.journal: Journal | None = None

    def apply(self, settings: RecoverySettings) -> None:
        """Keep records as long as *settings* say; the place stays the same."""
        self.retention = timedelta(days=settings.retention_days)

    async def store(self, system: str) -> "SystemJournal":
        """
        Return the journal of *system*.

        Raises:
            JournalError: The journal cannot be opened.

        """
        return (await self._open()).store(system)

    async def lease(self, system: str) -> "Lease":
        """
        Return the lease of *system*, as this replica sees it.

        Raises:
            JournalError: The journal cannot be opened.

        """
        return (await self._open()).lease(system, self.replica)

    async def fenced_store(self, system: str, epoch: int) -> "SystemJournal":
        """
        Return the journal of *system*, written only while this replica leads in *epoch*.

        Raises:
            JournalError: The journal cannot be opened.

        """
        journal = await self._open()
        return journal.store(system, journal.lease(system, self.replica).fence(epoch))

    async def key_uses(self) -> "KeyUses":
        """
        Return what replicas tell each other of the keys that they use.

        Raises:
            JournalError: The journal cannot be opened.

        """
        return (await self._open()).key_uses()

    async def _open(self) -> "Journal":
        async with self._opening:
            if self.journal is not None and self.journal.is_lost:
                await self.journal.close()
                self.journal = None
            if self.journal is None:
                # Importing it takes half a second: keep that out of the start and the event loop.
                module = await run_in_thread(import_module, "exporter.journal.journal")
                self.journal = await module.open_journal(self._place, self._clock)
            return self.journal

    async def tidy_forever(self) -> None:
        """Delete records older than the retention, an hour after the start and then once a day."""
        await self._clock.sleep(HOUR)  # a daemon that is restarted daily has to delete too
        while True:
            await self._tidy()
            await self._clock.sleep(DAY)

    async def _tidy(self) -> None:
        if self.journal is None:
            return
        try:
            rows = await self.journal.prune(self._clock.now() - self.retention)
        except JournalError as error:
            log.warning("journal.not_tidied", error=str(error))
        else:
            log.info("journal.tidied", rows=rows)

    async def close(self) -> None:
        async with self._opening:
            journal, self.journal = self.journal, None
            if journal is not None:
                await journal.close()


MAX_WAITING_POLLS = 3
"""Each holds a whole inventory; if recovery is slower than polling, the oldest are dropped."""


class RecoveryWorker:
    """Feeds one system's poll results to its recovery, in a task of its own."""

    def __init__(self, recovery: "Recovery") -> None:
        self.recovery = recovery
        self._waiting: deque[PollResult] = deque(maxlen=MAX_WAITING_POLLS)
        self._leader_changed = False
        self._arrived = asyncio.Event()

    def enqueue(self, result: PollResult) -> None:
        """Queue a poll result."""
        if not self.recovery.bug:
            self._waiting.append(result)
            self._arrived.set()

    def leader_changed(self) -> None:
        """Let recovery begin or cease to lead, once it has processed its present poll."""
        self._leader_changed = True
        self._arrived.set()

    async def run(self) -> None:
        """
        Process every poll result in order, until cancelled.

        A bug in recovery disarms recovery until the daemon restarts; monitoring goes on.
        """
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            try:
                if self._leader_changed:
                    self._leader_changed = False
                    await self.recovery.follow_leader()
                while self._waiting:
                    await self.recovery.process(self._waiting.popleft())
            except Exception as error:
                log.exception("recovery.disarmed", reason="a bug in recovery")
                self.recovery.mark_broken(f"a bug ({type(error).__name__}); see the log")
                return

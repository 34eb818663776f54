"""A journal's database, whatever its kind: one connection that writes, one that reads."""

import asyncio
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from sqlalchemy import Connection

from exporter.errors import JournalError, JournalLostError
from exporter.executor import finish_in_thread
from exporter.journal import schema
from exporter.journal.db_errors import journal_errors

REPLACED = (
    "is another one than before: its server failed over, or it was restored; it is read again"
)

T = TypeVar("T")


class Database(ABC):
    """
    A database with one connection that writes and one that reads, each in a thread of its own.

    Writes are done one after the other; reads (the web console, the CLI) never delay the commit
    of an intent.

    Args:
        place: What errors call it: its file, or its URL without a password.

    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._threads = {
            writes: ThreadPoolExecutor(1, "journal-writer" if writes else "journal-reader")
            for writes in (True, False)
        }
        self._closed = False
        self.is_lost = False
        """Whether another database has taken its place: what was read of it no longer holds."""

    async def prepare(self) -> None:
        """
        Check the database; create the tables or upgrade them.

        Raises:
            JournalError: The database is damaged, or from a newer version, or the upgrade failed.

        """

        def prepare(connection: Connection) -> bool:
            self._check(connection)
            return schema.prepare(connection, self.place)

        if not await self.write(prepare):
            await self._migrate()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """
        Return the result of *work*, done in one transaction, which is on disk then.

        Cancellation drops work that has not begun, and waits for the end of work that has.

        Raises:
            JournalError: The transaction failed; nothing of it was written.

        """
        return await self._run(work, writes=True)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return the result of *work*, which only reads; all its queries see the same data."""
        return await self._run(work, writes=False)

    async def close(self) -> None:
        """Close the connections after the work that was given before."""
        if self._closed:
            return
        self._closed = True
        reader = self._threads[False].submit(self._disconnect, writes=False)

        def disconnect_writer() -> None:
            wait([reader])  # so that SQLite's last connection can fold in the write-ahead log
            self._disconnect(writes=True)

        writer = self._threads[True].submit(disconnect_writer)
        for thread in self._threads.values():
            thread.shutdown(wait=False)
        await asyncio.wait([asyncio.wrap_future(reader), asyncio.wrap_future(writer)])

    async def _run(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        def translated() -> T:
            with journal_errors(self.place):
                return self._transact(work, writes=writes)

        if self.is_lost:
            raise JournalLostError(f"the journal {self.place} {REPLACED}")
        if self._closed:
            raise JournalError(f"the journal {self.place} is closed")
        return await finish_in_thread(self._threads[writes], translated)

    @abstractmethod
    def _transact(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        """Return the result of *work*, done in one transaction; called in the thread."""

    def _check(self, connection: Connection) -> None:  # noqa: B027 - not each can be checked
        """Raise `JournalError` if the database is damaged."""

    @abstractmethod
    def _disconnect(self, *, writes: bool) -> None:
        """Close the connection of a thread; called in it."""

    @abstractmethod
    def _address(self) -> Sequence[str | None]:
        """Return the arguments of `exporter.journal.migrate.main`."""

    async def _migrate(self) -> None:
        """Run `exporter.journal.migrate` in a child process that imports what this one can."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "exporter.journal.migrate"),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            # A password is among them, so they are neither arguments nor in the environment.
            _, stderr = await process.communicate(json.dumps(self._address()).encode())
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            lines = stderr.decode(errors="replace").split("\n")
            problem = next((line for line in reversed(lines) if line), "no error message")
            if not problem.startswith("the journal "):
                problem = f"the journal {self.place} cannot be upgraded: {problem}"
            raise JournalError(problem)

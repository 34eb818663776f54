"""Connections to the journal's database: one that writes, one that reads."""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.event import listen
from sqlalchemy.pool import ConnectionPoolEntry

from exporter.errors import JournalError
from exporter.executor import finish_in_thread
from exporter.journal import schema
from exporter.journal.db_errors import DAMAGED, journal_errors

BUSY_SECONDS = 2.0
"""How long to wait for another program, such as a backup, to release the file."""

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # readers do not block the writer
    "PRAGMA synchronous = FULL",  # a committed transaction survives a power failure
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -512",  # KiB, not 2 MiB; the operating system caches the file as well
)

T = TypeVar("T")


class Database:
    """
    A database with one connection that writes and one that reads, each in a thread of its own.

    Writes are done one after the other; reads (the web console, the CLI) never delay the commit
    of an intent.

    Args:
        url: A database URL of SQLAlchemy.

    """

    def __init__(self, url: str | URL) -> None:
        self._url = make_url(url)
        self._writer = _engine(self._url)
        self._reader = _engine(self._url)
        self._write_thread = ThreadPoolExecutor(1, "journal-writer")
        self._read_thread = ThreadPoolExecutor(1, "journal-reader")
        self._file: Path | None = None
        self._closed = False
        self.place = self._url.render_as_string(hide_password=True)
        if self._is_sqlite:
            assert self._url.database is not None  # noqa: S101 - a journal is always a file
            self._file = Path(self._url.database)
            self.place = str(self._file)
            # BEGIN IMMEDIATE locks at once, so a busy file is found before anything is written.
            _configure_sqlite(self._writer, begin="BEGIN IMMEDIATE")
            _configure_sqlite(self._reader, begin="BEGIN", extra=("PRAGMA query_only = ON",))
        self._inode = _inode(self._file)

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    async def prepare(self) -> None:
        """
        Check the database's integrity; create the tables or upgrade them.

        Raises:
            JournalError: The database is damaged, or from a newer version, or the upgrade failed.

        """
        if not await self.write(self._prepare):
            await self._migrate()

    def _prepare(self, connection: Connection) -> bool:
        """Return whether the tables are current."""
        if self._is_sqlite:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)")
            if found.scalar() != "ok":
                raise JournalError(f"the journal {self.place} {DAMAGED}")
        return schema.prepare(connection, self.place)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """
        Return the result of *work*, done in one transaction, which is on disk then.

        Cancellation drops work that has not begun, and waits for the end of work that has.

        Raises:
            JournalError: The transaction failed; nothing of it was written.

        """

        def transact() -> T:
            self._check_file()
            with self._writer.begin() as connection:
                return work(connection)

        return await self._run(self._write_thread, transact)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return the result of *work*, which only reads; all its queries see the same data."""

        def transact() -> T:
            with self._reader.connect() as connection:
                return work(connection)

        return await self._run(self._read_thread, transact)

    async def close(self) -> None:
        """Close the connections after the work that was given before."""
        if self._closed:
            return
        self._closed = True
        closing = []
        for engine, thread in (
            (self._reader, self._read_thread),
            (self._writer, self._write_thread),
        ):
            closing.append(asyncio.wrap_future(thread.submit(engine.dispose)))
            thread.shutdown(wait=False)
        await asyncio.wait(closing)

    async def _run(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        def translated() -> T:
            with journal_errors(self.place):
                return work()

        if self._closed:
            raise JournalError(f"the journal {self.place} is closed")
        return await finish_in_thread(thread, translated)

    def _check_file(self) -> None:
        """Raise if the file was replaced: SQLite would go on writing to the deleted one."""
        if _inode(self._file) != self._inode:
            raise JournalError(
                f"the journal {self.place} was moved, deleted or replaced while in use; "
                "put it back, or restart Vergewatch"
            )

    async def _migrate(self) -> None:
        """Run `exporter.journal.migrate` in a child process that imports what this one can."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "exporter.journal.migrate"),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            # The URL may hold a password, so it is neither an argument nor in the environment.
            url = self._url.render_as_string(hide_password=False)
            _, stderr = await process.communicate(url.encode())
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


def _engine(url: URL) -> Engine:
    options: dict[str, object] = {}
    if url.get_backend_name() == "sqlite":
        # Without an isolation level Python's driver begins no transactions: `_configure_sqlite`.
        options = {"timeout": BUSY_SECONDS, "isolation_level": None}
    return create_engine(
        url, pool_size=1, max_overflow=0, hide_parameters=True, connect_args=options
    )


def _configure_sqlite(engine: Engine, *, begin: str, extra: tuple[str, ...] = ()) -> None:
    """Apply the settings to every connection of *engine*; begin transactions with *begin*."""

    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        for setting in (*_SETTINGS, *extra):
            cursor = connection.cursor()
            cursor.execute(setting)
            cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    listen(engine, "connect", on_connect)
    listen(engine, "begin", on_begin)


def _inode(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        found = os.stat(file)  # noqa: PTH116 - a local stat before every write
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino

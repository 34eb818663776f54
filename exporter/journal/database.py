"""Connections to the journal's database: one writer, several readers."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from exporter.errors import JournalError
from exporter.journal import schema
from exporter.journal.db_errors import DAMAGED, journal_errors

BUSY_SECONDS = 2.0
"""How long to wait for another program, such as a backup, to release the file."""
READERS = 2

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # readers do not block the writer
    "PRAGMA synchronous = FULL",  # a committed transaction survives a power failure
    "PRAGMA foreign_keys = ON",
)


class Database:
    """
    A database with one writing transaction at a time and separate connections for readers.

    Readers (the web console, the CLI) never delay the commit of an intent.

    Args:
        url: A database URL of SQLAlchemy.

    """

    def __init__(self, url: str | URL) -> None:
        self._url = make_url(url)
        self._writer = _engine(self._url, connections=1)
        self._readers = _engine(self._url, connections=READERS)
        self._write_lock = asyncio.Lock()
        self._file: Path | None = None
        self._closed = False
        self.place = self._url.render_as_string(hide_password=True)
        if self._is_sqlite:
            assert self._url.database is not None  # noqa: S101 - a journal is always a file
            self._file = Path(self._url.database)
            self.place = str(self._file)
            # BEGIN IMMEDIATE locks at once, so a busy file is found before anything is written.
            _configure_sqlite(self._writer, begin="BEGIN IMMEDIATE")
            _configure_sqlite(self._readers, begin="BEGIN", extra=("PRAGMA query_only = ON",))
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
        async with self.writing() as connection:
            if self._is_sqlite:
                found = await connection.exec_driver_sql("PRAGMA quick_check(1)")
                if found.scalar() != "ok":
                    raise JournalError(f"the journal {self.place} {DAMAGED}")
            current = await connection.run_sync(schema.prepare, self.place)
        if not current:
            await self._migrate()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """
        Run the block in one transaction, which is on disk when the block is left.

        Raises:
            JournalError: The transaction failed; nothing of it was written.

        """
        async with self._write_lock:
            with journal_errors(self.place):
                self._check_open()
                self._check_file()
                async with self._writer.begin() as connection:
                    yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Run the block in a transaction that only reads; all its queries see the same data."""
        with journal_errors(self.place):
            self._check_open()
            async with self._readers.connect() as connection:
                yield connection

    async def close(self) -> None:
        async with self._write_lock:
            self._closed = True
            with journal_errors(self.place):
                await self._readers.dispose()
                await self._writer.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError(f"the journal {self.place} is closed")

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


def _engine(url: URL, *, connections: int) -> AsyncEngine:
    options: dict[str, object] = {}
    if url.get_backend_name() == "sqlite":
        # Without an isolation level Python's driver begins no transactions: `_configure_sqlite`.
        options = {"timeout": BUSY_SECONDS, "isolation_level": None}
    return create_async_engine(
        url, pool_size=connections, max_overflow=0, hide_parameters=True, connect_args=options
    )


def _configure_sqlite(engine: AsyncEngine, *, begin: str, extra: tuple[str, ...] = ()) -> None:
    """Apply the settings to every connection of *engine*; begin transactions with *begin*."""

    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        for setting in (*_SETTINGS, *extra):
            cursor = connection.cursor()
            cursor.execute(setting)
            cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    listen(engine.sync_engine, "connect", on_connect)
    listen(engine.sync_engine, "begin", on_begin)


def _inode(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        found = os.stat(file)  # noqa: PTH116 - a local stat before every write
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino

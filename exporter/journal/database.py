"""The way to the journal's database: who may write when, and what is certain afterwards."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from exporter.errors import JournalError
from exporter.journal.db_errors import DAMAGED, plain_faults
from exporter.journal.schema import upgrade

BUSY_SECONDS = 2.0
"""How long to wait for another program, such as a backup, to let go of the file."""
READERS = 2

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # whoever reads does not hold up who writes
    "PRAGMA synchronous = FULL",  # what was committed survives a power cut
    "PRAGMA foreign_keys = ON",
)


class Database:
    """
    A database with one writer at a time and readers beside it.

    What people read has connections of its own, so that nothing on a web page can keep an
    intent from being written.

    Args:
        url: As SQLAlchemy understands it.
        file: The SQLite file behind it, if there is one.

    """

    def __init__(self, url: str | URL, *, file: Path | None = None) -> None:
        address = make_url(url)
        self.place = str(file) if file else address.render_as_string(hide_password=True)
        self._writer = _engine(address, connections=1)
        self._readers = _engine(address, connections=READERS)
        self._turn = asyncio.Lock()
        self._file = file
        self._identity = _identity(file) if file else None
        self._closed = False
        if self._writer.dialect.name == "sqlite":
            _tame(self._writer, begin="BEGIN IMMEDIATE")  # it is known at once who must wait
            _tame(self._readers, begin="BEGIN", extra=("PRAGMA query_only = ON",))

    async def prepare(self) -> None:
        """
        Look whether the database is sound, and bring its tables up to date.

        Raises:
            JournalError: It is not, or they cannot be.

        """
        async with self.writing() as connection:
            if connection.dialect.name == "sqlite":
                found = await connection.exec_driver_sql("PRAGMA quick_check(1)")
                if found.scalar() != "ok":
                    raise JournalError(f"the journal {self.place} {DAMAGED}")
            await connection.run_sync(upgrade, self.place)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """
        Write in one transaction: past the end of the block, everything is on disk.

        Raises:
            JournalError: It is not, and nothing of it was written.

        """
        async with self._turn:
            with plain_faults(self.place):
                self._check_open()
                self._check_place()
                async with self._writer.begin() as connection:
                    yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Read, all of it as it was at one moment."""
        with plain_faults(self.place):
            self._check_open()
            async with self._readers.connect() as connection:
                yield connection

    async def close(self) -> None:
        async with self._turn:
            self._closed = True
            with plain_faults(self.place):
                await self._readers.dispose()
                await self._writer.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError(f"the journal {self.place} is closed")

    def _check_place(self) -> None:
        """Raise unless the file is where it was: SQLite would go on writing to one that is gone."""
        if self._file and _identity(self._file) != self._identity:
            raise JournalError(
                f"the journal {self.place} was moved, deleted or replaced while in use; "
                "put it back, or start Vergewatch again"
            )


def _engine(url: URL, *, connections: int) -> AsyncEngine:
    return create_async_engine(
        url, pool_size=connections, max_overflow=0, hide_parameters=True, connect_args=_options(url)
    )


def _options(url: URL) -> dict[str, object]:
    if url.get_backend_name() != "sqlite":
        return {}
    # Without an isolation level Python's driver leaves transactions to us, see `_tame`.
    return {"timeout": BUSY_SECONDS, "isolation_level": None}


def _tame(engine: AsyncEngine, *, begin: str, extra: tuple[str, ...] = ()) -> None:
    """Set up each connection of an SQLite *engine*, and have transactions begin with *begin*."""

    def set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        for setting in (*_SETTINGS, *extra):
            cursor = connection.cursor()
            cursor.execute(setting)
            cursor.close()

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    listen(engine.sync_engine, "connect", set_up)
    listen(engine.sync_engine, "begin", start)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - a local look, in every write
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino

"""A journal in a SQLite file, which one process at a time may use."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.event import listen
from sqlalchemy.pool import ConnectionPoolEntry

from exporter.errors import JournalError
from exporter.journal.database import Database
from exporter.journal.db_errors import DAMAGED, journal_errors
from exporter.journal.lock import Lock

FILE = "journal.sqlite"
LOCK = "journal.lock"
BUSY_SECONDS = 2.0
"""How long to wait for another program, such as a backup, to release the file."""

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # readers do not block the writer
    "PRAGMA synchronous = FULL",  # a committed transaction survives a power failure
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -512",  # KiB, not 2 MiB; the operating system caches the file as well
)

T = TypeVar("T")


class SQLiteDatabase(Database):
    """
    A database in a file.

    Args:
        file: It must exist; an empty one is a new database.
        lock: Released when the database is closed.

    """

    def __init__(self, file: Path, lock: Lock | None = None) -> None:
        super().__init__(str(file))
        self._file = file
        self._lock = lock
        self._inode = _inode(file)
        # BEGIN IMMEDIATE locks at once, so a busy file is found before anything is written.
        self._engines = {
            True: sqlite_engine(file, begin="BEGIN IMMEDIATE"),
            False: sqlite_engine(file, begin="BEGIN", extra=("PRAGMA query_only = ON",)),
        }

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def _transact(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        if writes:
            self._check_file()
        with self._engines[writes].begin() as connection:
            return work(connection)

    def _check(self, connection: Connection) -> None:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)")
        if found.scalar() != "ok":
            raise JournalError(f"the journal {self.place} {DAMAGED}")

    def _disconnect(self, *, writes: bool) -> None:
        self._engines[writes].dispose()

    def _address(self) -> Sequence[str | None]:
        return [str(self._file)]

    def _check_file(self) -> None:
        """Raise if the file was replaced: SQLite would go on writing to the deleted one."""
        if _inode(self._file) != self._inode:
            raise JournalError(
                f"the journal {self.place} was moved, deleted or replaced while in use; "
                "put it back, or restart Vergewatch"
            )


async def locked_database(directory: Path) -> SQLiteDatabase:
    """
    Return the database in *directory*; create both if they do not exist.

    Raises:
        JournalError: It cannot be created, or another process uses it.

    """
    file = directory / FILE
    with journal_errors(str(file)):
        return SQLiteDatabase(file, await _locked(directory))


def sqlite_engine(file: Path, *, begin: str = "BEGIN", extra: Sequence[str] = ()) -> Engine:
    """Return an engine for *file* with one connection, whose transactions begin with *begin*."""
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
        # Without an isolation level Python's driver begins no transactions: `on_begin` does.
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )

    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        for setting in (*_SETTINGS, *extra):
            cursor = connection.cursor()
            cursor.execute(setting)
            cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    listen(engine, "connect", on_connect)
    listen(engine, "begin", on_begin)
    return engine


async def _locked(directory: Path) -> Lock:
    """Lock the journal in a thread; if that is cancelled, release the lock when it is done."""
    locking = asyncio.ensure_future(asyncio.to_thread(_lock, directory))
    try:
        return await asyncio.shield(locking)
    except asyncio.CancelledError:
        locking.add_done_callback(_release)
        raise


def _release(locking: asyncio.Future[Lock]) -> None:
    if not locking.cancelled() and locking.exception() is None:
        locking.result().release()


def _lock(directory: Path) -> Lock:
    """Lock the journal in *directory*; only the daemon's user may read what it contains."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = Lock(directory / LOCK)
    try:
        os.close(os.open(directory / FILE, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError:
        lock.release()
        raise
    return lock


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - a local stat before every write
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino

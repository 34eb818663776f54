"""What a journal is and holds, for `vergewatch journal status` and `vergewatch check`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import Connection, select, text

from exporter.errors import JournalError
from exporter.journal import schema
from exporter.journal.copying import count_rows
from exporter.journal.database import Database
from exporter.journal.db_errors import journal_errors
from exporter.journal.journal import postgres_database
from exporter.journal.lock import holder
from exporter.journal.place import Place, PostgresServer
from exporter.journal.sqlite_database import FILE, LOCK, SQLiteDatabase
from exporter.journal.tables import systems


class SystemStatus(msgspec.Struct, frozen=True):
    """A system that the journal knows."""

    url: str
    saved_at: datetime
    """The time of its newest poll in the journal."""


class JournalStatus(msgspec.Struct, frozen=True):
    """What a journal is and holds."""

    place: str
    """The file, or the URL of the database without its parameters."""
    database: str
    """What keeps it, such as ``SQLite 3.40.1``."""
    revision: str | None
    """Of its tables; None if it has none yet."""
    newest_revision: str
    """What this version reads and writes."""
    used_by: str
    """Who uses it; empty if nothing does."""
    size_bytes: int
    rows: Mapping[str, int] = {}
    """By table, if its tables are of this version."""
    systems: Sequence[SystemStatus] = ()


def database_to_read(place: Place, *, seconds: float | None = None) -> Database:
    """
    Return the database of the journal at *place*, for reading, also while a daemon uses it.

    Raises:
        JournalError: There is none.

    """
    if isinstance(place, PostgresServer):
        return postgres_database(place, seconds=seconds)
    with journal_errors(str(place / FILE)):
        if not (place / FILE).is_file():
            raise JournalError(f"there is no journal {place / FILE}; vergewatch run creates it")
    return SQLiteDatabase(place / FILE)


async def read_status(place: Place, *, seconds: float | None = None) -> JournalStatus:
    """
    Return what the journal at *place* is and holds.

    Raises:
        JournalError: It cannot be read.

    """
    database = database_to_read(place, seconds=seconds)
    try:
        return await database.read(lambda connection: _status(connection, place, database.place))
    finally:
        await database.close()


def _status(connection: Connection, place: Place, name: str) -> JournalStatus:
    revision = schema.revision(connection)
    if revision is None and isinstance(place, PostgresServer):
        _check_can_create(connection, name)
    current = revision == schema.REVISION
    known = connection.execute(select(systems.c.system, systems.c.time)) if current else ()
    kind, used_by, size = _facts(connection, place)
    return JournalStatus(
        place=name,
        database=kind,
        revision=revision,
        newest_revision=schema.REVISION,
        used_by=used_by,
        size_bytes=size,
        rows=count_rows(connection) if current else {},
        systems=[SystemStatus(url, time) for url, time in known],
    )


def _facts(connection: Connection, place: Place) -> tuple[str, str, int]:
    """Return what keeps the journal, who uses it, and its size."""
    if isinstance(place, Path):
        version = connection.scalar(text("SELECT sqlite_version()"))
        files = [place / FILE, place / f"{FILE}-wal"]
        size = sum(file.stat().st_size for file in files if file.exists())
        return f"SQLite {version}", holder(place / LOCK), size
    version = connection.scalar(text("SELECT current_setting('server_version')"))
    sessions = connection.scalar(
        text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'vergewatch' AND pid <> pg_backend_pid()"
        )
    )
    size = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
    return f"PostgreSQL {version}", f"{sessions} sessions of Vergewatch" * bool(sessions), size


def _check_can_create(connection: Connection, name: str) -> None:
    """Raise `JournalError` if the user may not create the tables."""
    may = "has_schema_privilege(current_schema(), 'CREATE')"
    if not connection.scalar(text(f"SELECT coalesce({may}, false)")):
        raise JournalError(
            f"the journal {name} cannot be created: its user may create no tables in the database; "
            "make the user the owner of the database"
        )

"""Copies a journal from one database to another, with its ids."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, func, insert, select, text

from exporter.errors import JournalError
from exporter.journal import schema
from exporter.journal.database import Database
from exporter.journal.db_errors import journal_errors
from exporter.journal.lock import Lock
from exporter.journal.sqlite_database import FILE, LOCK, SQLiteDatabase, sqlite_engine
from exporter.journal.tables import METADATA

BATCH = 1000
"""Rows that are in memory at a time."""

Rows = Mapping[str, int]
"""How many rows there are in each table."""


async def export_journal(database: Database, file: Path) -> Rows:
    """
    Write the journal to the SQLite file *file*, as it is at one moment.

    Raises:
        JournalError: The file exists, or the journal cannot be read, or is not current.

    """

    def export(source: Connection) -> Rows:
        schema.check_current(source, database.place)
        with _new_file(file) as target:
            schema.prepare(target, str(file))
            return _copy(source, target)

    with journal_errors(str(file)):
        return await database.read(export)


async def import_journal(database: Database, file: Path) -> Rows:
    """
    Copy the journal in the SQLite file *file*, which stays as it is, into the empty *database*.

    Raises:
        JournalError: The file is in use, or no journal; or the database has rows, or cannot be
            written. Nothing was imported.

    """
    with _unused_copy(file) as copy:
        older = SQLiteDatabase(copy)
        try:
            await older.prepare()
        finally:
            await older.close()
        await database.prepare()

        def take(target: Connection) -> Rows:
            _check_empty(target, database.place)
            engine = sqlite_engine(copy)
            try:
                with engine.begin() as source:
                    return _copy(source, target)
            finally:
                engine.dispose()

        return await database.write(take)


def count_rows(connection: Connection) -> Rows:
    """Return how many rows each table has."""
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in METADATA.sorted_tables
    }


def _copy(source: Connection, target: Connection) -> Rows:
    """Copy every row; return how many each table has."""
    for table in METADATA.sorted_tables:
        query = select(table).order_by(*table.primary_key)
        found = source.execute(query, execution_options={"yield_per": BATCH})
        for rows in found.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in rows])
    _set_last_ids(target, _last_ids(source))
    return count_rows(target)


def _last_ids(connection: Connection) -> Mapping[str, int]:
    """Return the highest id that each table ever had, as far as the database keeps it."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
        return {row.name: row.seq for row in found}
    last = {}
    for name in _numbered():
        sequence = connection.scalar(text(f"SELECT pg_get_serial_sequence('{name}', 'id')"))
        query = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"  # noqa: S608
        last[name] = connection.scalar(text(query)) or 0
    return last


def _set_last_ids(connection: Connection, last: Mapping[str, int]) -> None:
    """Let the ids of new rows follow on those of the copied ones, and on *last*."""
    for name in _numbered():
        highest = connection.scalar(text(f"SELECT coalesce(max(id), 0) FROM {name}"))  # noqa: S608
        number = max(highest or 0, last.get(name, 0))
        if not number:
            continue
        if connection.dialect.name == "postgresql":
            sequence = text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), :number)")
            connection.execute(sequence, {"number": number})
        elif METADATA.tables[name].dialect_options["sqlite"]["autoincrement"]:
            values = {"name": name, "number": number}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
            connection.execute(
                text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"), values
            )


def _numbered() -> Iterator[str]:
    """Yield the names of the tables with an id."""
    return (table.name for table in METADATA.sorted_tables if "id" in table.columns)


def _check_empty(connection: Connection, place: str) -> None:
    full = [name for name, number in count_rows(connection).items() if number]
    if full:
        raise JournalError(
            f"the journal {place} is not empty (it has rows in {', '.join(full)}); "
            "import into a new one"
        )


@contextmanager
def _new_file(file: Path) -> Iterator[Connection]:
    """Yield a connection to a new database, which is at *file* when it is complete."""
    if file.exists():
        raise JournalError(f"the file {file} exists; name one that does not")
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    engine = sqlite_engine(part)
    try:
        with engine.begin() as connection:
            yield connection
        engine.dispose()  # folds the write-ahead log in
        part.rename(file)
    finally:
        engine.dispose()
        part.unlink(missing_ok=True)


@contextmanager
def _unused_copy(file: Path) -> Iterator[Path]:
    """Yield a copy of the journal in *file*, which no process uses meanwhile."""
    lock, lock_file = None, file.with_name(LOCK)
    with journal_errors(str(file)):
        if not file.is_file():
            raise JournalError(f"there is no journal {file}")
        if file.name == FILE and lock_file.exists():
            lock = Lock(lock_file)
        try:
            with TemporaryDirectory(prefix="vergewatch-import-") as directory:
                copy = Path(directory) / FILE
                with (
                    closing(
                        sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
                    ) as old,
                    closing(sqlite3.connect(copy)) as new,
                ):
                    old.backup(new)
                yield copy
        finally:
            if lock is not None:
                lock.release()

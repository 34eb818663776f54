"""A journal on each kind of database, and a second connection to it."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest

from exporter.journal import sqlite_database
from exporter.journal.journal import Journal, open_journal
from exporter.journal.place import Place, PostgresServer
from exporter.journal.sqlite_database import FILE
from tests.fakes import FakeClock
from tests.postgres import Postgres

FIRST_RELEASE = Path(__file__).parent / "revision_0001.sql"
"""A journal in SQLite with revision 0001, which has an example of each row."""


class Other(Protocol):
    """Another program's connection to the database of `journal`, which commits at once."""

    async def execute(self, statement: str) -> Sequence[Sequence[Any]]: ...


class OtherSQLite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def execute(self, statement: str) -> Sequence[Sequence[Any]]:
        return self._connection.execute(statement).fetchall()


class OtherPostgres:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def execute(self, statement: str) -> Sequence[Sequence[Any]]:
        return [tuple(row) for row in await self._connection.fetch(statement)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, directory: Path) -> Place:
    """Return where a new journal is; tests of one kind of database override this."""
    if request.param == "sqlite":
        return directory
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database()


@pytest.fixture
async def journal(place: Place, clock: FakeClock) -> AsyncIterator[Journal]:
    journal = await open_journal(place, clock)
    yield journal
    await journal.close()


@pytest.fixture
async def other(place: Place, journal: Journal) -> AsyncIterator[Other]:
    if isinstance(place, PostgresServer):
        connection = await asyncpg.connect(place.url)
        yield OtherPostgres(connection)
        await connection.close()
        return
    with closing(sqlite3.connect(place / FILE, isolation_level=None, timeout=0)) as file:
        yield OtherSQLite(file)


@pytest.fixture
def short_busy_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_database, "BUSY_SECONDS", 0.05)


@pytest.fixture
def corrupt_file(directory: Path) -> Path:
    """Return a journal file that is not a database."""
    directory.mkdir()
    file = directory / FILE
    file.write_bytes(b"not a database at all" * 1000)
    return file


@pytest.fixture
def other_connection(directory: Path) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the file of `journal`; request it after `journal`."""
    connection = sqlite3.connect(directory / FILE, isolation_level=None, timeout=0)
    with closing(connection):
        yield connection

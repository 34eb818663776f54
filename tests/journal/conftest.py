"""A journal in a real file, and a second connection to it."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.journal import database
from exporter.journal.journal import FILE, Journal, open_journal
from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def short_busy_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)


@pytest.fixture
async def journal(directory: Path, clock: FakeClock) -> AsyncIterator[Journal]:
    journal = await open_journal(directory, clock)
    yield journal
    await journal.close()


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

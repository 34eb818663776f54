"""Creating the tables of a new journal, and upgrading those of an older one."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from exporter.errors import JournalError
from exporter.journal import postgres_database
from exporter.journal.journal import open_journal
from exporter.journal.migrate import MIGRATIONS
from exporter.journal.schema import REVISION
from exporter.journal.sqlite_database import FILE
from exporter.journal.tables import METADATA
from tests.daemon_process import REAL_TIME
from tests.fakes import FakeClock
from tests.journal.conftest import FIRST_RELEASE
from tests.journal.examples import CASE, COMMAND, DECISION, SYSTEM, poll_record
from tests.postgres import Postgres, database_of

ROOT = Path(__file__).parents[2]
OPEN_AND_CLOSE = """
import asyncio, pathlib, sys
from exporter.clock import SystemClock
from exporter.errors import JournalError
from exporter.journal.journal import open_journal

async def main():
    journal = await open_journal(pathlib.Path(sys.argv[1]), SystemClock())
    await journal.close()

try:
    asyncio.run(main())
finally:
    unused = {"alembic", "sqlalchemy.dialects.postgresql", "sqlalchemy.orm"}
    assert not unused & sys.modules.keys()
"""
ADD_COLUMN = f"""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{REVISION}"

def upgrade():
    op.add_column("commands", sa.Column("ticket", sa.Text))
"""


def statements(file: Path) -> dict[str, str]:
    """Return the SQL of each table and index of *file*."""
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
        return {name: " ".join(sql.split()) for name, sql in found}


def columns(file: Path) -> dict[str, set[tuple[str, int]]]:
    """Return the name of each column of each table of *file*, and whether it may not be NULL."""
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: {(row[1], row[3]) for row in connection.execute(f"PRAGMA table_info({name})")}
            for (name,) in names
        }


def set_revision(file: Path, revision: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def open_in_new_process(
    directory: Path, package: Path = ROOT
) -> "subprocess.CompletedProcess[str]":
    """Open the journal in *directory* with the code below *package*."""
    return subprocess.run(
        [sys.executable, "-c", OPEN_AND_CLOSE, str(directory)],
        cwd=package,
        env={"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """Return a copy of the package with one more revision, which adds a column."""
    package = tmp_path / "next"
    shutil.copytree(
        ROOT / "exporter", package / "exporter", ignore=shutil.ignore_patterns("__pycache__")
    )
    journal = package / "exporter" / "journal"
    (journal / "migrations" / "versions" / "revision_9999.py").write_text(ADD_COLUMN)
    schema = journal / "schema.py"
    schema.write_text(schema.read_text().replace(f'"{REVISION}"', '"9999"'))
    return package


async def test_new_journal_has_every_table_and_the_newest_revision(
    directory: Path, clock: FakeClock
) -> None:
    await (await open_journal(directory, clock)).close()

    assert METADATA.tables.keys() | {"alembic_version"} <= statements(directory / FILE).keys()
    with closing(sqlite3.connect(directory / FILE)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version")
        assert found.fetchall() == [(REVISION,)]


def test_newest_migration_is_the_revision_of_a_new_journal() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


async def test_journal_of_a_newer_version_is_refused_and_unchanged(
    directory: Path, clock: FakeClock
) -> None:
    await (await open_journal(directory, clock)).close()
    set_revision(directory / FILE, "9815")
    before = statements(directory / FILE)

    with pytest.raises(JournalError, match="newer version of Vergewatch") as caught:
        await open_journal(directory, clock)

    assert str(directory / FILE) in str(caught.value)
    assert "9815" in str(caught.value)
    assert statements(directory / FILE) == before


async def test_failed_creation_leaves_no_tables(tmp_path: Path, clock: FakeClock) -> None:
    last = METADATA.sorted_tables[-1].name
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute(f"CREATE TABLE {last} (foreign_column TEXT)")

    with pytest.raises(JournalError):
        await open_journal(tmp_path, clock)

    assert set(statements(tmp_path / FILE)) == {last}


def test_new_or_current_journal_imports_no_more_than_it_needs(directory: Path) -> None:
    for _ in range(2):
        opened = open_in_new_process(directory)
        assert (opened.returncode, opened.stderr) == (0, "")


async def test_older_journal_is_upgraded_in_a_child_process(
    directory: Path, clock: FakeClock, next_version: Path
) -> None:
    journal = await open_journal(directory, clock)
    await journal.store(SYSTEM).save_poll(poll_record(cases=[CASE]))
    await journal.close()

    opened = open_in_new_process(directory, next_version)

    assert (opened.returncode, opened.stderr) == (0, "")
    assert "ticket TEXT" in statements(directory / FILE)["commands"]
    with closing(sqlite3.connect(directory / FILE)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version")
        assert found.fetchall() == [("9999",)]
        assert connection.execute("SELECT count(*) FROM cases").fetchone() == (1,)


async def test_journal_of_the_first_release_is_upgraded_with_its_rows(
    tmp_path: Path, clock: FakeClock
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    with closing(sqlite3.connect(old / FILE)) as connection:
        connection.executescript(FIRST_RELEASE.read_text())

    for directory in (old, new):
        await (await open_journal(directory, clock)).close()

    assert columns(old / FILE) == columns(new / FILE)
    assert statements(old / FILE).keys() == statements(new / FILE).keys()
    journal = await open_journal(old, clock)
    assert (await journal.store(SYSTEM).load()).cases == [CASE]
    assert [one.decision for one in await journal.decisions(SYSTEM)] == [DECISION, DECISION]
    assert await journal.commands(SYSTEM) == [COMMAND]
    await journal.close()


async def test_failed_upgrade_changes_nothing_and_is_reported(
    directory: Path, clock: FakeClock, next_version: Path
) -> None:
    await (await open_journal(directory, clock)).close()
    before = statements(directory / FILE)
    migration = next_version / "exporter/journal/migrations/versions/revision_9999.py"
    migration.write_text(f"{ADD_COLUMN}    op.drop_column('commands', 'no_such_column')\n")

    opened = open_in_new_process(directory, next_version)

    error = opened.stderr.splitlines()[-1]
    assert opened.returncode == 1
    assert error.startswith(f"exporter.errors.JournalError: the journal {directory / FILE} cannot")
    assert statements(directory / FILE) == before


async def test_unknown_older_revision_is_refused(directory: Path, clock: FakeClock) -> None:
    await (await open_journal(directory, clock)).close()
    set_revision(directory / FILE, "0000")

    with pytest.raises(JournalError, match=r"cannot be upgraded.*0000") as caught:
        await open_journal(directory, clock)

    assert str(directory / FILE) in str(caught.value)


async def test_cancelled_opening_ends_the_upgrade(
    directory: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await open_journal(directory, clock)).close()
    set_revision(directory / FILE, "0000")
    hanging = directory / "hanging"
    hanging.write_text('#!/bin/sh\necho $$ > "$0.pid"\nexec sleep 600\n')
    hanging.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(hanging))
    pid_file = directory / "hanging.pid"
    opening = asyncio.create_task(open_journal(directory, clock))
    while not (pid_file.exists() and pid_file.read_text()):
        await REAL_TIME.sleep(0.01)

    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


PREVIOUS = (
    "DROP TABLE key_uses",
    "DROP TABLE leases",
    "ALTER TABLE intents DROP COLUMN epoch",
    "ALTER TABLE decisions DROP COLUMN epoch",
    "ALTER TABLE commands DROP COLUMN epoch",
    "UPDATE alembic_version SET version_num = '0001'",
)
"""What takes the tables back to revision 0001."""
COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
    "WHERE table_schema = 'public' ORDER BY 1, 2"
)


async def test_journal_of_revision_0001_on_postgres_is_upgraded(
    postgres: Postgres, clock: FakeClock
) -> None:
    place = postgres.new_database()
    journal = await open_journal(place, clock)
    await journal.store(SYSTEM).save_poll(poll_record(cases=[CASE]))
    await journal.close()
    name = database_of(place)
    new = await postgres.execute(COLUMNS, database=name)
    await postgres.execute("SET ROLE vergewatch", *PREVIOUS, database=name)

    journal = await open_journal(place, clock)

    assert (await journal.store(SYSTEM).load()).cases == [CASE]
    assert await postgres.execute(COLUMNS, database=name) == new
    await journal.close()


async def test_tables_on_postgres_are_created_once_by_processes_that_start_together(
    postgres: Postgres, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_database, "LOCK_SECONDS", 60.0)
    place = postgres.new_database()

    async with asyncio.TaskGroup() as starting:
        tasks = [starting.create_task(open_journal(place, clock)) for _ in range(4)]

    for task in tasks:
        assert await task.result().commands(SYSTEM) == []
        await task.result().close()

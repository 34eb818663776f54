"""The tables that migrations make are those that the code believes in."""

import asyncio
import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from exporter.errors import JournalError
from exporter.journal.journal import FILE, Journal, open_journal
from exporter.journal.migrate import MIGRATIONS
from exporter.journal.schema import REVISION
from exporter.journal.tables import METADATA
from tests.fakes import FakeClock
from tests.journal.strategies import CASE, CLOUD, page


def statements(file: Path) -> dict[str, str]:
    """Return what makes each table and index of *file*, but for Alembic's own."""
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql NOT NULL AND tbl_name NOT IN "
            "('alembic_version', 'sqlite_sequence')"
        )
        return {name: " ".join(sql.split()) for name, sql in found}


async def _opened_and_closed(directory: Path, clock: FakeClock) -> None:
    await (await open_journal(directory, clock)).close()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


async def test_migrations_make_the_tables_of_today(journal: Journal) -> None:
    async with journal._database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_to_the_letter(journal: Journal, directory: Path, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'fresh'}")
    METADATA.create_all(engine)
    engine.dispose()

    assert statements(directory / FILE) == statements(tmp_path / "fresh")


async def test_an_upgrade_is_done_once_and_in_silence(
    directory: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    for _ in range(2):
        journal = await open_journal(directory, clock)
        await journal.book(CLOUD).note(page(cases=[CASE]))
        await journal.close()

    assert caplog.records == []


async def test_a_journal_of_a_newer_version_is_refused_and_left_alone(
    directory: Path, clock: FakeClock
) -> None:
    await (await open_journal(directory, clock)).close()
    with closing(sqlite3.connect(directory / FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0815'")
    before = statements(directory / FILE)

    with pytest.raises(JournalError, match="newer version of Vergewatch") as caught:
        await open_journal(directory, clock)

    assert str(directory / FILE) in str(caught.value)
    assert "0815" in str(caught.value)
    assert statements(directory / FILE) == before


async def test_half_an_upgrade_is_none(tmp_path: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE orders (ours TEXT)")  # the last to be made

    with pytest.raises(JournalError):
        await open_journal(tmp_path, clock)

    assert set(statements(tmp_path / FILE)) == {"commands"}


def test_the_newest_migration_is_the_one_that_needs_none() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_a_journal_of_today_is_opened_without_what_migrates(
    directory: Path, clock: FakeClock
) -> None:
    asyncio.run(_opened_and_closed(directory, clock))
    script = (
        "import asyncio, pathlib, sys\n"
        "from exporter.clock import SystemClock\n"
        "from exporter.journal.journal import open_journal\n"
        f"asyncio.run(open_journal(pathlib.Path({str(directory)!r}), SystemClock()))\n"
        "sys.exit('alembic' in sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", script], check=True)


def test_migrations_are_part_of_the_package() -> None:
    steps = {path.name for path in (MIGRATIONS / "versions").glob("*.py")}

    assert (MIGRATIONS / "env.py").is_file()
    assert "revision_0001.py" in steps

"""The daemon's journal on PostgreSQL: opened by the settings, and read again after a failover."""

from functools import partial
from pathlib import Path

import pytest

from exporter.cli.check import check_journal
from exporter.config.journal import JournalSettings
from exporter.config.recovery import RecoverySettings
from exporter.config.settings import Settings
from exporter.daemon.recovery_worker import JournalHandle
from exporter.errors import JournalError
from exporter.journal.place import PostgresServer
from exporter.journal.sqlite_database import FILE
from exporter.recovery.act.journal_writer import JournalWriter
from tests.fakes import FakeClock
from tests.journal.examples import CASE, COMMAND, poll_record
from tests.postgres import Postgres, backends, database_of

SYSTEMS = ("north", "south")


async def replace_database(postgres: Postgres, url: str) -> None:
    """Put a copy of the database in its place, as a restore does."""
    name = url.partition("?")[0].rpartition("/")[2]
    for process in await backends(postgres, PostgresServer(url)):
        await postgres.execute(f"SELECT pg_terminate_backend({process}, 5000)")
    await postgres.execute(
        f"ALTER DATABASE {name} RENAME TO {name}_before",
        f"CREATE DATABASE {name} TEMPLATE {name}_before OWNER vergewatch",
    )


async def test_restored_journal_is_read_again_by_every_system(
    postgres: Postgres, tmp_path: Path
) -> None:
    url, clock = postgres.new_database().url, FakeClock()
    handle = JournalHandle(RecoverySettings(directory=tmp_path), clock, JournalSettings(url=url))
    writers = [JournalWriter(partial(handle.store, system), clock) for system in SYSTEMS]
    for writer in writers:
        assert await writer.open() is not None
        await writer.store.save_poll(poll_record(cases=[CASE]))
    await replace_database(postgres, url)

    for writer in writers:
        assert not await writer.write(lambda store: store.save_command(COMMAND))
        assert not writer.is_open
        assert "read again" in writer.problem

    for writer in writers:
        saved = await writer.open()
        assert saved is not None
        assert saved.cases == [CASE]
        assert saved.commands == []
        assert await writer.write(lambda store: store.save_command(COMMAND))
        assert writer.problem == ""
    await handle.close()
    assert not (tmp_path / FILE).exists()


async def test_server_that_is_down_is_asked_again(postgres: Postgres, tmp_path: Path) -> None:
    place = postgres.new_database()
    name = database_of(place)
    handle = JournalHandle(
        RecoverySettings(directory=tmp_path), FakeClock(), JournalSettings(url=place.url)
    )
    await postgres.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")

    with pytest.raises(JournalError, match="too many connections"):
        await handle.store("north")

    await postgres.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 10")
    assert (await (await handle.store("north")).load()).cases == []
    await handle.close()
    assert await backends(postgres, place) == []


async def test_check_says_in_a_line_what_is_wrong_with_the_journal(
    postgres: Postgres, tmp_path: Path
) -> None:
    place = postgres.new_database()
    system = {"url": "https://verge.example", "api_key": "x"}
    lines: list[str] = []

    async def checked(url: str) -> str:
        settings = Settings(systems=[system], journal={"url": url})  # type: ignore[arg-type]
        return (await check_journal(settings, lines.append)).problem

    assert await checked(place.url) == ""
    assert "PostgreSQL" in lines[-1]
    missing = await checked(postgres.url("nowhere"))
    assert 'database "nowhere" does not exist' in missing
    assert "\n" not in missing
    assert lines[-1].startswith("journal [red]")

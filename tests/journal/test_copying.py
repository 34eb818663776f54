"""Export and import lose nothing, whatever the rows are."""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import JournalError
from exporter.journal import copying
from exporter.journal.copying import export_journal, import_journal
from exporter.journal.journal import Journal, open_database, open_journal
from exporter.journal.place import Place
from exporter.journal.sqlite_database import FILE
from exporter.journal.tables import METADATA
from exporter.recovery.model.cases import Case, Intent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.history import Fact, FactKind, HistoryRecord
from exporter.recovery.model.ports import Change
from tests.fakes import FakeClock
from tests.journal.conftest import FIRST_RELEASE, Other
from tests.journal.examples import CASE, COMMAND, DECISION, INTENT, SYSTEM, poll_record
from tests.journal.test_round_trip import arbitrary
from tests.journal.test_states_since import poll
from tests.postgres import Postgres, database_of

TABLES = ", ".join(METADATA.tables)


def content(file: Path) -> dict[str, list[Any]]:
    """Return every row of each table, and the last id that each had."""
    with closing(sqlite3.connect(file)) as connection:
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr)  # noqa: S608
            for name in (*METADATA.tables, "alembic_version", "sqlite_sequence")
        }


async def imported(place: Place, file: Path) -> None:
    database = await open_database(place)
    try:
        await import_journal(database, file)
    finally:
        await database.close()


async def exported(place: Place, file: Path) -> None:
    database = await open_database(place)
    try:
        await export_journal(database, file)
    finally:
        await database.close()


@settings(max_examples=10)
@given(
    cases=st.lists(arbitrary(Case), max_size=3, unique_by=lambda case: case.uuid),
    changes=st.lists(arbitrary(Change), max_size=3),
    decision=arbitrary(Decision),
    intents=st.lists(arbitrary(Intent), max_size=3, unique_by=lambda intent: intent.uuid),
    commands=st.lists(arbitrary(Command), max_size=2),
    fact=st.text(),
)
def test_journal_on_postgres_and_back_is_the_same(
    postgres: Postgres,
    cases: list[Case],
    changes: list[Change],
    decision: Decision,
    intents: list[Intent],
    commands: list[Command],
    fact: str,
) -> None:
    async def write(journal: Journal) -> None:
        store = journal.store(SYSTEM)
        facts = [Fact(at=0.0, kind=FactKind.STATUS, key=fact, value=fact)]
        history = HistoryRecord([poll(0)], facts)
        await store.save_poll(poll_record(cases=cases, changes=changes, history=history))
        number = await store.save_decision(decision)
        for intent in intents:
            await store.prepare(intent, number)
        for command in commands:
            await store.save_command(command)

    async def there_and_back(folder: Path) -> None:
        journal = await open_journal(folder, FakeClock())
        await write(journal)
        await journal.close()
        with closing(sqlite3.connect(folder / FILE)) as file, file:
            file.execute("DELETE FROM commands")  # the ids of these are not used again
        await imported(place, folder / FILE)
        await exported(place, folder / "again")
        assert content(folder / "again") == content(folder / FILE)

    place = postgres.new_database()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(there_and_back(Path(folder)))
    postgres.execute_now(f"DROP DATABASE {database_of(place)}")


async def test_ids_follow_on_the_imported_ones(place: Place, tmp_path: Path) -> None:
    old = await open_journal(tmp_path / "old", FakeClock())
    numbers = [await old.store(SYSTEM).save_decision(DECISION) for _ in range(3)]
    intent = await old.store(SYSTEM).prepare(INTENT, numbers[-1])
    await old.close()
    with closing(sqlite3.connect(tmp_path / "old" / FILE)) as file, file:
        file.execute("DELETE FROM decisions WHERE id = 1")

    await imported(place, tmp_path / "old" / FILE)

    journal = await open_journal(place, FakeClock())
    store = journal.store(SYSTEM)
    assert (await store.load()).open_actions == [intent]
    assert await store.save_decision(DECISION) == numbers[-1] + 1
    await journal.close()


async def test_batches_are_copied_completely(
    place: Place, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BATCH", 3)
    for _ in range(10):
        await journal.store(SYSTEM).save_decision(DECISION)

    rows = await export_journal(journal._database, tmp_path / "copy")

    assert rows["decisions"] == 10
    assert len(content(tmp_path / "copy")["decisions"]) == 10


async def test_journal_is_exported_while_it_is_written(
    journal: Journal, tmp_path: Path, other: Other
) -> None:
    await journal.store(SYSTEM).save_poll(poll_record(cases=[CASE]))

    await asyncio.gather(
        export_journal(journal._database, tmp_path / "copy"),
        journal.store(SYSTEM).save_command(COMMAND),
    )

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "copy").rename(tmp_path / "elsewhere" / FILE)
    again = await open_journal(tmp_path / "elsewhere", FakeClock())
    assert (await again.store(SYSTEM).load()).cases == [CASE]
    await again.close()


async def test_journal_that_is_not_empty_refuses_an_import(
    place: Place, journal: Journal, tmp_path: Path
) -> None:
    await journal.store(SYSTEM).save_command(COMMAND)
    await export_journal(journal._database, tmp_path / "copy")

    with pytest.raises(JournalError, match=r"is not empty \(it has rows in commands\)"):
        await import_journal(journal._database, tmp_path / "copy")

    assert await journal.commands(SYSTEM) == [COMMAND]


async def test_failed_import_changes_nothing(
    journal: Journal, other: Other, tmp_path: Path
) -> None:
    source = await open_journal(tmp_path / "old", FakeClock())
    await source.store(SYSTEM).save_poll(poll_record(cases=[CASE]))
    await source.store(SYSTEM).save_command(COMMAND)
    await source.close()
    await other.execute("DROP TABLE commands")

    with pytest.raises(JournalError):
        await import_journal(journal._database, tmp_path / "old" / FILE)

    assert await other.execute("SELECT count(*) FROM cases") == [(0,)]


async def test_journal_in_use_is_not_imported(place: Place, tmp_path: Path) -> None:
    used = await open_journal(tmp_path / "old", FakeClock())

    with pytest.raises(JournalError, match="is in use: process"):
        await imported(place, tmp_path / "old" / FILE)

    await used.close()


async def test_journal_of_the_first_release_is_imported(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(FIRST_RELEASE.read_text())
        before = list(connection.iterdump())

    await imported(place, file)

    journal = await open_journal(place, FakeClock())
    assert (await journal.store(SYSTEM).load()).cases == [CASE]
    await journal.close()
    with closing(sqlite3.connect(file)) as connection:
        assert list(connection.iterdump()) == before


async def test_file_that_is_no_journal_is_refused(place: Place, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a database" * 1000)

    for name, problem in {"nowhere": "there is no journal", "notes": "is damaged"}.items():
        with pytest.raises(JournalError, match=problem):
            await imported(place, tmp_path / name)


async def test_export_replaces_no_file(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("precious")

    with pytest.raises(JournalError, match="exists"):
        await export_journal(journal._database, tmp_path / "copy")

    assert (tmp_path / "copy").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} <= {"copy", "state"}  # noqa: ASYNC240

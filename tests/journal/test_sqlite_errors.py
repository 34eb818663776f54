"""Errors of SQLite: the message names the cause, and no committed row is lost."""

import asyncio
import os
import resource
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection

from exporter.errors import JournalError
from exporter.journal.journal import Journal, open_journal
from exporter.journal.sqlite_database import FILE
from tests.fakes import FakeClock, settle
from tests.journal.examples import CASE, CHANGE, COMMAND, DECISION, INTENT, SYSTEM, poll_record

replace = msgspec.structs.replace
BIG = replace(DECISION, name="x" * 200_000)
OLD = poll_record(cases=[CASE], changes=[CHANGE])
NEW = poll_record(
    watched=2000.0, cases=[replace(CASE, attempts=9)], gone=["b"], changes=[CHANGE, CHANGE]
)


@pytest.fixture
def place(directory: Path) -> Path:
    return directory


def check_message(error: JournalError, directory: Path, reason: str) -> None:
    """Check that *error* names the file and *reason*, and no detail of the implementation."""
    text = "".join(traceback.format_exception(error))
    assert str(directory / FILE) in str(error)
    assert reason in str(error)
    assert "\n" not in str(error)
    assert "During handling" not in text
    assert "direct cause" not in text
    for word in ("INSERT", "SELECT", "sqlalche", "sqlite3.", "parameters"):
        assert word not in str(error)


def modes(directory: Path) -> dict[str, int]:
    """Return the permissions of *directory* and of the files in it."""
    return {path.name: path.stat().st_mode & 0o777 for path in (directory, *directory.iterdir())}


async def limit_pages(journal: Journal, *, more: int) -> None:
    """Let the file grow by *more* pages only, like a disk that is nearly full."""

    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + more}")

    await journal._database.write(limit)


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """Make the kernel refuse writes beyond *most_bytes* of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_failed_poll_record_changes_nothing(
    journal: Journal, other_connection: sqlite3.Connection
) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(OLD)
    before = await store.load()
    other_connection.execute(
        "CREATE TRIGGER fuse AFTER INSERT ON changes WHEN (SELECT count(*) FROM changes) = 3 "
        "BEGIN SELECT RAISE(ABORT, 'blown'); END"
    )

    with pytest.raises(JournalError):
        await store.save_poll(NEW)

    assert await store.load() == before
    assert await journal.changes(SYSTEM) == [CHANGE]
    other_connection.execute("DROP TRIGGER fuse")
    await store.save_poll(NEW)
    assert (await store.load()).cases == NEW.cases


@pytest.mark.usefixtures("short_busy_timeout")
async def test_locked_database_fails_writes_and_allows_reads(
    journal: Journal, other_connection: sqlite3.Connection, directory: Path
) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(OLD)
    other_connection.execute("BEGIN EXCLUSIVE")

    for write in (store.save_poll(NEW), store.save_decision(DECISION), store.save_command(COMMAND)):
        with pytest.raises(JournalError) as caught:
            await write
        check_message(caught.value, directory, "is locked by another program")

    assert (await store.load()).cases == [CASE]
    other_connection.execute("ROLLBACK")
    await store.save_poll(NEW)
    assert (await store.load()).cases == NEW.cases


@pytest.mark.usefixtures("short_busy_timeout")
async def test_locked_journal_opens_after_the_lock_is_released(
    directory: Path, clock: FakeClock
) -> None:
    await (await open_journal(directory, clock)).close()
    other_connection = sqlite3.connect(directory / FILE, isolation_level=None)
    other_connection.execute("BEGIN EXCLUSIVE")

    with pytest.raises(JournalError) as caught:
        await open_journal(directory, clock)

    check_message(caught.value, directory, "is locked by another program")
    other_connection.close()
    await (await open_journal(directory, clock)).close()


async def test_full_disk_fails_writes_and_keeps_committed_rows(
    journal: Journal, directory: Path
) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(OLD)
    number = await store.save_decision(DECISION)
    await limit_pages(journal, more=2)

    for _ in range(3):
        with pytest.raises(JournalError) as caught:
            await store.save_decision(BIG)
        check_message(caught.value, directory, "the disk is full")

    assert [one.number for one in await journal.decisions(SYSTEM)] == [number]
    assert (await store.load()).cases == [CASE]
    await store.prepare(INTENT, number)  # a small row still fits
    await limit_pages(journal, more=1000)
    await store.save_decision(BIG)
    assert len(await journal.decisions(SYSTEM)) == 2


async def test_write_refused_by_the_kernel_keeps_committed_rows(
    journal: Journal, directory: Path, clock: FakeClock
) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(OLD)
    log = directory / f"{FILE}-wal"

    with small_files(log.stat().st_size + 5000), pytest.raises(JournalError) as caught:
        await store.save_decision(BIG)

    check_message(caught.value, directory, "the disk")
    await store.save_decision(BIG)
    await journal.close()
    again = await open_journal(directory, clock)
    assert (await again.store(SYSTEM).load()).cases == [CASE]
    assert len(await again.decisions(SYSTEM)) == 1
    await again.close()


async def test_failed_commit_changes_nothing(journal: Journal, directory: Path) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(OLD)
    log = directory / f"{FILE}-wal"

    # The rows fit in SQLite's page cache, so only the commit writes to the disk.
    with small_files(log.stat().st_size), pytest.raises(JournalError):
        await store.save_poll(NEW)

    assert (await store.load()).cases == [CASE]
    await store.save_poll(NEW)
    assert (await store.load()).cases == NEW.cases


@pytest.mark.usefixtures("short_busy_timeout")
async def test_cancelled_write_releases_the_writer(
    journal: Journal, other_connection: sqlite3.Connection
) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(OLD)
    other_connection.execute("BEGIN EXCLUSIVE")
    write = asyncio.create_task(store.save_poll(NEW))
    await settle()

    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write

    other_connection.execute("ROLLBACK")
    assert (await store.load()).cases == [CASE]
    await store.save_poll(NEW)
    assert (await store.load()).cases == NEW.cases


async def test_concurrent_writes_all_succeed(journal: Journal) -> None:
    stores = [journal.store(f"system {number}") for number in range(20)]

    await asyncio.gather(*(store.save_poll(OLD) for store in stores))

    assert [(await store.load()).cases for store in stores] == [[CASE]] * 20


async def test_moved_file_fails_writes_until_it_is_back(journal: Journal, directory: Path) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(OLD)
    (directory / FILE).rename(directory / "elsewhere")

    with pytest.raises(JournalError) as caught:
        await store.save_poll(NEW)

    check_message(caught.value, directory, "moved, deleted or replaced")
    (directory / "elsewhere").rename(directory / FILE)
    await store.save_poll(NEW)
    assert (await store.load()).cases == NEW.cases


async def test_file_that_is_not_a_database_is_refused(
    corrupt_file: Path, directory: Path, clock: FakeClock
) -> None:
    with pytest.raises(JournalError) as caught:
        await open_journal(directory, clock)

    check_message(caught.value, directory, "is damaged")
    assert "move it away" in str(caught.value)


async def test_damaged_file_is_refused_and_a_new_journal_is_empty(
    directory: Path, clock: FakeClock
) -> None:
    journal = await open_journal(directory, clock)
    await journal.store(SYSTEM).save_poll(poll_record(changes=[CHANGE] * 500))
    await journal.close()
    with (directory / FILE).open("r+b") as file:
        file.seek(4096 * 10)
        file.write(os.urandom(4096 * 10))

    with pytest.raises(JournalError) as caught:
        await open_journal(directory, clock)

    check_message(caught.value, directory, "is damaged")
    (directory / FILE).rename(directory / "damaged")
    journal = await open_journal(directory, clock)
    assert (await journal.store(SYSTEM).load()).cases == []
    await journal.close()


async def test_undecodable_case_fails_recall(
    journal: Journal, other_connection: sqlite3.Connection, directory: Path
) -> None:
    await journal.store(SYSTEM).save_poll(OLD)
    other_connection.execute(
        """UPDATE cases SET case_json = replace(case_json, '"quarantined"', '"dreaming"')"""
    )

    with pytest.raises(JournalError) as caught:
        await journal.store(SYSTEM).load()

    check_message(caught.value, directory, "dreaming")


async def test_error_names_the_directory_that_cannot_be_created(
    tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(JournalError, match="Not a directory") as caught:
        await open_journal(tmp_path / "file" / "state", clock)

    check_message(caught.value, tmp_path / "file" / "state", "cannot be used")


async def test_closed_journal_refuses_reads_and_writes(directory: Path, clock: FakeClock) -> None:
    journal = await open_journal(directory, clock)
    await journal.close()

    with pytest.raises(JournalError, match="is closed"):
        await journal.store(SYSTEM).save_poll(OLD)
    with pytest.raises(JournalError, match="is closed"):
        await journal.changes(SYSTEM)
    await journal.close()  # a second close does nothing


async def test_files_are_private_to_the_user(journal: Journal, directory: Path) -> None:
    await journal.store(SYSTEM).save_poll(OLD)

    assert modes(directory) == {
        directory.name: 0o700,
        "journal.lock": 0o600,
        FILE: 0o600,
        f"{FILE}-wal": 0o600,
        f"{FILE}-shm": 0o600,
    }


async def test_directory_name_may_have_special_characters(tmp_path: Path, clock: FakeClock) -> None:
    directory = tmp_path / "a?b=c #100% ü"

    journal = await open_journal(directory, clock)
    await journal.store(SYSTEM).save_poll(OLD)
    await journal.close()

    assert (directory / FILE).stat().st_size > 0


async def test_sqlite_settings_make_commits_durable(journal: Journal) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")

    settings = await journal._database.write(
        lambda connection: {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names
        }
    )

    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 2000,
    }

"""Whatever stops the journal is said plainly, loses nothing, and is over when it is over."""

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

from exporter.errors import JournalError
from exporter.journal.journal import FILE, Journal, open_journal
from tests.fakes import FakeClock, settle
from tests.journal.strategies import CASE, CHANGE, CLOUD, DECISION, INTENT, ORDER, page

replace = msgspec.structs.replace
BIG = replace(DECISION, name="x" * 200_000)
OLD = page(cases=[CASE], changes=[CHANGE])
NEW = page(watched=2000.0, cases=[replace(CASE, attempts=9)], gone=["b"], changes=[CHANGE, CHANGE])


def check_plain(error: JournalError, directory: Path, reason: str) -> None:
    """See that *error* speaks to a person: which file, why, and none of our insides."""
    text = "".join(traceback.format_exception(error))
    assert str(directory / FILE) in str(error)
    assert reason in str(error)
    assert "\n" not in str(error)
    assert "During handling" not in text
    assert "direct cause" not in text
    for word in ("INSERT", "SELECT", "sqlalche", "sqlite3.", "parameters"):
        assert word not in str(error)


def modes(directory: Path) -> dict[str, int]:
    """Return who may do what with *directory* and what is in it."""
    return {path.name: path.stat().st_mode & 0o777 for path in (directory, *directory.iterdir())}


async def limit_pages(journal: Journal, *, more: int) -> None:
    """Let the file grow by *more* pages and no further, as a disk that is nearly full does."""
    async with journal._database._writer.connect() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + more}")


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """Have the kernel refuse to write past *most_bytes* of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_round_is_written_whole_or_not_at_all(
    journal: Journal, stranger: sqlite3.Connection
) -> None:
    book = journal.book(CLOUD)
    await book.note(OLD)
    before = await book.recall()
    stranger.execute(
        "CREATE TRIGGER fuse AFTER INSERT ON changes WHEN (SELECT count(*) FROM changes) = 3 "
        "BEGIN SELECT RAISE(ABORT, 'blown'); END"
    )

    with pytest.raises(JournalError):
        await book.note(NEW)

    assert await book.recall() == before
    assert await journal.changes(CLOUD) == [CHANGE]
    stranger.execute("DROP TRIGGER fuse")
    await book.note(NEW)
    assert (await book.recall()).cases == NEW.cases


@pytest.mark.usefixtures("impatient")
async def test_a_file_that_another_program_holds_is_waited_for_and_then_left(
    journal: Journal, stranger: sqlite3.Connection, directory: Path
) -> None:
    book = journal.book(CLOUD)
    await book.note(OLD)
    stranger.execute("BEGIN EXCLUSIVE")

    for write in (book.note(NEW), book.decided(DECISION), book.ordered(ORDER)):
        with pytest.raises(JournalError) as caught:
            await write
        check_plain(caught.value, directory, "is locked by another program")

    assert (await book.recall()).cases == [CASE]  # looking is no writing
    stranger.execute("ROLLBACK")
    await book.note(NEW)
    assert (await book.recall()).cases == NEW.cases


@pytest.mark.usefixtures("impatient")
async def test_a_journal_that_is_locked_cannot_be_opened_until_it_is_not(
    directory: Path, clock: FakeClock
) -> None:
    await (await open_journal(directory, clock)).close()
    stranger = sqlite3.connect(directory / FILE, isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")

    with pytest.raises(JournalError) as caught:
        await open_journal(directory, clock)

    check_plain(caught.value, directory, "is locked by another program")
    stranger.close()
    await (await open_journal(directory, clock)).close()


async def test_a_full_disk_takes_nothing_more_and_keeps_what_it_has(
    journal: Journal, directory: Path
) -> None:
    book = journal.book(CLOUD)
    await book.note(OLD)
    number = await book.decided(DECISION)
    await limit_pages(journal, more=2)

    for _ in range(3):
        with pytest.raises(JournalError) as caught:
            await book.decided(BIG)
        check_plain(caught.value, directory, "the disk is full")

    assert [one.number for one in await journal.decisions(CLOUD)] == [number]
    assert (await book.recall()).cases == [CASE]
    await book.prepare(INTENT, number)  # what is small still fits
    await limit_pages(journal, more=1000)
    await book.decided(BIG)
    assert len(await journal.decisions(CLOUD)) == 2


async def test_a_disk_that_refuses_a_write_loses_nothing(
    journal: Journal, directory: Path, clock: FakeClock
) -> None:
    book = journal.book(CLOUD)
    await book.note(OLD)
    log = directory / f"{FILE}-wal"

    with small_files(log.stat().st_size + 5000), pytest.raises(JournalError) as caught:
        await book.decided(BIG)

    check_plain(caught.value, directory, "the disk")
    await book.decided(BIG)
    await journal.close()
    again = await open_journal(directory, clock)
    assert (await again.book(CLOUD).recall()).cases == [CASE]
    assert len(await again.decisions(CLOUD)) == 1
    await again.close()


async def test_a_commit_that_fails_is_no_commit(journal: Journal, directory: Path) -> None:
    book = journal.book(CLOUD)
    await book.note(OLD)
    log = directory / f"{FILE}-wal"

    # Small enough to stay in memory until the commit, which then finds no room.
    with small_files(log.stat().st_size), pytest.raises(JournalError):
        await book.note(NEW)

    assert (await book.recall()).cases == [CASE]
    await book.note(NEW)
    assert (await book.recall()).cases == NEW.cases


@pytest.mark.usefixtures("impatient")
async def test_a_write_that_is_called_off_does_not_stand_in_the_way(
    journal: Journal, stranger: sqlite3.Connection
) -> None:
    book = journal.book(CLOUD)
    await book.note(OLD)
    stranger.execute("BEGIN EXCLUSIVE")
    write = asyncio.create_task(book.note(NEW))
    await settle()

    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write

    stranger.execute("ROLLBACK")
    assert (await book.recall()).cases == [CASE]
    await book.note(NEW)
    assert (await book.recall()).cases == NEW.cases


async def test_writes_at_the_same_time_wait_for_each_other(journal: Journal) -> None:
    books = [journal.book(f"cloud {number}") for number in range(20)]

    await asyncio.gather(*(book.note(OLD) for book in books))

    assert [(await book.recall()).cases for book in books] == [[CASE]] * 20


async def test_a_journal_that_is_moved_away_while_in_use_takes_nothing(
    journal: Journal, directory: Path
) -> None:
    book = journal.book(CLOUD)
    await book.note(OLD)
    (directory / FILE).rename(directory / "elsewhere")

    with pytest.raises(JournalError) as caught:
        await book.note(NEW)

    check_plain(caught.value, directory, "moved, deleted or replaced")
    (directory / "elsewhere").rename(directory / FILE)
    await book.note(NEW)
    assert (await book.recall()).cases == NEW.cases


async def test_a_file_that_is_no_database_is_refused(
    rubbish: Path, directory: Path, clock: FakeClock
) -> None:
    with pytest.raises(JournalError) as caught:
        await open_journal(directory, clock)

    check_plain(caught.value, directory, "is damaged")
    assert "move it away" in str(caught.value)


async def test_a_damaged_file_is_refused_and_without_it_memory_begins_empty(
    directory: Path, clock: FakeClock
) -> None:
    journal = await open_journal(directory, clock)
    await journal.book(CLOUD).note(page(changes=[CHANGE] * 500))
    await journal.close()
    with (directory / FILE).open("r+b") as file:
        file.seek(4096 * 10)
        file.write(os.urandom(4096 * 10))

    with pytest.raises(JournalError) as caught:
        await open_journal(directory, clock)

    check_plain(caught.value, directory, "is damaged")
    (directory / FILE).rename(directory / "damaged")
    journal = await open_journal(directory, clock)
    assert (await journal.book(CLOUD).recall()).cases == []
    await journal.close()


async def test_a_row_that_nobody_understands_stops_the_recalling(
    journal: Journal, stranger: sqlite3.Connection, directory: Path
) -> None:
    await journal.book(CLOUD).note(OLD)
    stranger.execute("""UPDATE cases SET whole = replace(whole, '"quarantined"', '"dreaming"')""")

    with pytest.raises(JournalError) as caught:
        await journal.book(CLOUD).recall()

    check_plain(caught.value, directory, "dreaming")


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(JournalError, match="Not a directory") as caught:
        await open_journal(tmp_path / "file" / "state", clock)

    check_plain(caught.value, tmp_path / "file" / "state", "cannot be used")


async def test_a_closed_journal_says_so(directory: Path, clock: FakeClock) -> None:
    journal = await open_journal(directory, clock)
    await journal.close()

    with pytest.raises(JournalError, match="is closed"):
        await journal.book(CLOUD).note(OLD)
    with pytest.raises(JournalError, match="is closed"):
        await journal.changes(CLOUD)
    await journal.close()  # twice is once


async def test_nobody_else_can_read_what_it_holds(journal: Journal, directory: Path) -> None:
    await journal.book(CLOUD).note(OLD)

    assert modes(directory) == {
        directory.name: 0o700,
        "journal.lock": 0o600,
        FILE: 0o600,
        f"{FILE}-wal": 0o600,
        f"{FILE}-shm": 0o600,
    }


async def test_a_directory_may_have_any_name(tmp_path: Path, clock: FakeClock) -> None:
    directory = tmp_path / "a?b=c #100% ü"

    journal = await open_journal(directory, clock)
    await journal.book(CLOUD).note(OLD)
    await journal.close()

    assert (directory / FILE).stat().st_size > 0


async def test_what_is_returned_from_is_on_disk(journal: Journal) -> None:
    async with journal._database.writing() as connection:
        settings = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 2000,
    }

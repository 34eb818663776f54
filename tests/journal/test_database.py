"""Work in the threads of the database: in order, and never left half done by its caller."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection

from exporter.errors import JournalError
from exporter.journal import sqlite_database
from exporter.journal.journal import Journal, open_journal
from exporter.journal.lock import Lock
from tests.daemon_process import REAL_TIME
from tests.fakes import FakeClock, settle
from tests.journal.conftest import Other
from tests.journal.examples import CASE, COMMAND, SYSTEM, poll_record


class Held:
    """A write that has begun and goes on when it is let."""

    def __init__(self, journal: Journal) -> None:
        self._begun = threading.Event()
        self.go_on = threading.Event()
        self.task = asyncio.create_task(journal._database.write(self._work))

    def _work(self, connection: Connection) -> None:
        connection.exec_driver_sql("DELETE FROM cases")
        self._begun.set()
        self.go_on.wait()

    async def begun(self) -> None:
        await asyncio.to_thread(self._begun.wait)


@pytest.fixture
async def held(journal: Journal) -> Held:
    await journal.store(SYSTEM).save_poll(poll_record(cases=[CASE]))
    held = Held(journal)
    await held.begun()
    return held


async def test_cancelled_write_that_has_begun_is_finished_first(
    journal: Journal, held: Held
) -> None:
    held.task.cancel()
    await settle()

    assert not held.task.done()
    held.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await held.task
    assert (await journal.store(SYSTEM).load()).cases == []


async def test_cancelled_write_that_has_not_begun_is_dropped(journal: Journal, held: Held) -> None:
    store = journal.store(SYSTEM)
    waiting = asyncio.create_task(store.save_command(COMMAND))
    await settle()

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    held.go_on.set()
    await held.task
    assert (await store.load()).commands == []


async def test_reads_do_not_wait_for_a_write(journal: Journal, held: Held) -> None:
    assert (await journal.store(SYSTEM).load()).cases == [CASE]

    held.go_on.set()
    await held.task


async def test_close_waits_for_the_writes_before_it_and_refuses_others(
    journal: Journal, held: Held, other: Other
) -> None:
    store = journal.store(SYSTEM)
    waiting = asyncio.create_task(store.save_command(COMMAND))
    await settle()
    closing = asyncio.create_task(journal.close())
    await settle()

    with pytest.raises(JournalError, match="is closed"):
        await store.save_command(COMMAND)
    assert not closing.done()
    held.go_on.set()
    await closing

    await waiting
    assert await other.execute("SELECT count(*) FROM commands") == [(1,)]


async def test_transactions_of_one_kind_use_one_thread(journal: Journal) -> None:
    def thread(_: Connection) -> int:
        return threading.get_ident()

    writers = await asyncio.gather(*(journal._database.write(thread) for _ in range(20)))
    readers = await asyncio.gather(*(journal._database.read(thread) for _ in range(20)))

    assert len(set(writers)) == len(set(readers)) == 1
    assert not {threading.get_ident(), *writers} & set(readers)


async def test_cancelled_opening_holds_no_lock(
    directory: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, began, go_on = sqlite_database._lock, threading.Event(), threading.Event()

    def lock_slowly(place: Path) -> Lock:
        began.set()
        go_on.wait()
        return lock(place)

    monkeypatch.setattr(sqlite_database, "_lock", lock_slowly)
    opening = asyncio.create_task(open_journal(directory, clock))
    while not began.is_set():
        await REAL_TIME.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    go_on.set()

    async with asyncio.timeout(5):
        while True:
            with suppress(JournalError):  # until the thread is done
                await (await open_journal(directory, clock)).close()
                break
            await REAL_TIME.sleep(0.01)

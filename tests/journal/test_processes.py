"""Two processes cannot open one journal; a killed process loses no acknowledged write."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.errors import JournalError
from exporter.journal.journal import Journal, open_journal
from exporter.journal.place import Place
from exporter.journal.sqlite_database import LOCK
from exporter.recovery.model.cases import Outcome
from tests.fakes import FakeClock
from tests.journal.examples import SYSTEM, poll_record
from tests.postgres import postgres_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(directory: Path) -> Path:
    return directory


@contextmanager
def writer(place: Path | str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.writer_process", str(place)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # where it says that the server is gone
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


async def test_lock_error_names_the_process_that_holds_the_journal(
    directory: Path, clock: FakeClock
) -> None:
    with writer(directory) as process:
        assert process.stdout is not None
        process.stdout.readline()

        with pytest.raises(JournalError) as caught:
            await open_journal(directory, clock)

    assert str(directory / LOCK) in str(caught.value)
    assert f"process {process.pid}" in str(caught.value)


async def test_journal_cannot_be_opened_twice_in_one_process(
    journal: Journal, directory: Path, clock: FakeClock
) -> None:
    with pytest.raises(JournalError, match=f"process {os.getpid()}"):
        await open_journal(directory, clock)

    await journal.store(SYSTEM).save_poll(poll_record())  # the first one still works


async def test_lock_error_without_a_process_id(
    journal: Journal, directory: Path, clock: FakeClock
) -> None:
    (directory / LOCK).write_text("")

    with pytest.raises(JournalError, match="another process"):
        await open_journal(directory, clock)


async def test_lock_is_released_when_opening_fails(
    corrupt_file: Path, directory: Path, clock: FakeClock
) -> None:
    with pytest.raises(JournalError, match="damaged"):
        await open_journal(directory, clock)

    corrupt_file.unlink()  # noqa: ASYNC240

    await (await open_journal(directory, clock)).close()


async def check_acknowledged(place: Place, output: list[str]) -> None:
    """Check that the journal at *place* has each write that the lines of *output* acknowledge."""
    acknowledged = defaultdict(set)
    for word, written in (line.split() for line in output if line.endswith("\n")):
        acknowledged[word].add(int(written))

    journal = await open_journal(place, FakeClock())

    saved = await journal.store(SYSTEM).load()
    attempts = {one.intent.id: one.intent for one in await journal.intents(SYSTEM, limit=9999)}
    decisions = {one.number for one in await journal.decisions(SYSTEM, limit=9999)}
    assert {f"vm-{number}" for number in acknowledged["noted"]} <= {c.uuid for c in saved.cases}
    assert saved.watched >= max(acknowledged["noted"])
    assert acknowledged["decided"] <= decisions
    assert acknowledged["prepared"] <= attempts.keys()
    for number in acknowledged["closed"]:
        assert attempts[number].outcome is Outcome.CONFIRMED
    # Every poll record was written completely or not at all.
    assert len(await journal.changes(SYSTEM, limit=9999)) == 3 * len(saved.cases)
    await journal.close()


@pytest.mark.parametrize("lines", [1, 40, 122, 403])
async def test_killed_process_loses_no_acknowledged_write(directory: Path, lines: int) -> None:
    with writer(directory) as process:
        assert process.stdout is not None
        output = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        output += process.stdout.readlines()

    await check_acknowledged(directory, output)


async def test_crash_of_the_postgres_server_loses_no_acknowledged_write() -> None:
    with postgres_server() as server:
        place = server.new_database()
        with writer(place.url) as process:
            assert process.stdout is not None
            output = [process.stdout.readline() for _ in range(122)]
            server.stop(signal.SIGQUIT)
            output += process.stdout.readlines()
        server.start()

        await check_acknowledged(place, output)

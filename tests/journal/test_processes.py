"""Two processes never share a journal, and one that is killed loses nothing it was promised."""

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
from exporter.journal.journal import LOCK, Journal, open_journal
from exporter.recovery.model.cases import Outcome
from tests.fakes import FakeClock
from tests.journal.strategies import CLOUD, page

ROOT = Path(__file__).parents[2]


@contextmanager
def writer(directory: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.writer", str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


async def test_a_second_process_is_told_who_has_the_journal(
    directory: Path, clock: FakeClock
) -> None:
    with writer(directory) as process:
        assert process.stdout is not None
        process.stdout.readline()

        with pytest.raises(JournalError) as caught:
            await open_journal(directory, clock)

    assert str(directory / LOCK) in str(caught.value)
    assert f"process {process.pid}" in str(caught.value)


async def test_not_even_the_same_process_has_it_twice(
    journal: Journal, directory: Path, clock: FakeClock
) -> None:
    with pytest.raises(JournalError, match=f"process {os.getpid()}"):
        await open_journal(directory, clock)

    await journal.book(CLOUD).note(page())  # and the first is none the worse for it


async def test_a_holder_without_a_name_is_another_process(
    journal: Journal, directory: Path, clock: FakeClock
) -> None:
    (directory / LOCK).write_text("")

    with pytest.raises(JournalError, match="another process"):
        await open_journal(directory, clock)


async def test_a_journal_that_could_not_be_opened_is_free_again(
    rubbish: Path, directory: Path, clock: FakeClock
) -> None:
    with pytest.raises(JournalError, match="damaged"):
        await open_journal(directory, clock)

    rubbish.unlink()  # noqa: ASYNC240

    await (await open_journal(directory, clock)).close()


@pytest.mark.parametrize("lines", [1, 40, 122, 403])
async def test_a_killed_process_loses_nothing_that_was_acknowledged(
    directory: Path, clock: FakeClock, lines: int
) -> None:
    with writer(directory) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    acknowledged = defaultdict(set)
    for word, written in (line.split() for line in said if line.endswith("\n")):
        acknowledged[word].add(int(written))

    journal = await open_journal(directory, clock)

    past = await journal.book(CLOUD).recall()
    attempts = {one.intent.id: one.intent for one in await journal.intents(CLOUD, limit=9999)}
    decisions = {one.number for one in await journal.decisions(CLOUD, limit=9999)}
    assert {f"vm-{number}" for number in acknowledged["noted"]} <= {c.uuid for c in past.cases}
    assert past.watched >= max(acknowledged["noted"])
    assert acknowledged["decided"] <= decisions
    assert acknowledged["prepared"] <= attempts.keys()
    for number in acknowledged["closed"]:
        assert attempts[number].outcome is Outcome.CONFIRMED
    # And nothing was written by halves.
    assert len(await journal.changes(CLOUD, limit=9999)) == 3 * len(past.cases)
    await journal.close()

"""The command against a journal in a real file, also while a daemon has it open."""

import json
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exporter.cli.main import full_command
from exporter.errors import ConfigError, JournalError
from exporter.journal.history import JournalFile, read_history
from exporter.journal.journal import Journal
from exporter.journal.sqlite_database import FILE
from tests.backtest.recorded import KEY, HistoryJournal
from tests.fakes import START
from tests.recovery.archive import RecordingJournal, journal_on_disk
from tests.recovery.harness import Harness

SINCE = (START - timedelta(days=1)).isoformat()
UNTIL = (START + timedelta(days=2)).isoformat()


class StoryJournal(RecordingJournal, HistoryJournal):
    """A journal with a history that can be repeated on a disk."""


@pytest.fixture(scope="module")
def harness() -> Harness:
    journal = StoryJournal()
    harness = Harness(journal=journal)
    journal.now = harness.clock.now
    harness.warm()
    harness.world.crash(harness.world.vm(harness.names[3]))
    harness.advance(1200)
    return harness


@pytest.fixture
async def journal(harness: Harness, tmp_path: Path) -> AsyncIterator[Journal]:
    """Return an open journal with the record of the harness."""
    journal = await journal_on_disk(harness, tmp_path)
    yield journal
    await journal.close()


def run(*options: object) -> Any:
    """Run the command in a thread, which has no event loop yet."""
    with ThreadPoolExecutor(1) as pool:
        command = full_command(), ["backtest", *map(str, options)]
        return pool.submit(CliRunner().invoke, *command).result()


def settings(directory: Path, text: str) -> Path:
    file = directory / "new.yaml"
    file.write_text(text)
    return file


SLOW = "recovery: {mode: enforce, limits: {confirm_down_seconds: 180}}"


async def test_a_file_has_the_same_history_as_memory(harness: Harness, journal: Journal) -> None:
    found = read_history(
        journal.place,
        lambda systems: systems[0],
        datetime.fromisoformat(SINCE),
        datetime.fromisoformat(UNTIL),
    )

    expected = harness.journal.history()
    end = expected.polls[-1]  # it only ends the others
    assert found.system == KEY
    assert found.polls == expected.polls[:-1]
    assert found.facts == [one for one in expected.facts if one.at < end.at]
    assert found.rows == expected.rows
    assert [one.decision for one in found.decisions] == [
        one.decision for one in expected.decisions if one.decision.at < end.at
    ]
    assert [one.intent for one in found.actions] == [one.intent for one in expected.actions]


async def test_it_prints_what_a_longer_confirmation_changes(
    journal: Journal, harness: Harness, tmp_path: Path
) -> None:
    file = settings(tmp_path, SLOW)

    text = run("--from", tmp_path, "--config", file, "--since", SINCE, "--until", UNTIL)
    as_json = run(
        "--from", tmp_path / FILE, "--config", file, "--since", SINCE, "--until", UNTIL, "--json"
    )

    assert text.exit_code == 0, text.output
    assert f"start {harness.names[3]}" in text.output
    document = json.loads(as_json.output)
    assert document["counts"]["later"] == 1
    assert document["system"] == KEY
    assert document["minutes_lost"] > 1


async def test_it_changes_nothing_in_the_journal(journal: Journal, tmp_path: Path) -> None:
    def content() -> list[object]:
        with closing(sqlite3.connect(tmp_path / FILE)) as connection:
            return list(connection.iterdump())

    before = content()

    run(
        "--from", tmp_path, "--config", settings(tmp_path, SLOW), "--since", SINCE, "--until", UNTIL
    )

    assert content() == before


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("recovery: {limits: {confirm_down_secs: 1}}", "confirm_down_secs"),
        ("recovery: {mode: off}", "recovery.mode is off"),
        ("recovery: {limits: {confirm_down_seconds: -1}}", "recovery.limits.confirm_down_seconds"),
        ("recover: {}", "unknown setting recover; did you mean recovery?"),
        ("recovery: {log_patterns: [{pattern: '(', means: stop}]}", "log_patterns"),
        ("- 1", "expected a mapping"),
    ],
)
async def test_invalid_settings_are_one_error(
    journal: Journal, tmp_path: Path, yaml: str, problem: str
) -> None:
    file = settings(tmp_path, yaml)

    result = run("--from", tmp_path, "--config", file, "--since", SINCE, "--until", UNTIL)

    assert isinstance(result.exception, ConfigError)
    assert problem in str(result.exception)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--since", "soon"), "since (soon) must be a duration"),
        (("--since", UNTIL, "--until", SINCE), "is not before until"),
        (("--since", SINCE, "--until", UNTIL, "--system", "south"), "has no system south"),
        (("--since", SINCE, "--until", UNTIL, "--system", "stage"), "has no system stage"),
        (("--since", "1h", "--until", "1s"), "too few polls"),
    ],
)
async def test_invalid_options_are_one_error(
    journal: Journal, tmp_path: Path, options: tuple[str, ...], problem: str
) -> None:
    result = run("--from", tmp_path, "--config", settings(tmp_path, SLOW), *options)

    assert isinstance(result.exception, ConfigError), result.output
    assert problem in str(result.exception)


@pytest.mark.parametrize(
    ("system", "problem"),
    [
        ("name: stage, recovery_mode: off", "recovery.mode is off"),
        ("name: stage, recovery_mode: null", ""),
        ("name: stage", ""),
    ],
)
async def test_a_system_of_the_settings_file_is_found_by_its_name_and_has_its_mode(
    journal: Journal, tmp_path: Path, system: str, problem: str
) -> None:
    url = "url: 'HTTPS://Stage.example:443/'"
    file = settings(tmp_path, f"systems: [{{{url}, {system}}}]\nrecovery: {{mode: enforce}}")
    options = ("--since", SINCE, "--until", UNTIL, "--system", "stage")

    result = run("--from", tmp_path, "--config", file, *options)

    assert (result.exit_code == 0) is not bool(problem), result.exception
    assert problem in str(result.exception)


@pytest.mark.parametrize("source", ["nowhere", "nowhere/journal.sqlite"])
def test_a_missing_journal_is_an_error(source: str, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal"):
        JournalFile(str(tmp_path / source))


def test_another_file_is_an_error(tmp_path: Path) -> None:
    file = settings(tmp_path, SLOW)

    with pytest.raises(JournalError, match="is no SQLite database"):
        JournalFile(str(file))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("oracle://u@host/db", "is not a URL such as postgresql"),
        ("postgresql://u:secret@host/db", "contains a password"),
        ("postgresql://u@host", "names no database"),
    ],
)
def test_a_url_of_no_postgresql_database_is_an_error(url: str, problem: str) -> None:
    with pytest.raises(JournalError, match=problem) as caught:
        JournalFile(url)

    assert "secret" not in str(caught.value)


async def test_an_older_journal_says_that_it_must_be_upgraded(
    journal: Journal, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")

    result = run("--from", tmp_path, "--config", settings(tmp_path, SLOW), "--since", SINCE)

    assert "revision 0001" in str(result.exception)
    assert "older version" in str(result.exception)


async def test_a_journal_without_polls_says_so(journal: Journal, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("DELETE FROM history_polls")

    result = run("--from", tmp_path, "--config", settings(tmp_path, SLOW), "--since", SINCE)

    assert "has no recorded inventory" in str(result.exception)

"""The commands of the journal, against both databases."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exporter.cli.main import full_command
from exporter.errors import UnavailableError
from exporter.journal.lock import Lock
from exporter.journal.sqlite_database import FILE, LOCK
from tests.journal.conftest import FIRST_RELEASE
from tests.postgres import Postgres


def configured(folder: Path, url: str = "") -> Path:
    """Return a settings file for a journal at *url*, or in *folder*."""
    settings: dict[str, Any] = {
        "url": "http://127.0.0.1:1",
        "api_key": "x",
        "recovery": {"directory": str(folder)},
    }
    if url:
        settings["journal"] = {"url": url}
    file = folder.with_suffix(".postgres.yaml" if url else ".yaml")
    file.write_text(json.dumps(settings))
    return file


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    """Return the configuration of a journal of the first release."""
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.executescript(FIRST_RELEASE.read_text())
    return configured(folder)


@pytest.fixture
def postgresql(postgres: Postgres, tmp_path: Path) -> Path:
    """Return the configuration of a new database."""
    return configured(tmp_path / "state", postgres.new_database().url)


def run(*words: object, config: Path) -> str:
    """Return what the command prints; raise what it raises."""
    arguments = ["journal", *map(str, words), "--config", str(config)]
    done = CliRunner().invoke(full_command(), arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def status(config: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("status", "--json", config=config))
    return found


def test_journal_is_moved_to_postgres_and_back(
    sqlite: Path, postgresql: Path, tmp_path: Path
) -> None:
    assert status(postgresql)["revision"] is None

    run("import", tmp_path / "state" / FILE, config=postgresql)
    run("export", tmp_path / "back", config=postgresql)

    there = status(postgresql)
    assert there["rows"]["decisions"] == 2
    assert [one["url"] for one in there["systems"]] == ["north"]
    assert there["database"].startswith("PostgreSQL")
    (tmp_path / "back").replace(tmp_path / "state" / FILE)
    back = status(sqlite)
    assert back["rows"] == there["rows"]
    assert back["database"].startswith("SQLite")
    assert "which is current" in run("status", config=sqlite)


def test_older_journal_is_upgraded_once(sqlite: Path) -> None:
    assert status(sqlite)["revision"] == "0001"
    assert "journal migrate" in run("status", config=sqlite)

    assert "upgraded from revision 0001" in run("migrate", config=sqlite)
    assert "nothing changed" in run("migrate", config=sqlite)

    assert status(sqlite)["revision"] == status(sqlite)["newest_revision"]


def test_tables_are_created_beforehand(postgresql: Path) -> None:
    assert "created with revision" in run("migrate", config=postgresql)
    assert status(postgresql)["rows"]["cases"] == 0


def test_journal_in_use_is_shown_and_not_upgraded(sqlite: Path, tmp_path: Path) -> None:
    lock = Lock(tmp_path / "state" / LOCK)

    assert status(sqlite)["used_by"].startswith("process ")
    with pytest.raises(UnavailableError, match="is in use: process"):
        run("migrate", config=sqlite)

    lock.release()
    assert status(sqlite)["used_by"] == ""


@pytest.mark.parametrize("words", [("status",), ("export", "copy")])
def test_missing_journal_is_an_error(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="there is no journal"):
        run(*words, config=configured(tmp_path / "nowhere"))


def test_older_journal_is_exported_after_its_upgrade_only(sqlite: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="journal migrate"):
        run("export", tmp_path / "copy", config=sqlite)

    assert not (tmp_path / "copy").exists()


def test_database_without_permission_is_an_error(postgres: Postgres, tmp_path: Path) -> None:
    postgres.execute_now("CREATE DATABASE not_ours")
    config = configured(tmp_path / "state", postgres.url("not_ours"))

    with pytest.raises(UnavailableError, match="may create no tables"):
        run("status", config=config)
    with pytest.raises(UnavailableError, match="permission"):
        run("migrate", config=config)

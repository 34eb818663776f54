"""The log: text on a terminal, JSON elsewhere, and never a secret."""

import io
import json
import logging
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from exporter import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> None:
    structlog.reset_defaults()


def test_log_is_json_without_a_terminal() -> None:
    out = io.StringIO()
    logs.configure("info", "auto", stream=out)

    structlog.get_logger().info("cloud.lost", system="prod")

    line = json.loads(out.getvalue())
    assert (line["event"], line["system"], line["level"]) == ("cloud.lost", "prod", "info")
    assert line["timestamp"].endswith("Z")


def test_log_is_text_on_a_terminal() -> None:
    out = Terminal()
    logs.configure("info", "auto", stream=out)

    structlog.get_logger().info("cloud.lost", system="prod")

    assert "cloud.lost" in out.getvalue()
    assert not out.getvalue().startswith("{")


def lines_under(monkeypatch: pytest.MonkeyPatch, file: Path, journal: str) -> list[str]:
    """Return what is written into *file* while systemd's journal reads the file *journal* names."""
    monkeypatch.setenv("JOURNAL_STREAM", journal)
    with file.open("w") as out:
        logs.configure("debug", "json", stream=out)
        for level in ("debug", "info", "warning", "error"):
            getattr(structlog.get_logger(), level)("cloud.lost")
    return file.read_text().splitlines()


def test_events_have_their_priority_in_the_journal_of_systemd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "out"
    file.touch()
    journal = f"{file.stat().st_dev}:{file.stat().st_ino}"

    lines = lines_under(monkeypatch, file, journal)

    assert [line.partition("{")[0] for line in lines] == ["<7>", "<6>", "<4>", "<3>"]


def test_events_have_no_priority_in_a_file_of_a_process_started_by_systemd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = lines_under(monkeypatch, tmp_path / "out", "8:1")

    assert [line[0] for line in lines] == ["{"] * 4


def test_events_below_the_level_are_dropped() -> None:
    out = io.StringIO()
    logs.configure("warning", "json", stream=out)

    structlog.get_logger().info("daemon.started")

    assert out.getvalue() == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_traceback_has_no_local_variables(form: str) -> None:
    out = io.StringIO()
    logs.configure("info", form, stream=out)
    local = "hunter2"
    secret = SecretStr("hunter3")

    try:
        raise ZeroDivisionError(str(secret))
    except ZeroDivisionError:
        structlog.get_logger().exception("web.failed")

    assert "ZeroDivisionError" in out.getvalue()
    assert local not in out.getvalue()
    assert "hunter3" not in out.getvalue()


def test_repeated_library_message_is_logged_once_a_minute() -> None:
    once = logs.OnceAMinute()

    def says(message: str, at: float) -> bool:
        record = logging.LogRecord("asyncio", logging.ERROR, "", 0, message, None, None)
        record.created = at
        return bool(once.filter(record))

    assert [says("no more files", at) for at in (0, 1, 59, 60, 61)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert says("something else", 61)

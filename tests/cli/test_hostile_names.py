"""Every command prints any name as it is, and every time with its zone."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter.formatting import plain
from exporter.recovery.model.commands import CommandKind
from tests.cli.test_daemon_client import Daemon, answering, incidents, ran
from tests.recovery.archive import stage
from tests.recovery.harness import Harness, at_once

NAMES = (
    "a[/red]b",
    "[bold]b[/bold]",
    "[link=file:///etc/passwd]x[/link]",
    "[/]",
    "\\[red]",
    ":boom:",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "one\ntwo\rthree",
    "\u202eevil\u2066",
    "{detail} %s {0}",
)
COMMANDS = (
    ("recovery", "status"),
    ("recovery", "log"),
    ("recovery", "report"),
    ("recovery", "patterns"),
    ("recovery", "patterns", "--unknown"),
)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BARE_TIME = re.compile(r"\b\d\d:\d\d(:\d\d)?\b(?! UTC|Z|\.\d+Z|\+\d\d:\d\d|:\d\d)")


def with_name(name: str) -> Harness:
    """Return a harness in which a VM of that name crashed, was started, and is in a command."""
    harness = stage()
    harness.world.renames("web-01", name)
    harness.advance(40)
    harness.world.crash(name)
    harness.advance(700)
    harness.world.platform_log.write(
        f"VM '{name}' was puzzled by '{name}'",
        at=harness.world.now,
        user=name,
        name=name,
        machine=harness.world.vm(name).machine.key,
    )
    harness.world.crash(name)
    harness.advance(100)
    at_once(harness.recovery.command(CommandKind.PAUSE, owner=name, reason=name, seconds=600))
    return harness


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_is_printed_as_it_is(name: str, tmp_path: Path) -> None:
    async with answering(with_name(name), tmp_path / "state") as daemon:
        for args in (("explain", name), *COMMANDS):
            code, out, err = await ran(*args, **{**daemon.env, "COLUMNS": "400"})

            assert code == 0, err
            assert not CONTROL.search(out)
            if args[0] == "explain" or args[1] in ("status", "log"):
                assert " ".join(plain(name).split()) in " ".join(out.split())


@pytest.mark.parametrize("name", NAMES)
async def test_name_in_an_error_is_printed_as_it_is(name: str, tmp_path: Path) -> None:
    async with answering(with_name("web-01"), tmp_path / "state") as daemon:
        code, _, err = await ran("explain", f"no{name}", **daemon.env)

        assert code == 2
        assert not CONTROL.search(err)
        assert "Traceback" not in err


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with answering(incidents(), tmp_path / "state") as found:
        yield found


@pytest.mark.parametrize(
    "args",
    [
        *COMMANDS,
        ("explain", "web-01"),
        ("explain", "web-02"),
        ("explain", "erp-01"),
        ("recovery", "report", "--since", "0s"),
        ("recovery", "log", "web-02"),
    ],
)
async def test_no_time_is_printed_without_its_zone(daemon: Daemon, args: tuple[str, ...]) -> None:
    _, out, err = await ran(*args, **daemon.env)

    text = " ".join((out + err).split())
    assert text
    assert not BARE_TIME.search(text)

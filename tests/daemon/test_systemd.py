"""What systemd is told, on a real socket."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from exporter.daemon.systemd import notify, notify_status_forever
from tests.daemon_process import REAL_TIME, pointing_at, running, simulating
from tests.fakes import FakeClock


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listen where systemd would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as systemd:
        systemd.bind(str(path))
        yield systemd


def received(systemd: socket.socket) -> list[str]:
    """Return what was sent meanwhile."""
    found: list[str] = []
    with suppress(BlockingIOError):
        while True:
            found.append(systemd.recv(4096).decode())
    return found


@pytest.mark.parametrize("abstract", [False, True])
def test_notify_sends_state_to_notify_socket(tmp_path: Path, abstract: bool) -> None:
    name = f"@{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0"))

        notify("READY=1", {"NOTIFY_SOCKET": name})

        assert systemd.recv(64) == b"READY=1"


def test_without_notify_socket_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        pytest.fail("a socket was opened")

    monkeypatch.setattr("exporter.daemon.systemd.socket.socket", fail)

    notify("READY=1", {})


def test_missing_notify_socket_is_ignored(tmp_path: Path) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "missing")})


async def test_status_is_sent_when_it_changes(tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    clock = FakeClock()
    lines = ["one"]
    with listening(tmp_path / "notify") as systemd:
        task = asyncio.create_task(notify_status_forever(clock, lambda: lines[-1], environ))
        await clock.pass_by(60)
        lines.append("two")
        await clock.pass_by(60)
        task.cancel()

        assert received(systemd) == ["STATUS=one", "STATUS=two"]


async def test_daemon_tells_systemd_its_state_from_start_to_stop(tmp_path: Path) -> None:
    with listening(tmp_path / "notify") as systemd:
        async with simulating() as system:
            env = {
                **pointing_at(system),
                "VERGEWATCH_NAME": "meadow\nMAINPID=1",
                "VERGEWATCH_RECOVERY__MODE": "shadow",
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
            }
            async with running(env) as daemon:
                told = received(systemd)
                async with asyncio.timeout(20):
                    while not any("1 of 1 system up. Recovery: shadow, " in one for one in told):
                        await REAL_TIME.sleep(0.1)
                        told += received(systemd)
                assert "READY=1" in told
                assert "WATCHDOG=1" in told
                assert await daemon.end() == 0
        told += received(systemd)
    assert told[-1] == "STOPPING=1\nSTATUS=Stopping."
    assert not [one for one in told if "\nMAINPID" in one]

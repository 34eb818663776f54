"""The systemd watchdog and the event loop lag probe."""

import asyncio
import socket
from pathlib import Path

import pytest

from exporter.daemon.watchdog import measure_lag_forever, notify
from tests.fakes import FakeClock


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

    monkeypatch.setattr("exporter.daemon.watchdog.socket.socket", fail)

    notify("READY=1", {})


def test_missing_notify_socket_is_ignored(tmp_path: Path) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "missing")})


async def test_event_loop_lag_is_observed() -> None:
    clock = FakeClock()
    lags: list[float] = []
    task = asyncio.create_task(measure_lag_forever(clock, lags.append))
    await clock.pass_by(0)
    clock.elapsed += 0.75  # the loop was busy: its timer is due since a quarter of a second

    await clock.pass_by(0)

    assert lags == [0.25]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

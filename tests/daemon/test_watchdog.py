"""The sign of life, to systemd and to the metrics."""

import asyncio
import socket
from pathlib import Path

import pytest

from exporter.daemon.watchdog import measure_lag_forever, notify
from tests.fakes import FakeClock


@pytest.mark.parametrize("abstract", [False, True])
def test_tells_systemd_over_its_socket(tmp_path: Path, abstract: bool) -> None:
    name = f"@{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0"))

        notify("READY=1", {"NOTIFY_SOCKET": name})

        assert systemd.recv(64) == b"READY=1"


def test_without_systemd_nobody_is_told() -> None:
    notify("READY=1", {})


def test_a_systemd_that_went_away_is_no_reason_to_fail(tmp_path: Path) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})


async def test_measures_how_late_the_loop_is() -> None:
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

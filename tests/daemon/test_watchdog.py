"""The event loop lag probe, systemd's watchdog, and the daemon's own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from exporter.daemon.watchdog import HUNG_EXIT_STATUS, measure_lag_forever
from tests.daemon_process import PATIENCE_SECONDS, REAL_TIME
from tests.fakes import FakeClock

HUNG_SECONDS = 3.0
DAEMON = f"""
import asyncio, signal, sys, time
from exporter import signals
from exporter.daemon import watchdog

def hang():
    print("hanging", file=sys.stderr, flush=True)
    time.sleep(3600)

def be_busy():
    print("busy", file=sys.stderr, flush=True)
    for _ in range(10):
        time.sleep(0.1)  # not one of a second, which would be over after a stop

def soon(what):
    return lambda *_: asyncio.get_running_loop().call_soon_threadsafe(what)

signals.install()
signal.signal(signal.SIGUSR1, soon(hang))
signal.signal(signal.SIGUSR2, soon(be_busy))
watchdog.HUNG_SECONDS = {HUNG_SECONDS}
sys.argv[1:] = ["run", "--web.listen-address", "127.0.0.1:0", "--log.format", "json"]

from exporter.cli.main import main
main()
"""
"""``vergewatch run``, whose event loop hangs on SIGUSR1 and is busy for a second on SIGUSR2."""


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


def environment(state: Path, **more: str) -> dict[str, str]:
    nowhere = {"VERGEWATCH_URL": "http://127.0.0.1:9", "VERGEWATCH_API_KEY": "k"}
    return {**os.environ, "STATE_DIRECTORY": str(state), **nowhere, **more}


@asynccontextmanager
async def daemon_that_can_hang(
    state: Path, **env: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """Yield the started daemon and its log."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DAEMON),
        env=environment(state, **env),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        await logged(process.stderr, "daemon.started")
        yield process, process.stderr
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def logged(log: asyncio.StreamReader, text: str) -> bytes:
    """Return the next line of *log* with *text*."""
    others = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for line in log:
            if text.encode() in line:
                return line
            others.append(line.decode())
    raise AssertionError(f"the daemon ended without {text}: {others}")


async def test_daemon_whose_event_loop_hangs_ends_and_logs_where(tmp_path: Path) -> None:
    async with daemon_that_can_hang(tmp_path) as (process, log):
        process.send_signal(signal.SIGUSR1)

        entry = json.loads(await logged(log, "daemon.hung"))

        assert entry["seconds"] == HUNG_SECONDS
        assert "in hang" in entry["stack"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == HUNG_EXIT_STATUS


async def test_daemon_that_hangs_as_its_log_is_not_read_ends(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x")
    os.set_blocking(writing, True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DAEMON), env=environment(tmp_path), stderr=writing
    )
    os.close(writing)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == HUNG_EXIT_STATUS
    finally:
        os.close(reading)  # else it is never written to


async def test_daemon_that_was_stopped_while_busy_continues(tmp_path: Path) -> None:
    async with daemon_that_can_hang(tmp_path) as (process, log):
        process.send_signal(signal.SIGUSR2)
        await logged(log, "busy")
        await REAL_TIME.sleep(0.6)  # the watchdog has asked, and waits for the loop
        process.send_signal(signal.SIGSTOP)
        await REAL_TIME.sleep(HUNG_SECONDS + 1)
        process.send_signal(signal.SIGCONT)
        await REAL_TIME.sleep(2)

        process.terminate()

        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == 0


async def test_hung_daemon_is_left_to_the_watchdog_of_systemd(tmp_path: Path) -> None:
    async with daemon_that_can_hang(tmp_path, WATCHDOG_USEC="30000000") as (process, log):
        process.send_signal(signal.SIGUSR1)
        await logged(log, "hanging")

        await REAL_TIME.sleep(HUNG_SECONDS + 1)

        assert process.returncode is None

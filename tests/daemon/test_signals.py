"""Signals at any moment in the life of the daemon's process, as PID 1 of a container too."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from exporter.clock import SystemClock
from tests.daemon_process import HASTE, pointing_at, running, simulating

T = TypeVar("T")
CLOCK = SystemClock()
PATIENCE_SECONDS = 20.0
DAEMON = (sys.executable, "-m", "exporter", "run", "--web.listen-address", "127.0.0.1:0")
BLOCKED = ("env", "--block-signal=TERM,INT,HUP")
"""How the image begins its command."""
NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child")
DELAYS = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5]


def environment(**more: str) -> Mapping[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("VERGE")}
    nowhere = {"VERGEWATCH_URL": "http://127.0.0.1:9", "VERGEWATCH_API_KEY": "k" * 40}
    return {**bare, **HASTE, **nowhere, **more}


@asynccontextmanager
async def started(command: Sequence[str], **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment(**env),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ended(process: asyncio.subprocess.Process) -> int:
    """Return the exit code; a traceback is a failure."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, errors = await process.communicate()
    assert b"Traceback" not in errors, errors.decode()
    assert process.returncode is not None
    return process.returncode


async def may_make_namespaces() -> bool:
    try:
        async with started((*NAMESPACE, "true")) as process:
            return await ended(process) == 0
    except FileNotFoundError:
        return False


def child_of(pid: int) -> int | None:
    """Return the process that *pid* has started, if it has."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(found[0]) if found else None


def keeps_sigterm(pid: int) -> bool:
    """Return whether SIGTERM is not lost, as from the first moment of the image's command."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    if fields["Name"].strip() == NAMESPACE[0]:
        return False  # it blocks SIGTERM too, for as long as it forks
    kept = int(fields["SigBlk"], 16) | int(fields["SigCgt"], 16)
    return bool(kept & 1 << (signal.SIGTERM - 1))


async def until(holds: Callable[[], T]) -> T:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := holds()):
            await CLOCK.sleep(0.001)
    return found


@pytest.mark.parametrize("delay", DELAYS)
async def test_sigterm_ends_pid_1_with_code_0_whenever_it_comes(
    delay: float, tmp_path: Path
) -> None:
    if not await may_make_namespaces():
        pytest.skip("this user may not make PID namespaces")
    state = {"VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path), "VERGEWATCH_RECOVERY__MODE": "shadow"}
    async with started((*NAMESPACE, *BLOCKED, *DAEMON), **state) as process:
        pid = await until(lambda: child_of(process.pid))
        assert pid is not None
        await until(lambda: keeps_sigterm(pid))
        await CLOCK.sleep(delay)
        os.kill(pid, signal.SIGTERM)
        assert await ended(process) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("delay", DELAYS)
async def test_signal_ends_the_daemon_with_code_0_whenever_it_comes(
    delay: float, number: signal.Signals
) -> None:
    async with started((*BLOCKED, *DAEMON)) as process:
        await until(lambda: keeps_sigterm(process.pid))
        await CLOCK.sleep(delay)
        process.send_signal(number)
        assert await ended(process) == 0


@pytest.mark.parametrize("delay", DELAYS)
async def test_sighup_before_the_daemon_is_ready_does_not_end_it(delay: float) -> None:
    async with started((*BLOCKED, *DAEMON)) as process:
        await until(lambda: keeps_sigterm(process.pid))
        await CLOCK.sleep(delay)
        process.send_signal(signal.SIGHUP)
        await CLOCK.sleep(1.0)
        assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0


async def test_sighup_before_the_daemon_is_ready_reloads_as_soon_as_it_is() -> None:
    code = "import os, signal, sys; os.kill(os.getpid(), signal.SIGHUP); "
    command = f"{code}os.execv(sys.argv[1], sys.argv[1:])"  # pending until it is unblocked
    blocking = (*BLOCKED, sys.executable, "-c", command, *DAEMON, "--log.format", "json")
    process = await asyncio.create_subprocess_exec(
        *blocking, env=environment(), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while b"config.reloaded" not in (line := await process.stderr.readline()):
            assert line, "the daemon ended"
    process.terminate()
    assert await process.wait() == 0


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,) * 3, (signal.SIGINT, signal.SIGHUP) * 3])
async def test_further_signals_during_the_shutdown_do_not_disturb_it(
    numbers: tuple[signal.Signals, ...],
) -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        await daemon.until_up()
        daemon.signal(signal.SIGTERM)
        for number in numbers:
            await CLOCK.sleep(0.01)
            with suppress(ProcessLookupError):
                os.kill(daemon.process.pid, number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await daemon.process.wait() == 0
        assert not any("Traceback" in line for line in daemon.output)


async def test_other_commands_can_be_interrupted_in_the_image() -> None:
    async with started((*BLOCKED, sys.executable, "-m", "exporter", "simulate")) as process:
        await CLOCK.sleep(2.0)
        process.send_signal(signal.SIGINT)
        assert await ended(process) in (0, 130, -signal.SIGINT)

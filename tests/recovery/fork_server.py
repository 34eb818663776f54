"""The fork server of `crash_runner`, and the processes of the daemon that it starts."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.recovery.crash_runner import StartRequest

ROOT = Path(__file__).parents[2]


class DaemonProcess:
    """A process of the daemon."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The exit code; a signal's number below 0."""

    def send(self, number: signal.Signals) -> None:
        if not self.ended.done():
            os.kill(self.pid, number)


class ForkServer:
    """The process that forks those of the daemon; `crash_runner` is its program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._daemons: dict[int, DaemonProcess] = {}
        self._turn = asyncio.Lock()

    async def start(self, command: StartRequest) -> DaemonProcess:
        assert self._process.stdin is not None
        async with self._turn:
            self._process.stdin.write(command.written().encode() + b"\n")
            await self._process.stdin.drain()
            return self._daemons[await self._started.get()]

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            news = json.loads(line)
            if "started" in news:
                self._daemons[news["started"]] = DaemonProcess(news["started"])
                self._started.put_nowait(news["started"])
            else:
                self._daemons.pop(news["ended"]).ended.set_result(news["status"])


@asynccontextmanager
async def fork_server() -> AsyncIterator[ForkServer]:
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VERGE", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"))
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.recovery.crash_runner"),
        cwd=ROOT,
        # To read the certificates of the system takes a process 0.1 s.
        env={**bare, "SSL_CERT_FILE": os.devnull},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    server = ForkServer(process)
    listening = asyncio.create_task(server.listen())
    try:
        yield server
    finally:
        assert process.stdin is not None
        process.stdin.close()  # which ends it, and its children
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening

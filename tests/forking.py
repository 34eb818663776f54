"""
Processes forked from one that has imported the whole package, so that they start at once.

An interpreter that imports the package takes 0.5 s of CPU, and the tests start hundreds. The fork
server is that of `multiprocessing`: it has neither threads nor a loop.
"""

import asyncio
import ctypes
import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import exporter

PR_SET_PDEATHSIG = 1
CONTEXT = multiprocessing.get_context("forkserver")
PROGRAMS = ("exporter.__main__", "exporter.journal.migrations.")
"""What does its work when it is imported."""
IMPORTED_LATE = ("sqlalchemy.dialects.sqlite", "asyncpg")
"""What the package imports when it connects."""


def bare_environment() -> dict[str, str]:
    """Return the variables of this process but for those that Vergewatch reads."""
    read = ("VERGE", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET")
    return {name: value for name, value in os.environ.items() if not name.startswith(read)}


@cache
def start_fork_server() -> None:
    """Start it where this process is now: in this network namespace, for one."""
    CONTEXT.set_forkserver_preload(_imported())
    ensure_running()


class ForkedProcess:
    """A process that runs a function. It ends with the tests."""

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = loop.create_future()
        """The exit code; a signal's number below 0."""
        start_fork_server()
        self._process = CONTEXT.Process(target=_run, args=(function, arguments), daemon=True)
        self._process.start()
        loop.add_reader(self._process.sentinel, self._note_end, loop)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):  # it may have ended just now
                os.kill(self.pid, number)

    def _note_end(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._process.sentinel)
        assert self._process.exitcode is not None
        self.ended.set_result(self._process.exitcode)


class ForkedCommand:
    """``vergewatch`` with arguments; it looks like a process of asyncio."""

    def __init__(
        self, process: ForkedProcess, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader
    ) -> None:
        self._process = process
        self.stdout = stdout
        self.stderr = stderr

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.ended.result() if self._process.ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._process.ended)

    async def communicate(self) -> tuple[bytes, bytes]:
        stdout, stderr = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return stdout, stderr

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def start_command(
    *arguments: str, env: Mapping[str, str], one_output: bool = False
) -> ForkedCommand:
    """
    Run ``python -m exporter``.

    Args:
        one_output: Whether errors are written to stdout too.

    """
    stdout, child_stdout = CONTEXT.Pipe(duplex=False)
    stderr, child_stderr = CONTEXT.Pipe(duplex=False)
    outputs = (child_stdout, child_stdout if one_output else child_stderr)
    process = ForkedProcess(_run_command, arguments, dict(env), str(Path.cwd()), outputs)
    child_stdout.close()
    child_stderr.close()
    return ForkedCommand(process, await _reader(stdout), await _reader(stderr))


async def told(*arguments: str, env: Mapping[str, str]) -> tuple[int, str]:
    """Run ``python -m exporter``; return the exit code and all that it printed."""
    process = await start_command(*arguments, env=env, one_output=True)
    output, _ = await process.communicate()
    return await process.wait(), output.decode()


async def _reader(pipe: Connection) -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    with pipe:
        file = os.fdopen(os.dup(pipe.fileno()), "rb", 0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    return reader


def _imported() -> list[str]:
    """Return the names of the modules that the fork server imports."""
    modules = (one.name for one in walk_packages(exporter.__path__, "exporter."))
    return [*(name for name in modules if not name.startswith(PROGRAMS)), *IMPORTED_LATE]


def _run(function: Callable[..., None], arguments: Sequence[Any]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # the fork server's end
    function(*arguments)


def _run_command(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    directory: str,
    outputs: tuple[Connection, Connection],
) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    for number, output in enumerate(outputs, start=1):
        os.dup2(output.fileno(), number)
    for output in set(outputs):
        output.close()
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv = ["vergewatch", *arguments]
    runpy.run_module("exporter", run_name="__main__", alter_sys=True)

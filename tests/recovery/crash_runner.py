"""
Processes of the daemon that end, or stop for a while, at a moment that the test names.

Run as a program this is a fork server: it imports everything once and forks a child for every
request that it reads, so that a daemon starts in a moment. It has neither threads nor a loop, and
its children end with it. A child is the whole daemon; what is added is its end.
"""

import asyncio
import ctypes
import json
import os
import select
import signal
import sys
import threading
import traceback
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy.dialects.sqlite  # noqa: F401 - before the fork, like what follows
import structlog
from sqlalchemy import Engine
from sqlalchemy.event import listen

import exporter.cli.main
import exporter.journal.journal
import exporter.journal.postgres_database  # noqa: F401
from exporter import logs
from exporter.clock import SystemClock
from exporter.config.loader import load
from exporter.daemon import app, replica
from exporter.journal import lease
from exporter.recovery import leadership
from exporter.recovery.act import executor
from tests.network import enter

PR_SET_PDEATHSIG = 1


class Ending(StrEnum):
    """How close to its event a process ends, or stops for a while."""

    BEFORE_LOG = "before_log"
    """Before the event is written to the log."""
    AFTER_LOG = "after_log"
    """After it was written, before anything else is done."""
    UNCOMMITTED = "uncommitted"
    """In the next transaction: its rows are written, and its commit is not asked for."""
    COMMITTING = "committing"
    """About while that transaction is committed."""
    STOPPED = "stopped"
    """After it was written, by SIGSTOP: the process goes on after SIGCONT."""
    SUSPENDED = "suspended"
    """Like that, as with its machine: its clocks stand still meanwhile."""


@dataclass(frozen=True)
class EndAt:
    """When a process ends: at the first such event about this VM."""

    event: str
    vm: int
    how: Ending


@dataclass(frozen=True)
class StartRequest:
    """A daemon to start."""

    config: str
    log: str
    end_at: EndAt | None = None
    speedup: float = 1.0
    """Ending many times shorter the lease and all that goes with it are."""
    fenced: bool = True
    """False for a mutant that writes to the journal although another replica leads."""
    namespace: str = ""
    """The path of its network namespace; empty for that of the fork server."""

    @classmethod
    def read(cls, line: str) -> "StartRequest":
        fields = json.loads(line)
        end_at = fields.pop("end_at")
        return cls(
            **fields,
            end_at=end_at and EndAt(end_at["event"], end_at["vm"], Ending(end_at["how"])),
        )

    def written(self) -> str:
        return json.dumps(asdict(self))


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class SuspendableClock(SystemClock):
    """The clock of a machine: it stands still while that is suspended."""

    def __init__(self) -> None:
        self._suspended_seconds = 0.0

    def now(self) -> datetime:
        return super().now() - timedelta(seconds=self._suspended_seconds)

    def monotonic(self) -> float:
        return super().monotonic() - self._suspended_seconds

    def stop(self, *, is_seen: bool) -> None:
        """Stop the process until it is sent SIGCONT; the clock goes on if *is_seen*."""
        began = self.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        if not is_seen:
            self._suspended_seconds += self.monotonic() - began


class EndAtEvent:
    """A structlog processor that ends the process; the last one, which is given the line."""

    def __init__(self, end_at: EndAt, clock: SuspendableClock) -> None:
        self._doom = end_at
        self._clock = clock
        self._waits_for_commit = False
        listen(Engine, "commit", self._commit)

    def __call__(self, _logger: Any, _method: str, line: Any) -> str:
        entry = json.loads(line)
        if (entry["event"], entry.get("vm_id")) != (self._doom.event, self._doom.vm):
            return str(line)
        match self._doom.how:
            case Ending.BEFORE_LOG:
                kill_self()
            case Ending.STOPPED | Ending.SUSPENDED:
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
                self._clock.stop(is_seen=self._doom.how is Ending.STOPPED)
                raise structlog.DropEvent
            case Ending.AFTER_LOG:
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
                kill_self()
            case _:
                self._waits_for_commit = True
        return str(line)

    def _commit(self, _connection: Any) -> None:
        """Come between the last statement of a transaction and its commit."""
        if not self._waits_for_commit:
            return
        if self._doom.how is Ending.UNCOMMITTED:
            kill_self()
        threading.Timer(0.0002, kill_self).start()


def shorten_lease_times(times: float) -> None:
    """Make every time of the lease so many *times* shorter."""
    lease.LEASE_SECONDS /= times
    leadership.LEADS_SECONDS /= times
    executor.LEASE_MARGIN_SECONDS /= times
    replica.RENEW_SECONDS /= times
    replica.STEP_SECONDS /= times
    replica.STEP_DOWN_SECONDS /= times


def run_daemon(command: StartRequest) -> NoReturn:
    """Run the daemon, as ``vergewatch run`` is, until the end."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        output = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        if command.namespace:
            enter(command.namespace)
        settings = load(Path(command.config))
        logs.configure(settings.log.level, settings.log.format)
        shorten_lease_times(command.speedup)
        if not command.fenced:
            lease.Fence.check = lambda *_, **__: None  # type: ignore[method-assign]
        clock = SuspendableClock()
        if command.end_at is not None:
            processors = structlog.get_config()["processors"]
            structlog.configure(processors=[*processors, EndAtEvent(command.end_at, clock)])
        asyncio.run(app.run(settings, lambda: settings, clock))
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it must not return into the fork server
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def serve() -> None:
    """Fork a daemon for each line and print which started and ended, until there are no lines."""
    daemons: dict[int, int] = {}  # a descriptor of the process, and its number
    try:
        while True:
            ready, _, _ = select.select([0, *daemons], [], [])
            for descriptor in ready:
                if descriptor != 0:
                    pid = daemons.pop(descriptor)
                    os.close(descriptor)
                    _, status = os.waitpid(pid, 0)
                    tell(ended=pid, status=os.waitstatus_to_exitcode(status))
            if 0 in ready:
                line = _read_line()
                if not line:
                    return
                pid = os.fork()
                if pid == 0:
                    run_daemon(StartRequest.read(line))
                daemons[os.pidfd_open(pid)] = pid
                tell(started=pid)
    finally:
        for descriptor in daemons:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def _read_line() -> str:
    """Return the next line; a buffer would hide from `select` that there is another."""
    line = bytearray()
    while not line.endswith(b"\n"):
        letter = os.read(0, 1)
        if not letter:
            return ""
        line += letter
    return line.decode()


if __name__ == "__main__":
    serve()

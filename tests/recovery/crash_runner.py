"""
Lives of the daemon, one after the other, each killed by SIGKILL at the moment that it is told.

Run as a program this is a nursery: it imports everything once and forks a child for every order
that it reads, so that a life begins in a moment. It has neither threads nor a loop, and its
children die with it. The daemon in a child is the whole of it; what is added is its end.
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

PR_SET_PDEATHSIG = 1


class How(StrEnum):
    """How close to its event a life ends."""

    UNSAID = "unsaid"
    """Before the event is written to the log."""
    SAID = "said"
    """After it was written, before anything else is done."""
    UNCOMMITTED = "uncommitted"
    """In the next transaction: its rows are written, and its commit is not asked for."""
    COMMITTING = "committing"
    """About while that transaction is committed."""
    STOPPED = "stopped"
    """After it was written, by SIGSTOP: the life goes on after SIGCONT."""
    SUSPENDED = "suspended"
    """Like that, as with its machine: its clocks stand still meanwhile."""


@dataclass(frozen=True)
class Doom:
    """When a life ends: at the first such event about this VM."""

    event: str
    vm: int
    how: How


@dataclass(frozen=True)
class Order:
    """A life to begin."""

    config: str
    log: str
    doom: Doom | None = None
    haste: float = 1.0
    """How many times shorter the lease and all that goes with it are."""
    fenced: bool = True
    """False for a mutant that writes to the journal although another replica leads."""

    @classmethod
    def read(cls, line: str) -> "Order":
        fields = json.loads(line)
        doom = fields.pop("doom")
        return cls(**fields, doom=doom and Doom(doom["event"], doom["vm"], How(doom["how"])))

    def written(self) -> str:
        return json.dumps(asdict(self))


def die() -> None:
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


class Reaper:
    """A structlog processor that ends the process; the last one, which is given the line."""

    def __init__(self, doom: Doom, clock: SuspendableClock) -> None:
        self._doom = doom
        self._clock = clock
        self._waits_for_commit = False
        listen(Engine, "commit", self._commit)

    def __call__(self, _logger: Any, _method: str, line: Any) -> str:
        entry = json.loads(line)
        if (entry["event"], entry.get("vm_id")) != (self._doom.event, self._doom.vm):
            return str(line)
        match self._doom.how:
            case How.UNSAID:
                die()
            case How.STOPPED | How.SUSPENDED:
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
                self._clock.stop(is_seen=self._doom.how is How.STOPPED)
                raise structlog.DropEvent
            case How.SAID:
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
                die()
            case _:
                self._waits_for_commit = True
        return str(line)

    def _commit(self, _connection: Any) -> None:
        """Come between the last statement of a transaction and its commit."""
        if not self._waits_for_commit:
            return
        if self._doom.how is How.UNCOMMITTED:
            die()
        threading.Timer(0.0002, die).start()


def hasten(times: float) -> None:
    """Make every time of the lease so many *times* shorter."""
    lease.LEASE_SECONDS /= times
    leadership.LEADS_SECONDS /= times
    executor.LEASE_MARGIN_SECONDS /= times
    replica.RENEW_SECONDS /= times
    replica.STEP_SECONDS /= times
    replica.STEP_DOWN_SECONDS /= times


def live(command: Order) -> NoReturn:
    """Be the daemon, as ``vergewatch run`` is, until the end."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        output = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        settings = load(Path(command.config))
        logs.configure(settings.log.level, settings.log.format)
        hasten(command.haste)
        if not command.fenced:
            lease.Fence.check = lambda *_, **__: None  # type: ignore[method-assign]
        clock = SuspendableClock()
        if command.doom is not None:
            processors = structlog.get_config()["processors"]
            structlog.configure(processors=[*processors, Reaper(command.doom, clock)])
        asyncio.run(app.run(settings, lambda: settings, clock))
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it must not return into the nursery
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def nurse() -> None:
    """Fork a life for each line, and tell of births and deaths, until there are no more lines."""
    lives: dict[int, int] = {}  # a descriptor of the process, and its number
    try:
        while True:
            ready, _, _ = select.select([0, *lives], [], [])
            for descriptor in ready:
                if descriptor != 0:
                    pid = lives.pop(descriptor)
                    os.close(descriptor)
                    _, status = os.waitpid(pid, 0)
                    tell(died=pid, status=os.waitstatus_to_exitcode(status))
            if 0 in ready:
                line = _read_line()
                if not line:
                    return
                pid = os.fork()
                if pid == 0:
                    live(Order.read(line))
                lives[os.pidfd_open(pid)] = pid
                tell(born=pid)
    finally:
        for descriptor in lives:
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
    nurse()

"""
Processes of the daemon that end, or stop for a while, at a moment that the test names.

Each is the whole daemon; what is added is its end.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlalchemy.event import listen

from exporter import logs
from exporter.clock import SystemClock
from exporter.config.loader import load
from exporter.daemon import app, replica
from exporter.journal import lease
from exporter.recovery import leadership
from exporter.recovery.act import executor
from tests.forking import bare_environment
from tests.network import enter


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


def run_daemon(command: StartRequest) -> None:
    """Run the daemon, as ``vergewatch run`` is, until the end."""
    environ = bare_environment()
    os.environ.clear()
    os.environ.update(environ)
    output = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(output, number)
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

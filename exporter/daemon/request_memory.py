"""Keeps the requests of the last hour, and the wait that a system asked for, across restarts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.clock import Clock
from exporter.daemon.system_memory import Remembered, SystemMemory
from exporter.executor import run_in_thread
from exporter.vergeos.budget import MINUTE_SECONDS, RequestBudget, Spent

CHECK = "check"
"""The part of the memory that `vergewatch check` writes, so that no process overwrites another's
counts: each writes its own requests and reads the other's."""


class RequestMemory:
    """
    The memory of one system's request budget.

    Args:
        memory: The part of the system's memory that this process writes.
        directory: The state directory.
        url: Of the system.
        by_check: Whether this process is `vergewatch check` and the other one the daemon.

    """

    def __init__(
        self,
        memory: SystemMemory,
        directory: Path,
        url: str,
        budget: RequestBudget,
        clock: Clock,
        *,
        by_check: bool = False,
    ) -> None:
        self._memory = memory
        self._directory = directory
        self._url = url
        self._budget = budget
        self._clock = clock
        self._other_part = "" if by_check else CHECK

    def resume(self, *, ahead: int = 0) -> None:
        """
        Count what was sent before this process started, and keep the wait that was asked for.

        Args:
            ahead: Requests that follow at once. They are written before they are sent, so that a
                process that is killed and restarted again and again counts them all.

        """
        at, now = self._times()
        other = self._read_other()
        self._budget.resume(self._memory.remembered.requests, at=at, now=now)
        self._budget.count_elsewhere(other.requests, at=at, now=now)
        for one in (self._memory.remembered, other):
            self._budget.throttle.resume(one.wait_until - now, one.wait_because, at=at)
        if not ahead:
            return
        changes, minute = self._changes(), int(now // MINUTE_SECONDS)
        polls, others = changes["requests"].get(minute, Spent(0, 0))
        changes["requests"] |= {minute: Spent(polls + ahead, others)}
        self._memory.remember(**changes)

    async def save_forever(self) -> None:
        """Write the counts every minute, and read those of the other process."""
        while True:
            await self._clock.sleep(MINUTE_SECONDS)
            other = await run_in_thread(self._exchange, self._changes())
            at, now = self._times()
            self._budget.count_elsewhere(other.requests, at=at, now=now)

    def save(self) -> None:
        """Write the counts now."""
        self._memory.remember(**self._changes())

    def is_shared(self) -> bool:
        """Return whether the other process keeps its part in the same place, as the same user."""
        try:
            return self._memory.path.parent.stat().st_uid == os.geteuid()
        except OSError:
            return False

    def _exchange(self, changes: Mapping[str, Any]) -> Remembered:
        self._memory.remember(**changes)
        return self._read_other()

    def _read_other(self) -> Remembered:
        return SystemMemory(self._directory, self._url, self._other_part).remembered

    def _changes(self) -> dict[str, Any]:
        """Return what the budget knows now, as fields of `Remembered`."""
        at, now = self._times()
        wait = self._budget.throttle.wait(at=at)
        return {
            "requests": self._budget.minutes(at=at, now=now),
            "wait_until": now + wait.until - at if wait is not None else 0.0,
            "wait_because": wait.because if wait is not None else "",
        }

    def _times(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.now().timestamp()

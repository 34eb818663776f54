"""Honest stand-ins, ten lines each."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A clock that advances when a test advances it, or when a single task sleeps."""

    def __init__(self, *, hurried: bool = False) -> None:
        self.elapsed = 0.0
        self.hurried = hurried
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        if self.hurried:
            self.elapsed += max(0.0, seconds)
            await asyncio.sleep(0)  # noqa: TID251 - a turn for the others
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.elapsed + seconds, woken))
        await woken

    async def pass_by(self, seconds: float) -> None:
        """Advance time, waking each sleeper when it is due, until all tasks wait."""
        until = self.elapsed + seconds
        await settle()
        while due := [one for one in self.sleepers if one[0] <= until]:
            first = moment, woken = min(due, key=lambda one: one[0])
            self.sleepers.remove(first)
            self.elapsed = max(self.elapsed, moment)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self.elapsed = until
        await settle()


async def settle() -> None:
    """Give every task as many turns as it could want."""
    for _ in range(20):
        await asyncio.sleep(0)  # noqa: TID251 - a turn for the others


class Inline(ThreadPoolExecutor):
    """Does in the caller's thread what a worker thread would do, so that tests know when."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as an executor does
            done.set_exception(error)
        return done

"""A clock that tests advance."""

import asyncio
import heapq
from datetime import UTC, datetime

START = 1_767_225_600.0


class FakeClock:
    """Time advances in `advance` only; sleepers wake in order."""

    def __init__(self, start: float = START) -> None:
        self.elapsed = 0.0
        self._start = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._slept = 0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._start + self.elapsed, UTC)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await settle(1)
            return
        self._slept += 1
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.elapsed + seconds, self._slept, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Advance by *seconds*, and run the tasks that wake meanwhile."""
        await settle()
        end = self.elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self.elapsed, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self.elapsed = end
        await settle()


async def settle(turns: int = 5) -> None:
    """Run other tasks."""
    for _ in range(turns):
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turn.set_result, None)
        await turn

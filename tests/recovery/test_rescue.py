"""Recovery beside the watching: it takes what it is told, and never more than it can hold."""

import asyncio
from collections.abc import Callable
from typing import cast

from exporter.polling.watch import Round
from exporter.recovery.engine import Recovery
from exporter.recovery.picture import Poll
from exporter.rescue import ROUNDS_WAITING, Rescue
from tests.recovery.theatre import Theatre


class Slow:
    """A recovery that takes each poll when it is let."""

    bug = ""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.go_on = asyncio.Event()

    async def take(self, poll: Poll) -> None:
        await self.go_on.wait()
        self.taken.append(poll.asked_at)


def rounds(count: int) -> list[Round]:
    poll = Theatre(vms=2)._read()
    return [Round(*poll._replace(asked_at=float(number))) for number in range(count)]


async def test_where_recovery_cannot_keep_up_the_oldest_rounds_are_left_out() -> None:
    slow = Slow()
    rescue = Rescue(cast(Recovery, slow))
    working = asyncio.create_task(rescue.run())

    for seen in rounds(100):
        rescue.tell(seen)
    slow.go_on.set()
    await eventually(lambda: len(slow.taken) >= ROUNDS_WAITING)
    working.cancel()

    assert slow.taken == [97.0, 98.0, 99.0]


async def eventually(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.001)

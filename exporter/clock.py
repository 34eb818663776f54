"""
Time as a value.

This is the only file that reads a clock or sleeps. Pure code takes ``now``;
loops take a `Clock`, so that an hour of polling is tested in a moment.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a loop may know about time."""

    def now(self) -> datetime:
        """Return the time of day, aware and in UTC: for people and for exported timestamps."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never jump: for ages, intervals and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*; at once, but not before other tasks had a turn, when <= 0."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - the one place

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 - the one place

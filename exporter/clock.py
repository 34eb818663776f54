"""
Time as a value.

This is the only file that reads a clock or sleeps. Pure code takes ``now``;
loops take a `Clock`, so that a test runs an hour of polling in milliseconds.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import NamedTuple, Protocol


class Clock(Protocol):
    """The clock that loops use."""

    def now(self) -> datetime:
        """Return the wall clock time, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Return monotonic seconds: for ages, intervals and deadlines."""
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


class Moment(NamedTuple):
    """A time by both clocks."""

    monotonic: float
    """Stops while the machine sleeps."""
    unix: float
    """Can be set."""


def moment(clock: Clock) -> Moment:
    """Return the present time by both clocks."""
    return Moment(clock.monotonic(), clock.now().timestamp())


def seconds_between(then: Moment, now: Moment) -> float:
    """Return the time from *then* to *now*, by whichever clock saw more of it."""
    return max(now.monotonic - then.monotonic, now.unix - then.unix)

"""Monitored time: seconds that pass only while Vergewatch runs, and continue after a restart."""

import math
from datetime import datetime, timedelta

from exporter.clock import Clock


class MonitoredTime:
    """The monitored time of one system; no change of a clock moves it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before = 0.0
        self._began_time = clock.now()
        self.began = 0.0
        """When this process began, in monotonic seconds."""

    def go_on(self, before: float) -> float:
        """
        Continue after *before*, the seconds of earlier processes: later than all they saw.

        Returns:
            By how much a moment is later now than in the monitored time so far.

        """
        was = self.now
        self._before = math.nextafter(before, math.inf) if before else 0.0
        self.began, self._began_time = self._clock.monotonic(), self._clock.now()
        return self._before - was

    @property
    def now(self) -> float:
        return self.at(self._clock.monotonic())

    def at(self, monotonic: float) -> float:
        """Return the seconds at a monotonic time of this process."""
        return self._before + (monotonic - self.began)

    def time_of_day(self, at: float) -> datetime:
        """Return the time of day of *at* seconds."""
        return self._began_time + timedelta(seconds=at - self._before)

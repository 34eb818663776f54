"""CPU and memory load of a machine, computed from the time alone."""

import math
from dataclasses import dataclass

DAY = 2 * math.pi / 86_400
BURST = 2 * math.pi / 540
DAY_DEPTH = 0.35
BURST_DEPTH = 0.4
"""Their sum is below 1, so that counters never decrease."""
HEALTHY_CPU = 0.9
HEALTHY_MEMORY = 0.94
"""Maximum use by a guest, below the thresholds of the alert rules."""


@dataclass(frozen=True, slots=True)
class Load:
    """A load that varies over the day and, faster, in bursts of nine minutes."""

    level: float
    """Mean CPU use, 0 to 1."""
    phase: float
    memory_share: float

    def cpu(self, at: float) -> float:
        """Return the CPU use at *at*, 0 to 1."""
        return min(HEALTHY_CPU, max(0.002, self.level * self.rate(at)))

    def memory(self, at: float) -> float:
        """Return the share of memory in use at *at*, 0 to 1."""
        return min(HEALTHY_MEMORY, self.memory_share * (1 + 0.05 * math.sin(DAY * at + self.phase)))

    def active_seconds(self, start: float, end: float) -> float:
        """Return the seconds of mean activity between *start* and *end*; never falls with *end*."""
        if end <= start:
            return 0.0
        day = math.cos(DAY * start + self.phase) - math.cos(DAY * end + self.phase)
        burst = math.cos(BURST * start + 3 * self.phase) - math.cos(BURST * end + 3 * self.phase)
        return end - start + day * (DAY_DEPTH / DAY) + burst * (BURST_DEPTH / BURST)

    def rate(self, at: float) -> float:
        """Return the activity at *at* relative to the mean."""
        day = DAY_DEPTH * math.sin(DAY * at + self.phase)
        burst = BURST_DEPTH * math.sin(BURST * at + 3 * self.phase)
        return 1 + day + burst

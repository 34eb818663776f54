"""How busy a machine is, as a function of time alone, so that a quiet hour costs nothing."""

import math
from dataclasses import dataclass

DAY = 2 * math.pi / 86_400
SPELL = 2 * math.pi / 540
DAY_DEPTH = 0.35
SPELL_DEPTH = 0.4
"""Depths add up to less than one, so that no counter ever runs backwards."""
HEALTHY_CPU = 0.9
HEALTHY_MEMORY = 0.94
"""The most that a guest uses at any hour: nobody in this fleet is short of anything."""


@dataclass(frozen=True, slots=True)
class Load:
    """A level that breathes with the day and, faster, with spells of work."""

    level: float
    """Mean CPU use, 0 to 1."""
    phase: float
    memory_share: float

    def cpu(self, at: float) -> float:
        """Return the CPU use at *at*, 0 to 1; a healthy guest leaves some."""
        return min(HEALTHY_CPU, max(0.002, self.level * self.rate(at)))

    def memory(self, at: float) -> float:
        """Return the share of its memory that is in use, 0 to 1; a healthy guest leaves some."""
        return min(HEALTHY_MEMORY, self.memory_share * (1 + 0.05 * math.sin(DAY * at + self.phase)))

    def active_seconds(self, start: float, end: float) -> float:
        """Return the seconds of mean activity between *start* and *end*; never falls with *end*."""
        if end <= start:
            return 0.0
        day = math.cos(DAY * start + self.phase) - math.cos(DAY * end + self.phase)
        spell = math.cos(SPELL * start + 3 * self.phase) - math.cos(SPELL * end + 3 * self.phase)
        return end - start + day * (DAY_DEPTH / DAY) + spell * (SPELL_DEPTH / SPELL)

    def rate(self, at: float) -> float:
        """Return how fast the counters run at *at*, 1 being their mean."""
        day = DAY_DEPTH * math.sin(DAY * at + self.phase)
        spell = SPELL_DEPTH * math.sin(SPELL * at + 3 * self.phase)
        return 1 + day + spell

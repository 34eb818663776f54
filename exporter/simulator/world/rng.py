"""Seeded random numbers."""

import random


class Rng(random.Random):
    """A seeded random number generator."""

    def chance(self, share: float) -> bool:
        """Return True with the probability *share*, 0 to 1."""
        return self.random() < share

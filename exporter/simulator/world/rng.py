"""Chance that can be repeated: the same seed, the same world."""

import random


class Rng(random.Random):
    """A seeded source of chance."""

    def chance(self, share: float) -> bool:
        """Return whether something that happens in this *share* of cases, 0 to 1, happens now."""
        return self.random() < share

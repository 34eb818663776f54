"""How replicas that use one API key of VergeOS share the requests of its hour."""

from collections.abc import Collection, Sequence
from math import inf
from typing import NamedTuple

from exporter.polling.schedule import TableSchedule, requests_per_hour, stretched

STANDBY_SECONDS = 60.0
"""The shortest interval at which a standby polls; it reads no log and acts on no VM."""
SHARE_OF_STANDBYS = 0.5
"""Of the requests for polling: the most that all standbys send, however many pages they read."""


class KeyShare(NamedTuple):
    """The part of one replica in the use of a key."""

    replicas: int = 1
    """How many use the key, this one included."""
    leads: bool | None = None
    """Whether this one leads recovery; None where recovery is off, and none leads."""

    @property
    def stands_by(self) -> bool:
        """Whether another replica polls everything, and this one only what shows that a VM runs."""
        return self.replicas > 1 and self.leads is False

    def elsewhere(self, allowed: int, standby: float) -> float:
        """
        Return how many requests an hour the other replicas need of those for polling.

        Args:
            allowed: The requests an hour that all of them may use to poll.
            standby: The requests an hour of a standby.

        """
        others = self.replicas - 1
        return allowed * others / self.replicas if self.leads is None else standby * others

    def limit_of_standby(self, allowed: int) -> float:
        """Return how many of the *allowed* requests an hour one standby may send at most."""
        return max(1.0, allowed * SHARE_OF_STANDBYS / max(1, self.replicas - 1))


ALONE = KeyShare()


def of_standby(
    schedules: Sequence[TableSchedule], *, also: Collection[str] = (), at_most: float = inf
) -> tuple[TableSchedule, ...]:
    """
    Return those of *schedules* that a standby polls, at its intervals.

    Args:
        also: Tables that it polls besides the essential ones.
        at_most: The requests an hour that it may send; longer intervals make them fit.

    """
    found = tuple(
        one._replace(
            every_seconds=max(one.every_seconds, STANDBY_SECONDS), phase_seconds=0.0, fixed=True
        )
        for one in schedules
        if one.essential or one.table in also
    )
    factor = requests_per_hour(found) / at_most
    return found if factor <= 1 else tuple(stretched(one, factor) for one in found)

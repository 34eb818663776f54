"""Who leads recovery of one system, as this replica's own clocks know it."""

from typing import NamedTuple

from exporter.clock import Moment, seconds_between
from exporter.formatting import lasting

LEADS_SECONDS = 20.0
"""How long after it sent the last successful renewal a replica leads, by its own clocks. The lease
lasts ten seconds longer: an action that begins before this time is over by then."""

MAX_REREAD_SECONDS = 10.0
"""The longest time from the last look to an action that always fits into a renewed lease."""


class OnlyReplica:
    """The `Leadership` where no other replica can lead: it has the journal to itself."""

    term = 0
    epoch = None
    age_seconds = None
    leader = ""
    problem = ""
    is_shared = False

    async def step_down(self) -> None:
        """Do nothing: no other replica could take the lead."""

    def forbidden(self) -> str:
        return ""


ONLY_REPLICA = OnlyReplica()


class Tenure(NamedTuple):
    """One leadership of this replica."""

    epoch: int
    acquired_at: Moment
    renewed_at: Moment
    """When the last successful renewal was sent."""
    former: str = ""
    """The replica whose lease ran out before; empty if none did."""

    def leads(self, now: Moment) -> bool:
        """Return whether this replica still leads."""
        return self.age(now) <= LEADS_SECONDS

    def age(self, now: Moment) -> float:
        """Return the seconds since the last successful renewal."""
        return seconds_between(self.renewed_at, now)

    def forbids(self, now: Moment, *, former_seconds: float) -> str:
        """
        Return why this replica must not begin an action; empty if it may.

        Args:
            former_seconds: How long after the end of its lease the last action of the former leader
                may still reach VergeOS.

        """
        if not self.leads(now):
            return f"the lease was not renewed for {lasting(self.age(now))}"
        left = former_seconds - (now.monotonic - self.acquired_at.monotonic)
        if self.former and left > 0:
            return (
                f"the replica {self.former} led before, and its last action may still reach "
                f"VergeOS for {lasting(left)}"
            )
        return ""

"""The plan of one system's polling."""

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from exporter.polling.schedule import TableSchedule


class Plan(NamedTuple):
    """What to poll, and how often."""

    schedules: Sequence[TableSchedule]
    stale_after_polls: float
    """Intervals after which a table's last good rows are stale."""
    besides: Callable[[float], Sequence[TableSchedule]] = lambda _: ()
    """Returns the regular reads of recovery, which follow the polls of the essential tables every
    so many seconds."""
    refit: Callable[[], Sequence[TableSchedule]] | None = None
    """Returns the schedules for what the tables need by now; called after each poll."""
    frozen_after_seconds: float = inf
    """Seconds without an update after which the status of VMs is frozen."""
    withdraws_frozen: bool = False
    """Whether a frozen status is published no longer."""
    stands_by: bool = False
    """Whether a replica with the same key polls the other tables."""

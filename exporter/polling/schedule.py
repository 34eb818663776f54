"""When each table is due, and what an hour of that costs: arithmetic, without a clock."""

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import NamedTuple

from exporter.errors import ConfigError

HOUR_SECONDS = 3600.0
TRIES_PER_FAILURE = 3
"""How often a reading that fails is tried; the slowest pace of a failing table makes up for it."""


class TableSchedule(NamedTuple):
    """A table and its cadence."""

    table: str
    every_seconds: float
    phase_seconds: float = 0.0
    """
    Where its table_schedules lie after the start, which reads everything: slow tables are spread
    over the cycles of the fast ones, so that no cycle has to carry them all.
    """
    requests: int = 1
    """What one reading costs."""
    essential: bool = False
    """Whether there is no picture without it."""
    lasting: bool = False
    """Whether its last good reading is shown however old: names, that others are known by."""


def next_due(beat: TableSchedule, *, now: float) -> float:
    """
    Return when *beat* is due after a success at *now*, both in seconds since the start.

    Tables keep to a grid, so that a slow answer does not shift all later ones;
    a beat that was missed is skipped, not made up for.
    """
    beats_past = (now - beat.phase_seconds) // beat.every_seconds
    return beat.phase_seconds + (beats_past + 1) * beat.every_seconds


def retry_due(beat: TableSchedule, *, failures: int, now: float, base_seconds: float) -> float:
    """
    Return when *beat* is due after its *failures*-th failure in a row, in seconds since the start.

    The pause doubles, from the fastest table's cadence up to three of the table's own: a table
    that keeps failing, with three tries each time, costs no more requests than one that works.
    """
    pause: float = base_seconds * 2 ** min(failures - 1, 16)
    return now + min(pause, TRIES_PER_FAILURE * beat.every_seconds)


def requests_per_hour(table_schedules: Iterable[TableSchedule]) -> float:
    """Return what the schedule costs while all is well, in requests per hour."""
    return round(
        sum(HOUR_SECONDS / beat.every_seconds * beat.requests for beat in table_schedules), 6
    )


def allowance(per_hour: int, reserve: float) -> int:
    """Return how many of *per_hour* requests are polling's, with the share *reserve* kept back."""
    return floor(round(per_hour * (1 - reserve), 6))


def check_budget(
    table_schedules: Sequence[TableSchedule], *, per_hour: int, reserve: float
) -> None:
    """
    Refuse a schedule that an hour cannot pay for.

    Raises:
        ConfigError: With the sum, so that the operator sees which number to change.

    """
    allowed = allowance(per_hour, reserve)
    needed = requests_per_hour(table_schedules)
    if needed <= allowed:
        return
    lines = "\n".join(
        f"  {beat.table:<20} every {beat.every_seconds:>6g} s"
        f"  {HOUR_SECONDS / beat.every_seconds * beat.requests:>8.1f}"
        for beat in table_schedules
    )
    raise ConfigError(
        f"the schedule needs {ceil(needed)} requests an hour, and {allowed} are allowed "
        f"({per_hour} less {reserve:.0%} kept for recovery):\n{lines}\n"
        "  make poll.fast_seconds or poll.slow_seconds longer, or raise api.requests_per_hour "
        "if your VergeOS allows more"
    )

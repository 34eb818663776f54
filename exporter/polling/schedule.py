"""When each table is due, what an hour of polling costs, and how it fits the request budget."""

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import NamedTuple, NoReturn

from exporter.errors import ConfigError

HOUR_SECONDS = 3600.0
TRIES_PER_FAILURE = 3
"""Requests of a failing poll; the slowest retry cadence makes up for them."""
MAX_STRETCH = 12
"""By how much the planner lengthens an interval at most."""


class TableSchedule(NamedTuple):
    """A table and its cadence."""

    table: str
    every_seconds: float
    phase_seconds: float = 0.0
    """Offset of its polls after the start, which polls everything: slow tables are spread over the
    polls of the fast ones."""
    requests: int = 1
    """Requests of one poll: more than one for a table in several pages, none for a table that
    another one's request brings."""
    essential: bool = False
    """Whether there is no inventory without it."""
    keeps_stale_rows: bool = False
    """Whether its last good rows stay in use however old."""
    importance: int = 0
    """The planner stretches the interval of the least important tables first."""
    fixed: bool = False
    """Whether the planner leaves its interval alone: it is essential, or set by the operator."""

    @property
    def requests_per_hour(self) -> float:
        return HOUR_SECONDS / self.every_seconds * self.requests

    @property
    def grid(self) -> tuple[float, float]:
        """The interval and the offset of its polls."""
        return self.every_seconds, self.phase_seconds


def fit_to_budget(
    schedules: Sequence[TableSchedule],
    *,
    per_hour: int,
    reserve: float,
    besides: Sequence[TableSchedule] = (),
    elsewhere: float = 0.0,
    paged: bool = False,
    is_running: bool = False,
) -> tuple[TableSchedule, ...]:
    """
    Return *schedules*, stretched as far as needed to fit an hour's requests.

    Tables of the lowest importance are stretched first, all by one factor, up to `MAX_STRETCH`.
    As far as that is possible, the hour has room for a start besides, which polls every table; at
    most half of it is kept free for that.

    Args:
        per_hour: Requests that VergeOS allows in an hour.
        reserve: The share of them that polling leaves to recovery.
        besides: The regular reads of recovery, which the reserve pays for as far as it goes.
        elsewhere: How many of the requests for polling others with the same key need.
        paged: Whether tables are read page by page. A start then costs up to twice as much: it does
            not know the last page of a table.
        is_running: Whether polling goes on in any case: if nothing else helps, every interval is
            stretched, the fixed ones too.

    Raises:
        ConfigError: They do not fit even then; with the arithmetic.

    """
    shared = for_polling(per_hour, reserve, besides)
    allowed = floor(shared - elsewhere)
    at_start = sum(one.requests for one in schedules) * (2 if paged else 1)
    aim = max(allowed - at_start, allowed / 2)
    fitted = tuple(schedules)
    for importance in sorted({one.importance for one in schedules if not one.fixed}):
        excess = requests_per_hour(fitted) - aim
        if excess <= 0:
            return fitted
        stretchable = [one for one in fitted if one.importance == importance and not one.fixed]
        cost = requests_per_hour(stretchable)
        factor = cost / (cost - excess) if cost > excess else MAX_STRETCH
        longer = {one.table: stretched(one, min(factor, MAX_STRETCH)) for one in stretchable}
        fitted = tuple(longer.get(one.table, one) for one in fitted)
    needed = requests_per_hour(fitted)
    if needed > allowed and is_running:
        return tuple(stretched(one, needed / max(1.0, aim)) for one in fitted)
    if needed > allowed:
        _refuse(fitted, allowed=allowed, per_hour=per_hour, elsewhere=shared - allowed)
    return fitted


def stretched(schedule: TableSchedule, factor: float) -> TableSchedule:
    """Return *schedule* with an interval of whole seconds that is *factor* times as long."""
    return schedule._replace(every_seconds=float(ceil(round(schedule.every_seconds * factor, 6))))


def next_due(schedule: TableSchedule, *, now: float) -> float:
    """
    Return when *schedule* is due after a success at *now*, both in seconds since the start.

    Polls keep to a grid, so that a slow answer does not delay all later ones; a missed poll is
    skipped.
    """
    polls_past = (now - schedule.phase_seconds) // schedule.every_seconds
    return schedule.phase_seconds + (polls_past + 1) * schedule.every_seconds


def retry_due(schedule: TableSchedule, *, failures: int, now: float, base_seconds: float) -> float:
    """
    Return when *schedule* is due after *failures* in a row, in seconds since the start.

    The delay doubles, from the fastest table's interval up to three of the table's own: a table
    that keeps failing, with three tries each time, costs no more requests than a working one.
    """
    pause: float = base_seconds * 2 ** min(failures - 1, 16)
    return now + min(pause, TRIES_PER_FAILURE * schedule.every_seconds)


def requests_per_hour(schedules: Iterable[TableSchedule]) -> float:
    """Return the requests per hour of the schedule while no request fails and no VM goes down."""
    return round(sum(schedule.requests_per_hour for schedule in schedules), 6)


def allowance(per_hour: int, reserve: float) -> int:
    """Return how many of *per_hour* requests polling may send, without the share *reserve*."""
    return floor(round(per_hour * (1 - reserve), 6))


def for_polling(per_hour: int, reserve: float, besides: Sequence[TableSchedule]) -> int:
    """Return how many of *per_hour* requests polling may send; see `fit_to_budget`."""
    return min(allowance(per_hour, reserve), floor(per_hour - requests_per_hour(besides)))


def _refuse(
    schedules: Sequence[TableSchedule], *, allowed: int, per_hour: int, elsewhere: int
) -> NoReturn:
    needed = requests_per_hour(schedules)
    lines = "\n".join(
        f"  {one.table:<20} every {one.every_seconds:>6g} s  {one.requests_per_hour:>8.1f}"
        for one in schedules
        if one.requests
    )
    for_others = f" and {elsewhere} of replicas with the same key" if elsewhere else ""
    raise ConfigError(
        f"polling needs {ceil(needed)} requests an hour, and {allowed} are allowed "
        f"({per_hour} less {per_hour - allowed - elsewhere} reserved for recovery{for_others}), "
        "although every interval "
        f"that may be stretched already is:\n{lines}\n"
        "  Make poll.fast_seconds longer, switch off a collector, remove intervals under "
        "poll.tables, or raise api.requests_per_hour if your VergeOS allows more"
    )

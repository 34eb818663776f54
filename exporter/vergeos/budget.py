"""The hourly budget of API requests."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.polling.schedule import HOUR_SECONDS, allowance
from exporter.vergeos.throttle import Throttle

MINUTE_SECONDS = 60.0
MAX_PER_MINUTE = 10_000
"""A damaged file may name any number."""


class Spent(NamedTuple):
    """How many requests were sent in a minute."""

    polls: int
    others: int
    """Of recovery, and of other processes that were counted as such."""


class _Window:
    """The moments of the requests of the last hour, oldest first."""

    def __init__(self, moments: Iterable[float] = ()) -> None:
        self.moments = deque(sorted(moments))

    def expire(self, *, at: float) -> None:
        while self.moments and self.moments[0] + HOUR_SECONDS <= at:
            self.moments.popleft()

    def wait(self, limit: int, *, at: float) -> float:
        """Return how long to wait until fewer than *limit* are left."""
        if limit <= 0:
            return HOUR_SECONDS  # no wait helps
        excess = len(self.moments) - limit
        return self.moments[excess] + HOUR_SECONDS - at if excess >= 0 else 0.0


class RequestBudget:
    """
    Counts API requests in a rolling hour.

    Polling may send its share, and all requests together may not exceed the limit: what polling
    leaves is for urgent requests alone. The caller passes the time and does the waiting.

    Args:
        per_hour: Requests allowed in any window of 3600 seconds.
        reserve: Share of them, 0 to 1, kept back for urgent requests.

    """

    def __init__(self, per_hour: int, *, reserve: float) -> None:
        self.per_hour = per_hour
        self.for_polling = allowance(per_hour, reserve)
        self.throttle = Throttle()
        """The wait that the system asked for, shared by all clients that share the budget."""
        self._polls = _Window()
        self._others = _Window()
        self._elsewhere = _Window()
        """Sent by another process."""
        self._polls_of_replicas = _Window()
        self._others_of_replicas = _Window()
        """Sent by replicas with the same key."""

    def use(self, per_hour: int, *, reserve: float) -> None:
        """Change the allowance; the requests of the last hour stay counted."""
        self.per_hour = per_hour
        self.for_polling = allowance(per_hour, reserve)

    def take(self, *, at: float, urgent: bool = False) -> float:
        """
        Count one request, or return how long to wait for one.

        Args:
            at: The current time in seconds, on a monotonic clock.
            urgent: Whether the reserve may be used (recovery: yes, polling: no).

        Returns:
            0.0 if the request was counted; otherwise the seconds until one is
            free. Nothing is counted in that case.

        """
        wait = 0.0
        if self.spent(at=at) >= self.per_hour:
            wait = _Window(self._all()).wait(self.per_hour, at=at)
        if not urgent:
            wait = max(wait, self._all_polls().wait(self.for_polling, at=at))
        if not wait:
            (self._others if urgent else self._polls).moments.append(at)
        return wait

    def carry_on(self, former: "RequestBudget") -> None:
        """Take over the requests that *former* counted, and the wait that its system asked for."""
        self._polls = _Window(former._polls.moments)  # noqa: SLF001 - same class
        self._others = _Window(former._others.moments)  # noqa: SLF001 - same class
        self._elsewhere = former._elsewhere  # noqa: SLF001 - same class
        self._polls_of_replicas = former._polls_of_replicas  # noqa: SLF001 - same class
        self._others_of_replicas = former._others_of_replicas  # noqa: SLF001 - same class
        self.throttle = former.throttle

    def resume(self, minutes: Mapping[int, Spent], *, at: float, now: float) -> None:
        """
        Count the requests of an earlier process.

        Args:
            minutes: From `minutes`.
            at: The current time on the monotonic clock.
            now: The current time, in seconds since 1970.

        """
        polls = {minute: spent.polls for minute, spent in minutes.items()}
        others = {minute: spent.others for minute, spent in minutes.items()}
        self._polls = _Window([*_moments(polls, at=at, now=now), *self._polls.moments])
        self._others = _Window([*_moments(others, at=at, now=now), *self._others.moments])

    def count_elsewhere(self, minutes: Mapping[int, Spent], *, at: float, now: float) -> None:
        """Count the last hour of another process, instead of what was known of it before."""
        sums = {minute: sum(spent) for minute, spent in minutes.items()}
        self._elsewhere = _Window(_moments(sums, at=at, now=now))

    def count_replicas(
        self, minutes: Iterable[Mapping[int, Spent]], *, at: float, now: float
    ) -> None:
        """
        Count the last hour of the replicas with the same key, instead of what was known of it.

        Their polls count towards the share of polling.
        """
        polls: Counter[int] = Counter()
        others: Counter[int] = Counter()
        for spent_in in minutes:
            for minute, spent in spent_in.items():
                polls[minute] += max(0, spent.polls)
                others[minute] += max(0, spent.others)
        self._polls_of_replicas = _Window(_moments(polls, at=at, now=now))
        self._others_of_replicas = _Window(_moments(others, at=at, now=now))

    def minutes(self, *, at: float, now: float) -> dict[int, Spent]:
        """Return the requests of this process in the last hour, by minute since 1970."""
        self.spent(at=at)
        polls, others = (
            Counter(int((moment + now - at) // MINUTE_SECONDS) for moment in window.moments)
            for window in (self._polls, self._others)
        )
        return {
            minute: Spent(polls[minute], others[minute]) for minute in sorted({*polls, *others})
        }

    @property
    def last_at(self) -> float:
        """The time of the latest request; an hour before 0 when there was none."""
        last = [one.moments[-1] for one in (self._polls, self._others) if one.moments]
        return max(last, default=-HOUR_SECONDS)

    def spent(self, *, at: float) -> int:
        """Return the number of requests made in the hour before *at*."""
        for window in self._windows:
            window.expire(at=at)
        return sum(len(window.moments) for window in self._windows)

    def left(self, *, at: float) -> int:
        """Return how many requests polling may still make in this hour."""
        in_all = self.per_hour - self.spent(at=at)
        polls = len(self._polls.moments) + len(self._polls_of_replicas.moments)
        return max(0, min(in_all, self.for_polling - polls))

    @property
    def _windows(self) -> Sequence[_Window]:
        return (
            self._polls,
            self._others,
            self._elsewhere,
            self._polls_of_replicas,
            self._others_of_replicas,
        )

    def _all(self) -> list[float]:
        return [moment for window in self._windows for moment in window.moments]

    def _all_polls(self) -> _Window:
        """Return the polls of this process and of the replicas with the same key."""
        if not self._polls_of_replicas.moments:
            return self._polls
        return _Window([*self._polls.moments, *self._polls_of_replicas.moments])


def _moments(minutes: Mapping[int, int], *, at: float, now: float) -> list[float]:
    """
    Return when requests were made at the latest, on the monotonic clock, oldest first.

    The clock may have been set meanwhile: a minute that lies ahead counts as now, and one that lies
    more than an hour ahead does not count.
    """
    found: list[float] = []
    for minute, count in sorted(minutes.items()):
        end = min((minute + 1) * MINUTE_SECONDS, now)
        age = now - end
        is_known = minute * MINUTE_SECONDS <= now + HOUR_SECONDS
        if is_known and age < HOUR_SECONDS:
            found += [at - age] * min(max(0, count), MAX_PER_MINUTE)
    return found

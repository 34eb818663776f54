"""The hourly budget of API requests."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from heapq import merge

from exporter.polling.schedule import HOUR_SECONDS, allowance
from exporter.vergeos.throttle import Throttle

MINUTE_SECONDS = 60.0


class RequestBudget:
    """
    Counts API requests in a rolling hour.

    The caller passes the time and does the waiting.

    Args:
        per_hour: Requests allowed in any window of 3600 seconds.
        reserve: Share of them, 0 to 1, kept back for urgent requests.

    """

    def __init__(self, per_hour: int, *, reserve: float) -> None:
        self.per_hour = per_hour
        self.for_polling = allowance(per_hour, reserve)
        self.throttle = Throttle()
        """The wait that the system asked for, shared by all clients that share the budget."""
        self._spent: deque[float] = deque()
        self._elsewhere: Sequence[float] = ()
        """When another process sent requests, oldest first."""

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
        limit = self.per_hour if urgent else self.for_polling
        spent = self.spent(at=at)
        if spent < limit:
            self._spent.append(at)
            return 0.0
        if limit == 0:
            return HOUR_SECONDS  # no wait helps
        all_spent = list(merge(self._spent, self._elsewhere)) if self._elsewhere else self._spent
        return all_spent[spent - limit] + HOUR_SECONDS - at

    def carry_on(self, former: "RequestBudget") -> None:
        """Take over the requests that *former* counted, and the wait that its system asked for."""
        self._spent = deque(former._spent)  # noqa: SLF001 - same class
        self._elsewhere = former._elsewhere  # noqa: SLF001 - same class
        self.throttle = former.throttle

    def resume(self, minutes: Mapping[int, int], *, at: float, now: float) -> None:
        """
        Count the requests of an earlier process.

        Args:
            minutes: From `minutes`.
            at: The current time on the monotonic clock.
            now: The current time, in seconds since 1970.

        """
        earlier = _moments(minutes, at=at, now=now)
        self._spent = deque(sorted([*earlier, *self._spent]))

    def count_elsewhere(self, minutes: Mapping[int, int], *, at: float, now: float) -> None:
        """Count the requests of the last hour of another process, instead of those known before."""
        self._elsewhere = _moments(minutes, at=at, now=now)

    def minutes(self, *, at: float, now: float) -> dict[int, int]:
        """Return the number of this process' requests in the last hour, by minute since 1970."""
        self.spent(at=at)
        offset = now - at
        return dict(Counter(int((moment + offset) // MINUTE_SECONDS) for moment in self._spent))

    @property
    def last_at(self) -> float:
        """The time of the latest request; an hour before 0 when there was none."""
        return self._spent[-1] if self._spent else -HOUR_SECONDS

    def spent(self, *, at: float) -> int:
        """Return the number of requests made in the hour before *at*."""
        while self._spent and self._spent[0] + HOUR_SECONDS <= at:
            self._spent.popleft()
        if self._elsewhere and self._elsewhere[0] + HOUR_SECONDS <= at:
            self._elsewhere = [one for one in self._elsewhere if one + HOUR_SECONDS > at]
        return len(self._spent) + len(self._elsewhere)

    def left(self, *, at: float) -> int:
        """Return how many requests polling may still make in this hour."""
        return max(0, self.for_polling - self.spent(at=at))


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
            found += [at - age] * max(0, count)
    return found

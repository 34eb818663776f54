"""The hourly budget of API requests."""

from collections import deque

from exporter.polling.schedule import HOUR_SECONDS, allowance


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
        self._spent: deque[float] = deque()

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
        limit = self.per_hour if urgent else self.for_polling
        spent = self.spent(at=at)
        if spent < limit:
            self._spent.append(at)
            return 0.0
        if limit == 0:
            return HOUR_SECONDS  # no wait helps
        return self._spent[spent - limit] + HOUR_SECONDS - at

    def carry_on(self, former: "RequestBudget") -> None:
        """Take over the requests that *former* counted."""
        self._spent = deque(former._spent)  # noqa: SLF001 - same class

    @property
    def last_at(self) -> float:
        """The time of the latest request; an hour before 0 when there was none."""
        return self._spent[-1] if self._spent else -HOUR_SECONDS

    def spent(self, *, at: float) -> int:
        """Return the number of requests made in the hour before *at*."""
        while self._spent and self._spent[0] + HOUR_SECONDS <= at:
            self._spent.popleft()
        return len(self._spent)

    def left(self, *, at: float) -> int:
        """Return how many requests polling may still make in this hour."""
        return max(0, self.for_polling - self.spent(at=at))

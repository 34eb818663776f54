"""A rate limit with a burst."""

from typing import NamedTuple, Protocol


class Limit(Protocol):
    """A rate."""

    @property
    def interval(self) -> float:
        """Seconds until one more is allowed."""
        ...

    @property
    def burst(self) -> int:
        """How many are allowed at once."""
        ...


class Allowance(NamedTuple):
    """A rate that is not from a configuration."""

    interval: float
    burst: int


class TokenBucket:
    """A rate limit; the bucket starts full."""

    def __init__(self, limit: Limit, *, now: float) -> None:
        self.limit = limit
        self._tokens = float(limit.burst)
        self._refilled_at = now

    def take(self, *, now: float) -> bool:
        """Take a token at *now*, in monotonic seconds; return whether there was one."""
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def give_back(self) -> None:
        """Return a token that was not used after all."""
        self._tokens = min(float(self.limit.burst), self._tokens + 1)

    def is_full(self, *, now: float) -> bool:
        """Return whether no token is missing at *now*."""
        self._refill(now)
        return self._tokens >= self.limit.burst

    def _refill(self, now: float) -> None:
        refilled = self._tokens + max(0.0, now - self._refilled_at) / self.limit.interval
        self._tokens = min(float(self.limit.burst), refilled)
        self._refilled_at = max(now, self._refilled_at)

"""The rate limit of sessions, above which connections are dropped."""

from collections import defaultdict, deque

BURST_SECONDS = 1.0
HOUR = 3600.0


class Limits:
    """Counts requests per session in sliding windows; refused requests count too."""

    def __init__(self, *, burst: int | None = 50, hourly: int | None = None) -> None:
        self.burst = burst
        self.hourly = hourly
        self._seen: dict[str, deque[float]] = defaultdict(deque)

    def exceeded(self, session: str, *, at: float) -> bool:
        """Count a request; return whether it exceeds a limit. *at* is in monotonic seconds."""
        seen = self._seen[session]
        seen.append(at)
        while seen and seen[0] <= at - HOUR:
            seen.popleft()
        if self.hourly is not None and len(seen) > self.hourly:
            return True
        if self.burst is None or len(seen) <= self.burst:
            return False
        return seen[-1 - self.burst] > at - BURST_SECONDS

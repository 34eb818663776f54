"""How many requests are too many: a token bucket, without a clock of its own."""

from exporter.web.webconfig import RateLimit


class TokenBucket:
    """A full bucket at first; each request takes a token, and one comes back every interval."""

    def __init__(self, limit: RateLimit, *, at: float) -> None:
        self.limit = limit
        self._tokens = float(limit.burst)
        self._at = at

    def take(self, *, at: float) -> bool:
        """Take a token at *at*, in monotonic seconds; return whether there was one."""
        refilled = self._tokens + max(0.0, at - self._at) / self.limit.interval_seconds
        self._tokens = min(float(self.limit.burst), refilled)
        self._at = max(at, self._at)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

"""The wait that VergeOS, or a proxy before it, asks for with 429 or 503 and ``Retry-After``."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503
MAX_WAIT_SECONDS = 3600.0
"""A longer ``Retry-After`` counts as this: then one request asks again."""
FIRST_WAIT_SECONDS = 5.0
"""The shortest wait, whatever the header says; doubled by each further refusal in a row."""
MAX_BACKOFF_SECONDS = 600.0
SECONDS_DIGITS = 18


class Wait(NamedTuple):
    """A wait that VergeOS asked for."""

    until: float
    """On the monotonic clock."""
    because: str
    """The answer that asked for it."""


class Throttle:
    """
    The current wait of one system; it is shared by all clients of the system.

    The caller passes the time and does the waiting.
    """

    def __init__(self) -> None:
        self._wait: Wait | None = None
        self._refusals = 0
        """Answers in a row that asked to wait."""

    def asks_to_wait(
        self, path: str, status: int, headers: Mapping[str, str], *, at: float, now: datetime
    ) -> Wait | None:
        """
        Note an answer; return the wait that it asks for, or None if it asks for none.

        A 503 without ``Retry-After`` asks for none: one table may fail alone.

        Args:
            at: The current time on the monotonic clock.
            now: The current time; dates are relative to the answer's own, if it has one.

        """
        if status not in (TOO_MANY_REQUESTS, UNAVAILABLE):
            self._refusals = 0
            return None
        given = headers.get("Retry-After", "").strip()
        if status == UNAVAILABLE and not given:
            return None
        backoff = min(FIRST_WAIT_SECONDS * 2 ** min(self._refusals, 16), MAX_BACKOFF_SECONDS)
        self._refusals += 1
        seconds = max(backoff, retry_after_seconds(given, headers.get("Date", ""), now) or 0.0)
        told = f" with Retry-After: {given[:40]}" if given.isprintable() and given else ""
        self._extend(Wait(at + seconds, f"{path} answered {status}{told}"))
        return self._wait

    def wait(self, *, at: float) -> Wait | None:
        """Return the wait that is not over at the time *at*."""
        if self._wait is not None and self._wait.until <= at:
            self._wait = None
        return self._wait

    def resume(self, seconds: float, because: str, *, at: float) -> None:
        """Continue a wait of an earlier process, of which *seconds* are left."""
        if seconds > 0:
            self._extend(Wait(at + min(seconds, MAX_WAIT_SECONDS), because))

    def _extend(self, wait: Wait) -> None:
        """Wait until then, unless a longer wait was asked for."""
        if self._wait is None or wait.until > self._wait.until:
            self._wait = wait


def retry_after_seconds(value: str, date: str, now: datetime) -> float | None:
    """
    Return the seconds of a ``Retry-After`` header, 0 to `MAX_WAIT_SECONDS`; None for nonsense.

    Args:
        value: Seconds or an HTTP date.
        date: The answer's ``Date``, by the same clock as a date in *value*.
        now: Used where *date* is unreadable.

    """
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return min(float(value[:SECONDS_DIGITS]), MAX_WAIT_SECONDS)
    then = _http_date(value)
    if then is None:
        return None
    seconds = (then - (_http_date(date) or now)).total_seconds()
    return min(max(0.0, seconds), MAX_WAIT_SECONDS)


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else None

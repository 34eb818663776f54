"""The period of a report, as an operator gives it."""

from datetime import UTC, datetime, timedelta

from exporter.formatting import minute, parse_duration

MAX_LENGTH = timedelta(days=366)


class InvalidPeriodError(ValueError):
    """The beginning and the end name no period."""


def time_range(since: str, until: str, now: datetime) -> tuple[datetime, datetime]:
    """
    Return the beginning and the end of a period.

    Args:
        since: A duration before the end, such as ``7d``, or a time.
        until: A duration before now, or a time; empty for now.

    Raises:
        InvalidPeriodError: They name no period, or one longer than a year.

    """
    end = min(_moment("until", until, now), now) if until else now
    start = _moment("since", since, end)
    if start >= end:
        raise InvalidPeriodError(f"since ({minute(start)}) is not before until ({minute(end)})")
    if end - start > MAX_LENGTH:
        raise InvalidPeriodError(
            f"since ({since}) is more than {MAX_LENGTH.days} days before until"
        )
    return start, end


def _moment(name: str, text: str, end: datetime) -> datetime:
    """Return the time that *text* gives, or its duration before *end*."""
    text = text.strip()
    try:
        seconds = parse_duration(text.lower())
    except ValueError:
        pass
    else:
        try:
            return end - timedelta(seconds=seconds)
        except OverflowError:
            raise InvalidPeriodError(f"{name} ({text}) is too long ago") from None
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo is not None else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidPeriodError(
            f"{name} ({text}) must be a duration such as 7d or 12h, or a time such as "
            "2026-11-01 or 2026-11-01T08:00 (UTC)"
        ) from None

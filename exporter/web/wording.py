"""Times, ages and numbers in the words people use for them."""

from datetime import datetime

from exporter.formatting import counted

_UNITS = ((86_400.0, "day", "d"), (3_600.0, "hour", "h"), (60.0, "minute", "min"))


def ago(then: datetime | None, now: datetime) -> str:
    """Return ``12 seconds ago``, rounded down; a moment that has not come yet is ``just now``."""
    if then is None:
        return "never"
    seconds = (now - then).total_seconds()
    if seconds < 2:  # noqa: PLR2004 - below that, clocks and people disagree
        return "just now"
    for size, word, _ in _UNITS:
        if seconds >= size:
            return f"{counted(int(seconds // size), word)} ago"
    return f"{counted(int(seconds), 'second')} ago"


def ago_short(then: datetime | None, now: datetime) -> str:
    """Return ``12 s ago``, for a column of them."""
    if then is None:
        return "never"
    return f"{duration(float(int(max(0.0, (now - then).total_seconds()))))} ago"


def duration(seconds: float) -> str:
    """Return ``40 ms``, ``1.2 s``, ``30 s``, ``5 min``; rounded down to what fits one unit."""
    if seconds < 1 and seconds != 0:
        return f"{max(1, round(seconds * 1000))} ms"
    for size, _, word in _UNITS:
        if seconds >= size:
            return f"{seconds // size:.0f} {word}"
    return f"{seconds:.0f} s" if seconds == int(seconds) or seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004

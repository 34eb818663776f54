"""Format counts, times, durations, cells of CSV and suggestions."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import get_close_matches

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would evaluate."""
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def counted(count: int, word: str, more: str = "") -> str:
    """Return ``1 VM`` or ``1,200 VMs``; *more* is the plural, if not *word* + s."""
    return f"{count:,} {word if count == 1 else more or f'{word}s'}"


def span(seconds: float) -> str:
    """Return ``7 d``, ``90 min``, ``0.5 s``: exact, in the largest unit without a fraction."""
    for size, unit in UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def lasting(seconds: float) -> str:
    """Return ``100 s``, ``29 min``, ``3 h 5 min``, rounded down."""
    whole = int(seconds)
    if whole < 120 and (whole % 60 or not whole):  # noqa: PLR2004 - where seconds matter
        return f"{whole} s"
    hours, rest = divmod(whole // 60, 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{rest} min"] * bool(rest))


def parse_duration(text: str) -> float:
    """
    Return the seconds in ``2h``, ``250ms`` or ``1h30m``, a duration in Go's format; also ``1d``.

    Raises:
        ValueError: *text* has another form.

    """
    if not text or _PART.sub("", text):
        raise ValueError("must be a duration such as 30s or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def ago(then: datetime | None, now: datetime) -> str:
    """Return ``12 s ago``, ``3 h 5 min ago``; ``never`` for ``None``."""
    if then is None:
        return "never"
    seconds = (now - then).total_seconds()
    return f"{lasting(seconds)} ago" if seconds >= 1 else "just now"


def until(then: datetime, now: datetime) -> str:
    """Return ``in 12 s``, ``in 3 min``; ``now`` for what is past."""
    seconds = (then - now).total_seconds()
    return f"in {lasting(seconds)}" if seconds >= 1 else "now"


def plain(text: str) -> str:
    """Return *text* without control characters: names of VMs must not control a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def moment(time: datetime) -> str:
    """Return *time* as every text shows it: with its zone."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def minute(time: datetime) -> str:
    """Return *time* without seconds."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def time_of_day(time: datetime) -> str:
    """Return *time* without its day, which is told elsewhere."""
    return f"{time.astimezone(UTC):%H:%M:%S} UTC"


def moment_beside(time: datetime, other: datetime) -> str:
    """Return *time*, with its day if that is another one than that of *other*."""
    same_day = time.astimezone(UTC).date() == other.astimezone(UTC).date()
    return time_of_day(time) if same_day else moment(time)


def csv_cell(value: object) -> str:
    """Return *value* as text; what is not known is empty, and nothing is a formula."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.0f}"
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case str() if value.startswith(FORMULA):
            return f"'{value}"
        case _:
            return str(value)


def nearest(name: str, known: Iterable[str], *, most: int = 1) -> str:
    """Return ``; did you mean this?`` with the known names like *name*; empty for none."""
    by_small = {word.casefold(): word for word in known}
    near = get_close_matches(name.casefold(), by_small, most)
    return f"; did you mean {', '.join(by_small[one] for one in near)}?" if near else ""


def nearest_or_all(name: str, known: Iterable[str]) -> str:
    """Return `nearest`, or ``; known are …`` with every name where none is near."""
    known = tuple(filter(None, known))
    return nearest(name, known) or f"; known are {', '.join(known)}"

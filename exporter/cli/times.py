"""How commands show times: in the zone of the terminal, or in UTC; always with the zone."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer

from exporter.formatting import plain

_TIME = re.compile(r"\b(?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d(?::\d\d)?) UTC\b")
"""As `exporter.formatting` writes times, and the daemon sends them in sentences."""


class _Zone:
    """The zone of this process' output."""

    chosen: tzinfo | None = None
    """None is the local zone."""


def _choose(utc: bool) -> bool:
    _Zone.chosen = UTC if utc else None
    return utc


Utc = Annotated[
    bool,
    typer.Option("--utc", callback=_choose, help="Show times in UTC instead of the local zone."),
]


def local(time: datetime) -> datetime:
    """Return *time* in the zone that is shown."""
    return time.astimezone(_Zone.chosen)


def moment(time: datetime) -> str:
    """Return *time* with its day and zone."""
    return f"{local(time):%Y-%m-%d %H:%M:%S %Z}"


def time_of_day(time: datetime) -> str:
    """Return *time* with its zone, without its day, which is told elsewhere."""
    return f"{local(time):%H:%M:%S %Z}"


def shown(text: str, *, near: datetime | None = None) -> str:
    """
    Return *text* as it is printed: without control characters, its times in the zone shown.

    Args:
        near: The moment that times without a day are of the same day as, in UTC. Default: now.

    """
    text = plain(text)
    if _Zone.chosen is UTC or " UTC" not in text:
        return text
    today = near or datetime.now(UTC)  # noqa: TID251 - exporter.clock loads asyncio, which takes time

    def converted(found: re.Match[str]) -> str:
        day = found[1] or f"{today.astimezone(UTC):%Y-%m-%d}"
        try:
            time = local(datetime.fromisoformat(f"{day}T{found[2]}+00:00"))
        except ValueError:  # of a name or a log row that only looks like a time
            return found[0]
        form = "%H:%M:%S %Z" if found[2].count(":") > 1 else "%H:%M %Z"
        has_day = found[1] or time.date() != local(today).date()
        return time.strftime(f"%Y-%m-%d {form}" if has_day else form)

    return _TIME.sub(converted, text)

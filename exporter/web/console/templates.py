"""The templates of the console, and what they may use."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from exporter.formatting import ago, counted, lasting, span, until
from exporter.web.console.static_files import address

FOLDER = Path(__file__).with_name("templates")
UNKNOWN = "\N{EN DASH}"


def code(text: str) -> Markup:
    """Return *text* as HTML, with what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


def number(value: float | None) -> str:
    """Return *value* with thousands separated; a dash if it is unknown."""
    return UNKNOWN if value is None else f"{value:,}"


def percent(ratio: float | None) -> str:
    """Return *ratio*, 0 to 1, in percent; a dash if it is unknown."""
    return UNKNOWN if ratio is None else f"{ratio * 100:.0f} %"


def size(count: float | None) -> str:
    """Return *count* bytes with a binary unit; a dash if it is unknown."""
    if count is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - not a magic number
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


def segment(text: str) -> str:
    """Return *text* as one segment of a path, or as one value of a query."""
    return quote(text, safe="")


def words(name: str) -> str:
    """Return *name*, such as ``logs_unclear``, as words."""
    return name.replace("_", " ")


def iso(time: datetime) -> str:
    """Return *time* in UTC as ISO 8601, which the page's script shows in the browser's zone."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(time: datetime) -> str:
    """Return *time* in UTC for a person."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def utc_near(time: datetime, now: datetime) -> str:
    """Return *time* in UTC without seconds, and without its day if that is today."""
    time, today = time.astimezone(UTC), now.astimezone(UTC).date()
    return time.strftime("%H:%M UTC" if time.date() == today else "%Y-%m-%d %H:%M UTC")


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters |= {
    "ago": ago,
    "code": code,
    "counted": counted,
    "iso": iso,
    "lasting": lasting,
    "number": number,
    "percent": percent,
    "segment": segment,
    "size": size,
    "span": span,
    "until": until,
    "utc": utc,
    "utc_near": utc_near,
    "words": words,
}
_ENVIRONMENT.globals |= {"static": address}


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return *template*, filled with *values*, as HTML."""
    return _ENVIRONMENT.get_template(template).render(values)

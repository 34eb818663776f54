"""Content negotiation by the ``Accept`` and ``Accept-Encoding`` headers."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from exporter.exposition.formats import Format

_QUALITY = re.compile(r"[01](\.[0-9]{0,6})?|\.[0-9]{1,6}")


class _Range(NamedTuple):
    """One item of a header, such as ``text/*;q=0.5``."""

    name: str
    parameters: Mapping[str, str]
    quality: float


@lru_cache(maxsize=64)  # a scraper sends the same header each time
def negotiate(accept: str) -> Format:
    """
    Return the format of the response.

    The highest ``q`` wins, then a format that is named rather than matched by a wildcard, then
    the one named first. A client that names neither (a browser, curl) gets `Format.CLASSIC`. So
    does a client that accepts neither, as with the Prometheus client libraries, instead of a 406.

    ``escaping`` is ignored: our metric names are the same under every scheme.
    """
    ranges = _parse(accept)
    return max(Format, key=lambda form: _rank(form, ranges))


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the client accepts gzip and does not prefer plain bytes."""
    qualities = {item.name: item.quality for item in _parse(accept_encoding)}
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


def _rank(form: Format, ranges: list[_Range]) -> tuple[float, bool, int, bool]:
    """Return the rank of *form*, from the most specific range that matches; greater is better."""
    name, parameters = _parameters(form.content_type)
    version = parameters["version"]
    specificity = {name: 2, f"{name.partition('/')[0]}/*": 1, "*/*": 0}
    specific, _, quality, position = max(
        (
            (specificity[item.name], "version" in item.parameters, item.quality, -position)
            for position, item in enumerate(ranges)
            if item.name in specificity and item.parameters.get("version", version) == version
        ),
        default=(0, False, 0.0, 0),
    )
    named = specific > 1 and quality > 0
    return quality, named, position if named else 0, form is Format.CLASSIC


def _parse(header: str) -> list[_Range]:
    ranges = []
    for item in header.split(","):
        name, parameters = _parameters(item)
        if name:
            ranges.append(_Range(name, parameters, _quality(parameters.get("q", "1"))))
    return ranges


def _parameters(item: str) -> tuple[str, dict[str, str]]:
    name, *rest = item.split(";")
    parameters = {}
    for parameter in rest:
        key, _, value = parameter.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"')
    return name.strip().lower(), parameters


def _quality(text: str) -> float:
    """Return the weight, 0 to 1; 0 if *text* is not a number."""
    return min(1.0, float(text)) if _QUALITY.fullmatch(text) else 0.0

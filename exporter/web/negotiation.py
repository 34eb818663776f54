"""What a client can read, chosen from its ``Accept`` and ``Accept-Encoding`` headers."""

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


class _Fit(NamedTuple):
    """How a range fits a format; the greatest of several is the one that counts."""

    specificity: int
    """0 for ``*/*``, 1 for ``text/*``, 2 for the name, 3 for the name and its version."""
    quality: float
    earliness: int


@lru_cache(maxsize=64)  # a scraper sends the same header all its life
def negotiate(accept: str) -> Format:
    """
    Return the format to answer in.

    The highest ``q`` wins, then the format that is named rather than covered by a wildcard, then
    the one named first. A client that names neither, a browser or curl, gets `Format.CLASSIC`,
    which people can read. So does one that accepts nothing of ours, as from the Prometheus client
    libraries: a page that may be understood is more use than a 406.

    ``escaping`` makes no difference: our names are the same under every scheme.
    """
    ranges = _parse(accept)
    ranked = [(_rank(form, fit), form) for form in Format if (fit := _fit(form, ranges))]
    acceptable = [(rank, form) for rank, form in ranked if rank[0] > 0]
    if not acceptable:
        return Format.CLASSIC
    return max(acceptable, key=lambda ranked: ranked[0])[1]


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether gzip may be sent, and is not merely a second choice to plain bytes."""
    qualities = {item.name: item.quality for item in _parse(accept_encoding)}
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


def _rank(form: Format, fit: _Fit) -> tuple[float, bool, int, bool]:
    named = fit.specificity > 1
    return fit.quality, named, fit.earliness if named else 0, form is Format.CLASSIC


def _fit(form: Format, ranges: list[_Range]) -> _Fit | None:
    name, parameters = _parameters(form.content_type)
    version = parameters["version"]
    family = name.partition("/")[0]
    fits = []
    for position, item in enumerate(ranges):
        if item.name == name and item.parameters.get("version", version) == version:
            specificity = 3 if "version" in item.parameters else 2
        elif item.name == f"{family}/*":
            specificity = 1
        elif item.name == "*/*":
            specificity = 0
        else:
            continue
        fits.append(_Fit(specificity, item.quality, -position))
    return max(fits, default=None)


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
    """Return the weight, 0 to 1; one that is not a number asks for nothing."""
    return min(1.0, float(text)) if _QUALITY.fullmatch(text) else 0.0

"""A dashboard as Grafana reads it: its panels, its queries, and how variables get into them."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from exporter.formatting import parse_duration

# $1 is no variable but a group of a regular expression, in label_replace.
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::\w+)?\}|(?P<bare>[A-Za-z_]\w*))")
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+),\s*(?P<label>\w+)\)", re.DOTALL)
_ROUND_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800)

POINTS = 800
"""The largest number of points in a graph: about one per pixel."""


class QueryError(Exception):
    """A query has an undefined variable, or Prometheus does not answer it without a warning."""


class Query(NamedTuple):
    """A query of a panel or an annotation, with the variables still in it."""

    ref: str
    expr: str
    instant: bool
    legend: str
    format: str
    step: float
    """The least step, in seconds."""


class Variable(NamedTuple):
    """A variable whose values are those of a label."""

    name: str
    query: str
    all_values: str | None
    """A pattern for all values; ``None`` if only one can be chosen."""

    def parts(self) -> tuple[str, str]:
        """Return the selector and the label of ``label_values(selector, label)``."""
        found = _LABEL_VALUES.fullmatch(self.query)
        if found is None:
            raise QueryError(f"{self.name}: {self.query} is not label_values(selector, label)")
        return found["selector"], found["label"]


class TimeRange(NamedTuple):
    """A range of time in Unix seconds, and how often Prometheus scrapes in it."""

    start: float
    end: float
    scrape_seconds: float
    speedup: float = 1.0
    """How much faster than usual everything happens; it shortens the least steps of queries."""

    def step(self, least: float) -> float:
        """Return the step of a graph, as Grafana would choose it."""
        wanted = max((self.end - self.start) / POINTS, self._least(least))
        return next((step for step in _ROUND_STEPS if step >= wanted), wanted)

    def variables(self, least: float) -> dict[str, str]:
        """Return the variables that every query may use."""
        step = self.step(least)
        scrape = self._least(least)
        return {
            "__interval": f"{math.ceil(step)}s",
            "__rate_interval": f"{math.ceil(max(step + scrape, 4 * scrape))}s",
            "__range": f"{math.ceil(self.end - self.start)}s",
        }

    def _least(self, least: float) -> float:
        return max(self.scrape_seconds, least / self.speedup)


class Dashboard(NamedTuple):
    """One file."""

    document: Mapping[str, Any]

    @property
    def uid(self) -> str:
        return str(self.document["uid"])

    def panels(self) -> Iterator[Mapping[str, Any]]:
        """Yield all panels, those in collapsed rows and the rows themselves included."""
        for panel in self.document["panels"]:
            yield panel
            yield from panel.get("panels", ())

    def variables(self) -> list[Variable]:
        """Return the variables that are filled from Prometheus, in their order."""
        return [
            Variable(one["name"], one["query"]["query"], one.get("allValue"))
            for one in self.document["templating"]["list"]
            if one["type"] == "query"
        ]

    def annotations(self) -> list[Mapping[str, Any]]:
        return list(self.document["annotations"]["list"])


def queries(panel: Mapping[str, Any]) -> list[Query]:
    """Return the queries of *panel*."""
    return [query_of(target) for target in panel.get("targets", ())]


def query_of(target: Mapping[str, Any]) -> Query:
    """Return the query of *target*, an object in Grafana's format."""
    return Query(
        ref=target["refId"],
        expr=target["expr"],
        instant=bool(target.get("instant")),
        legend=target.get("legendFormat", ""),
        format=target.get("format", "time_series"),
        step=parse_duration(target["interval"]) if target.get("interval") else 0,
    )


def fill(text: str, values: Mapping[str, str]) -> str:
    """
    Return *text* with all variables replaced.

    Raises:
        QueryError: There is no such variable.

    """

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["bare"]
        if name not in values:
            raise QueryError(f"${name} in {text} is not defined")
        return values[name]

    return _VARIABLE.sub(value, text)

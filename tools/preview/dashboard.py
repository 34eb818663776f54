"""A dashboard as Grafana reads it: its panels, its queries, and how variables get into them."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# $1 is no variable but a group of a regular expression, in label_replace.
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::(?P<format>\w+))?\}|(?P<bare>[A-Za-z_]\w*))")
_LABEL_VALUES = re.compile(r"label_values\((?:(?P<selector>.+),\s*)?(?P<label>\w+)\)", re.DOTALL)
_SPAN = re.compile(r"(\d+)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_ROUND_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800)

EVERYTHING = "$__all"
POINTS = 800
"""How many points a graph gets at most: about one per pixel."""


class UnfilledError(Exception):
    """A query uses an undefined variable."""


@dataclass(frozen=True)
class Query:
    """One question of a panel, with the variables still in it."""

    ref: str
    expr: str
    instant: bool
    legend: str
    format: str
    step: float | None
    """The least step, in seconds."""


@dataclass(frozen=True)
class Choice:
    """A variable that is filled from a Prometheus."""

    name: str
    query: str
    several: bool
    """Whether the value goes into a regular expression."""
    everything: str | None
    """What stands for all values; None where all cannot be chosen."""

    def parts(self) -> tuple[str, str]:
        """Return the selector and the label of ``label_values(selector, label)``."""
        found = _LABEL_VALUES.fullmatch(self.query)
        if found is None:
            raise UnfilledError(f"{self.name}: {self.query} is not label_values(...)")
        return found["selector"] or "", found["label"]


@dataclass(frozen=True)
class Moment:
    """The range that is looked at, in Unix seconds, and how often Prometheus scrapes."""

    start: float
    end: float
    scrape_seconds: float
    haste: float = 1.0
    """By how much the least steps of queries are shortened, where everything happens faster."""

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def step(self, least: float | None) -> float:
        """Return the step of a graph, as Grafana would choose it."""
        wanted = max(self.seconds / POINTS, self._least(least))
        return next((step for step in _ROUND_STEPS if step >= wanted), wanted)

    def built_in(self, least: float | None) -> dict[str, str]:
        """Return the variables that every query may use."""
        step = self.step(least)
        scrape = self._least(least)
        rate = max(step + scrape, 4 * scrape)
        return {
            "__interval": f"{math.ceil(step)}s",
            "__rate_interval": f"{math.ceil(rate)}s",
            "__range": f"{math.ceil(self.seconds)}s",
            "__range_s": f"{math.ceil(self.seconds)}",
        }

    def _least(self, wish: float | None) -> float:
        return max(self.scrape_seconds, (wish or 0.0) / self.haste)


@dataclass(frozen=True)
class Dashboard:
    """One file."""

    document: Mapping[str, Any]

    @property
    def uid(self) -> str:
        return str(self.document["uid"])

    def panels(self) -> Iterator[Mapping[str, Any]]:
        """Return all panels, those in collapsed rows and the rows themselves included."""
        for panel in self.document["panels"]:
            yield panel
            yield from panel.get("panels", ())

    def choices(self) -> list[Choice]:
        """Return the variables that are asked for, in their order."""
        return [
            Choice(
                name=one["name"],
                query=one["query"]["query"],
                several=bool(one.get("multi")),
                everything=one.get("allValue") if one.get("includeAll") else None,
            )
            for one in self.document["templating"]["list"]
            if one["type"] == "query"
        ]

    def marks(self) -> list[Mapping[str, Any]]:
        """Return the annotations."""
        return list(self.document["annotations"]["list"])


def queries(panel: Mapping[str, Any]) -> list[Query]:
    """Return what *panel* asks."""
    return [
        Query(
            ref=target["refId"],
            expr=target["expr"],
            instant=bool(target.get("instant")),
            legend=target.get("legendFormat", ""),
            format=target.get("format", "time_series"),
            step=seconds(target["interval"]) if target.get("interval") else None,
        )
        for target in panel.get("targets", ())
    ]


@dataclass
class Values:
    """What the variables of a dashboard stand for."""

    chosen: dict[str, list[str]] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)

    def fill(self, text: str, built_in: Mapping[str, str]) -> str:
        """
        Return *text* with all variables replaced.

        Raises:
            UnfilledError: There is no such variable.

        """

        def value(found: re.Match[str]) -> str:
            name = found["braced"] or found["bare"]
            if name in built_in:
                return built_in[name]
            if name in self.chosen:
                return self._of(name)
            raise UnfilledError(f"${name} in {text}")

        return _VARIABLE.sub(value, text)

    def _of(self, name: str) -> str:
        choice, values = self.choices[name], self.chosen[name]
        if values == [EVERYTHING]:
            return choice.everything or ".*"
        if not choice.several:
            return values[0]
        escaped = [re.sub(r"([\\^$.*+?()|{}\[\]])", r"\\\\\1", value) for value in values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def seconds(span: str) -> float:
    """Return the seconds of a text like ``1m``."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise UnfilledError(f"{span} is not a span of time")
    return int(found[1]) * _SECONDS[found[2]]

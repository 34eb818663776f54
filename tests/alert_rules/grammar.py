"""Checks that the metrics and labels of an expression exist."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser as promql
from prometheus_client import Histogram, Summary

from exporter.collectors.registry import FAMILIES
from exporter.telemetry import INSTRUMENTS
from tools.alert_rules.groups import GROUPS

SCRAPED = frozenset({"job", "instance"})
"""Labels that Prometheus adds to scraped series."""
SELECTOR = re.compile(r"\bon \(([^)]*)\)|\bgroup_left \(([^)]*)\)")
OF_COUNTERS = frozenset({"rate", "increase"})


def known() -> Mapping[str, frozenset[str]]:
    """Return the labels of every existing series, by its name."""
    labels = {family.name: frozenset(family.labels) | SCRAPED for family in FAMILIES}
    for one in INSTRUMENTS:
        names = frozenset(one.labels) | SCRAPED
        labels[one.name] = names
        if one.kind in (Histogram, Summary):
            labels[f"{one.name}_count"] = labels[f"{one.name}_sum"] = names
        if one.kind is Histogram:
            labels[f"{one.name}_bucket"] = names | {"le"}
    for group in GROUPS:
        labels |= {one.name: frozenset(one.labels) for one in group.recordings}
    everything = frozenset().union(*labels.values())
    labels["ALERTS"] = everything | {"alertname", "alertstate", "severity", "layer"}
    labels["up"] = SCRAPED
    for name in ("start_time_seconds", "cpu_seconds_total", "resident_memory_bytes"):
        labels[f"process_{name}"] = SCRAPED
    return labels


KNOWN = known()


def nodes(expr: Any) -> Iterator[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        found.append(node)
        return True

    promql.walk(expr, visit)
    return iter(found)


def selectors(expr: Any) -> Iterator[Any]:
    return (node for node in nodes(expr) if isinstance(node, promql.VectorSelector))


def problems(text: str) -> Iterator[str]:
    """Yield what is wrong with an expression."""
    try:
        expr = promql.parse(text)
    except ValueError as error:
        yield f"does not parse: {error}"
        return
    for one in selectors(expr):
        if one.name not in KNOWN:
            yield f"no such metric: {one.name}"
            continue
        for matcher in one.matchers.matchers:
            if matcher.name not in KNOWN[one.name]:
                yield f"{one.name} has no label {matcher.name}"
    yield from _labels_unknown(expr)
    yield from _counters_misused(expr)


def _labels_unknown(expr: Any) -> Iterator[str]:
    for node in nodes(expr):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            there = _labels_in(node.expr)
            for label in set(node.modifier.labels) - there:
                yield f"aggregates by the label {label}, which no series has"
        if isinstance(node, promql.BinaryExpr):
            joined = SELECTOR.search(str(node.modifier or ""))
            for label in _words(joined):
                if label not in _labels_in(node):
                    yield f"joins on the label {label}, which neither side has"


def _words(match: re.Match[str] | None) -> list[str]:
    return [word.strip() for part in (match.groups() if match else ()) if part
            for word in part.split(",")]  # fmt: skip


def _labels_in(expr: Any) -> set[str]:
    return {label for one in selectors(expr) for label in KNOWN.get(one.name, ())}


def _counters_misused(expr: Any) -> Iterator[str]:
    ranged = set()
    for node in nodes(expr):
        if isinstance(node, promql.Call) and node.func.name in OF_COUNTERS:
            for one in selectors(node):
                ranged.add(str(one))
                if not _counts(one.name):
                    yield f"{node.func.name} of {one.name}, which is not a counter"
    now_and_before = {one.name for one in selectors(expr) if "offset" in str(one)}
    for one in selectors(expr):
        if _counts(one.name) and str(one) not in ranged and one.name not in now_and_before:
            yield f"the counter {one.name} has no rate or increase"


def _counts(name: str) -> bool:
    return name.endswith(("_total", "_bucket", "_count")) and ":" not in name

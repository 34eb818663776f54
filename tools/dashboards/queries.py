"""PromQL with checked names: metrics and labels are looked up in the catalog of metrics."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from prometheus_client import Histogram, Summary

from exporter.collectors.registry import FAMILIES
from exporter.telemetry import INSTRUMENTS
from tools.alert_rules.expressions import ON_VM
from tools.alert_rules.groups import GROUPS

_LABEL = re.compile(r"\s*(\w+)\s*(?:=~|!~|!=|=)")
SCRAPED = frozenset({"job", "instance"})
"""Labels that Prometheus adds."""


def _known() -> Iterator[tuple[str, tuple[str, ...]]]:
    for family in FAMILIES:
        yield family.name, family.labels
    for one in INSTRUMENTS:
        parts = ("_sum", "_count") if one.kind in {Histogram, Summary} else ("",)
        for part in parts:
            yield one.name + part, one.labels
        if one.kind is Histogram:
            yield f"{one.name}_bucket", (*one.labels, "le")
    for group in GROUPS:
        for recording in group.recordings:
            yield recording.name, recording.labels
    # Of every process that uses prometheus_client, and of every scrape.
    for name in (
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "up",
    ):
        yield name, ()
    # The last three only of the alerts that have them.
    yield "ALERTS", ("alertname", "alertstate", "severity", "system_name", "node_name", "vm_name")


KNOWN: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: frozenset(labels) for name, labels in _known()}
)
"""The labels of every series that a dashboard may use."""

EVERY_SYSTEM = 'system_name=~"$system"'
ONE_SYSTEM = 'system_name="$system"'
IN_CLUSTER = 'cluster_name=~"$cluster"'
ONE_VM = 'vm_name="$vm"'


class UnknownNameError(Exception):
    """A query uses a metric or label that Vergewatch does not export."""


def series(metric: str, *matchers: str) -> str:
    """
    Return a selector; a metric of ours goes without its ``vergewatch_``.

    Raises:
        UnknownNameError: Metric or label is not in the catalog.

    """
    ours = f"vergewatch_{metric}"
    name = ours if ours in KNOWN else metric
    if name not in KNOWN:
        raise UnknownNameError(f"no metric is called {metric}")
    for matcher in matchers:
        label = _LABEL.match(matcher)
        if label is None or label[1] not in KNOWN[name] | SCRAPED:
            raise UnknownNameError(f"{name} has no label for {matcher}")
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def every(metric: str, *matchers: str) -> str:
    """Return *metric* of the chosen systems."""
    return series(metric, EVERY_SYSTEM, *matchers)


def largest(by: str, expr: str) -> str:
    """Return the largest value of *expr* for each value of the labels *by*."""
    return f"max by ({by}) ({expr})"


def labeled(expr: str, labels: str, info: str, on: str = ON_VM) -> str:
    """
    Add *labels* of *info*, a metric whose value is 1, to *expr*.

    Daemons that watch the same system may disagree on them until each has polled: one is taken.
    """
    one = f"topk {on.replace('on', 'by', 1)} (1, {info})"
    return f"({expr}) * {on} group_left ({labels}) {one}"  # which binds more tightly than `and`


def of_daemons(expr: str) -> str:
    """Keep the series of *expr* that belong to processes of Vergewatch."""
    return f"{expr} and on (job, instance) {series('build_info')}"


def in_clusters(expr: str) -> str:
    """Keep the VMs of *expr* that are in the chosen clusters."""
    return f"{expr} and {ON_VM} {every('vm_info', IN_CLUSTER)}"


def or_zero(expr: str) -> str:
    """Return 0 where *expr* has no sample, as long as a system is up."""
    return f"{expr} or 0 * max({every('up')} == 1)"


def in_range(counter: str) -> str:
    """
    Count the events of *counter* in the selected range.

    `increase` needs two values, and so misses the first event of a counter that begins with it.
    A counter that began in the range with 1 has counted one more.
    """
    born = f"(min_over_time({counter}[$__range]) == 1 unless {counter} offset $__range)"
    return f"(increase({counter}[$__range]) or 0 * {counter}) + ({born} or 0 * {counter})"


def per_step(counter: str) -> str:
    """
    Count the events of *counter* in each step of a graph, in whole numbers.

    The count before the step is the value at that time. Where there was none, it is the first
    value if that is more than 1 (the counter is older, but was not scraped), else 0.
    """
    first = f"(min_over_time({counter}[$__interval]) > 1)"
    before = f"({counter} offset $__interval or {first} or 0 * {counter})"
    return f"clamp_min({counter} - {before}, 0)"

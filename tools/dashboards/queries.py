"""PromQL in which no metric and no label can be misspelt: both are looked up in the catalogue."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from prometheus_client import Counter, Gauge, Histogram, Summary

from exporter.collectors.registry import FAMILIES
from exporter.telemetry import INSTRUMENTS, Instrument
from tools.alert_rules.groups import GROUPS

_LABEL = re.compile(r"\s*(\w+)\s*(?:=~|!~|!=|=)")
_SCRAPED = frozenset({"job", "instance"})
"""Labels that Prometheus adds."""
_FOREIGN: dict[str, frozenset[str]] = {
    # Of every process that uses prometheus_client, and of every scrape.
    **{
        f"process_{name}": frozenset()
        for name in (
            "cpu_seconds_total",
            "max_fds",
            "open_fds",
            "resident_memory_bytes",
            "start_time_seconds",
            "virtual_memory_bytes",
        )
    },
    "up": frozenset(),
    "scrape_duration_seconds": frozenset(),
    "scrape_samples_scraped": frozenset(),
    # Alerts in Prometheus; the last three only of those that have them.
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "system_name", "node", "vm_name"}),
}
_PARTS: Mapping[type[Counter | Gauge | Histogram | Summary], Mapping[str, str]] = {
    Counter: {"": ""},
    Gauge: {"": ""},
    Summary: {"_sum": "", "_count": ""},
    Histogram: {"_sum": "", "_count": "", "_bucket": "le"},
}


def _of(instrument: Instrument) -> dict[str, frozenset[str]]:
    """Return the series of *instrument*, with their labels."""
    return {
        instrument.name + suffix: frozenset(instrument.labels) | set(label.split())
        for suffix, label in _PARTS[instrument.kind].items()
    }


KNOWN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **{family.name: frozenset(family.labels) for family in FAMILIES},
        **{name: labels for one in INSTRUMENTS for name, labels in _of(one).items()},
        **{one.name: frozenset(one.labels) for group in GROUPS for one in group.recordings},
        **_FOREIGN,
    }
)
"""The labels of every series that a dashboard may ask for."""

EVERY_SYSTEM = 'system_name=~"$system"'
ONE_SYSTEM = 'system_name="$system"'
ONE_VM = 'vm_name="$vm"'


class UnknownNameError(Exception):
    """A query uses a metric or label that Vergewatch does not export."""


def series(metric: str, *matchers: str) -> str:
    """
    Return a selector; a metric of ours goes without its ``vergewatch_``.

    Raises:
        UnknownNameError: Metric or label is not in the catalogue.

    """
    ours = f"vergewatch_{metric}"
    name = ours if ours in KNOWN else metric
    if name not in KNOWN:
        raise UnknownNameError(f"no metric is called {metric}")
    for matcher in matchers:
        label = _LABEL.match(matcher)
        if label is None or label[1] not in KNOWN[name] | _SCRAPED:
            raise UnknownNameError(f"{name} has no label for {matcher}")
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def of_us(metric: str) -> str:
    """Keep the processes and targets of *metric*, which all have, that are Vergewatch."""
    if metric not in _FOREIGN:
        raise UnknownNameError(f"{metric} is not a metric of every process")
    return f"{metric} and on (job, instance) {series('build_info')}"


def in_clusters(expression: str) -> str:
    """Keep the VMs of *expression* that are in the chosen clusters."""
    chosen = series("vm_info", EVERY_SYSTEM, 'cluster=~"$cluster"')
    return f"{expression} and on (system_name, vm_id) {chosen}"


def or_zero(expression: str) -> str:
    """Return 0 where *expression* has no sample, as long as a system is up."""
    return f"{expression} or 0 * sum({series('up', EVERY_SYSTEM)} == 1)"


def in_range(counter: str) -> str:
    """
    Count the events of *counter* in the selected range.

    `increase` needs two values, and so never sees the first event of a counter that began with
    it. A counter that came up with 1 since the range began has counted one more.
    """
    born = f"(min_over_time({counter}[$__range]) == 1 unless {counter} offset $__range)"
    return f"(increase({counter}[$__range]) or 0 * {counter}) + ({born} or 0 * {counter})"


def per_step(counter: str) -> str:
    """
    Count the events of *counter* in each step of a graph, in whole numbers.

    What it counted before the step is its value then; or, where it was no data then, its first
    value if that is more than 1 (it has been at it for long, and we were not looking); or 0.
    """
    first = f"(min_over_time({counter}[$__interval]) > 1)"
    before = f"({counter} offset $__interval or {first} or 0 * {counter})"
    return f"clamp_min({counter} - {before}, 0)"


def quantile(share: float, histogram: str, *matchers: str, by: str) -> str:
    """Return PromQL for a quantile of what *histogram* counted lately."""
    buckets = series(f"{histogram}_bucket", *matchers)
    return f"histogram_quantile({share:g}, sum by ({by}, le) (rate({buckets}[$__rate_interval])))"

"""The same families as ``prometheus_client`` has them: the peer that our bytes are held against."""

import re
from collections.abc import Iterator, Sequence

from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter.exposition.collector import Family, Kind
from exporter.exposition.formats import Format
from exporter.exposition.view import RenderView
from tests.exposition.pages import FAMILIES
from tests.exposition.builders import Cloud

_NAMED = {"n": "\n"}


def unescaped(value: str) -> str:
    """Return what stands between the quotes of a label as it was."""
    return re.sub(r"\\(.)", lambda found: _NAMED.get(found[1], found[1]), value)


class Reference(Collector):
    """Collects what *clouds* show."""

    def __init__(self, systems: Sequence[Cloud]) -> None:
        self._scenes = [RenderView(inventory, report) for inventory, report in systems]

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            metric = _empty(family)
            for view in self._scenes:
                seen = set()
                for identity, thing in family.group.items(view):
                    value = family.read(thing)
                    if identity in seen:
                        continue
                    seen.add(identity)
                    words = [word.read(thing) for word in family.info_labels]
                    if value is not None:
                        metric.add_metric([*map(unescaped, identity), *words], value)
            yield metric

    def text(self, form: Format) -> bytes:
        if form is Format.CLASSIC:
            return generate_latest(self)
        page: bytes = generate_openmetrics(self)  # type: ignore[no-untyped-call]
        return page.removesuffix(b"# EOF\n")


def _empty(family: Family) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    return kind(family.name, family.help, labels=family.labels, unit=family.unit)

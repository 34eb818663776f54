"""The same metric families written by ``prometheus_client``, to compare our bytes with."""

import re
from collections.abc import Iterator, Sequence

from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter.exposition.collector import Family, Kind
from exporter.exposition.formats import Format
from exporter.exposition.view import RenderView
from tests.exposition.builders import RenderInput
from tests.exposition.pages import FAMILIES

_ESCAPED = {"n": "\n"}


def unescaped(value: str) -> str:
    """Return the label value that *value* is the escaped form of."""
    return re.sub(r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), value)


class Reference(Collector):
    """Collects the samples of *systems*."""

    def __init__(self, systems: Sequence[RenderInput]) -> None:
        self._views = [RenderView(inventory, report) for inventory, report in systems]

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            metric = _empty(family)
            for view in self._views:
                seen = set()
                items = family.group.items(view)
                columns = [label.read(items.objects) for label in family.info_labels]
                values = family.read(items.objects)
                for identity, value, *words in zip(items.identities, values, *columns, strict=True):
                    if identity in seen:
                        continue
                    seen.add(identity)
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

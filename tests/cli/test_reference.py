"""The reference pages say what the code says."""

from pathlib import Path

from exporter.cli import reference
from exporter.collectors.registry import FAMILIES
from exporter.telemetry import INSTRUMENTS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_metrics_page_is_up_to_date() -> None:
    assert (DOCS / "metrics.md").read_text() == reference.metrics_page()


def test_the_settings_page_is_up_to_date() -> None:
    assert (DOCS / "settings.md").read_text() == reference.settings_page()


def test_every_metric_is_named_once() -> None:
    names = [metric.name for metric in reference.metrics()]

    assert len(names) == len(set(names)) == len(FAMILIES) + len(INSTRUMENTS)

"""The parts of docs/ that are generated from the code."""

from pathlib import Path

import pytest

from exporter.cli import reference
from exporter.collectors.registry import FAMILIES
from exporter.telemetry import INSTRUMENTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["metrics", "settings", "recovery", "doctor"])
def test_generated_parts_of_docs_are_up_to_date(name: str) -> None:
    page = DOCS / f"{name}.md"

    assert reference.GENERATED.search(page.read_text())
    assert page.read_text() == reference.updated(page)


def test_every_metric_is_named_once() -> None:
    names = [metric.name for metric in reference.metrics()]

    assert len(names) == len(set(names)) == len(FAMILIES) + len(INSTRUMENTS)


@pytest.mark.parametrize("url", ["recovery.confirm.url", "alertmanager.urls"])
def test_url_of_a_server_comes_before_how_to_log_in(url: str) -> None:
    names = [line.split("`")[1] for line in reference.settings_table().splitlines()[2:]]
    section = url.rpartition(".")[0]

    assert next(name for name in names if name.startswith(section)) == url

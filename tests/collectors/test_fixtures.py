"""
Every collector, from rows as VergeOS answers them to the text on the page.

``<collector>.json`` has an answer for each table that the collector's metrics depend on, by the
table's name; ``<collector>.prom`` is the page of its families. `python -m
tests.collectors.test_fixtures` writes the pages again.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.collectors.collector import Collector
from exporter.collectors.inventory import join
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.collectors.vm_tags import collector_of
from exporter.doctor.doctor import Doctor
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.model import (
    BudgetRemaining,
    Identity,
    LastAction,
    OpenQuestion,
    RecoveryInput,
    RecoveryReport,
    RecoveryVM,
    SystemReport,
    TableReport,
)

FOLDER = Path(__file__).parent
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLES = {table.name: table for table in tables_of(COLLECTORS)}
REPORT = SystemReport(
    system_name="meadowlark",
    url="https://verge.example.com",
    identity=None,
    up=True,
    authenticated=True,
    taken_at=AT,
    tables=(TableReport("vms", 20.0, True, True, AT, 0.25, 2, 1, 1, 3, None, unreadable=4),),  # noqa: FBT003
    requests_remaining=612,
    requests_per_hour=758,
    recent_errors=(),
    recovery=RecoveryReport(
        mode="enforce",
        readiness="active",
        because="",
        ready=True,
        vms=(RecoveryVM(3, "web-wren", "on-failure", "healthy", AT),),
        budgets_remaining=(BudgetRemaining(3, "web-wren", 3600.0, 2),),
        last_actions=(LastAction(3, "web-wren", "poweron", "confirmed", AT),),
        open_actions=0,
        journal_problem="",
        lease_epoch=4,
        lease_age_seconds=2.5,
        inventory_at=AT,
        inputs=(RecoveryInput("journal", ""), RecoveryInput("logs", "403")),
        questions=(
            OpenQuestion(17, 3, "web-wren", "poweron", "crashed", "no stop request", AT, AT),
        ),
    ),
)

CHOSEN = collector_of(("team", "backup"))
"""Shows tags, which the settings choose."""
SHOWN = tuple(CHOSEN if one.name == CHOSEN.name else one for one in COLLECTORS)

every_collector = pytest.mark.parametrize("collector", SHOWN, ids=lambda one: one.name)


def page(collector: Collector) -> str:
    """Return the page of the collector's families, made of its fixture."""
    answers = json.loads((FOLDER / f"{collector.name}.json").read_text())
    rows = {}
    for name, answer in answers.items():
        decoded = TABLES[name].decode(json.dumps(answer).encode())
        assert not decoded.skipped, decoded.problem
        rows[name] = decoded.rows
    inventory = join(
        rows, system_name="meadowlark", identity=Identity("meadowlark", "26.1.8"), taken_at=AT
    )
    rendered = Renderer(collector.families).render(
        inventory, Doctor().examine(inventory, REPORT, now=AT)
    )
    return (
        PageBuilder(collector.families).page([rendered], Format.CLASSIC).plain(b"").read().decode()
    )


@every_collector
def test_page_of_the_fixture_is_as_recorded(collector: Collector) -> None:
    assert page(collector) == (FOLDER / f"{collector.name}.prom").read_text()


@every_collector
def test_every_family_has_a_sample(collector: Collector) -> None:
    samples = {line.partition("{")[0] for line in page(collector).splitlines()}

    assert {family.name for family in collector.families} <= samples


@every_collector
def test_fixture_has_every_requested_field(collector: Collector) -> None:
    answers = json.loads((FOLDER / f"{collector.name}.json").read_text())

    for table in collector.tables:
        fields = {
            field.partition(" as ")[2] or field.partition("[")[0] for field in table.fields
        } - {"$key", "id"}
        assert fields <= answers[table.name][0].keys()


if __name__ == "__main__":
    for collector in SHOWN:
        (FOLDER / f"{collector.name}.prom").write_text(page(collector))

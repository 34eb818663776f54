"""Every check on the rows of the simulated VergeOS: healthy, and with a fault for each check."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from exporter.collectors.inventory import join
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.doctor.check import Check
from exporter.doctor.doctor import Doctor
from exporter.doctor.registry import CHECKS, ORDER
from exporter.model import Finding, Identity, Inventory, Level
from exporter.simulator import World, create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from tests.doctor.faults import CAUSES, Expected, expected_findings
from tests.doctor.test_doctor import NOON, report

OF_POLLING = "connectivity"
"""It does not look at rows: `tests/alert_rules/test_doctor.py` covers its fault."""
SOON = 600.0
"""Seconds after which VergeOS shows that a node is down."""
from_rows = pytest.mark.parametrize(
    "expected",
    [one for one in expected_findings() if one.check.name != OF_POLLING],
    ids=str,
)


def world() -> World:
    return create_world(vms=20, start=NOON.timestamp())


def read(here: World) -> Inventory:
    """Return the inventory of every table."""
    return joined(tables(here), Identity(here.system_name, here.version))


def tables(here: World) -> Mapping[str, Any]:
    """Return the rows of every table."""
    view = RequestView(world=here, now=here.now, stamp=here.now)
    rows = {}
    for table in tables_of(COLLECTORS):
        query = {"fields": ",".join(table.fields)}
        if where := table.condition(now=here.now):
            query["filter"] = where
        answer = list_rows(TABLES[table.endpoint], query, view, joined="work").rows
        rows[table.name] = table.decode(json.dumps(answer).encode()).rows
    return rows


def joined(
    rows: Mapping[str, Any], identity: Identity | None, taken_at: datetime = NOON
) -> Inventory:
    return join(rows, system_name="north", identity=identity, taken_at=taken_at)


def changed(before: Inventory, other: Mapping[str, Any]) -> Iterator[tuple[str, Inventory]]:
    """Yield *before* with one change at a time: each table missing or as in *other*, and so on."""
    rows, identity = before.sources, before.identity
    for name in rows:
        others = {table: found for table, found in rows.items() if table != name}
        yield f"without {name}", joined(others, identity)
        yield f"other {name}", joined({**others, name: other[name]}, identity)
    yield "without identity", joined(rows, None)
    yield "older version", joined(rows, Identity("north", "1.0"))
    yield "newer version", joined(rows, Identity("north", "999.0"))
    yield "later", joined(rows, identity, NOON + timedelta(days=365))


def findings(doctor: Doctor, here: World) -> list[tuple[str, Finding]]:
    results = doctor.examine(read(here), report(), now=NOON).doctor
    return [(one.check, finding) for one in results for finding in one.findings]


def test_healthy_system_has_no_findings_and_every_check_is_made() -> None:
    doctor = Doctor()

    assert findings(doctor, world()) == []
    assert {one.check: one.skipped for one in doctor.results if one.skipped} == {
        check.name: check.always_skipped for check in CHECKS if check.always_skipped
    }


@from_rows
def test_fault_causes_exactly_the_finding_of_its_check(expected: Expected) -> None:
    here, doctor = world(), Doctor()

    with here.faults.on(expected.cause.fault, **expected.cause.parameters):
        found = findings(doctor, here)
    after = findings(doctor, here)

    assert {(check, finding.level) for check, finding in found} == {
        (expected.check.name, expected.level)
    }
    for _, finding in found:
        assert finding.subject
        assert finding.evidence
        assert not finding.evidence.endswith(".")
    assert len({finding.subject for _, finding in found}) == len(found)
    assert after == []


@from_rows
def test_result_is_kept_only_while_all_that_it_was_made_of_is_the_same(expected: Expected) -> None:
    here = world()
    well = read(here)
    with here.faults.on(expected.cause.fault, **expected.cause.parameters):
        ill = read(here)
    for node in here.nodes.values():
        here.node_fails(node)
    here.advance(here.now + SOON)
    off = read(here)

    for before, other in ((well, ill), (ill, well), (ill, off), (off, ill)):
        for change, after in changed(before, other.sources):
            doctor = Doctor()
            doctor.examine(before, report(), now=NOON)

            kept = doctor.examine(after, report(), now=NOON).doctor

            assert kept == Doctor().examine(after, report(), now=NOON).doctor, change


def test_every_check_has_a_fault_for_each_of_its_levels() -> None:
    assert {(one.check.name, one.level) for one in expected_findings()} == set(CAUSES)


def test_checks_are_those_of_the_vendor() -> None:
    assert [check.name for check in CHECKS] == list(ORDER)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_check_is_complete(check: Check) -> None:
    assert set(check.levels) <= set(Level)
    for text in (check.about, check.remedy, check.summary):
        assert text.endswith(".")
        assert text[0].isupper()
    assert set(check.tables) <= {table.name for table in tables_of(COLLECTORS)}
    assert bool(check.alert) is not bool(check.always_skipped)

"""Faults that change values of rows."""

from typing import Any

import pytest

from exporter.simulator import create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.subject_faults import SUBJECT_FAULTS
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.world import World


def world() -> World:
    return create_world(vms=20, clusters=(ClusterPlan("one", 2), ClusterPlan("two", 3)))


def online(here: World, **query: str) -> dict[str, Any]:
    view = RequestView(world=here, now=here.now, stamp=here.now)
    fields = "name,status#online_nodes as online,status#status as word"
    rows = list_rows(TABLES["clusters"], {"fields": fields, **query}, view, joined="work").rows
    return {row["name"]: row["online"] for row in rows}


@pytest.mark.parametrize(
    ("row", "shown"),
    [("", {"one": 1, "two": 3}), ("two", {"one": 2, "two": 2}), ("*", {"one": 1, "two": 2})],
)
def test_row_fault_changes_the_row_that_it_names(row: str, shown: dict[str, int]) -> None:
    here = world()
    here.faults.turn_on("cluster_reduced", row=row)

    assert online(here) == shown


def test_filter_and_sort_see_the_changed_value() -> None:
    here = world()
    here.faults.turn_on("cluster_reduced", row="two")

    assert online(here, filter="status#status eq 'reduced'") == {"two": 2}


def test_row_is_as_before_when_the_fault_is_over() -> None:
    here = world()
    with here.faults.on("cluster_reduced"):
        assert online(here)["one"] == 1

    assert online(here)["one"] == 2


@pytest.mark.parametrize(("name", "fault"), SUBJECT_FAULTS.items(), ids=list(SUBJECT_FAULTS))
def test_fault_changes_columns_that_exist(name: str, fault: Any) -> None:
    for table, values in fault.rows.items():
        assert values.keys() <= TABLES[table].columns.keys()

"""Memory modules, GPUs, fabric and switches of the nodes, and the faults of their parts."""

import time
from typing import Any

import pytest

from exporter.simulator import create_world, read_scenario
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.world import World

from .fakes import FakeClock


@pytest.fixture
def world() -> World:
    return create_world(vms=30, clusters=(ClusterPlan("one", 2), ClusterPlan("two", 1)), gpus=4)


def shown(here: World, table: str, fields: str) -> list[dict[str, Any]]:
    view = RequestView(world=here, now=here.now, stamp=here.now)
    rows: list[dict[str, Any]] = list_rows(
        TABLES[table], {"fields": fields}, view, joined="work"
    ).rows
    return rows


def test_memory_modules_of_a_node_make_up_its_memory(world: World) -> None:
    rows = shown(world, "node_memory", "node,size,status,locator,serial_number")

    for node in world.nodes.values():
        sizes = [int(row["size"].removesuffix(" GB")) for row in rows if row["node"] == node.key]
        assert sum(sizes) * 1024 == node.memory_mb
    assert {row["status"] for row in rows} == {"online"}
    assert len({row["serial_number"] for row in rows}) == len(rows)


def test_gpus_are_spread_over_the_nodes_and_held_by_vms_that_run_there(world: World) -> None:
    rows = shown(world, "node_gpus", "node#name as node,instances,count(instances) as held,mode")

    assert [row["node"] for row in rows] == ["node1", "node2", "node3", "node1"]
    holders = [machine for row in rows for machine in row["instances"]]
    assert holders
    assert len(set(holders)) == len(holders)
    assert sum(row["held"] for row in rows) == len(holders)
    assert {world.machines[key].kind for key in holders} == {"vm"}


def test_system_has_no_gpus_unless_it_is_asked_for() -> None:
    text = "vms: 3\nclusters: [{name: a, nodes: 2}]"

    assert not shown(read_scenario(text, file="a.yaml").build(FakeClock()), "node_gpus", "$key")
    asked = read_scenario(f"{text}\ngpus: 3", file="a.yaml").build(FakeClock())
    assert len(shown(asked, "node_gpus", "$key")) == 3


def test_node_that_is_down_has_no_fabric_and_hears_no_switch(world: World) -> None:
    world.node_fails("node2")

    fabric = shown(world, "machine_nic_fabric_status", "parent_nic#machine#name as node")
    heard = shown(world, "node_lldp_neighbors", "node#name as node")
    assert {row["node"] for row in fabric} == {row["node"] for row in heard} == {"node1", "node3"}


def test_part_of_one_machine_is_named_with_it(world: World) -> None:
    world.faults.turn_on("node_nic_down", row="node2/eno1")

    rows = shown(world, "machine_nics", "machine#name as node,name,status#status as link")
    assert [(row["node"], row["name"]) for row in rows if row["link"] == "down"
            and row["node"].startswith("node")] == [("node2", "eno1")]  # fmt: skip


def test_tables_of_a_hundred_nodes_are_made_fast() -> None:
    plans = (ClusterPlan("one", 50), ClusterPlan("two", 50))
    here = create_world(vms=200, clusters=plans, gpus=50)

    began = time.process_time()
    counts = [
        len(shown(here, table, "all"))
        for table in ("node_memory", "machine_nic_fabric_status", "node_lldp_neighbors", "nodes")
    ]
    assert counts == [800, 200, 200, 100]
    assert time.process_time() - began < 2

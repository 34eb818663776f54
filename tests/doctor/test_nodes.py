"""Checks of nodes and of the network between them."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from exporter.collectors.node_details import NodeDetailRow
from exporter.doctor import clusters, fabric, nodes
from exporter.doctor.check import Check
from exporter.model import Inventory
from exporter.simulator import create_world
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.world import World
from tests.doctor.test_faults import read

CHECKS: tuple[Check, ...] = (*clusters.CHECKS, *nodes.CHECKS, *fabric.CHECKS)


@pytest.fixture
def world() -> World:
    return create_world(vms=20, clusters=(ClusterPlan("one", 3), ClusterPlan("two", 2)))


def findings(inventory: Inventory) -> Mapping[str, list[tuple[str, str]]]:
    """Return subject and evidence of each finding, by the check that has some."""
    found = {check.name: list(check.examine(inventory)) for check in CHECKS}
    return {
        name: [(one.subject, one.evidence) for one in those]
        for name, those in found.items()
        if those
    }


def details(inventory: Inventory) -> dict[int, NodeDetailRow]:
    """Return a copy of the rows of the nodes."""
    rows: Any = inventory.sources["node_details"]
    return dict(rows)


def test_healthy_system_has_no_finding(world: World) -> None:
    assert findings(read(world)) == {}


@pytest.mark.parametrize(
    ("fault", "row", "check", "expected"),
    [
        (
            "cluster_reduced", "two", "clusters",
            [("two", "1 of 2 nodes are online")],
        ),
        (
            "node_needs_restart", "node2", "nodes",
            [("node2", "it needs a restart (Kernel settings changed)")],
        ),
        (
            "node_vsan_disconnected", "node2", "nodes",
            [("node2", "it is not connected to the vSAN")],
        ),
        (
            "node_version_drift", "node2", "versions",
            [("node2", "it runs 26.1.7, and 4 of 5 nodes run 26.1.8")],
        ),
        (
            "drivers_reload_required", "node2", "driver_reload",
            [("node2", "its drivers have to be loaded again")],
        ),
        (
            "dimm_failed", "2", "dimm_health",
            [("node1 DIMM_A2", "its status is error: Uncorrectable ECC error")],
        ),
        (
            "fabric_degraded", "node2/eno2", "fabric",
            [("node2 eno2", "its fabric status is degraded")],
        ),
        (
            "fabric_slow", "node2/eno2", "fabric_speed",
            [("node2 eno2", "its worst path has the score 25, its best one 50")],
        ),
        (
            "lldp_one_switch", "node2/eno2", "lldp_diversity",
            [("node2", "its 2 NICs are connected to sw-rack1-a only")],
        ),
    ],
)  # fmt: skip
def test_fault_is_found_by_its_check_alone(
    world: World, fault: str, row: str, check: str, expected: list[tuple[str, str]]
) -> None:
    world.faults.turn_on(fault, row=row)
    assert findings(read(world)) == {check: expected}

    world.faults.turn_off(fault)
    assert findings(read(world)) == {}


@pytest.mark.parametrize(
    "fault", ["node_hot", "node_nic_down", "ipmi_error", "cluster_no_headroom"]
)
def test_what_only_an_alert_is_about_is_found_by_no_check(world: World, fault: str) -> None:
    world.faults.turn_on(fault)

    assert findings(read(world)) == {}


def test_node_that_is_down_is_found_by_the_check_of_clusters_alone(world: World) -> None:
    world.node_fails("node2")
    world.advance(world.now + 600)

    assert findings(read(world)) == {"clusters": [("one", "2 of 3 nodes are online")]}


def test_node_in_maintenance_has_no_unusual_status(world: World) -> None:
    world.node_enters_maintenance("node2")
    world.advance(world.now + 600)

    assert findings(read(world)) == {}


def test_node_with_several_problems_has_one_finding(world: World) -> None:
    inventory = read(world)
    rows = details(inventory)
    rows[2] = msgspec.structs.replace(rows[2], vsan_connected=False, need_restart=True)
    changed = msgspec.structs.replace(
        inventory, sources={**inventory.sources, "node_details": rows}
    )

    assert findings(changed) == {
        "nodes": [("node2", "it is not connected to the vSAN, it needs a restart")]
    }


def test_of_two_versions_the_older_is_wrong_where_as_many_nodes_have_it(world: World) -> None:
    inventory = read(world)
    rows = details(inventory)
    for key, version in enumerate(("26.1.10", "26.1.9", "26.1.10", "26.1.9", None), start=1):
        rows[key] = msgspec.structs.replace(rows[key], yb_version=version)
    changed = msgspec.structs.replace(
        inventory, sources={**inventory.sources, "node_details": rows}
    )

    assert [one.subject for one in _check("versions").examine(changed)] == ["node2", "node4"]


def _check(name: str) -> Check:
    (check,) = (check for check in CHECKS if check.name == name)
    return check


def test_nic_that_lost_a_path_is_not_slow_too(world: World) -> None:
    world.faults.turn_on("fabric_degraded", row="node2/eno2")
    world.faults.turn_on("fabric_slow", row="node2/eno2")

    assert findings(read(world)) == {"fabric": [("node2 eno2", "its fabric status is degraded")]}


def test_what_vergeos_keeps_of_the_nics_of_a_node_that_is_down_is_no_finding(world: World) -> None:
    world.faults.turn_on("fabric_degraded", row="node2/eno2")
    kept = read(world).sources["machine_nic_fabric_status"]
    world.node_fails("node2")
    world.advance(world.now + 600)
    after = read(world)
    sources = {**after.sources, "machine_nic_fabric_status": kept}

    assert not list(_check("fabric").examine(msgspec.structs.replace(after, sources=sources)))


def test_nic_that_no_node_is_known_to_have_is_shown_by_its_key(world: World) -> None:
    world.faults.turn_on("fabric_degraded", row="node2/eno2")
    inventory = read(world)
    sources = {**inventory.sources, "machine_nics": {}}
    (found,) = _check("fabric").examine(msgspec.structs.replace(inventory, sources=sources))

    assert found.subject.startswith("NIC #")

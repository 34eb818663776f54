"""High availability, maintenance and placement."""

import pytest

from exporter.simulator import ClusterPlan, World, create_world
from exporter.simulator.world.machines import Node

from .fakes import START


@pytest.fixture
def world() -> World:
    clusters = [ClusterPlan("only", 3)]
    return create_world(seed=9, vms=24, start=START, clusters=clusters, stopped_share=0.0)


@pytest.fixture
def node(world: World) -> Node:
    return max(world.nodes.values(), key=lambda node: len(node.hosted))


def test_ha_restarts_machines_of_a_failed_node_after_two_minutes(world: World, node: Node) -> None:
    machines = list(node.hosted.values())
    world.node_fails(node)

    world.advance(START + 5)
    assert {machine.status.word for machine in machines} == {"running"}

    world.advance(START + 60)
    assert {machine.status.word for machine in machines} == {"unresponsive"}
    assert node.machine.status.word == "unresponsive"

    world.advance(START + 120 + len(machines) + 1)
    assert {machine.status.word for machine in machines} == {"running"}
    assert all(machine.status.node != node.key for machine in machines)
    assert sum(one.what == "ha_restarted" for one in world.history) == len(machines)


def test_node_fails_during_a_migration_to_it(world: World, node: Node) -> None:
    vm = next(vm for vm in world.live_vms() if vm.machine.key in node.hosted)
    world.migrate(vm)
    world.advance(START + 0.6)
    target = next(
        one for one in world.nodes.values() if vm.machine.key in one.hosted and one is not node
    )

    world.node_fails(target)
    world.advance(START + 60)

    assert target.machine.status.word == "unresponsive"
    assert vm.machine.key not in target.hosted
    assert vm.machine.status.node == node.key


def test_node_that_returns_before_ha_starts_its_machines(world: World, node: Node) -> None:
    machines = list(node.hosted.values())
    world.node_fails(node)
    world.advance(START + 60)
    world.node_returns(node)

    world.advance(START + 62)
    assert {machine.status.node for machine in machines} == {node.key}
    assert {machine.status.word for machine in machines} == {"running"}

    world.advance(START + 300)
    assert {machine.status.node for machine in machines} == {node.key}


def test_node_that_returns_during_ha_starts_the_remaining_machines(
    world: World, node: Node
) -> None:
    machines = list(node.hosted.values())
    world.node_fails(node)
    world.advance(START + 122.9)
    moved = [machine for machine in machines if machine.key not in node.hosted]
    world.node_returns(node)
    world.advance(START + 300)

    assert 0 < len(moved) < len(machines)
    assert {one.key for one in machines if one.status.node == node.key} == {
        one.key for one in machines if one not in moved
    }


def test_machines_without_capacity_wait_for_their_node(world: World, node: Node) -> None:
    for other in world.nodes.values():
        if other is not node:
            other.usable_mb = 0
    machines = list(node.hosted.values())
    world.node_fails(node)

    world.advance(START + 300)
    assert {machine.status.word for machine in machines} == {"waitingforresources"}

    world.node_returns(node)
    world.advance(START + 302)
    assert {machine.status.word for machine in machines} == {"running"}


def test_vm_stopped_by_operator_during_node_failure_is_not_restarted(
    world: World, node: Node
) -> None:
    vm = next(vm for vm in world.live_vms() if vm.machine.key in node.hosted)
    world.node_fails(node)
    world.advance(START + 60)
    world.operator_stops(vm, graceful=False)

    world.advance(START + 400)
    assert vm.machine.status.word == "stopped"


def test_maintenance_empties_a_node_one_machine_at_a_time(world: World, node: Node) -> None:
    machines = list(node.hosted.values())
    for machine in machines:
        machine.migratable = True
    world.node_enters_maintenance(node)

    for second in range(0, 900, 1):
        world.advance(START + second)
        moving = [one for one in machines if "migrat" in one.status.word]
        assert len(moving) <= 1

    assert not node.hosted
    assert {machine.status.word for machine in machines} == {"running"}


def test_maintenance_powers_off_machines_that_cannot_migrate(world: World, node: Node) -> None:
    staying, leaving, *_ = node.hosted.values()
    for machine in (staying, leaving):
        machine.migratable = False
        machine.shutdown_seconds = 5.0
    staying.migration_method, leaving.migration_method = "live", "auto"
    world.node_enters_maintenance(node)

    world.advance(START + 900)
    assert (staying.status.word, leaving.status.word) == ("running", "stopped")

    world.node_leaves_maintenance(node)
    world.advance(START + 1000)
    assert leaving.status.word == "stopped"


def test_a_node_that_is_powered_off_starts_its_machines_when_it_returns(
    world: World, node: Node
) -> None:
    machines = list(node.hosted.values())
    world.node_powers_off(node)
    world.advance(START + 120)
    assert {machine.status.running for machine in machines} == {False}

    world.node_returns(node)
    world.advance(START + 122)
    assert {machine.status.word for machine in machines} == {"running"}


def test_ha_group_is_separated_unless_its_name_starts_with_plus(world: World) -> None:
    first, second, *_ = [vm.machine for vm in world.live_vms()]
    home = world.node(first.status.node or 0)
    for node in world.nodes.values():
        node.release(second)
        node.usable_mb *= 4

    first.ha_group = second.ha_group = "+pair"
    assert world.platform.place(second) is home

    first.ha_group = second.ha_group = "pair"
    assert world.platform.place(second) is not home

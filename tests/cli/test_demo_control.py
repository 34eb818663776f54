"""What the console of the demo says of the simulated system, and what its buttons do."""

import pytest

from exporter.cli.demo_control import NODE_RETURNS_AFTER_SECONDS, TAGGED, DemoControl
from exporter.simulator import Simulator, World, load_scenario
from exporter.web.console.demo import COMING
from exporter.web.ports import DemoAction
from tests.simulator.fakes import START, FakeClock


@pytest.fixture
def world() -> World:
    return load_scenario("demo").build(FakeClock())


@pytest.fixture
def control(world: World) -> DemoControl:
    simulator = Simulator(world=world, clock=FakeClock())
    return DemoControl(simulator, "a-token")


def told(control: DemoControl) -> list[tuple[str, str]]:
    return [(one.what, one.name) for one in control.happened()]


def test_what_comes_next_is_told_until_it_happens(control: DemoControl, world: World) -> None:
    world.advance(START + 5)
    first = control.coming()[0]
    assert (first.what, first.name, first.at.timestamp() - START) == ("crash", "web-blackbird", 20)

    world.advance(START + 21)
    assert control.coming()[0].name == "phone-cuckoo"
    assert told(control)[0] == ("crashed", "web-blackbird")


def test_a_crash_of_a_vm_that_is_down_is_not_announced(control: DemoControl, world: World) -> None:
    world.advance(START + 59)  # app-beaver, which crashes every 25 s, is not restarted here
    assert "app-beaver" in {one.name for one in world.planned}
    assert "app-beaver" not in {one.name for one in control.coming()}


def test_whatever_is_announced_in_the_first_hour_has_a_text(
    control: DemoControl, world: World
) -> None:
    for minute in range(60):
        world.advance(START + 60 * minute)
        assert {one.what for one in control.coming()} <= set(COMING)


def test_crashing_hits_enrolled_vms_that_the_scenario_leaves_alone_in_turn(
    control: DemoControl, world: World
) -> None:
    world.advance(START + 5)
    for _ in range(2):
        control.act(DemoAction.CRASH)
    crashed = [one.name for one in world.history if one.what == "crashed"]
    assert len(set(crashed)) == 2
    assert all(TAGGED in world.tags_of(name) for name in crashed)
    assert not set(crashed) & {one.name for one in world.planned}


def test_vms_are_not_crashed_together_with_others_of_their_node(
    control: DemoControl, world: World
) -> None:
    world.advance(START + 15)  # web-blackbird crashes in 5 s
    control.coming()
    nodes = {vm.name: vm.machine.status.node for vm in world.live_vms()}
    control.act(DemoAction.CRASH)
    world.advance(START + 22)
    control.act(DemoAction.CRASH)
    crashed = [one.name for one in world.history if one.what == "crashed"]
    assert len(crashed) == 3
    assert len({nodes[name] for name in crashed}) == 3


def test_a_vm_that_crashed_and_runs_again_is_not_crashed_before_the_others(
    control: DemoControl, world: World
) -> None:
    world.advance(START + 5)
    control.act(DemoAction.CRASH)
    first = next(one.name for one in world.history if one.what == "crashed")
    world.operator_starts(first)
    world.advance(START + 10)
    control.act(DemoAction.CRASH)
    assert [one.name for one in world.history if one.what == "crashed"].count(first) == 1


def test_stopping_is_logged_with_a_user_as_when_a_person_does_it(
    control: DemoControl, world: World
) -> None:
    world.advance(START + 5)
    control.act(DemoAction.STOP)
    (name,) = [
        one.name for one in world.history if (one.what, one.by) == ("action_sent", "visitor")
    ]
    assert ("operator_stops", name) in told(control)


def test_a_failed_node_is_told_and_returns(control: DemoControl, world: World) -> None:
    world.advance(START + 5)
    control.act(DemoAction.FAIL_NODE)
    (name,) = control.broken()
    assert ("node_failed", name) in told(control)
    world.advance(START + 6 + NODE_RETURNS_AFTER_SECONDS)
    assert name not in control.broken()


def test_the_last_node_is_not_failed(control: DemoControl, world: World) -> None:
    for _ in range(2 * len(world.nodes)):
        control.act(DemoAction.FAIL_NODE)
    assert len(control.broken()) == len(world.nodes) - 1


def test_ending_ends_the_full_tier_and_the_failed_node(control: DemoControl, world: World) -> None:
    world.advance(START + 5)
    control.act(DemoAction.FILL_TIER)
    control.act(DemoAction.FAIL_NODE)
    assert "tier_full" in control.broken()

    control.act(DemoAction.END)
    assert not control.broken()


def test_recoverys_own_actions_are_told(control: DemoControl, world: World) -> None:
    world.advance(START + 21)
    world.operator_starts("web-blackbird", user="vergewatch")
    assert told(control)[0] == ("recovery_acted", "web-blackbird")


def test_nothing_is_done_where_nothing_runs(control: DemoControl, world: World) -> None:
    for vm in list(world.live_vms()):
        world.crash(vm)
    crashed = len(world.history)
    control.act(DemoAction.CRASH)
    control.act(DemoAction.STOP)
    assert len(world.history) == crashed

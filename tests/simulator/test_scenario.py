"""Scenarios from YAML files, and errors in them."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from exporter.errors import ConfigError
from exporter.simulator import Simulator, World, built_in, load_scenario, read_scenario

from .client import Client
from .fakes import START, FakeClock


def world_of(text: str) -> World:
    return read_scenario(text, file="a.yaml").build(FakeClock())


def history_of(world: World) -> list[tuple[float, str, str]]:
    return [(round(one.at - START, 2), one.what, one.name) for one in world.history]


def test_built_in_scenarios() -> None:
    assert built_in() == ("busy", "demo", "outage", "quiet")


@pytest.mark.parametrize("name", ["busy", "demo", "outage", "quiet"])
def test_built_in_scenario_is_repeatable(name: str) -> None:
    first, second = (load_scenario(name).build(FakeClock()) for _ in range(2))
    for world in (first, second):
        world.advance(START + 3600)

    assert history_of(first) == history_of(second)
    assert load_scenario(name).about


def test_demo_has_every_kind_of_event_within_two_minutes() -> None:
    world = load_scenario("demo").build(FakeClock())
    world.advance(START + 120)
    seen = {what for _, what, _ in history_of(world)}

    assert {
        "crashed",
        "action_sent",
        "powered_off",
        "guest_shut_down",
        "migrated",
        "hung",
        "guest_rebooted",
    } <= seen

    world.advance(START + 600)
    seen = {what for _, what, _ in history_of(world)}
    assert {"node_failed", "ha_restarted"} <= seen


def test_demo_continues_for_a_day() -> None:
    world = load_scenario("demo").build(FakeClock())
    world.advance(START + 86_400)
    running = sum(vm.machine.status.running for vm in world.live_vms())

    assert world.history[-1].at > START + 86_000
    assert running > 30


def test_quiet_scenario_has_no_events() -> None:
    world = load_scenario("quiet").build(FakeClock())
    world.advance(START + 86_400)

    assert not world.history


def test_scenario_with_another_seed_and_size() -> None:
    scenario = load_scenario("quiet").with_changes(seed=99, vms=12)
    world = scenario.build(FakeClock())

    assert world.seed == 99
    assert sum(1 for _ in world.live_vms()) == 12


def test_events_at_a_time_and_repeated() -> None:
    world = world_of(
        """
        vms: 20
        stopped_share: 0
        schedule:
          - {at: 30s, event: crash, vm: web-01}
          - {every: 1m, event: guest_reboots, vm: app-01}
        """
    )
    world.advance(START + 150)

    assert history_of(world) == [
        (30.0, "crashed", "web-01"),
        (60.0, "guest_rebooted", "app-01"),
        (120.0, "guest_rebooted", "app-01"),
    ]


def test_event_with_a_duration_is_undone() -> None:
    world = world_of(
        """
        vms: 20
        stopped_share: 0
        schedule:
          - {at: 10s, event: hang, vm: web-01, for: 20s}
          - {at: 10s, event: node_fails, node: node1, for: 30s}
        """
    )
    world.advance(START + 100)
    seen = [(at, what) for at, what, _ in history_of(world)]

    assert (40.0, "node_returned") in seen
    assert world.node("node1").alive


def test_subjects_are_chosen_by_name_role_tag_and_number() -> None:
    world = world_of(
        """
        vms: 80
        stopped_share: 0
        tags: {web-01: [mine/yes], web-02: [mine/yes]}
        schedule:
          - {at: 1s, event: crash, tag: mine/yes, count: all}
          - {at: 2s, event: crash, role: db, count: 2}
          - {at: 3s, event: crash, vm: "app-0?", count: 3}
        """
    )
    world.advance(START + 5)
    events = [(at, name) for at, what, name in history_of(world) if what == "crashed"]

    assert {name for at, name in events if at == 1} == {"web-01", "web-02"}
    assert [name[:3] for at, name in events if at == 2] == ["db-"] * 2
    assert len([name for at, name in events if at == 3 and name.startswith("app-0")]) == 3


def test_rates_leave_a_vm_alone_that_the_schedule_names() -> None:
    world = world_of(
        "vms: 3\nnames: [web-one]\nrates: {migrations_per_hour: 60}\n"
        "schedule: [{at: 2h, event: crash, vm: web-one}]"
    )
    world.advance(START + 3600)
    moved = {event.name for event in world.history if event.what == "migration_started"}

    assert moved
    assert "web-one" not in moved


def test_rates_are_met_on_average() -> None:
    world = world_of("vms: 40\nrates: {migrations_per_hour: 60}")
    world.advance(START + 10 * 3600)
    moves = sum(one.what == "migration_started" for one in world.history)

    assert 480 < moves < 720


async def test_scheduled_outage_begins_and_ends_without_requests() -> None:
    clock = FakeClock()
    text = "vms: 10\nschedule: [{at: 30s, fault: outage, for: 60s}]"
    world = read_scenario(text, file="a.yaml").build(clock)
    async with (
        Simulator(world=world, clock=clock) as simulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(simulator, session)
        assert (await client.ask("GET", "vms")).status == 200
        await clock.advance(31)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", int(simulator.url.rpartition(":")[2]))
        await clock.advance(60)
        assert (await client.ask("GET", "vms")).status == 200


def test_a_scenario_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("system: heather\nvms: 5\nclusters: [{name: a, nodes: 2}]\nnames: [x-1]\n")

    scenario = load_scenario(file)
    world = scenario.build(FakeClock())

    assert scenario.name == "mine"
    assert world.system_name == "heather"
    assert world.vm("x-1").key == 1
    assert len(world.nodes) == 2


MISTAKES = {
    "vsm: 3": "a.yaml, line 1: unknown key 'vsm'; did you mean 'vms'?",
    "vms: many": "a.yaml, line 1: vms: must be a number, not 'many'",
    "vms: 0": "a.yaml, line 1: vms: must be between 1 and 50000, not 0",
    "vms: 2.5": "a.yaml, line 1: vms: must be an integer, not '2.5'",
    "vms: 1\nvms: 2": "a.yaml, line 2: 'vms' is given twice",
    "- 1": "a.yaml, line 1: must be a mapping, not a list",
    "": "a.yaml: the file is empty",
    "a: [": "a.yaml, line 1: expected the node content, but found '<stream end>'",
    "names: [a, a]": "a.yaml, line 1: names[1]: 'a' is given twice",
    "clusters: []": "a.yaml, line 1: clusters: must have at least one cluster",
    "clusters: [{name: a}]": ("a.yaml, line 1: clusters[0]: needs 'name' and 'nodes'"),
    "tags: {a: [b]}": "a.yaml, line 1: tags.a[0]: must be written category/tag, not 'b'",
    "rates: {crashes_per_our: 1}": (
        "a.yaml, line 1: rates: unknown key 'crashes_per_our'; did you mean 'crashes_per_hour'?"
    ),
    "schedule:\n  - {event: crash}": "a.yaml, line 2: schedule[0]: needs 'at' or 'every'",
    "schedule:\n  - {at: 1s}": (
        "a.yaml, line 2: schedule[0]: needs either an 'event' or a 'fault'"
    ),
    "schedule:\n  - at: soon\n    event: crash": (
        "a.yaml, line 2: schedule[0].at: must be a duration such as 45s, 2m or 1.5h, not 'soon'"
    ),
    "schedule:\n  - at: 1s\n    event: crahs": (
        "a.yaml, line 3: schedule[0].event: there is no event 'crahs'; did you mean 'crash'?"
    ),
    "schedule: [{every: 0s, event: crash}]": (
        "a.yaml, line 1: schedule[0].every: must be positive"
    ),
    "schedule: [{at: 1s, event: crash, for: 5s}]": (
        "a.yaml, line 1: schedule[0].for: crash has no duration"
    ),
    "schedule: [{at: 1s, event: node_fails, vm: a}]": (
        "a.yaml, line 1: schedule[0].vm: node_fails applies to a node; set 'node'"
    ),
    "schedule: [{at: 1s, event: operator_stops, with: {usr: x}}]": (
        "a.yaml, line 1: schedule[0].with.usr: operator_stops has no parameter 'usr'; "
        "did you mean 'user'?"
    ),
    "schedule: [{at: 1s, event: renames}]": (
        "a.yaml, line 1: schedule[0]: renames needs 'name' under 'with'"
    ),
    "schedule: [{at: 1s, fault: latncy}]": (
        "a.yaml, line 1: schedule[0].fault: there is no fault 'latncy'; did you mean 'latency'?"
    ),
    "schedule: [{at: 1s, fault: latency, with: {seconds: x}}]": (
        "a.yaml, line 1: schedule[0].with: latency.seconds must be a number, not 'x'"
    ),
    "schedule: [{at: 1s, fault: latency, vm: a}]": (
        "a.yaml, line 1: schedule[0].vm: does not apply to a fault; set 'path' under 'with'"
    ),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_invalid_scenario_is_an_error_with_position(text: str) -> None:
    with pytest.raises(ConfigError) as info:
        read_scenario(text, file="a.yaml")

    assert str(info.value) == MISTAKES[text]


def test_unknown_scenario_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"no scenario 'demmo'.*did you mean 'demo'"):
        load_scenario("demmo")

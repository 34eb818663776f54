"""The control API under ``/simulator/``."""

import aiohttp

from exporter.simulator import Simulator, World, read_scenario
from exporter.simulator.world.machines import VM

from .client import Client
from .fakes import START, FakeClock


async def test_overview_needs_no_credentials_and_shows_the_state(
    client: Client, clock: FakeClock
) -> None:
    await client.ask("GET", "vms")
    client.simulator.faults.turn_on("latency", path="nodes")
    await clock.advance(30)

    overview = (await client.ask("GET", "/simulator/", headers={})).json

    assert (overview["system"], overview["seed"]) == ("northwind", 4)
    assert overview["seconds_since_start"] == 30
    assert sum(overview["vms_by_status"].values()) == overview["vms"] == 30
    assert overview["requests"] == {"/api/v4/vms": 1}
    assert [fault["name"] for fault in overview["faults"]] == ["latency"]
    assert set(overview["nodes"].values()) == {"up"}
    assert overview["links"]


async def test_overview_says_what_the_scenario_plans_next(clock: FakeClock) -> None:
    world = read_scenario(
        """
schedule:
  - {at: 50s, event: node_fails, node: node1}
  - {at: 20s, every: 60s, event: operator_stops, vm: app-*, with: {user: anna}}
  - {at: 30s, fault: latency}
""",
        file="a.yaml",
    ).build(clock)
    async with Simulator(world=world, clock=clock) as simulator, aiohttp.ClientSession() as session:
        client = Client(simulator, session)
        planned = (await client.ask("GET", "/simulator/", headers={})).json["planned"]
        assert [(one["at"] - START, one["what"], one["name"], one["by"]) for one in planned] == [
            (20, "operator_stops", "app-*", "anna"),
            (30, "latency", "", ""),
            (50, "node_fails", "node1", ""),
        ]
        await clock.advance(25)
        planned = (await client.ask("GET", "/simulator/", headers={})).json["planned"]
        assert [one["at"] - START for one in planned] == [30, 50, 80]


async def test_faults_are_turned_on_shown_and_turned_off(client: Client) -> None:
    settings = {"code": 503, "path": "vms"}
    made = await client.ask("PUT", "/simulator/faults/status", json=settings)
    assert made.json["parameters"]["code"] == 503
    assert (await client.ask("GET", "vms")).status == 503
    assert len((await client.ask("GET", "/simulator/faults/status")).json) == 1

    assert (await client.ask("DELETE", "/simulator/faults/status")).json == {"was_on": True}
    assert (await client.ask("GET", "vms")).status == 200
    assert (await client.ask("DELETE", "/simulator/faults/status")).json == {"was_on": False}


async def test_every_fault_has_a_description(client: Client) -> None:
    known = (await client.ask("GET", "/simulator/faults")).json

    assert known["latency"]["parameters"]["seconds"]["default"] == 1.0
    assert all(fault["about"] for fault in known.values())


async def test_unknown_fault_is_422_with_a_suggestion(client: Client) -> None:
    for method in ("PUT", "GET", "DELETE"):
        reply = await client.ask(method, "/simulator/faults/latncy")
        assert reply.status == 422
        assert "did you mean 'latency'" in reply.json["err"]

    reply = await client.ask("PUT", "/simulator/faults/latency", json={"sec": 1})
    assert "no parameter 'sec'" in reply.json["err"]


async def test_outage_requires_a_duration(client: Client) -> None:
    assert (await client.ask("PUT", "/simulator/faults/outage")).status == 422


async def test_vm_events_by_name_or_key(
    client: Client, world: World, running: VM, stopped: VM
) -> None:
    reply = await client.ask("POST", f"/simulator/vms/{running.name}/crash", headers={})
    assert reply.json["status"] == "stopped"

    body = {"user": "mira"}
    await client.ask("POST", f"/simulator/vms/{stopped.key}/operator_starts", json=body)
    assert [(one.what, one.by) for one in world.history] == [
        ("crashed", "system"),
        ("action_sent", "mira"),
    ]


async def test_node_events(client: Client, world: World) -> None:
    for event, nodes in (("fails", "down"), ("returns", "up"), ("maintenance", "maintenance")):
        assert (await client.ask("POST", f"/simulator/nodes/node1/{event}")).status == 200
        overview = (await client.ask("GET", "/simulator/")).json
        assert overview["nodes"]["node1"] == nodes


async def test_invalid_control_request_is_an_error_with_a_suggestion(
    client: Client, running: VM
) -> None:
    for path, status, text in (
        ("vms/missing/crash", 404, "there is no VM 'missing'"),
        (f"vms/{running.name}/crahs", 404, "did you mean 'crash'"),
        (f"vms/{running.name}/renames", 422, "name"),
        ("nodes/node1/explodes", 404, "there is no event 'explodes'"),
        ("elsewhere", 404, "GET /simulator/ lists"),
    ):
        reply = await client.ask("POST", f"/simulator/{path}")
        assert reply.status == status
        assert text in reply.json["err"]

"""Every fault as a client sees it, and the fault injector."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from exporter.simulator import FAULTS, FaultError, FaultInjector, World
from exporter.simulator.api.tables import logs
from exporter.simulator.world.machines import VM

from .client import Client
from .fakes import FakeClock, settle

Rows = list[dict[str, Any]]


async def test_latency_delays_the_response_by_the_clock(client: Client, clock: FakeClock) -> None:
    client.simulator.faults.turn_on("latency", seconds=3)
    asking = asyncio.create_task(client.ask("GET", "vms"))
    while not client.simulator.requests:
        await settle(1)

    await clock.advance(2.9)
    assert not asking.done()
    await clock.advance(0.2)
    assert (await asking).status == 200


async def test_a_request_that_hangs_is_answered_when_the_fault_is_cleared(client: Client) -> None:
    faults = client.simulator.faults
    faults.turn_on("hang", path="vms")
    asking = asyncio.create_task(client.ask("GET", "vms"))
    assert (await client.ask("GET", "clusters")).status == 200
    assert not asking.done()

    faults.turn_off("hang")

    assert (await asking).status == 200


async def test_hanging_request_ends_when_the_client_disconnects(client: Client) -> None:
    client.simulator.faults.turn_on("hang", times=1)
    asking = asyncio.create_task(client.ask("GET", "vms"))
    while not client.simulator.requests:
        await settle(1)
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await client.ask("GET", "vms")).status == 200
    assert client.simulator.requests[0].status is None


async def test_hanging_action_may_take_effect(
    client: Client, clock: FakeClock, running: VM
) -> None:
    client.simulator.faults.turn_on("hang", method="POST", after=True)
    acting = asyncio.create_task(client.act(running.key, "kill"))
    while not (client.simulator.requests and client.simulator.requests[-1].acted):
        await settle(1)
    await clock.advance(1)

    assert (await client.status_of(running.machine.key))["status"] == "stopped"
    client.simulator.faults.clear()
    assert (await acting).status == 201


async def test_status_fault_prevents_the_action(client: Client, running: VM) -> None:
    client.simulator.faults.turn_on("status", code=503, text="busy")

    reply = await client.act(running.key, "kill")

    assert (reply.status, reply.json) == (503, {"err": "busy"})
    assert not client.simulator.world.history


async def test_status_fault_after_the_action(client: Client, running: VM) -> None:
    client.simulator.faults.turn_on("status", after=True)

    assert (await client.act(running.key, "kill")).status == 500
    assert [one.what for one in client.simulator.world.history] == ["action_sent"]


@pytest.mark.parametrize("fault", ["reset", "reset_after"])
async def test_a_connection_is_reset(client: Client, fault: str, running: VM) -> None:
    client.simulator.faults.turn_on(fault)

    with pytest.raises(aiohttp.ClientError):
        await client.act(running.key, "kill")

    assert bool(client.simulator.world.history) == (fault == "reset_after")


async def test_reset_sends_rst(client: Client) -> None:
    port = int(client.simulator.url.rpartition(":")[2])
    client.simulator.faults.turn_on("reset")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/v4/vms HTTP/1.1\r\nHost: x\r\n\r\n")

    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_truncated_body_is_shorter_than_content_length(client: Client) -> None:
    client.simulator.faults.turn_on("truncate")

    with pytest.raises(aiohttp.ClientPayloadError):
        await client.ask("GET", "vms")


async def test_truncated_json_in_a_complete_response(client: Client) -> None:
    client.simulator.faults.turn_on("truncate", mode="json")

    reply = await client.ask("GET", "vms")

    assert reply.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


async def test_a_login_page_answers_with_200(client: Client) -> None:
    client.simulator.faults.turn_on("html")

    reply = await client.ask("GET", "vms")

    assert (reply.status, reply.type) == (200, "text/html")
    assert reply.body.startswith(b"<!DOCTYPE html>")


async def test_an_answer_is_padded(client: Client) -> None:
    client.simulator.faults.turn_on("oversize", mebibytes=3)

    reply = await client.ask("GET", "clusters")

    assert len(reply.body) > 3 * 1024**2
    assert len(reply.json) == 2


async def faulty_rows(client: Client, fault: str, table: str, fields: str, **settings: Any) -> Rows:
    with client.simulator.faults.on(fault, **settings):
        reply = await client.ask("GET", table, {"fields": fields})
    assert reply.status == 200
    rows: Rows = reply.json
    return rows


async def test_a_list_becomes_an_object(client: Client) -> None:
    found: Any = await faulty_rows(client, "object_instead_of_list", "clusters", "$key")

    assert found == {"0": {"$key": 1}, "1": {"$key": 2}}


async def test_numbers_become_words_in_some_rows(client: Client) -> None:
    rows = await faulty_rows(client, "wrong_types", "vms", "$key,ram,enabled", share=0.5)
    types = [(type(row["ram"]), type(row["enabled"])) for row in rows]

    assert types[:4] == [(int, bool), (str, dict)] * 2
    assert all(isinstance(row["$key"], int) for row in rows)


async def test_keys_are_missing_in_some_rows(client: Client) -> None:
    rows = await faulty_rows(client, "missing_key", "vms", "$key,name", share=0.5)

    assert ["$key" in row for row in rows[:4]] == [True, False, True, False]


async def test_some_rows_are_repeated(client: Client) -> None:
    rows = await faulty_rows(client, "duplicate_keys", "vms", "$key", share=0.1)
    keys = [row["$key"] for row in rows]

    assert len(keys) - len(set(keys)) == int(len(set(keys)) * 0.1)


async def test_status_is_unknown(client: Client) -> None:
    rows = await faulty_rows(
        client, "unknown_status", "vms", "machine#status#status as word,name", share=1.0
    )

    assert {row["word"] for row in rows} == {"defragmenting"}


@pytest.mark.parametrize(("fault", "left"), [("short_list", 0.5), ("empty_list", 0)])
async def test_rows_are_missing(client: Client, world: World, fault: str, left: float) -> None:
    rows = await faulty_rows(client, fault, "vms", "$key")

    assert len(rows) == int(len(world.vms) * left)


async def test_list_fault_does_not_change_a_single_row(client: Client, running: VM) -> None:
    with client.simulator.faults.on("empty_list"):
        reply = await client.ask("GET", f"vms/{running.key}", {"fields": "$key"})

    assert reply.json == {"$key": running.key}


async def test_keys_are_strings(client: Client) -> None:
    (row, *_) = await faulty_rows(
        client, "string_keys", "machine_nics", "$key,machine,stats[all],name"
    )

    assert isinstance(row["$key"], str)
    assert isinstance(row["machine"], str)
    assert isinstance(row["stats"]["$key"], str)


async def test_foreign_keys_are_objects(client: Client) -> None:
    (row, *_) = await faulty_rows(client, "expanded_keys", "vms", "$key,cluster,machine")

    assert row["cluster"] == {"$key": 1, "name": "production"}
    assert set(row["machine"]) == {"$key", "name"}


async def test_subrows_are_null_or_empty_arrays(client: Client) -> None:
    for fault, value in (("null_subrows", None), ("empty_arrays", [])):
        (row, *_) = await faulty_rows(client, fault, "machine_nics", "$key,stats[all],status[all]")
        assert (row["stats"], row["status"]) == (value, value)

    rows = await faulty_rows(client, "empty_arrays", "machine_status", "agent_guest_info")
    assert all(row["agent_guest_info"] == [] for row in rows)


async def test_statistics_are_missing(client: Client, world: World) -> None:
    whole = await client.rows("machine_stats")
    rows = await faulty_rows(client, "missing_stats", "machine_stats", "$key", share=0.5)
    nics = await faulty_rows(client, "missing_stats", "machine_nics", "$key,stats[all]", share=0.5)

    assert len(rows) == len(whole) - len(whole) // 2
    assert ["stats" in row for row in nics[:4]] == [True, False, True, False]


async def test_machines_have_no_node(client: Client) -> None:
    rows = await faulty_rows(
        client, "null_nodes", "machine_status", "machine,node,node#name as node_name,running"
    )

    assert {(row["node"], row["node_name"]) for row in rows} == {(None, None)}
    assert any(row["running"] for row in rows)


async def test_frozen_writer_keeps_old_statuses(
    client: Client, clock: FakeClock, world: World, running: VM
) -> None:
    await clock.advance(100)
    client.simulator.faults.turn_on("frozen_writer")
    before = await client.rows("machine_status", fields="all")
    world.crash(running)
    await clock.advance(100)

    assert await client.rows("machine_status", fields="all") == before
    client.simulator.faults.clear()
    assert await client.rows("machine_status", fields="all") != before


async def test_frozen_clock_stops_last_update(
    client: Client, clock: FakeClock, world: World, running: VM
) -> None:
    await clock.advance(100)
    client.simulator.faults.turn_on("frozen_clock")
    frozen_at = clock.now().timestamp()
    await clock.advance(100)
    world.crash(running)

    rows = await client.rows("machine_status", fields="$key,last_update")
    assert max(row["last_update"] for row in rows) <= frozen_at
    assert (await client.status_of(running.machine.key))["status"] == "stopped"


async def test_log_rows_become_visible_late(
    client: Client, clock: FakeClock, world: World, running: VM
) -> None:
    world.operator_stops(running)
    seen = len(await client.rows("logs"))
    client.simulator.faults.turn_on("late_logs", seconds=10)

    assert len(await client.rows("logs")) == seen - 1
    await clock.advance(9)
    assert len(await client.rows("logs")) == seen - 1
    await clock.advance(2)
    assert len(await client.rows("logs")) >= seen


async def test_lost_log_rows_stay_lost(client: Client, world: World, running: VM) -> None:
    for number in range(400):
        world.platform_log.write(f"row {number}", at=world.now, machine=running.machine.key)
    whole = [row["$key"] for row in await client.rows("machine_logs", fields="$key")]
    client.simulator.faults.turn_on("lost_logs", share=0.2)

    seen = [row["$key"] for row in await client.rows("machine_logs", fields="$key")]
    logs.loss_rank.cache_clear()
    again = [row["$key"] for row in await client.rows("machine_logs", fields="$key")]

    assert seen == again
    assert set(seen) < set(whole)
    assert 0.7 < len(seen) / len(whole) < 0.9
    client.simulator.faults.turn_on("lost_logs", share=1)
    assert await client.rows("logs") == []


async def test_an_outage_refuses_connections_and_ends_on_the_same_port(client: Client) -> None:
    url = client.simulator.url
    assert (await client.ask("GET", "vms")).status == 200

    with client.simulator.faults.on("outage"), pytest.raises(aiohttp.ClientConnectorError) as info:
        await client.ask("GET", "vms")

    assert isinstance(info.value.os_error, ConnectionRefusedError)
    assert client.simulator.url == url
    assert (await client.ask("GET", "vms")).status == 200


async def test_an_outage_can_abort_each_connection(client: Client) -> None:
    with (
        client.simulator.faults.on("outage", mode="abort"),
        pytest.raises(aiohttp.ClientOSError),
    ):
        await client.act(1, "kill")


async def test_outage_ends_after_its_duration_without_requests(
    client: Client, clock: FakeClock
) -> None:
    await clock.advance(0)
    client.simulator.faults.turn_on("outage", lasting=60)
    await clock.advance(59)
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.ask("GET", "vms")

    await clock.advance(2)

    assert (await client.ask("GET", "vms")).status == 200


async def test_fault_applies_to_its_path_and_method_only(client: Client) -> None:
    faults = client.simulator.faults
    faults.turn_on("status", path="/api/v4/machine_*", code=500)
    faults.turn_on("status", path="vms", method="PUT", code=418)

    assert (await client.ask("GET", "machine_nics")).status == 500
    assert (await client.ask("GET", "vms")).status == 200
    assert (await client.ask("PUT", "vms/1")).status == 418


async def test_fault_turns_itself_off_after_times_requests(client: Client) -> None:
    client.simulator.faults.turn_on("status", times=2)

    assert [(await client.ask("GET", "vms")).status for _ in range(3)] == [500, 500, 200]


def test_same_seed_gives_the_same_faults() -> None:
    def struck(seed: int) -> list[bool]:
        injector = FaultInjector(seed=seed)
        injector.turn_on("reset", probability=0.5)
        return [bool(injector.faults_for("GET", "/api/v4/vms")) for _ in range(200)]

    assert struck(1) == struck(1) != struck(2)
    assert 60 < sum(struck(1)) < 140


def test_a_fault_is_turned_off_for_one_path_or_for_all() -> None:
    injector = FaultInjector()
    injector.turn_on("reset", path="vms")
    injector.turn_on("reset", path="nodes")

    assert injector.turn_off("reset", path="vms")
    assert [fault.path for fault in injector.active()] == ["/api/v4/nodes"]
    assert injector.turn_off("reset")
    assert not injector.turn_off("reset")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("latancy", {}, "there is no fault 'latancy'; did you mean 'latency'?"),
        ("latency", {"secnds": 1}, "latency has no parameter 'secnds'; did you mean 'seconds'?"),
        ("latency", {"seconds": "long"}, "latency.seconds must be a number, not 'long'"),
        ("latency", {"seconds": -1}, "latency.seconds must be at least 0, not -1"),
        ("latency", {"after": 1}, "latency.after must be bool, not 1"),
        ("latency", {"probability": 2}, "latency.probability must be at most 1, not 2"),
        ("status", {"code": 200}, "status.code must be at least 400, not 200"),
        ("outage", {"mode": "loud"}, "outage.mode must be refuse or abort, not 'loud'"),
    ],
)
def test_invalid_fault_settings_are_an_error_with_a_suggestion(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(FaultError) as info:
        FaultInjector().turn_on(name, **settings)

    assert str(info.value) == message


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"hang"}))
async def test_every_fault_can_be_turned_on_and_off_again(client: Client, name: str) -> None:
    small = {"oversize": {"mebibytes": 1}, "latency": {"seconds": 0}}
    with client.simulator.faults.on(name, **small.get(name, {})), suppress(aiohttp.ClientError):
        await client.ask("GET", "vms")

    assert (await client.ask("GET", "vms")).status == 200

"""Actions by ``vm_actions``, and writes to tables."""

import aiohttp
import pytest

from exporter.simulator import ApiBehavior, Simulator, World
from exporter.simulator.world.machines import VM

from .client import Client
from .fakes import START, FakeClock


async def test_action_is_accepted_before_it_takes_effect(
    client: Client, clock: FakeClock, stopped: VM
) -> None:
    reply = await client.act(stopped.key, "poweron")

    assert reply.status == 201
    assert isinstance(reply.json["$key"], str)
    assert (await client.status_of(stopped.machine.key))["status"] == "stopped"
    await clock.advance(0.1)
    assert (await client.status_of(stopped.machine.key))["status"] == "initializing"
    await clock.advance(0.5)
    assert (await client.status_of(stopped.machine.key))["status"] == "running"


async def test_the_key_may_be_a_string(client: Client, stopped: VM) -> None:
    assert (await client.act(str(stopped.key), "poweron")).status == 201


async def test_user_of_an_action_is_logged(client: Client, running: VM) -> None:
    await client.act(running.key, "kill")

    (row,) = await client.rows("logs", sort="-$key", limit="1")
    assert row["user"] == client.simulator.username
    assert row["text"] == "VM action 'kill' sent"


async def test_start_of_a_running_vm_is_422_with_the_real_text(client: Client, running: VM) -> None:
    reply = await client.act(running.key, "poweron")

    assert reply.status == 422
    text = "Error starting machine: Machine is already running with status 'running'"
    assert reply.json["err"].strip() == text


async def test_a_disabled_vm_cannot_be_started(client: Client, stopped: VM) -> None:
    stopped.enabled = False

    assert (await client.act(stopped.key, "poweron")).status == 422


async def test_a_snapshot_cannot_be_started(client: Client, world: World) -> None:
    snapshot = next(vm for vm in world.vms.values() if vm.is_snapshot)

    assert (await client.act(snapshot.key, "poweron")).status == 422


async def test_start_without_capacity_is_422(client: Client, world: World, stopped: VM) -> None:
    for node in world.nodes.values():
        node.usable_mb = 0

    reply = await client.act(stopped.key, "poweron")

    assert reply.status == 422
    assert "Insufficient" in reply.json["err"]


async def test_start_uses_the_preferred_node(
    client: Client, clock: FakeClock, world: World, stopped: VM
) -> None:
    wanted = next(n for n in world.nodes.values() if n.cluster == stopped.machine.cluster)

    await client.act(stopped.key, "poweron", preferred_node=wanted.key)
    await clock.advance(1)

    assert (await client.status_of(stopped.machine.key))["node"] == wanted.key


async def test_an_unknown_vm_is_404(client: Client) -> None:
    assert (await client.act(99_999, "poweron")).status == 404


@pytest.mark.parametrize("action", ["guestreset", "guestshutdown", "killpower", "dance"])
async def test_an_unknown_action_is_422_with_the_real_text(
    client: Client, running: VM, action: str
) -> None:
    reply = await client.act(running.key, action)

    assert reply.status == 422
    text = f"Error sending action to node: value '{action}' is not in list for field 'action'"
    assert reply.json["err"].strip() == text


@pytest.mark.parametrize("body", [None, [], {"vm": 1}, {"action": "kill"}, {"vm": 1, "action": []}])
async def test_an_incomplete_body_is_422(client: Client, body: object) -> None:
    assert (await client.ask("POST", "vm_actions", json=body)).status == 422


@pytest.mark.parametrize("action", ["poweroff", "reset", "hibernate", "migrate"])
async def test_action_for_running_vms_is_422_for_a_stopped_vm(
    client: Client, stopped: VM, action: str
) -> None:
    assert (await client.act(stopped.key, action)).status == 422


@pytest.mark.parametrize(
    ("action", "params", "word"),
    [
        ("poweroff", {}, "stopping"),
        ("reset", {}, "running"),
        ("reset", {"graceful": True}, "stopped"),
        ("hibernate", {}, "hibernating"),
        ("migrate", {}, "initmigrate"),
        ("refresh", {}, "running"),
    ],
)
async def test_actions_take_effect_at_once_or_soon(
    client: Client, clock: FakeClock, running: VM, action: str, params: dict[str, bool], word: str
) -> None:
    assert (await client.act(running.key, action, **params)).status == 201

    await clock.advance(0.3)
    assert (await client.status_of(running.machine.key))["status"] == word


async def test_a_clone_is_a_new_vm_that_is_off(client: Client, running: VM, world: World) -> None:
    reply = await client.act(running.key, "clone", name="twin")

    assert world.vm("twin").key == int(reply.json["$key"])
    assert not world.vm("twin").machine.status.running
    assert (await client.act(running.key, "clone", name="twin")).status == 422


async def test_an_alarm_can_be_snoozed(client: Client, running: VM, world: World) -> None:
    world.out_of_space(running)
    (alarm,) = await client.rows("alarms", fields="$key,owner#name as owner_name,alarm_type")
    assert (alarm["owner_name"], alarm["alarm_type"]) == (running.name, "vm_out_of_space")

    await client.ask("PUT", f"alarms/{alarm['$key']}", json={"snooze": int(START) + 60})
    awake = "snooze eq 0 or snooze le {$now}"
    assert await client.rows("alarms", filter=awake) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "vms/99999", 404),
        ("PUT", "vms/x", 422),
        ("DELETE", "vms/99999", 404),
        ("DELETE", "tag_members/99999", 404),
        ("PUT", "machine_status/99999", 404),
        ("PUT", "alarms/99999", 404),
        ("PUT", "settings/cloud_name", 422),
        ("POST", "tag_members", 404),
        ("POST", "clusters", 405),
        ("DELETE", "/api/sys/tokens/nonsense", 404),
    ],
)
async def test_invalid_write_is_an_error(
    client: Client, method: str, path: str, status: int
) -> None:
    reply = await client.ask(method, path)

    assert reply.status == status
    assert set(reply.json) == {"err"}


async def test_readonly_key_cannot_write(client: Client, running: VM) -> None:
    headers = {"Authorization": f"Bearer {client.simulator.readonly_api_key}"}

    assert (await client.ask("PUT", f"vms/{running.key}", headers=headers)).status == 403


async def test_kill_of_a_stopped_vm_is_accepted(client: Client, stopped: VM) -> None:
    assert (await client.act(stopped.key, "kill")).status == 201


async def test_readonly_key_cannot_act(client: Client, stopped: VM) -> None:
    headers = {"Authorization": f"Bearer {client.simulator.readonly_api_key}"}
    body = {"vm": stopped.key, "action": "poweron"}

    reply = await client.ask("POST", "vm_actions", json=body, headers=headers)

    assert (reply.status, reply.json) == (403, {"err": "Permission denied"})
    assert (await client.ask("GET", "vms", headers=headers)).status == 200


async def test_actions_cannot_be_listed(client: Client) -> None:
    assert (await client.ask("GET", "vm_actions")).status == 405


async def test_statuses_of_refusals_are_configurable(
    world: World, clock: FakeClock, running: VM, stopped: VM
) -> None:
    behavior = ApiBehavior(
        already_running_status=409, without_capacity="wait", empty_action_replies=True
    )
    async with (
        Simulator(world=world, clock=clock, behavior=behavior) as simulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(simulator, session)
        assert (await client.act(running.key, "poweron")).status == 409
        assert (await client.act(running.key, "kill")).body == b""
        for node in world.nodes.values():
            node.usable_mb = 0
        assert (await client.act(stopped.key, "poweron")).status == 201
        await clock.advance(5)
        row = await client.status_of(stopped.machine.key)

    assert (row["status"], row["running"]) == ("waitingforresources", False)


async def test_fault_accepts_a_start_without_effect(
    client: Client, clock: FakeClock, stopped: VM
) -> None:
    client.simulator.faults.turn_on("accepted_but_never_starts")

    assert (await client.act(stopped.key, "poweron")).status == 201
    await clock.advance(600)
    assert (await client.status_of(stopped.machine.key))["status"] == "stopped"

    client.simulator.faults.turn_on("accepted_but_never_starts", word="initializing")
    await client.act(stopped.key, "poweron")
    await clock.advance(600)
    assert (await client.status_of(stopped.machine.key))["status"] == "initializing"


async def test_fault_refuses_a_start_for_lack_of_capacity(client: Client, stopped: VM) -> None:
    client.simulator.faults.turn_on("no_capacity", code=507)

    assert (await client.act(stopped.key, "poweron")).status == 507


@pytest.mark.parametrize("action", ["poweron", "kill", "reset"])
async def test_action_on_a_busy_vm_has_no_effect(client: Client, running: VM, action: str) -> None:
    client.simulator.faults.turn_on("busy", code=423, text="VM is locked")

    reply = await client.act(running.key, action)

    assert (reply.status, reply.json) == (423, {"err": "VM is locked"})
    assert not client.simulator.world.history


@pytest.mark.parametrize(
    ("fault", "word"), [("reset_before_acting", "stopped"), ("reset_after_acting", "running")]
)
async def test_reset_connection_before_or_after_an_action(
    client: Client, clock: FakeClock, stopped: VM, fault: str, word: str
) -> None:
    client.simulator.faults.turn_on(fault)

    with pytest.raises(aiohttp.ClientError):
        await client.act(stopped.key, "poweron")

    await clock.advance(1)
    assert (await client.status_of(stopped.machine.key))["status"] == word
    posts = [one for one in client.simulator.requests if one.method == "POST"]
    assert [one.acted for one in posts] == [fault == "reset_after_acting"]
    assert posts[0].status is None


async def test_vms_can_be_edited_and_deleted(client: Client, stopped: VM) -> None:
    body = {"name": "renamed", "enabled": False, "nonsense": 1}
    assert (await client.ask("PUT", f"vms/{stopped.key}", json=body)).status == 200
    (row,) = await client.rows("vms", filter="name eq 'renamed'", fields="$key,enabled")
    assert row == {"$key": stopped.key, "enabled": False}

    assert (await client.ask("DELETE", f"vms/{stopped.key}")).status == 200
    assert (await client.ask("GET", f"vms/{stopped.key}")).status == 404


async def test_a_running_vm_cannot_be_deleted(client: Client, running: VM) -> None:
    reply = await client.ask("DELETE", f"vms/{running.key}")

    assert reply.status == 422
    assert "must be stopped" in reply.json["err"]


async def test_tag_members_add_and_remove_tags(client: Client, world: World, running: VM) -> None:
    tag = world.tag_named("recovery", "never")
    body = {"tag": tag.key, "member": f"vms/{running.key}"}
    world.untag(running, "recovery/never")

    made = await client.ask("POST", "tag_members", json=body)
    assert made.status == 201
    assert (await client.ask("POST", "tag_members", json=body)).status == 409
    assert "recovery/never" in world.tags_of(running)

    assert (await client.ask("DELETE", f"tag_members/{made.json['$key']}")).status == 200
    assert "recovery/never" not in world.tags_of(running)


async def test_a_status_can_be_forced_by_hand(client: Client, running: VM) -> None:
    key = (await client.status_of(running.machine.key))["$key"]
    body = {"running": False, "status": "stopped", "state": "offline"}

    assert (await client.ask("PUT", f"machine_status/{key}", json=body)).status == 200

    row = await client.status_of(running.machine.key)
    assert (row["running"], row["status"]) == (False, "stopped")
    assert [row.text for row in client.simulator.world.platform_log.logs][-1].startswith(
        "Status of"
    )


async def test_history_names_event_and_user(client: Client, world: World, running: VM) -> None:
    await client.act(running.key, "kill")
    world.advance(START + 1)

    assert [(one.what, one.by) for one in world.history] == [
        ("action_sent", "vergewatch"),
        ("powered_off", "system"),
    ]

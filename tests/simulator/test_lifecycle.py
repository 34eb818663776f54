"""Requests that create, configure, copy and delete VMs and their parts."""

import random
from collections import Counter
from typing import Any

import pytest

from exporter.simulator import World
from exporter.simulator.api.writes import WRITES
from exporter.simulator.world.machines import VM

from .client import Client
from .fakes import START, FakeClock

GIB = 1024**3


async def made(client: Client, table: str, **body: Any) -> str:
    """Create a row, and return its key."""
    reply = await client.ask("POST", table, json=body)
    assert reply.status == 201, reply
    key: str = reply.json["$key"]
    return key


async def row(client: Client, table: str, key: str, fields: str = "all") -> dict[str, Any]:
    found: dict[str, Any] = (await client.ask("GET", f"{table}/{key}", {"fields": fields})).json
    return found


# VMs.


async def test_a_new_vm_is_off_and_has_a_machine_but_no_parts(client: Client, world: World) -> None:
    key = await made(client, "vms", name="new", ram=2048, cpu_cores=2, boot_order="d", nonsense=1)

    fields = "name,ram,cpu_cores,boot_order,creator,is_snapshot,machine#status#status as status"
    assert await row(client, "vms", key, fields) == {
        "name": "new",
        "ram": 2048,
        "cpu_cores": 2,
        "boot_order": "d",
        "creator": client.simulator.username,
        "is_snapshot": False,
        "status": "stopped",
    }
    assert world.vm("new").machine.parts == []
    (entry,) = await client.rows("logs", sort="-$key", limit="1", filter="text ct 'created'")
    assert (entry["text"], entry["user"]) == ("VM 'new' created", client.simulator.username)


async def test_a_new_vm_can_be_started(client: Client, clock: FakeClock, world: World) -> None:
    key = await made(client, "vms", name="new")

    await client.act(key, "poweron")
    await clock.advance(1)

    assert world.vm("new").machine.status.running


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"name": ""}, 422),
        ({"name": "x", "ram": 0}, 422),
        ({"name": "x", "ram": "much"}, 422),
        ({"name": "x", "enabled": "perhaps"}, 422),
        ({"name": "x", "os_family": "plan9"}, 422),
        ({"name": "x", "cluster": 99}, 404),
    ],
)
async def test_an_invalid_vm_is_refused_and_leaves_nothing(
    client: Client, world: World, body: dict[str, Any], status: int
) -> None:
    before = set(world.machines)

    assert (await client.ask("POST", "vms", json=body)).status == status
    assert set(world.machines) == before


async def test_names_of_vms_are_unique_but_for_snapshots(client: Client, running: VM) -> None:
    key = await made(client, "vms", name="new")

    assert (await client.ask("POST", "vms", json={"name": running.name})).status == 409
    reply = await client.ask("PUT", f"vms/{key}", json={"name": running.name})
    assert reply.status == 409
    assert (await client.ask("PUT", f"vms/{key}", json={"name": "new"})).status == 200


async def test_cores_and_memory_of_a_stopped_vm_change_at_once(client: Client, stopped: VM) -> None:
    await client.ask("PUT", f"vms/{stopped.key}", json={"cpu_cores": 3, "ram": 3072})

    shown = await row(client, "vms", str(stopped.key), "cpu_cores,ram,need_restart")
    assert (shown["cpu_cores"], shown["ram"]) == (3, 3072)
    assert (stopped.machine.cores, stopped.machine.memory_mb) == (3, 3072)
    assert not stopped.machine.need_restart


async def test_cores_and_memory_of_a_running_vm_wait_for_a_restart(
    client: Client, clock: FakeClock, world: World, running: VM
) -> None:
    machine, before = running.machine, running.machine.cores
    cores, memory = before + 2, machine.memory_mb + 1024
    node = world.nodes[machine.status.node or 0]
    used = node.used_mb

    await client.ask("PUT", f"vms/{running.key}", json={"cpu_cores": cores, "ram": memory})

    shown = await row(client, "vms", str(running.key), "cpu_cores,ram,need_restart")
    assert shown == {"cpu_cores": cores, "ram": memory, "need_restart": True}
    assert (await client.status_of(machine.key))["running_cores"] == before
    assert node.used_mb == used

    await client.act(running.key, "kill")
    await clock.advance(2)
    await client.act(running.key, "poweron", preferred_node=node.key)
    await clock.advance(2)

    status = await client.status_of(machine.key)
    assert (status["running_cores"], status["running_ram"]) == (cores, memory)
    assert not (await row(client, "vms", str(running.key)))["need_restart"]
    assert node.used_mb == used + 1024


@pytest.mark.parametrize(
    ("action", "status", "takes"), [("hibernate", "hibernated", False), ("reset", "running", True)]
)
async def test_new_memory_counts_after_a_power_cycle_but_not_for_a_hibernated_vm(
    client: Client, clock: FakeClock, running: VM, action: str, status: str, takes: bool
) -> None:
    before = running.machine.memory_mb
    await client.ask("PUT", f"vms/{running.key}", json={"ram": before + 256})

    await client.act(running.key, action, graceful=True)
    await clock.advance(20)

    shown = await client.status_of(running.machine.key)
    assert shown["status"] == status
    assert shown["running_ram"] == before + 256 * takes
    assert running.machine.need_restart is not takes


async def test_memory_that_is_changed_back_needs_no_restart_of_its_own(
    client: Client, running: VM
) -> None:
    running.machine.need_restart = False

    await client.ask("PUT", f"vms/{running.key}", json={"ram": running.machine.memory_mb})

    assert not running.machine.need_restart


async def test_a_deleted_vm_takes_its_snapshots_along(
    client: Client, world: World, stopped: VM
) -> None:
    key = await made(client, "machine_snapshots", machine=stopped.machine.key, name="s")

    assert (await client.ask("DELETE", f"vms/{stopped.key}")).status == 200

    assert int(key) not in world.vms
    assert (await client.ask("GET", f"machine_snapshots/{key}")).status == 404


# Parts.


@pytest.mark.parametrize(
    ("table", "body", "shown"),
    [
        (
            "machine_drives",
            {"name": "data", "disksize": GIB, "preferred_tier": 3, "fsync": "writeback"},
            {"disksize": GIB, "preferred_tier": "3", "fsync": "writeback", "media": "disk"},
        ),
        (
            "machine_nics",
            {"interface": "e1000", "macaddress": "f0:db:30:00:00:01", "enabled": False},
            {"interface": "e1000", "macaddress": "f0:db:30:00:00:01", "enabled": False},
        ),
        (
            "machine_devices",
            {"type": "tpm", "optional": True},
            {"type": "tpm", "optional": True, "resource_group": None},
        ),
    ],
)
async def test_parts_are_added_changed_and_removed(
    client: Client, stopped: VM, table: str, body: dict[str, Any], shown: dict[str, Any]
) -> None:
    key = await made(client, table, machine=stopped.machine.key, **body)
    found = await row(client, table, key)
    assert found | shown == found
    assert found["machine"] == stopped.machine.key

    await client.ask("PUT", f"{table}/{key}", json={"name": "other", "description": "spare"})
    assert (await row(client, table, key))["description"] == "spare"

    assert (await client.ask("DELETE", f"{table}/{key}")).status == 200
    assert (await client.ask("GET", f"{table}/{key}")).status == 404
    texts = [entry["text"] for entry in await client.rows("logs", filter="text ct 'other'")]
    assert [text.split("'")[2].split()[0] for text in texts] == ["of", "removed"]


@pytest.mark.parametrize(
    ("table", "body", "status"),
    [
        ("machine_drives", {"machine": 99999, "disksize": GIB}, 404),
        ("machine_drives", {"disksize": GIB}, 422),
        ("machine_drives", {"machine": 0}, 422),
        ("machine_drives", {"machine": 0, "disksize": GIB, "media": "tape"}, 422),
        ("machine_drives", {"machine": 0, "disksize": GIB, "preferred_tier": "6"}, 422),
        ("machine_nics", {"machine": 0, "name": "nic_0"}, 409),
        ("machine_nics", {"machine": 0, "vnet": 99999}, 404),
        ("machine_devices", {"machine": 0}, 422),
        ("machine_devices", {"machine": 0, "type": "abacus"}, 422),
        ("machine_devices", {"machine": 0, "type": "tpm", "resource_group": "none"}, 404),
        ("machine_snapshots", {"machine": 0}, 422),
        ("machine_snapshots", {"machine": 99999, "name": "s"}, 404),
        ("resource_groups", {"name": "gpu-pool", "type": "node_pci_devices"}, 409),
        ("resource_groups", {"name": "x", "type": "abacus"}, 422),
    ],
)
async def test_an_invalid_part_is_refused(
    client: Client, running: VM, table: str, body: dict[str, Any], status: int
) -> None:
    if body.get("machine") == 0:
        body = body | {"machine": running.machine.key}
    before = len(running.machine.parts)

    reply = await client.ask("POST", table, json=body)

    assert (reply.status, set(reply.json)) == (status, {"err"})
    assert len(running.machine.parts) == before


@pytest.mark.parametrize(("method", "table"), sorted(set(WRITES) - {("POST", "vms")}))
async def test_a_write_to_a_missing_row_is_an_error(
    client: Client, method: str, table: str
) -> None:
    path = table if method == "POST" else f"{table}/99999"

    reply = await client.ask(method, path, json={})

    assert reply.status in (404, 422)
    assert set(reply.json) == {"err"}


async def test_parts_without_a_name_get_a_free_one(client: Client, stopped: VM) -> None:
    machine = stopped.machine
    names = {nic.name for nic in machine.nics}

    for _ in range(3):
        await made(client, "machine_nics", machine=machine.key)

    assert len({nic.name for nic in machine.nics}) == len(names) + 3
    assert [
        nic["orderid"]
        for nic in await client.rows(
            "machine_nics", filter=f"machine eq {machine.key}", sort="orderid", fields="orderid"
        )
    ] == list(range(len(names) + 3))


async def test_a_drive_that_is_added_to_a_running_vm_waits_for_a_start_or_a_hot_plug(
    client: Client, clock: FakeClock, running: VM
) -> None:
    machine = running.machine
    drives = [
        await made(client, "machine_drives", machine=machine.key, disksize=GIB, interface=kind)
        for kind in ("virtio-scsi", "virtio-scsi", "ide")
    ]

    async def states() -> list[str]:
        fields = "status#status as status,stats#reads as reads"
        shown = [await row(client, "machine_drives", key, fields) for key in drives]
        assert all((one["reads"] is None) == (one["status"] == "offline") for one in shown)
        return [one["status"] for one in shown]

    assert await states() == ["offline"] * 3
    assert (await client.act(running.key, "hotplugdrive", device=int(drives[0]))).status == 201
    assert (await client.act(running.key, "hotplugdrive", device=int(drives[2]))).status == 422
    assert await states() == ["online", "offline", "offline"]
    await client.act(running.key, "hotplugdrive", device=int(drives[0]), unplug=True)
    assert await states() == ["offline"] * 3

    await client.act(running.key, "kill")
    await clock.advance(2)
    await client.act(running.key, "poweron")
    await clock.advance(2)
    assert await states() == ["online"] * 3


async def test_a_hot_plug_can_be_forbidden_and_needs_the_vms_own_part(
    client: Client, world: World, running: VM, stopped: VM
) -> None:
    nic = await made(client, "machine_nics", machine=running.machine.key)
    foreign = await made(client, "machine_nics", machine=stopped.machine.key)

    assert (await client.act(running.key, "hotplugnic", device=int(foreign))).status == 404
    assert (await client.act(stopped.key, "hotplugnic", device=int(foreign))).status == 422
    await client.ask("PUT", f"vms/{running.key}", json={"allow_hotplug": False})
    assert (await client.act(running.key, "hotplugnic", device=int(nic))).status == 422


async def test_a_resource_group_counts_its_devices_and_is_kept_while_it_has_any(
    client: Client, stopped: VM
) -> None:
    key = await made(client, "resource_groups", name="cards", type="node_pci_devices")
    device = await made(
        client,
        "machine_devices",
        machine=stopped.machine.key,
        type="node_pci_devices",
        resource_group=key,
    )

    await client.ask("PUT", f"resource_groups/{key}", json={"class": "gpu"})
    shown = await row(client, "resource_groups", key, "$key,class,count(resources) as devices")
    assert shown == {"$key": key, "class": "gpu", "devices": 1}
    joined = await row(client, "machine_devices", device, "resource_group#name as pool")
    assert joined == {"pool": "cards"}

    assert (await client.ask("DELETE", f"resource_groups/{key}")).status == 409
    await client.ask("DELETE", f"machine_devices/{device}")
    assert (await client.ask("DELETE", f"resource_groups/{key}")).status == 200


# Copies.


async def test_a_clone_has_the_parts_of_its_source_and_identities_of_its_own(
    client: Client, world: World, running: VM
) -> None:
    await client.ask("PUT", f"vms/{running.key}", json={"cpu_cores": 7})

    reply = await client.act(running.key, "clone", name="twin")

    twin, source = world.vm("twin"), running.machine
    assert reply.json["response"] == {"vmkey": str(twin.key)}
    assert twin.machine.cores == 7
    assert [one.size_bytes for one in twin.machine.drives] == [d.size_bytes for d in source.drives]
    assert [one.name for one in twin.machine.nics] == [nic.name for nic in source.nics]
    assert all(part.machine is twin.machine for part in twin.machine.parts)
    assert {nic.mac for nic in twin.machine.nics}.isdisjoint(nic.mac for nic in source.nics)
    assert twin.uuid != running.uuid
    keys = [part.key for part in twin.machine.drives]
    assert set(keys).isdisjoint(drive.key for drive in source.drives)


async def test_a_clone_may_keep_the_mac_addresses(
    client: Client, world: World, running: VM
) -> None:
    await client.act(running.key, "clone", name="twin", preserve_macs=True)

    macs = [nic.mac for nic in world.vm("twin").machine.nics]
    assert macs == [nic.mac for nic in running.machine.nics]


async def test_a_snapshot_is_restored_with_the_key_of_either_table(
    client: Client, clock: FakeClock, running: VM
) -> None:
    machine, cores = running.machine, running.machine.cores
    drives = [drive.name for drive in machine.drives]
    key = await made(
        client, "machine_snapshots", machine=machine.key, name="s", expires=0, description="why"
    )
    shown = await row(client, "machine_snapshots", key)
    assert (shown["name"], shown["description"], shown["expires_type"]) == ("s", "why", "never")
    assert shown["machine"] == machine.key
    (copy,) = await client.rows("vms", filter=f"machine eq {shown['snap_machine']}")

    assert (await client.act(running.key, "restore", snapshot=int(key))).status == 422  # it runs
    await client.act(running.key, "kill")
    await clock.advance(2)
    for vm, parameters in ((running.key, {"snapshot": int(key)}), (copy["$key"], {})):
        await client.ask("PUT", f"vms/{running.key}", json={"cpu_cores": cores + 5})
        machine.drives.clear()
        reply = await client.act(vm, "restore", **parameters)
        assert (reply.status, reply.body) == (201, b"")
        assert machine.cores == cores
        assert [drive.name for drive in machine.drives] == drives


async def test_a_snapshot_is_restored_as_another_vm(
    client: Client, world: World, running: VM
) -> None:
    key = await made(client, "machine_snapshots", machine=running.machine.key, name="s")

    await client.act(running.key, "restore", snapshot=int(key), name="again")

    assert not world.vm("again").is_snapshot
    assert world.vm("again").machine.cores == running.machine.cores


async def test_a_snapshot_of_another_vm_is_not_restored(
    client: Client, running: VM, stopped: VM
) -> None:
    key = await made(client, "machine_snapshots", machine=running.machine.key, name="s")

    assert (await client.act(stopped.key, "restore", snapshot=int(key))).status == 404
    assert (await client.act(stopped.key, "restore")).status == 422


async def test_snapshots_expire(client: Client, clock: FakeClock, running: VM) -> None:
    machine = running.machine.key
    short = await made(
        client, "machine_snapshots", machine=machine, name="short", expires=int(START) + 60
    )
    longer = await made(
        client, "machine_snapshots", machine=machine, name="longer", expires=int(START) + 60
    )
    await client.ask("PUT", f"machine_snapshots/{longer}", json={"expires": 0})
    by_default = await made(client, "machine_snapshots", machine=machine, name="default")
    shown = await row(client, "machine_snapshots", by_default)
    assert shown["expires"] == int(START) + 72 * 3600

    await clock.advance(61)

    assert (await client.ask("GET", f"machine_snapshots/{short}")).status == 404
    assert (await client.ask("GET", f"machine_snapshots/{longer}")).status == 200
    (entry,) = await client.rows("logs", filter="text cs 'short' and text cs 'deleted'")
    assert entry["user"] == "system"


async def test_a_scheduled_snapshot_has_no_data_here(client: Client, running: VM) -> None:
    running.snapshot_profile = 1
    (first, *_) = await client.rows(
        "machine_snapshots",
        filter=f"created_manually eq false and machine eq {running.machine.key}",
    )

    reply = await client.ask("DELETE", f"machine_snapshots/{first['$key']}")

    assert reply.status == 422


async def test_a_vm_moves_to_another_cluster(client: Client, world: World, stopped: VM) -> None:
    other = next(key for key in world.clusters if key != stopped.machine.cluster)

    assert (await client.act(stopped.key, "move", cluster=other)).status == 201

    assert stopped.machine.cluster == other
    assert (await client.act(stopped.key, "move", cluster=99)).status == 404


# All together.


@pytest.mark.parametrize("seed", range(2))
async def test_random_requests_leave_a_sound_world(
    client: Client, clock: FakeClock, world: World, seed: int
) -> None:
    walk = Walk(client, random.Random(seed))
    for number in range(120):
        status = await walk.step()
        assert status in (200, 201, 404, 409, 422)
        walk.statuses[status] += 1
        if number % 3 == 0:
            await clock.advance(walk.rng.choice((0.1, 1, 30)))
        await client.rows("tasks")  # the world advances with a request
        assert_sound(world)

    assert walk.statuses[200] + walk.statuses[201] > 50
    for table in ("vms", "machines", "machine_drives", "machine_nics", "machine_devices"):
        keys = [shown["$key"] for shown in await client.rows(table, fields="$key")]
        assert len(keys) == len(set(keys))


def assert_sound(world: World) -> None:
    for node in world.nodes.values():
        assert node.used_mb == sum(machine.memory_mb for machine in node.hosted.values())
    names = [vm.name for vm in world.live_vms()]
    assert len(names) == len(set(names))
    for vm in world.vms.values():
        assert world.machines[vm.machine.key] is vm.machine
        assert vm.snapshot_of is None or vm.snapshot_of in world.vms
        assert all(part.machine is vm.machine for part in vm.machine.parts)
        hosts = [node for node in world.nodes.values() if vm.machine.key in node.hosted]
        assert not hosts or vm.machine.status.wanted or vm.machine.status.word != "stopped"


class Walk:
    """Sends random requests about a few VMs."""

    def __init__(self, client: Client, rng: random.Random) -> None:
        self.rng = rng
        self.statuses: Counter[int] = Counter()
        self._client = client
        self._world = client.simulator.world

    async def step(self) -> int:
        live = list(self._world.live_vms())
        vm = self.rng.choice(live[-6:])
        ask, rng = self._client.ask, self.rng
        machine = vm.machine
        match rng.randrange(9):
            case 0:
                body: dict[str, Any] = {"name": f"vm-{rng.randrange(20)}", "cpu_cores": 2}
                reply = await ask("POST", "vms", json=body)
            case 1:
                body = {"ram": rng.choice((512, 1024, 4096)), "cpu_cores": rng.randint(1, 8)}
                reply = await ask("PUT", f"vms/{vm.key}", json=body)
            case 2:
                reply = await ask("DELETE", f"vms/{vm.key}")
            case 3:
                body = {"machine": machine.key, "disksize": GIB, "name": f"d{rng.randrange(5)}"}
                reply = await ask("POST", "machine_drives", json=body)
            case 4:
                body = {"machine": machine.key, "name": f"n{rng.randrange(5)}"}
                reply = await ask("POST", "machine_nics", json=body)
            case 5:
                key = rng.choice([drive.key for drive in machine.drives] or [0])
                reply = await ask("DELETE", f"machine_drives/{key}")
            case 6:
                expires = int(self._world.now) + rng.choice((1, 100))
                body = {"machine": machine.key, "name": "s", "expires": expires}
                reply = await ask("POST", "machine_snapshots", json=body)
            case 7:
                own = [one.key for one in self._world.vms.values() if one.snapshot_of == vm.key]
                name = rng.choice(({}, {"name": f"vm-{rng.randrange(20)}"}))
                snapshot = rng.choice(own or [0])
                reply = await self._client.act(vm.key, "restore", snapshot=snapshot, **name)
            case _:
                action = rng.choice(
                    ("poweron", "poweron", "kill", "clone", "migrate", "hibernate", "reset")
                )
                reply = await self._client.act(vm.key, action, graceful=True)
        return reply.status

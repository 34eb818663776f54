"""Responses to list requests."""

import json

import aiohttp
import pytest

from exporter.simulator import ApiBehavior, Simulator, World
from exporter.simulator.api.tables import TABLES
from exporter.simulator.world.machines import VM

from .client import Client
from .fakes import START, FakeClock

EVERY_TABLE_HAS_ROWS = sorted(
    set(TABLES) - {"tasks", "alarms", "alarm_types", "node_gpus", "node_gpu_stats"}
)


@pytest.mark.parametrize("table", EVERY_TABLE_HAS_ROWS)
async def test_every_table_is_a_list_of_objects(client: Client, table: str) -> None:
    for rows in (await client.rows(table), await client.rows(table, fields="all")):
        assert rows
        assert all(rows)


async def test_a_table_without_rows_is_an_empty_list(client: Client) -> None:
    assert (await client.ask("GET", "tasks")).body == b"[]"


async def test_an_unknown_table_is_not_found(client: Client) -> None:
    reply = await client.ask("GET", "unicorns")

    assert reply.status == 404
    assert set(reply.json) == {"err"}


async def test_version_needs_no_credentials(client: Client) -> None:
    reply = await client.ask("GET", "/version.json", headers={})

    assert reply.json == {"name": "v4", "version": "26.1.8", "hash": "simulated"}


async def test_the_power_state_of_a_vm_is_reached_by_a_join_only(
    client: Client, running: VM
) -> None:
    (row,) = await client.rows(
        "vms",
        filter=f"$key eq {running.key}",
        fields="name,running,status,powerstate,status#running,machine#status#running as on",
    )

    assert row == {"name": running.name, "on": True}


async def test_joins_follow_keys_from_table_to_table(client: Client, running: VM) -> None:
    (row,) = await client.rows(
        "vms",
        filter=f"$key eq {running.key}",
        fields="machine#status#node#name as node,machine#cluster#name as cluster,"
        "cluster#$display as again,machine#status#display(status) as shown",
    )

    assert row["node"].startswith("node")
    assert row["cluster"] == row["again"] == "production"
    assert row["shown"] == "Running"


async def test_a_stopped_vm_is_joined_to_no_node(client: Client, stopped: VM) -> None:
    (row,) = await client.rows(
        "machine_status",
        filter=f"machine eq {stopped.machine.key}",
        fields="node,node#name as node_name,running,status,state",
    )

    assert row == {
        "node": None,
        "node_name": None,
        "running": False,
        "status": "stopped",
        "state": "offline",
    }


async def test_fields_all_has_own_columns_and_bare_keys_of_subrows(client: Client) -> None:
    (row, *_) = await client.rows("machine_nics", fields="all", limit="1")

    assert isinstance(row["stats"], int)
    assert isinstance(row["status"], int)


async def test_fields_all_of_nodes_has_no_key(client: Client) -> None:
    (row, *_) = await client.rows("nodes", fields="all")

    assert "$key" not in row
    assert isinstance(row["id"], int)


async def test_subrows_are_objects(client: Client, running: VM) -> None:
    rows = await client.rows(
        "machine_nics",
        fields="$key,machine,name,stats[all],status[status,speed]",
        filter=f"machine eq {running.machine.key}",
    )

    assert rows[0]["stats"]["tx_pckts"] > 0
    assert rows[0]["status"] == {"status": "up", "speed": running.machine.nics[0].speed_mbps}


async def test_nic_of_a_machine_that_never_ran_has_no_stats(client: Client, running: VM) -> None:
    nic = running.machine.nics[0]
    client.simulator.world.power.stop_now(running.machine)
    client.simulator.world.power.force(running.machine, started=0.0)

    rows = await client.rows("machine_nics", fields="$key,stats[all]", filter=f"$key eq {nic.key}")

    assert rows == [{"$key": nic.key, "stats": None}]


async def test_unknown_fields_are_ignored(client: Client) -> None:
    rows = await client.rows("clusters", fields="$key,nonsense,name#nonsense as x,name")

    assert set(rows[0]) == {"$key", "name"}


async def test_fields_without_any_valid_name_count_the_rows(client: Client) -> None:
    assert await client.rows("nodes", fields=",") == [{"$count": 5}]


async def test_default_columns_of_machine_status(client: Client) -> None:
    (row, *_) = await client.rows("machine_status", limit="1")

    assert {"machine", "running", "status", "status_info", "migratable"} <= set(row)


async def test_no_limit_and_limit_zero_return_all_rows(client: Client, world: World) -> None:
    assert len(await client.rows("vms")) == len(world.vms)
    assert len(await client.rows("vms", limit="0")) == len(world.vms)


async def test_rows_are_sorted_before_paging(client: Client, world: World) -> None:
    keys = sorted(world.vms, reverse=True)

    rows = await client.rows("vms", fields="$key", sort="-$key", limit="3", offset="2")

    assert [row["$key"] for row in rows] == keys[2:5]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "name like 'a%'"},
        {"filter": "nonsense eq 1"},
        {"filter": "machine#status#running eq true"},
        {"sort": "nonsense"},
        {"limit": "many"},
        {"offset": "-1"},
    ],
)
async def test_an_invalid_argument_is_422(client: Client, query: dict[str, str]) -> None:
    reply = await client.ask("GET", "vms", query)

    assert (reply.status, reply.json) == (422, {"err": "Invalid argument"})


@pytest.mark.parametrize(
    ("mode", "status", "names"),
    [
        ("reject", 422, None),
        ("ignore", 200, {"node", "vm"}),
        ("aliases", 200, {"node"}),
        ("work", 200, {"node"}),
    ],
)
async def test_filter_on_joined_columns_is_configurable(
    world: World, clock: FakeClock, mode: str, status: int, names: set[str] | None
) -> None:
    behavior = ApiBehavior(joined_filters=mode)  # type: ignore[arg-type]
    async with (
        Simulator(world=world, clock=clock, behavior=behavior) as simulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(simulator, session)
        reply = await client.ask(
            "GET",
            "machine_drives",
            {
                "fields": "$key,machine#type as type",
                "filter": "type eq 'node' and media eq 'disk'",
            },
        )

    assert reply.status == status
    assert names is None or {row["type"] for row in reply.json} == names


async def test_an_alias_among_the_fields_filters_and_sorts(client: Client, world: World) -> None:
    query = {
        "fields": "$key,machine#status#running as running,machine#cpu_cores as cores",
        "filter": "running eq true and is_snapshot eq false",
        "sort": "-cores,+$key",
    }

    rows = await client.rows("vms", **query)

    running = [vm for vm in world.live_vms() if vm.machine.status.running]
    running.sort(key=lambda vm: (-vm.machine.cores, vm.key))
    assert [row["$key"] for row in rows] == [vm.key for vm in running]


@pytest.mark.parametrize("argument", ["filter", "sort"])
async def test_an_alias_that_is_not_among_the_fields_is_422(client: Client, argument: str) -> None:
    text = {"filter": "running eq true", "sort": "running"}[argument]

    reply = await client.ask("GET", "vms", {"fields": "$key", argument: text})

    assert (reply.status, reply.json) == (422, {"err": "Invalid argument"})


async def test_a_row_is_shown_by_its_key(client: Client, running: VM) -> None:
    reply = await client.ask("GET", f"vms/{running.key}", {"fields": "$key,name"})

    assert reply.json == {"$key": running.key, "name": running.name}
    assert (await client.ask("GET", "vms/99999")).status == 404
    assert (await client.ask("GET", "settings/cloud_name")).json["value"] == "northwind"


async def test_filter_accepts_both_kinds_of_quotes(client: Client) -> None:
    for text in ("key eq 'cloud_name'", 'key eq "cloud_name"'):
        (row,) = await client.rows("settings", filter=text)

        assert row["value"] == "northwind"


async def test_the_system_table_has_one_row(client: Client) -> None:
    rows = await client.rows("system", fields="$key,yb_version,os_version,cloud_name")

    assert rows == [
        {"$key": 1, "yb_version": "26.1.8", "os_version": "26.1.8", "cloud_name": "northwind"}
    ]


async def test_snapshots_are_rows_of_vms_and_may_carry_the_same_name(client: Client) -> None:
    rows = await client.rows("vms", fields="$key,name,is_snapshot")
    names = {row["name"] for row in rows if not row["is_snapshot"]}
    snapshots = [row for row in rows if row["is_snapshot"]]

    assert any(row["name"] in names for row in snapshots)
    assert len(names) == len(rows) - len(snapshots)


async def test_machine_status_is_not_only_about_vms(client: Client) -> None:
    kinds = {row["type"] for row in await client.rows("machines", fields="type")}

    assert kinds == {"vm", "node", "vnet", "tenant_node"}
    assert len(await client.rows("machine_status")) == len(await client.rows("machines"))


async def test_keys_of_different_tables_do_not_coincide(client: Client, running: VM) -> None:
    row = await client.status_of(running.machine.key)

    assert len({running.key, running.machine.key, row["$key"]}) == 3


async def test_a_guest_without_an_agent_is_an_empty_array(client: Client, world: World) -> None:
    rows = await client.rows("machine_status", fields="agent_version,agent_guest_info")
    silent = [row for row in rows if not row["agent_version"]]
    heard = [row["agent_guest_info"] for row in rows if row["agent_version"]]

    assert silent
    assert all(row["agent_guest_info"] == [] for row in silent)
    assert {type(info["fsinfo"]) for info in heard} == {list, dict}
    assert all(info["meminfo"]["ram_used"] < info["meminfo"]["ram_total"] for info in heard)


async def test_log_rows_count_microseconds_and_others_seconds(
    client: Client, running: VM, world: World
) -> None:
    world.operator_stops(running, user="anna")

    (row,) = await client.rows("logs", sort="-$key", limit="1")

    assert row["timestamp"] == round(START * 1_000_000)
    assert (row["user"], row["level"], row["object_name"]) == ("anna", "audit", running.name)


async def test_machine_logs_are_found_by_machine_and_time(
    client: Client, running: VM, world: World
) -> None:
    world.operator_stops(running, user="anna")
    key = running.machine.key

    rows = await client.rows(
        "machine_logs",
        fields="$key,machine,machine#name as machine_name,level,text,user,timestamp",
        filter=f"machine eq {key} and timestamp ge {round(START * 1e6)}",
    )

    assert [(row["machine_name"], row["text"]) for row in rows] == [
        (running.name, "VM action 'poweroff' sent")
    ]


async def test_tags_of_all_vms_come_with_one_request(
    client: Client, world: World, running: VM
) -> None:
    world.tag(running, "team/data")

    rows = await client.rows(
        "tag_members",
        fields="$key,tag,tag#name as tag_name,tag#category#name as category_name,member",
        filter=f"member eq 'vms/{running.key}'",
    )

    assert ("team", "data") in {(row["category_name"], row["tag_name"]) for row in rows}


CLUSTER_STATUS_FIELDS = (
    "status",
    "state",
    "total_nodes",
    "online_nodes",
    "running_machines",
    "total_ram",
    "online_ram",
    "used_ram",
    "total_cores",
    "online_cores",
    "used_cores",
    "phys_ram_used",
    "phys_vram_used",
    "phys_total_cpu",
    "last_update",
)


async def test_cluster_list_joins_the_cluster_status(client: Client, world: World) -> None:
    joined = ",".join(f"status#{name} as {name}" for name in CLUSTER_STATUS_FIELDS)
    (row,) = await client.rows("clusters", fields=f"$key,id,system,name,{joined}", limit="1")
    cluster = world.clusters[1]
    running = [machine for node in cluster.nodes for machine in node.hosted.values()]

    assert len(row.pop("id")) == 40
    assert 0 < row.pop("phys_ram_used") <= row["used_ram"] * 1024**2  # bytes, of guests' MB
    assert 0 < row.pop("phys_total_cpu") <= 100
    assert row == {
        "$key": cluster.key,
        "system": "self",
        "name": "production",
        "status": "online",
        "state": "online",
        "total_nodes": len(cluster.nodes),
        "online_nodes": len(cluster.nodes),
        "running_machines": len(running),
        "total_ram": sum(node.memory_mb for node in cluster.nodes),
        "online_ram": sum(node.memory_mb for node in cluster.nodes),
        "used_ram": sum(machine.memory_mb for machine in running),
        "total_cores": sum(node.cores for node in cluster.nodes),
        "online_cores": sum(node.cores for node in cluster.nodes),
        "used_cores": sum(machine.cores for machine in running),
        "phys_vram_used": 0,
        "last_update": int(START),
    }


async def test_cluster_status_is_the_same_in_a_join_a_subrow_and_its_own_table(
    client: Client,
) -> None:
    (status,) = await client.rows("cluster_status", fields="all", limit="1")
    (listed,) = await client.rows("clusters", fields="$key,status[all]", limit="1")
    one = await client.ask("GET", "clusters/1", {"fields": "status[cluster,online_nodes]"})

    assert listed == {"$key": status["cluster"], "status": status}
    assert set(status) == {"$key", "cluster", "status_info", *CLUSTER_STATUS_FIELDS}
    assert one.json == {"status": {"cluster": 1, "online_nodes": status["online_nodes"]}}


async def test_cluster_status_without_one_node(client: Client, world: World) -> None:
    fields = ",".join(CLUSTER_STATUS_FIELDS)
    (before,) = await client.rows("cluster_status", fields=fields, filter="cluster eq 1")
    node = next(node for node in world.clusters[1].nodes if node.hosted)
    lost = list(node.hosted.values())

    world.node_fails(node)
    (after,) = await client.rows("cluster_status", fields=fields, filter="cluster eq 1")

    assert (after["status"], after["state"]) == ("reduced", "warning")
    assert after["total_nodes"] == before["total_nodes"]
    assert after["online_nodes"] == before["online_nodes"] - 1
    assert after["total_ram"] == before["total_ram"]
    assert after["online_ram"] == before["online_ram"] - node.memory_mb
    assert after["online_cores"] == before["online_cores"] - node.cores
    assert after["running_machines"] == before["running_machines"] - len(lost)
    assert after["used_ram"] == before["used_ram"] - sum(one.memory_mb for one in lost)
    assert after["used_cores"] == before["used_cores"] - sum(one.cores for one in lost)


async def test_cluster_status_counts_a_migrating_machine_once(
    client: Client, world: World, running: VM
) -> None:
    query = {"fields": "running_machines,used_ram", "filter": "cluster eq 1"}
    (before,) = await client.rows("cluster_status", **query)
    world.migrate(running)
    world.advance(START + 0.6)
    (during,) = await client.rows("cluster_status", **query)

    assert running.machine.status.word == "startmigrate"
    assert during == before


async def test_cluster_list_has_the_configuration_columns(client: Client) -> None:
    fields = "enabled,compute,ram_per_unit,cost_per_unit,target_ram_pct,swap_tier,max_core_temp"
    (row,) = await client.rows("clusters", fields=fields, limit="1")

    assert row == {
        "enabled": True,
        "compute": True,
        "ram_per_unit": 4096,
        "cost_per_unit": 0.0,
        "target_ram_pct": 80.0,
        "swap_tier": -1,
        "max_core_temp": 90,
    }


async def test_percent_encoded_query(client: Client) -> None:
    path = "vms?fields=%24key%2Cmachine%23status%23running%20as%20on&filter=%24key%20eq%201"

    reply = await client.ask("GET", path)

    assert json.loads(reply.body) == [{"$key": 1, "on": True}]

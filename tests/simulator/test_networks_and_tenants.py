"""Simulated networks and tenants: their size, their life, and what each fault changes."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from exporter.collectors import (
    clusters,
    nics,
    nodes,
    tenant_networks,
    tenant_nodes,
    tenant_stats,
    tenant_storage,
    tenants,
    vms,
    vnet_monitor,
    vnets,
)
from exporter.collectors.inventory import join
from exporter.collectors.plan import tables_of
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.model import SystemReport
from exporter.simulator import create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.world import World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUBJECTS = (vnets, vnet_monitor, tenants, tenant_stats, tenant_nodes, tenant_storage)
COLLECTORS = tuple(module.COLLECTOR for module in (*SUBJECTS, tenant_networks))
NAMES_AND_STATES = tuple(module.COLLECTOR for module in (clusters, nodes, vms, nics))
FAMILIES = tuple(family for collector in COLLECTORS for family in collector.families)


def rows(world: World, table: str, **query: str) -> list[dict[str, Any]]:
    view = RequestView(world, now=world.now, stamp=world.now)
    return list_rows(TABLES[table], query, view).rows


def samples(world: World) -> dict[str, str]:
    """Return the value of each series that our collectors make of what the world answers."""
    read = {}
    for table in tables_of((*COLLECTORS, *NAMES_AND_STATES)):
        query = {"fields": ",".join(table.fields), "filter": table.condition(now=world.now)}
        answer = msgspec.json.encode(rows(world, table.endpoint, **query))
        read[table.name] = table.decode(answer).rows
    inventory = join(read, system_name="north", identity=None, taken_at=NOON)
    report = SystemReport("north", "", None, True, True, NOON, (), 1, 1, ())  # noqa: FBT003
    rendered = Renderer(FAMILIES).render(inventory, report)
    page = PageBuilder(FAMILIES).page([rendered], Format.CLASSIC).plain(b"").read().decode()
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {series: value for series, _, value in lines}


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        ("vnet_pending_rules", "vnet_firewall_apply_pending=1.0 vnet_dns_apply_pending=1.0"),
        ("vnet_down", "vnet_running=0.0 vnet_status_info=1.0"),
        ("vnet_unresponsive", "vnet_status_info=1.0"),
        ("gateway_lossy", "vnet_gateway_dropped_ratio=0.2 vnet_gateway_quality_ratio=0.8"),
        ("gateway_down", "vnet_gateway_dropped_ratio=1.0 vnet_gateway_quality_ratio=0.0"),
        (
            "gateway_slow",
            "vnet_gateway_latency_average_seconds=0.9 vnet_gateway_latency_peak_seconds=1.8",
        ),
        ("mtu_small", "vnet_info=1.0"),
        ("tenant_down", "tenant_running=0.0 tenant_status_info=1.0"),
        ("tenant_error", "tenant_status_info=1.0"),
        ("tenant_storage_full", "tenant_storage_used_bytes=1.04152956928e+12"),
    ],
)
def test_fault_changes_these_series_of_one_object_and_no_other(fault: str, changed: str) -> None:
    world = create_world(vms=12)
    before = samples(world)

    with world.faults.on(fault):
        after = samples(world)

    different = {
        f"{series.partition('{')[0].removeprefix('vergewatch_')}={value}"
        for series, value in after.items()
        if before.get(series) != value
    }
    assert different == set(changed.split())


def test_every_family_has_samples_in_a_healthy_system() -> None:
    names = {series.partition("{")[0] for series in samples(create_world(vms=12))}

    assert names == {family.name for family in FAMILIES}


def test_large_system_has_as_many_networks_and_tenants_as_asked_for() -> None:
    world = create_world(vms=50, vnets=500, tenants=200)

    running = rows(world, "vnets", fields="machine#status#running as up", filter="up eq true")
    real = rows(world, "tenants", fields="name", filter="is_snapshot eq false")

    assert len(rows(world, "vnets")) == 500
    assert len(running) == 500 - 3  # the networks between the nodes have no router; one is off
    assert len({row["name"] for row in real}) == 200


def test_vms_of_a_seed_do_not_depend_on_networks_and_tenants() -> None:
    few, many = create_world(seed=3, vms=30), create_world(seed=3, vms=30, vnets=60, tenants=9)

    assert [vm.uuid for vm in few.vms.values()] == [vm.uuid for vm in many.vms.values()]
    assert few.context.rng.random() == many.context.rng.random()


def test_tenant_is_reduced_while_one_of_its_nodes_is_off_and_has_an_error_without_nodes() -> None:
    world = create_world(vms=12)
    first, second = next(iter(world.tenants.values())).nodes
    found = []

    for node in (first, second):
        world.power.stop_now(node.machine)
        (row,) = rows(world, "tenant_status", filter="tenant eq 7")
        found.append((row["status"], row["state"], row["running"]))

    assert found == [("reduced", "warning", True), ("nodesoffline", "error", False)]


def test_history_is_listed_as_pyvergeos_asks_for_it() -> None:
    world = create_world(vms=12)
    network = next(iter(world.networks))

    newest, before = rows(
        world,
        "vnet_monitor_stats_history_short",
        filter=f"vnet eq {network} and timestamp ge {int(world.now) - 300}",
        sort="-timestamp",
        limit="2",
    )

    assert newest["timestamp"] - before["timestamp"] == 60
    assert newest["quality"] == 100

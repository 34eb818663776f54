"""A VergeOS that no longer updates the status of VMs, and a real daemon that shows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from exporter.simulator import Simulator, Timings, create_world
from tests.alert_rules.fast_rules import write_fast_rules
from tests.daemon.test_end_to_end import until
from tests.daemon_process import REAL_TIME, Daemon, Page, pointing_at, running
from tests.real_prometheus import prometheus

VM = "web-01"
NODE_FROZEN, SYSTEM_FROZEN = "vergewatch_node_status_frozen", "vergewatch_system_status_frozen"
VM_FROZEN, VM_RUNNING = "vergewatch_vm_status_frozen", "vergewatch_vm_running"
UPDATED = "vergewatch_system_status_update_timestamp_seconds"
SOON = {"VERGEWATCH_POLL__FROZEN_AFTER_SECONDS": "4"}


@asynccontextmanager
async def watched(**settings: str) -> AsyncIterator[tuple[Simulator, Daemon]]:
    """Run a daemon without recovery, and a simulator whose VMs are updated every second."""
    world = create_world(
        seed=1, vms=12, start=REAL_TIME.now().timestamp(), timings=Timings(heartbeat=1.0)
    )
    async with (
        Simulator(world=world, clock=REAL_TIME) as system,
        running({**pointing_at(system), **SOON, **settings}) as daemon,
    ):
        await daemon.until_up()
        yield system, daemon


def frozen(page: Page) -> bool:
    return page.get(SYSTEM_FROZEN) == [1]


async def test_frozen_writer_is_shown_and_each_vm_is_marked() -> None:
    async with watched() as (system, daemon):
        page = await daemon.page()
        assert page.one(SYSTEM_FROZEN) == 0
        assert set(page.get(NODE_FROZEN)) == {0}
        assert set(page.get(VM_FROZEN)) == {0}

        system.faults.turn_on("frozen_writer")
        system.world.crash(VM)
        page = await daemon.page_where(frozen)

        assert page.one(VM_RUNNING, vm_name=VM) == 1  # what VergeOS still says
        assert page.one(VM_FROZEN, vm_name=VM) == 1
        assert set(page.get(VM_FROZEN)) == {1}
        assert set(page.get(NODE_FROZEN)) == {1}
        assert page.get("vergewatch_up") == [1]
        assert REAL_TIME.now().timestamp() - page.one(UPDATED) >= 4
        status, text = await daemon.get("/-/ready")
        assert status == 200
        assert "status frozen (VergeOS no longer updates the status of VMs)" in text
        await until(lambda: "status.frozen" in daemon.events())

        system.faults.turn_off("frozen_writer")
        page = await daemon.page_where(lambda page: page.get(VM_RUNNING, vm_name=VM) == [0])
        page = await daemon.page_where(lambda page: not frozen(page))
        assert set(page.get(VM_FROZEN)) == {0}


async def test_frozen_system_fires_its_alert_in_prometheus_and_a_healthy_one_does_not(
    tmp_path: Path,
) -> None:
    write_fast_rules(tmp_path, 60)  # minutes become seconds
    rules = {"rule_files": ["*.rules.yml"]}
    firing = 'ALERTS{alertname=~"Verge(System|Node)StatusFrozen",alertstate="firing"}'
    async with (
        watched() as (system, daemon),
        prometheus(tmp_path, {"vergewatch": daemon.url}, every="500ms", **rules) as server,
    ):
        await server.ask_until("vergewatch_system_status_frozen == 0", 1)
        await REAL_TIME.sleep(8)
        assert await server.ask(firing) == []

        system.faults.turn_on("frozen_writer")
        ((labels, _),) = await server.ask_until(firing, 1)
        assert labels["alertname"] == "VergeSystemStatusFrozen"
        assert labels["system_name"] == system.world.system_name

        system.faults.turn_off("frozen_writer")
        await server.ask_until(firing, 0)


async def test_frozen_status_is_withdrawn_when_that_is_set() -> None:
    async with watched(VERGEWATCH_POLL__FROZEN_STATUS="withdraw") as (system, daemon):
        before = await daemon.page()

        system.faults.turn_on("frozen_writer")
        page = await daemon.page_where(frozen)

        assert page.get(VM_RUNNING) == []
        assert page.get("vergewatch_node_running") == []
        assert page.get("vergewatch_vm_cpu_usage_ratio") == []
        assert page.get("vergewatch_up") == [0]
        assert set(page.get(VM_FROZEN)) == {1}
        assert len(page.get("vergewatch_vm_enabled")) == len(before.get("vergewatch_vm_enabled"))
        assert (await daemon.get("/-/ready"))[0] == 503

        system.faults.turn_off("frozen_writer")
        page = await daemon.until_up()
        assert len(page.get(VM_RUNNING)) == len(before.get(VM_RUNNING))


async def test_system_whose_vms_are_all_off_is_not_frozen() -> None:
    async with watched() as (system, daemon):
        for vm in system.world.live_vms():
            if vm.machine.status.running:
                system.world.operator_stops(vm, graceful=False)
        await daemon.page_where(lambda page: set(page.get(VM_RUNNING)) == {0})
        await REAL_TIME.sleep(8)
        page = await daemon.page()

        assert page.get(SYSTEM_FROZEN) == page.get(NODE_FROZEN) == page.get(UPDATED) == []
        assert set(page.get(VM_FROZEN)) == {0}
        assert page.get("vergewatch_up") == [1]

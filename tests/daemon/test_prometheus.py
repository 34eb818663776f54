"""A real Prometheus scrapes the daemon and is asked what it knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.daemon_process import pointing_at, running, simulating
from tests.real_prometheus import prometheus


@asynccontextmanager
async def old_fashioned(url: str) -> AsyncIterator[str]:
    """Stand between a daemon and a Prometheus, as one that has never heard of OpenMetrics."""

    async def forward(request: web.Request) -> web.Response:
        async with http.get(url + request.path, headers={"Accept": "text/plain"}) as answer:
            body = await answer.read()
            return web.Response(body=body, headers={"Content-Type": answer.headers["Content-Type"]})

    app = web.Application()
    app.router.add_get("/metrics", forward)
    runner = web.AppRunner(app)
    async with aiohttp.ClientSession() as http:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


async def test_prometheus_scrapes_the_state_of_the_system_in_both_formats(tmp_path: Path) -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        await daemon.until_up()
        async with (
            old_fashioned(daemon.url) as classic,
            prometheus(tmp_path, {"openmetrics": daemon.url, "classic": classic}) as server,
        ):
            vms = list(system.world.live_vms())
            running_ones = {str(vm.key) for vm in vms if vm.machine.status.running}
            memory = sum(vm.machine.memory_mb for vm in vms) * 2**20

            running_nics = [
                nic for vm in vms if vm.machine.status.running for nic in vm.machine.nics
            ]

            for job in ("openmetrics", "classic"):
                mine = f'{{job="{job}"}}'
                found = await server.ask_until(f"vergewatch_vm_running{mine}", len(vms))
                assert {labels["vm_id"] for labels, up in found if up == 1} == running_ones
                total = await server.ask(
                    f'sum(vergewatch_vm_configured_memory_bytes{{job="{job}"}})'
                )
                assert total[0][1] == memory
                words = await server.ask(f"vergewatch_vm_status_info{mine}")
                assert {labels["vm_id"]: labels["status"] for labels, _ in words} == {
                    str(vm.key): vm.machine.status.word for vm in vms
                }
                await server.ask_until(
                    f"rate(vergewatch_vm_nic_receive_bytes_total{mine}[10s]) > 0",
                    len(running_nics),
                )
            assert {target["lastError"] for target in (await server.targets()).values()} == {""}
            described = await server.metadata("vergewatch_vm_running")
            assert described["type"] == "gauge"
            assert "machine_status.running" in described["help"]


async def test_series_of_an_unreachable_system_become_stale_in_prometheus(tmp_path: Path) -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        await daemon.until_up()
        async with prometheus(tmp_path, {"vergewatch": daemon.url}) as server:
            vms = len(list(system.world.live_vms()))
            await server.ask_until("vergewatch_vm_running", vms)

            await system.stop()

            await server.ask_until("vergewatch_up == 0", 1)
            await server.ask_until("vergewatch_vm_running", 0)
            assert await server.ask("up") != []


@pytest.mark.parametrize("example", ["vergewatch_vm_cpu_usage_ratio", "vergewatch_vm_running"])
async def test_documented_join_works(tmp_path: Path, example: str) -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        await daemon.until_up()
        async with prometheus(tmp_path, {"vergewatch": daemon.url}) as server:
            place = "group_left (cluster_name, node_name) vergewatch_vm_info"
            query = f"{example} * on (system_name, vm_id) {place}"
            await server.ask_until("vergewatch_vm_info", len(list(system.world.live_vms())))

            found = await server.ask(query)

            assert found
            assert all(labels["cluster_name"] for labels, _ in found)

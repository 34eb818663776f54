"""The HTTP server: socket, recorded requests and time."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest

from exporter.simulator import Simulator, World
from exporter.simulator.world.machines import VM

from .client import Client
from .fakes import FakeClock, settle


async def test_a_simulator_comes_back_on_the_same_port(client: Client) -> None:
    simulator, url = client.simulator, client.simulator.url
    await client.ask("GET", "vms")

    await simulator.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.ask("GET", "vms")

    await simulator.start()
    assert simulator.url == url
    assert (await client.ask("GET", "vms")).status == 200


async def test_stop_aborts_open_requests(client: Client) -> None:
    client.simulator.faults.turn_on("hang")
    asking = asyncio.create_task(client.ask("POST", "vm_actions"))
    while not client.simulator.requests:
        await settle(1)

    await client.simulator.stop()

    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_start_and_stop_are_idempotent(world: World, clock: FakeClock) -> None:
    simulator = Simulator(world=world, clock=clock)
    await simulator.stop()
    await simulator.start()
    await simulator.start()
    assert simulator.running
    await simulator.stop()
    await simulator.stop()
    assert not simulator.running


async def test_a_simulator_has_no_address_before_its_first_start(
    world: World, clock: FakeClock
) -> None:
    with pytest.raises(RuntimeError, match="first start"):
        _ = Simulator(world=world, clock=clock).url


async def test_requests_are_recorded(client: Client, clock: FakeClock) -> None:
    await clock.advance(7)
    await client.ask("GET", "vms", {"limit": "1"})
    await client.ask("GET", "unicorns", headers={})
    await client.act(1, "dance")

    first, second, third = client.simulator.requests
    assert (first.at, first.method, first.path) == (7.0, "GET", "/api/v4/vms")
    assert dict(first.query) == {"limit": "1"}
    assert (first.status, first.user, first.means) == (200, "vergewatch", "key")
    assert (second.status, second.user) == (401, None)
    assert third.body == {"vm": 1, "action": "dance", "params": {}}


async def test_world_follows_the_clock(client: Client, clock: FakeClock, world: World) -> None:
    (before,) = await client.rows("machine_nic_stats", limit="1")
    await clock.advance(3600)
    (after,) = await client.rows("machine_nic_stats", limit="1")

    assert after["tx_bytes"] > before["tx_bytes"]
    assert world.now == clock.now().timestamp()


async def test_event_happens_at_the_clocks_time(
    simulator: Simulator, clock: FakeClock, world: World, running: VM
) -> None:
    await clock.advance(100)
    world.crash(running)

    assert world.history[-1].at == clock.now().timestamp()


async def test_an_unknown_method_is_405(client: Client) -> None:
    assert (await client.ask("PATCH", "vms/1")).status == 405


async def test_paths_outside_the_api_are_not_found(client: Client) -> None:
    assert (await client.ask("GET", "/somewhere")).status == 404


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    file = tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-keyout", str(tmp_path / "key.pem"), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


async def test_server_with_tls(world: World, clock: FakeClock, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.parent / "key.pem")
    async with (
        Simulator(world=world, clock=clock, ssl_context=context) as simulator,
        aiohttp.ClientSession() as session,
    ):
        assert simulator.url.startswith("https://")
        async with session.get(f"{simulator.url}/version.json", ssl=False) as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{simulator.url}/version.json")

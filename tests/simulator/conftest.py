from collections.abc import AsyncIterator

import aiohttp
import pytest

from exporter.simulator import Simulator, World, create_world
from exporter.simulator.world.machines import VM

from .client import Client
from .fakes import START, FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world() -> World:
    return create_world(seed=4, vms=30, start=START)


@pytest.fixture
async def simulator(world: World, clock: FakeClock) -> AsyncIterator[Simulator]:
    async with Simulator(world=world, clock=clock, burst_limit=None) as simulator:
        yield simulator


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(simulator, session)


@pytest.fixture
def running(world: World) -> VM:
    """Return a VM that runs, obeys a graceful power-off in ten seconds, and may migrate."""
    vm = next(vm for vm in world.live_vms() if vm.machine.status.running and vm.service is None)
    vm.machine.shutdown_seconds = 10.0
    vm.machine.migratable = True
    vm.disable_powercycle = False
    return vm


@pytest.fixture
def stopped(world: World, running: VM) -> VM:
    vm = next(vm for vm in world.live_vms() if vm.machine.status.running and vm is not running)
    world.power.stop_now(vm.machine)
    vm.enabled = True
    return vm

"""The API requests of one hour, counted by the simulator on a simulated clock."""

from pydantic import SecretStr

from exporter.config.settings import APISettings, PollSettings, SystemSettings, TLSSettings
from exporter.daemon.clients import ResolvedSystem, connect, make_session, table_schedules
from exporter.polling.poller import Plan, Poller, PollResult
from exporter.polling.schedule import requests_per_hour
from exporter.recovery.observe.inventory_checks import Poll
from exporter.simulator import Simulator, found_world
from exporter.telemetry import Telemetry
from exporter.vergeos.inventory import join
from exporter.vergeos.operations import Operations
from exporter.vergeos.source import IDENTITY, VergeOSSource
from tests.bench import thinking
from tests.fakes import START, FakeClock

HOUR_SECONDS = 3600
CRASH_EVERY_SECONDS = 600


def planned_requests(*, recovery: bool = False) -> float:
    """Return the requests per hour of the default schedule."""
    return requests_per_hour(table_schedules(PollSettings(), tags=recovery))


async def requests_of_an_hour(vms: int, *, share: float = 1.0, recovery: bool = False) -> float:
    """
    Poll a system with *vms* VMs for *share* of an hour; return the requests per hour.

    Args:
        recovery: Run recovery in shadow mode, and crash a VM every `CRASH_EVERY_SECONDS`.

    """
    clock = FakeClock(hurried=True)
    world = found_world(seed=1, vms=vms, start=START.timestamp())
    async with (
        Simulator(world=world, clock=clock) as system,
        make_session(TLSSettings()) as session,
    ):
        settings = ResolvedSystem(
            SystemSettings(url=system.url, api_key=SecretStr(system.api_key)),
            PollSettings(),
            APISettings(),
        )
        client = connect(settings, session, Telemetry().meter("bench"), clock)
        results: list[PollResult] = []
        engine = thinking.recovery_of(Operations(client, client, clock), clock)
        poller = Poller(
            VergeOSSource(client),
            join,
            lambda inventory, report: None,
            Plan(
                table_schedules(settings.poll, tags=recovery),
                IDENTITY,
                settings.poll.stale_after_polls,
            ),
            name="bench",
            url=system.url,
            clock=clock,
            rename=lambda name: name,
            requests_remaining=lambda: 0,
            tell=results.append if recovery else None,
        )
        await poller.poll()  # the first poll reads every table, and does not count
        before = len(system.requests)
        while clock.elapsed < HOUR_SECONDS * share:
            clock.elapsed += 1
            if recovery and clock.elapsed % CRASH_EVERY_SECONDS == CRASH_EVERY_SECONDS / 2:
                world.crash(next(vm for vm in world.live_vms() if vm.machine.status.running))
            await poller.poll()
            while results:
                await engine.take(Poll(*results.pop()))
        assert poller.report.up
        return (len(system.requests) - before) / share

"""The API requests of one hour, counted by the simulator on a simulated clock."""

from pydantic import SecretStr

from exporter.collectors.inventory import join
from exporter.config.recovery import RecoverySettings
from exporter.config.settings import Settings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.daemon.clients import connect, make_session
from exporter.model import PollResult
from exporter.polling.plan import Plan
from exporter.polling.poller import Poller
from exporter.polling.schedule import requests_per_hour
from exporter.recovery.model.limits import Mode
from exporter.simulator import Simulator
from exporter.telemetry import Telemetry
from exporter.vergeos.operations import Operations
from exporter.vergeos.source import VergeOSSource
from tests.bench import thinking
from tests.bench.platform import world_of
from tests.fakes import FakeClock

HOUR_SECONDS = 3600
CRASH_EVERY_SECONDS = 600


def resolved(url: str, *, recovery: bool, api_key: str = "key") -> ResolvedSystem:
    system = SystemSettings(url=url, api_key=SecretStr(api_key))
    recovery_settings = RecoverySettings(mode=Mode.SHADOW if recovery else Mode.OFF)
    return resolve_systems(Settings(systems=(system,), recovery=recovery_settings))[0]


def planned_requests(*, recovery: bool = False) -> float:
    """Return the requests per hour of the default schedule."""
    settings = resolved("http://bench", recovery=recovery)
    return requests_per_hour([*settings.schedules, *settings.besides])


async def requests_of_an_hour(vms: int, *, share: float = 1.0, recovery: bool = False) -> float:
    """
    Poll a system with *vms* VMs for *share* of an hour; return the requests per hour.

    Args:
        recovery: Run recovery in shadow mode, and crash a VM every `CRASH_EVERY_SECONDS`.

    """
    clock = FakeClock(hurried=True)
    world = world_of(vms)
    async with (
        Simulator(world=world, clock=clock) as system,
        make_session(TLSSettings()) as session,
    ):
        settings = resolved(system.url, recovery=recovery, api_key=system.api_key)
        client = connect(settings, session, Telemetry().meter("bench"), clock)
        results: list[PollResult] = []
        engine = thinking.recovery_of(Operations(client, client, clock), clock)
        poller = Poller(
            VergeOSSource(client, settings.tables),
            join,
            lambda inventory, report: None,
            Plan(settings.schedules, settings.poll.stale_after_polls),
            name="bench",
            url=system.url,
            clock=clock,
            rename=lambda name: name,
            requests_remaining=lambda: 0,
            on_poll=results.append if recovery else None,
        )
        await poller.poll()  # the first poll reads every table, and does not count
        before = len(system.requests)
        while clock.elapsed < HOUR_SECONDS * share:
            clock.elapsed += 1
            if recovery and clock.elapsed % CRASH_EVERY_SECONDS == CRASH_EVERY_SECONDS / 2:
                world.crash(next(vm for vm in world.live_vms() if vm.machine.status.running))
            await poller.poll()
            while results:
                await engine.process(results.pop())
        assert poller.report.up
        return (len(system.requests) - before) / share

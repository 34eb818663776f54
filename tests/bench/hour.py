"""The requests that watching a cloud costs, counted on a held clock and over real sockets."""

from pydantic import SecretStr

from exporter.config.settings import APISettings, PollSettings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem, table_schedules
from exporter.daemon.clients import connect, make_session
from exporter.polling.poller import Plan, Poller, PollResult
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


async def requests_of_an_hour(vms: int, *, share: float = 1.0, recovery: bool = False) -> float:
    """
    Poller *vms* VMs for *share* of a steady hour; return what a whole one would cost.

    Args:
        recovery: Whether recovery is on, in shadow mode, with a VM that crashes now and then.

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
        client = connect(settings, session, Telemetry().meter("cloud"), clock)
        rounds: list[PollResult] = []
        thinker = thinking.recovery_of(Operations(client, client, clock), clock)
        watch = Poller(
            VergeOSSource(client),
            join,
            lambda inventory, report: None,
            Plan(
                table_schedules(settings.poll, tags=recovery),
                IDENTITY,
                settings.poll.stale_after_polls,
            ),
            name="cloud",
            url=system.url,
            clock=clock,
            rename=lambda name: name,
            requests_remaining=lambda: 0,
            tell=rounds.append if recovery else None,
        )
        await watch.poll()  # the first reads everything, and is no part of a steady hour
        seen = len(system.requests)
        while clock.elapsed < HOUR_SECONDS * share:
            clock.elapsed += 1
            if recovery and clock.elapsed % CRASH_EVERY_SECONDS == CRASH_EVERY_SECONDS / 2:
                world.crash(next(vm for vm in world.live_vms() if vm.machine.status.running))
            await watch.poll()
            while rounds:
                await thinker.take(Poll(*rounds.pop()))
        assert watch.report.up
        return (len(system.requests) - seen) / share

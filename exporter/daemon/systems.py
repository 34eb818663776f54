"""The clouds that are watched: started, exchanged and stopped as the settings say."""

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import msgspec
import structlog

from exporter.alerting.alerting import Alerting
from exporter.clock import Clock
from exporter.daemon.clients import CloudSettings, beats, connect, connect_actions, make_sessions
from exporter.daemon.recovery_worker import Archive, Rescue, setup
from exporter.errors import ConfigError
from exporter.exposition.cache import Shelf
from exporter.exposition.renderer import Renderer
from exporter.model import Snapshot, SystemReport
from exporter.polling.poller import Plan, Watch
from exporter.recovery.engine import Recovery
from exporter.telemetry import SystemMeter, Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.inventory import join
from exporter.vergeos.operations import Operations
from exporter.vergeos.source import IDENTITY, VergeOSSource

log = structlog.get_logger()


class _Draughtsman:
    """
    Draws one cloud's pictures and puts them on the shelf; called in worker threads.

    Args:
        meter: Told how long it took; also what stands for the cloud on the shelf.
        recovery: Of the same cloud, to be shown on the same page.

    """

    def __init__(
        self, shelf: Shelf, meter: SystemMeter, clock: Clock, recovery: Recovery | None
    ) -> None:
        self.recovery = recovery
        self._renderer = Renderer()
        self._shelf = shelf
        self._meter = meter
        self._clock = clock
        self._told: frozenset[str] = frozenset()

    def __call__(self, snapshot: Snapshot | None, report: SystemReport, /) -> None:
        started = self._clock.monotonic()
        if self.recovery is not None:
            report = msgspec.structs.replace(report, recovery=self.recovery.report)
        rendered = self._renderer.render(snapshot, report)
        if not self._shelf.put(self._meter, rendered):
            return  # the cloud is watched no longer
        duplicates = frozenset(rendered.duplicates)
        self._meter.drawn(self._clock.monotonic() - started, duplicates=len(duplicates))
        for label in sorted(duplicates - self._told):
            log.warning("series.duplicate", system=report.system_name, labels=label)
        self._told |= duplicates


class _Cloud(NamedTuple):
    settings: CloudSettings
    watch: Watch
    clients: Sequence[VergeOSClient]
    sessions: Sequence[aiohttp.ClientSession]
    meter: SystemMeter
    recovery: Recovery | None
    tasks: Sequence[asyncio.Task[Any]]

    @property
    def client(self) -> VergeOSClient:
        """The one that polls."""
        return self.clients[0]


class Fleet:
    """
    Every cloud that is watched, each with a connection, a budget and failures of its own.

    Args:
        parts: The group that the watching runs in: a bug in one of them ends the process.
        archive: Where recovery writes down what it does.
        alerting: Knows which silences hold recovery back.

    """

    def __init__(
        self,
        parts: asyncio.TaskGroup,
        shelf: Shelf,
        telemetry: Telemetry,
        clock: Clock,
        archive: Archive,
        alerting: Alerting,
    ) -> None:
        self._archive = archive
        self._alerting = alerting
        self._parts = parts
        self._shelf = shelf
        self._telemetry = telemetry
        self._clock = clock
        self._clouds: list[_Cloud] = []
        self._changing = asyncio.Lock()
        self._stopped = False

    def reports(self) -> Sequence[SystemReport]:
        """Return how the watching of each cloud is going, in the order of the configuration."""
        return [
            cloud.watch.report
            if cloud.recovery is None
            else msgspec.structs.replace(cloud.watch.report, recovery=cloud.recovery.report)
            for cloud in self._clouds
        ]

    def recoveries(self) -> Mapping[str, Recovery]:
        """Return the recovery of each cloud where it is not off, by the cloud's name."""
        return {
            cloud.meter.system_name: cloud.recovery
            for cloud in self._clouds
            if cloud.recovery is not None
        }

    async def apply(self, wanted: Sequence[CloudSettings]) -> None:
        """
        Watch the *wanted* clouds and no others; one whose settings are unchanged notices nothing.

        Raises:
            ConfigError: One of them cannot be connected to; nothing has changed then.

        """
        async with self._changing:
            if not self._stopped:
                await self._exchange(wanted)

    async def stop(self) -> None:
        """Watch nothing any more, and give back what was borrowed."""
        self._stopped = True
        async with self._changing:
            clouds, self._clouds = self._clouds, []
            await asyncio.gather(*(self._stop(cloud) for cloud in clouds))

    async def _exchange(self, wanted: Sequence[CloudSettings]) -> None:
        kept = {cloud.settings: cloud for cloud in self._clouds if cloud.settings in wanted}
        sessions: dict[CloudSettings, Sequence[aiohttp.ClientSession]] = {}
        try:
            for settings in wanted:
                if settings not in kept:
                    sessions[settings] = make_sessions(settings)
        except ConfigError:
            for session in itertools.chain(*sessions.values()):
                await session.close()
            raise
        former = {cloud.settings.system.url: cloud.client for cloud in self._clouds}
        for cloud in self._clouds:
            if cloud.settings not in kept:
                await self._stop(cloud)
        self._clouds = list(kept.values())
        for settings, some in sessions.items():
            after = former.get(settings.system.url)
            self._clouds.append(self._start(settings, some, after))
        self._clouds.sort(key=lambda cloud: wanted.index(cloud.settings))

    def _start(
        self,
        settings: CloudSettings,
        sessions: Sequence[aiohttp.ClientSession],
        former: VergeOSClient | None,
    ) -> _Cloud:
        system = settings.system
        if not system.tls.verify:
            log.warning("tls.unverified", url=system.url, risk="anybody on the way can read along")
        elif system.url.startswith("http://") and not settings.is_on_this_machine:
            log.warning("tls.absent", url=system.url, risk="anybody on the way can read along")
        name = self._free_name(system.name or settings.host, settings.host)
        meter = self._telemetry.meter(name)
        self._shelf.add(meter)
        client = connect(settings, sessions[0], meter, self._clock)
        if former is not None:
            client.carry_on(former)
        rescue, hands = None, list[VergeOSClient]()
        if settings.recovers:
            hands = [
                connect(settings, sessions[1], meter, self._clock, client.budget),
                connect_actions(settings, sessions[2], meter, self._clock, client.budget),
            ]
            # A key that is refused must cost one request, not one for each of us.
            hands[0].share_refusals(client)
            if not settings.system.acts_with_another_key:
                hands[1].share_refusals(client)
            rescue = self._rescue(settings, hands, meter)
        recovery = rescue.recovery if rescue is not None else None
        watch = Watch(
            VergeOSSource(client, page_rows=settings.api.page_rows),
            join,
            _Draughtsman(self._shelf, meter, self._clock, recovery),
            Plan(
                beats(settings.poll, tags=settings.recovers),
                IDENTITY,
                settings.poll.stale_after_polls,
            ),
            name=meter.system_name,
            url=system.url,
            clock=self._clock,
            rename=lambda cloud_name: self._rename(settings, meter, cloud_name),
            requests_left=lambda: client.budget.left(at=self._clock.monotonic()),
            tell=rescue.tell if rescue is not None else None,
        )
        tasks = [self._parts.create_task(watch.run(), name=f"watch {system.url}")]
        if rescue is not None:
            tasks.append(self._parts.create_task(rescue.run(), name=f"recovery {system.url}"))
        return _Cloud(settings, watch, (client, *hands), sessions, meter, recovery, tasks)

    def _rescue(
        self, settings: CloudSettings, hands: Sequence[VergeOSClient], meter: SystemMeter
    ) -> Rescue:
        """Return the recovery of a cloud, with connections of its own: it must not queue."""
        reader, actor = hands
        url = settings.system.url
        silences = self._alerting.silences_of(lambda: meter.system_name)
        return Rescue(
            Recovery(
                url,
                lambda: self._archive.book(url),
                Operations(reader, actor, self._clock),
                setup(settings.recovery, settings.recovery_mode)._replace(silences=silences),
                self._clock,
                dice=random.random,
                meter=self._telemetry.recovery_meter(meter),
            )
        )

    async def _stop(self, cloud: _Cloud) -> None:
        for task in cloud.tasks:
            task.cancel()
        await asyncio.wait(cloud.tasks)  # how they ended is the task group's business
        for client in cloud.clients:
            await client.close()
        for session in cloud.sessions:
            await session.close()
        self._shelf.remove(cloud.meter)
        self._telemetry.forget(cloud.meter.system_name)

    def _rename(self, settings: CloudSettings, meter: SystemMeter, cloud_name: str) -> str:
        """Return what to call a cloud that calls itself *cloud_name*; its owner knows better."""
        if settings.system.name is None:
            name = self._free_name(cloud_name, settings.host, besides=meter)
            if name != cloud_name:
                log.warning(
                    "system.name_taken",
                    name=cloud_name,
                    uses=name,
                    advice="give each of these systems a name",
                )
            meter.rename(name)
        return meter.system_name

    def _free_name(self, name: str, host: str, *, besides: SystemMeter | None = None) -> str:
        """Return *name*, or one like it that no other cloud has: series must not get mixed up."""
        taken = {cloud.meter.system_name for cloud in self._clouds if cloud.meter is not besides}
        return f"{name} ({host})" if name in taken else name

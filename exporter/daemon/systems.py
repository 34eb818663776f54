"""The clouds that are watched: started, exchanged and stopped as the settings say."""

import asyncio
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import msgspec
import structlog

from exporter.alerting.alerting import Alerting
from exporter.clock import Clock
from exporter.collectors.inventory import join
from exporter.config.recovery_setup import recovery_setup
from exporter.config.systems import ResolvedSystem
from exporter.daemon.clients import connect, connect_actions, make_sessions
from exporter.daemon.recovery_worker import JournalHandle, RecoveryWorker
from exporter.errors import ConfigError
from exporter.exposition.cache import PageCache
from exporter.exposition.collector import Family
from exporter.exposition.renderer import Renderer
from exporter.model import Inventory, SystemReport
from exporter.polling.poller import Plan, Poller
from exporter.recovery.engine import Recovery
from exporter.telemetry import SystemMeter, Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.operations import Operations
from exporter.vergeos.source import IDENTITY, VergeOSSource

log = structlog.get_logger()


class PagePublisher:
    """
    Draws one cloud's pictures and puts them on the cache; called in worker threads.

    Args:
        meter: Told how long it took; also what stands for the cloud on the cache.
        recovery: Of the same cloud, to be shown on the same page.

    """

    def __init__(
        self,
        families: Iterable[Family],
        cache: PageCache,
        meter: SystemMeter,
        clock: Clock,
        recovery: Recovery | None,
    ) -> None:
        self.recovery = recovery
        self._renderer = Renderer(families)
        self._cache = cache
        self._meter = meter
        self._clock = clock
        self._told: frozenset[str] = frozenset()

    def __call__(self, inventory: Inventory | None, report: SystemReport, /) -> None:
        started = self._clock.monotonic()
        if self.recovery is not None:
            report = msgspec.structs.replace(report, recovery=self.recovery.report)
        rendered = self._renderer.render(inventory, report)
        if not self._cache.put(self._meter, rendered):
            return  # the cloud is watched no longer
        duplicates = frozenset(rendered.duplicates)
        self._meter.rendered_in(self._clock.monotonic() - started, duplicates=len(duplicates))
        for label in sorted(duplicates - self._told):
            log.warning("series.duplicate", system=report.system_name, labels=label)
        self._told |= duplicates


class WatchedSystem(NamedTuple):
    settings: ResolvedSystem
    watch: Poller
    clients: Sequence[VergeOSClient]
    sessions: Sequence[aiohttp.ClientSession]
    meter: SystemMeter
    recovery: Recovery | None
    tasks: Sequence[asyncio.Task[Any]]

    @property
    def client(self) -> VergeOSClient:
        """The one that polls."""
        return self.clients[0]


class SystemManager:
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
        cache: PageCache,
        telemetry: Telemetry,
        clock: Clock,
        archive: JournalHandle,
        alerting: Alerting,
    ) -> None:
        self._archive = archive
        self._alerting = alerting
        self._parts = parts
        self._cache = cache
        self._telemetry = telemetry
        self._clock = clock
        self._watched: list[WatchedSystem] = []
        self._changing = asyncio.Lock()
        self._stopped = False

    def reports(self) -> Sequence[SystemReport]:
        """Return how the watching of each cloud is going, in the order of the configuration."""
        return [
            watched.watch.report
            if watched.recovery is None
            else msgspec.structs.replace(watched.watch.report, recovery=watched.recovery.report)
            for watched in self._watched
        ]

    def recoveries(self) -> Mapping[str, Recovery]:
        """Return the recovery of each cloud where it is not off, by the cloud's name."""
        return {
            watched.meter.system_name: watched.recovery
            for watched in self._watched
            if watched.recovery is not None
        }

    async def apply(self, wanted: Sequence[ResolvedSystem]) -> None:
        """
        Poller the *wanted* clouds and no others; one whose settings are unchanged notices nothing.

        Raises:
            ConfigError: One of them cannot be connected to; nothing has changed then.

        """
        async with self._changing:
            if not self._stopped:
                await self._exchange(wanted)

    async def stop(self) -> None:
        """Poller nothing any more, and give back what was borrowed."""
        self._stopped = True
        async with self._changing:
            watched_systems, self._watched = self._watched, []
            await asyncio.gather(*(self._stop(watched) for watched in watched_systems))

    async def _exchange(self, wanted: Sequence[ResolvedSystem]) -> None:
        kept = {
            watched.settings: watched for watched in self._watched if watched.settings in wanted
        }
        sessions: dict[ResolvedSystem, Sequence[aiohttp.ClientSession]] = {}
        try:
            for settings in wanted:
                if settings not in kept:
                    sessions[settings] = make_sessions(settings)
        except ConfigError:
            for session in itertools.chain(*sessions.values()):
                await session.close()
            raise
        former = {watched.settings.system.url: watched.client for watched in self._watched}
        for watched in self._watched:
            if watched.settings not in kept:
                await self._stop(watched)
        self._watched = list(kept.values())
        for settings, some in sessions.items():
            after = former.get(settings.system.url)
            self._watched.append(self._start(settings, some, after))
        self._watched.sort(key=lambda watched: wanted.index(watched.settings))

    def _start(
        self,
        settings: ResolvedSystem,
        sessions: Sequence[aiohttp.ClientSession],
        former: VergeOSClient | None,
    ) -> WatchedSystem:
        system = settings.system
        if not system.tls.verify:
            log.warning("tls.unverified", url=system.url, risk="anybody on the way can read along")
        elif system.url.startswith("http://") and not settings.is_on_this_machine:
            log.warning("tls.absent", url=system.url, risk="anybody on the way can read along")
        name = self._free_name(system.name or settings.host, settings.host)
        meter = self._telemetry.meter(name)
        self._cache.add(meter)
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
        watch = Poller(
            VergeOSSource(client, settings.tables, page_rows=settings.api.page_rows),
            join,
            PagePublisher(
                [family for one in settings.collectors for family in one.families],
                self._cache,
                meter,
                self._clock,
                recovery,
            ),
            Plan(settings.schedules, IDENTITY, settings.poll.stale_after_polls),
            name=meter.system_name,
            url=system.url,
            clock=self._clock,
            rename=lambda cloud_name: self._rename(settings, meter, cloud_name),
            requests_remaining=lambda: client.budget.left(at=self._clock.monotonic()),
            on_poll=rescue.tell if rescue is not None else None,
        )
        tasks = [self._parts.create_task(watch.run(), name=f"watch {system.url}")]
        if rescue is not None:
            tasks.append(self._parts.create_task(rescue.run(), name=f"recovery {system.url}"))
        return WatchedSystem(settings, watch, (client, *hands), sessions, meter, recovery, tasks)

    def _rescue(
        self, settings: ResolvedSystem, hands: Sequence[VergeOSClient], meter: SystemMeter
    ) -> RecoveryWorker:
        """Return the recovery of a cloud, with connections of its own: it must not queue."""
        reader, actor = hands
        url = settings.system.url
        silences = self._alerting.silences_of(lambda: meter.system_name)
        return RecoveryWorker(
            Recovery(
                url,
                lambda: self._archive.book(url),
                Operations(reader, actor, self._clock),
                recovery_setup(settings.recovery, settings.recovery_mode)._replace(
                    silences=silences
                ),
                self._clock,
                random=random.random,
                meter=self._telemetry.recovery_meter(meter),
            )
        )

    async def _stop(self, watched: WatchedSystem) -> None:
        for task in watched.tasks:
            task.cancel()
        await asyncio.wait(watched.tasks)  # how they ended is the task group's business
        for client in watched.clients:
            await client.close()
        for session in watched.sessions:
            await session.close()
        self._cache.remove(watched.meter)
        self._telemetry.forget(watched.meter.system_name)

    def _rename(self, settings: ResolvedSystem, meter: SystemMeter, cloud_name: str) -> str:
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
        taken = {
            watched.meter.system_name for watched in self._watched if watched.meter is not besides
        }
        return f"{name} ({host})" if name in taken else name

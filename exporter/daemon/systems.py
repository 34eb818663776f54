"""Start, replace and stop the monitored systems as the settings change."""

import asyncio
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import aiohttp
import msgspec
import structlog

from exporter.alerting.alerting import Alerting
from exporter.clock import Clock
from exporter.collectors.inventory import join
from exporter.config.recovery_setup import recovery_setup
from exporter.config.systems import ResolvedSystem
from exporter.daemon.clients import connect, make_sessions
from exporter.daemon.recovery_worker import JournalHandle, RecoveryWorker
from exporter.daemon.system_memory import SystemMemory
from exporter.daemon.system_names import SystemName
from exporter.errors import ConfigError
from exporter.executor import run_in_thread
from exporter.exposition.cache import PageCache
from exporter.exposition.collector import Family
from exporter.exposition.renderer import Renderer
from exporter.model import Inventory, SystemReport
from exporter.polling.poller import Plan, Poller
from exporter.prometheus.client import PrometheusConfirmer
from exporter.recovery.engine import Recovery
from exporter.telemetry import SystemMeter, Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.operations import Operations
from exporter.vergeos.source import VergeOSSource

log = structlog.get_logger()


class PagePublisher:
    """
    Renders one system's inventories into the page cache; called in worker threads.

    Args:
        meter: Receives the render duration; also the system's key in the cache.
        recovery: The recovery of the same system, whose metrics are on the same page.

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
        self._logged: frozenset[str] = frozenset()

    def __call__(self, inventory: Inventory | None, report: SystemReport, /) -> None:
        started = self._clock.monotonic()
        if self.recovery is not None:
            report = msgspec.structs.replace(report, recovery=self.recovery.report)
        rendered = self._renderer.render(inventory, report)
        if not self._cache.put(self._meter, rendered):
            return  # the system is no longer monitored
        duplicates = frozenset(rendered.duplicates)
        self._meter.rendered_in(self._clock.monotonic() - started, duplicates=len(duplicates))
        for label in sorted(duplicates - self._logged):
            log.warning("series.duplicate", system=report.system_name, labels=label)
        self._logged |= duplicates


class WatchedSystem(NamedTuple):
    """One monitored system with its tasks and connections."""

    settings: ResolvedSystem
    poller: Poller
    clients: Sequence[VergeOSClient]
    sessions: Sequence[aiohttp.ClientSession]
    meter: SystemMeter
    name: SystemName
    recovery: Recovery | None
    tasks: Sequence[asyncio.Task[Any]]

    @property
    def client(self) -> VergeOSClient:
        """The polling client."""
        return self.clients[0]


class SystemManager:
    """
    The monitored systems, each with its own connections, request budget and failures.

    Args:
        tasks: The task group of all pollers: a bug in one of them ends the process.
        journal: The journal of recovery.
        alerting: Provides the silences that hold recovery.

    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        cache: PageCache,
        telemetry: Telemetry,
        clock: Clock,
        journal: JournalHandle,
        alerting: Alerting,
    ) -> None:
        self._journal = journal
        self._alerting = alerting
        self._tasks = tasks
        self._cache = cache
        self._telemetry = telemetry
        self._clock = clock
        self._watched: list[WatchedSystem] = []
        self._memories: dict[str, SystemMemory] = {}
        """By URL."""
        self._configured_names: frozenset[str] = frozenset()
        self._changing = asyncio.Lock()
        self._stopped = False

    def reports(self) -> Sequence[SystemReport]:
        """Return the report of each system, in the order of the configuration."""
        return [
            watched.poller.report
            if watched.recovery is None
            else msgspec.structs.replace(watched.poller.report, recovery=watched.recovery.report)
            for watched in self._watched
        ]

    def recoveries(self) -> Mapping[str, Recovery]:
        """Return the recovery of each system where it is not off, by the system's name."""
        return {
            watched.meter.system_name: watched.recovery
            for watched in self._watched
            if watched.recovery is not None
        }

    async def apply(self, wanted: Sequence[ResolvedSystem]) -> None:
        """
        Monitor exactly the *wanted* systems; one with unchanged settings keeps running.

        Raises:
            ConfigError: The settings of one do not allow a connection; nothing has changed then.

        """
        async with self._changing:
            if not self._stopped:
                await self._replace(wanted)

    async def stop(self) -> None:
        """Stop all systems and close their connections."""
        self._stopped = True
        async with self._changing:
            watched_systems, self._watched = self._watched, []
            await asyncio.gather(*(self._stop(watched) for watched in watched_systems))

    async def _replace(self, wanted: Sequence[ResolvedSystem]) -> None:
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
        self._configured_names = frozenset(one.system.name for one in wanted if one.system.name)
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
            log.warning("tls.unverified", url=system.url, risk="the network can read the API key")
        elif system.url.startswith("http://") and not settings.is_on_this_machine:
            log.warning("tls.absent", url=system.url, risk="the network can read the API key")
        memory = self._memory(system.url)
        name = self._name(settings, memory)
        meter = self._telemetry.meter(name.current)
        self._cache.add(meter)
        client = connect(settings, sessions[0], meter, self._clock)
        if former is not None:
            client.carry_on(former)
        worker, recovery_clients = None, list[VergeOSClient]()
        if settings.recovers:
            recovery_clients = [
                connect(settings, sessions[1], meter, self._clock, client.budget),
                connect(settings, sessions[2], meter, self._clock, client.budget, acts=True),
            ]
            # A refused key must cost one request, not one per client.
            recovery_clients[0].share_refusals(client)
            if not settings.system.acts_with_another_key:
                recovery_clients[1].share_refusals(client)
            worker = self._recovery_worker(settings, recovery_clients, sessions[3:], meter, name)
        recovery = worker.recovery if worker is not None else None
        poller = Poller(
            VergeOSSource(client, settings.tables, page_rows=settings.api.page_rows),
            join,
            PagePublisher(
                [family for one in settings.collectors for family in one.families],
                self._cache,
                meter,
                self._clock,
                recovery,
            ),
            Plan(
                settings.schedules,
                settings.poll.stale_after_polls,
                frozen_after_seconds=settings.poll.frozen_after_seconds,
                withdraws_frozen=settings.poll.frozen_status == "withdraw",
            ),
            name=name.current,
            named=name.is_known,
            url=system.url,
            clock=self._clock,
            rename=lambda cloud_name: meter.rename(name.reported(cloud_name)),
            requests_remaining=lambda: client.budget.left(at=self._clock.monotonic()),
            on_poll=worker.enqueue if worker is not None else None,
        )
        tasks = [self._tasks.create_task(poller.run(), name=f"poll {system.url}")]
        if worker is not None:
            tasks.append(self._tasks.create_task(worker.run(), name=f"recovery {system.url}"))
        return WatchedSystem(
            settings, poller, (client, *recovery_clients), sessions, meter, name, recovery, tasks
        )

    def _recovery_worker(
        self,
        settings: ResolvedSystem,
        clients: Sequence[VergeOSClient],
        to_prometheus: Sequence[aiohttp.ClientSession],
        meter: SystemMeter,
        name: SystemName,
    ) -> RecoveryWorker:
        """Return the recovery of a system; its own connections never wait for polling."""
        reader, actor = clients
        url = settings.system.url
        silences = self._alerting.silences_of(lambda: name.silenced_names)
        confirmers = [
            PrometheusConfirmer(settings.recovery.confirm, session, lambda: meter.system_name)
            for session in to_prometheus
        ]
        return RecoveryWorker(
            Recovery(
                url,
                lambda: self._journal.store(url),
                Operations(reader, actor, self._clock),
                recovery_setup(settings.recovery, settings.recovery_mode)._replace(
                    silences=silences,
                    confirmer=next(iter(confirmers), None),
                ),
                self._clock,
                random=random.random,
                meter=self._telemetry.recovery_meter(meter),
            )
        )

    async def _stop(self, watched: WatchedSystem) -> None:
        for task in watched.tasks:
            task.cancel()
        await asyncio.wait(watched.tasks)  # the task group handles their errors
        for client in watched.clients:
            await client.close()
        for session in watched.sessions:
            await session.close()
        self._cache.remove(watched.meter)
        self._telemetry.forget(watched.meter.system_name)

    def _memory(self, url: str) -> SystemMemory:
        """Return the memory of the system at *url*, which outlasts a reload."""
        if url not in self._memories:
            self._memories[url] = SystemMemory(self._journal.directory, url)
        return self._memories[url]

    def _name(self, settings: ResolvedSystem, memory: SystemMemory) -> SystemName:
        """Return the name of a system that starts."""

        def remember(**changes: Any) -> None:
            writing = run_in_thread(partial(memory.remember, **changes))
            self._tasks.create_task(writing, name=f"remember {settings.system.url}")

        def taken(by: SystemName) -> frozenset[str]:
            used = {other.name.current for other in self._watched if other.name is not by}
            return self._configured_names - {settings.system.name} | used

        return SystemName(
            settings.system.name or "", settings.host, memory.remembered, remember, taken
        )

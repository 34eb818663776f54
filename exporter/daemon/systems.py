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
from exporter.daemon.clients import (
    connect,
    limits_of,
    make_confirming_sessions,
    make_sessions,
)
from exporter.daemon.recovery_worker import JournalHandle, RecoveryWorker
from exporter.daemon.request_memory import RequestMemory
from exporter.daemon.system_memory import SystemMemory
from exporter.daemon.system_names import SystemName
from exporter.errors import ConfigError
from exporter.executor import run_in_thread
from exporter.exposition.cache import PageCache
from exporter.exposition.collector import Family
from exporter.exposition.renderer import Renderer
from exporter.inputs.live_file import FileWatch
from exporter.model import Inventory, SystemReport
from exporter.polling.plan import Plan
from exporter.polling.poller import Poller
from exporter.prometheus.client import PrometheusConfirmer
from exporter.recovery.engine import Recovery
from exporter.recovery.recovery_config import RecoveryConfig
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
        self._is_retired = False

    def use(self, families: Iterable[Family]) -> None:
        """Render other families from the next inventory on."""
        self._renderer = Renderer(families)

    def retire(self) -> None:
        """Publish nothing any more: another publisher has the place on the page."""
        self._is_retired = True

    def __call__(self, inventory: Inventory | None, report: SystemReport, /) -> None:
        started = self._clock.monotonic()
        if self.recovery is not None:
            report = msgspec.structs.replace(report, recovery=self.recovery.report)
        rendered = self._renderer.render(inventory, report)
        if self._is_retired or not self._cache.put(self._meter, rendered):
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
    publisher: PagePublisher
    clients: Sequence[VergeOSClient]
    sessions: Sequence[aiohttp.ClientSession]
    meter: SystemMeter
    request_memory: RequestMemory
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
        files: Reports a CA file that becomes invalid.

    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        cache: PageCache,
        telemetry: Telemetry,
        clock: Clock,
        journal: JournalHandle,
        alerting: Alerting,
        files: FileWatch | None = None,
    ) -> None:
        self._journal = journal
        self._alerting = alerting
        self._files = files
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
        for watched in self._watched:  # a reload may wait for the poll of one that hangs
            for task in watched.tasks:
                task.cancel()
        async with self._changing:
            watched_systems, self._watched = self._watched, []
            await asyncio.gather(*(self._stop(watched) for watched in watched_systems))

    async def _replace(self, wanted: Sequence[ResolvedSystem]) -> None:
        known = _matched(self._watched, wanted)
        stays = {id(one): settings for settings, one in known.items() if _stays(one, settings)}
        opened = await self._opened(wanted, known)
        self._configured_names = frozenset(one.system.name for one in wanted if one.system.name)
        former = {id(one) for one in known.values()}
        for watched in self._watched:
            if id(watched) not in stays:
                await self._stop(watched, has_successor=id(watched) in former)
        self._watched = [one for one in self._watched if id(one) in stays]
        for settings in wanted:
            watched_before = known.get(settings)
            if watched_before is None or id(watched_before) not in stays:
                self._watched.append(self._start(settings, opened[settings], watched_before))
            elif settings != watched_before.settings:
                place = self._watched.index(watched_before)
                self._watched[place] = await self._change(
                    watched_before, settings, opened.get(settings)
                )
        self._watched.sort(key=lambda watched: wanted.index(watched.settings))

    async def _opened(
        self, wanted: Sequence[ResolvedSystem], known: Mapping[ResolvedSystem, WatchedSystem]
    ) -> dict[ResolvedSystem, Sequence[aiohttp.ClientSession]]:
        """Return new sessions for those of *wanted* that start, or that ask another Prometheus."""
        opened: dict[ResolvedSystem, Sequence[aiohttp.ClientSession]] = {}
        try:
            for settings in wanted:
                before = known.get(settings)
                if before is None or not _stays(before, settings):
                    opened[settings] = make_sessions(settings, self._files)
                elif settings.recovery.confirm != before.settings.recovery.confirm:
                    opened[settings] = make_confirming_sessions(settings, self._files)
        except ConfigError:
            for session in itertools.chain(*opened.values()):
                await session.close()
            raise
        return opened

    async def _change(
        self,
        watched: WatchedSystem,
        settings: ResolvedSystem,
        confirming: Sequence[aiohttp.ClientSession] | None,
    ) -> WatchedSystem:
        """Put *settings* in force in a system that goes on running; it keeps rows and series."""
        before = watched.settings
        if settings.api != before.api:
            watched.client.budget.use(settings.api.requests_per_hour, reserve=settings.api.reserve)
            for client in watched.clients:
                client.use(limits_of(settings.api))
        if settings.collectors != before.collectors:
            watched.publisher.use(_families(settings))
        if _polled(settings) != _polled(before):
            source = _source(watched.client, settings)
            watched.poller.use(source, _plan(settings, source))
        if watched.recovery is None or _rules(settings) == _rules(before):
            return watched._replace(settings=settings)
        sessions = watched.sessions
        if confirming is not None:
            sessions = (*watched.sessions[:3], *confirming)
        await watched.recovery.use(self._setup(settings, sessions[3:], watched.meter, watched.name))
        for session in set(watched.sessions) - set(sessions):
            await session.close()
        return watched._replace(settings=settings, sessions=sessions)

    def _start(
        self,
        settings: ResolvedSystem,
        sessions: Sequence[aiohttp.ClientSession],
        former: WatchedSystem | None,
    ) -> WatchedSystem:
        system, state = settings.system, self._journal.directory
        if not system.tls.verify:
            log.warning("tls.unverified", url=system.url, risk="the network can read the API key")
        elif system.url.startswith("http://") and not settings.is_on_this_machine:
            log.warning("tls.absent", url=system.url, risk="the network can read the API key")
        memory = self._memory(system.url)
        name, meter = self._name_and_meter(settings, memory, former)
        client = connect(settings, sessions[0], meter, self._clock, state=state)
        request_memory = self._request_memory(settings, client)
        if former is not None and former.settings.system.url == system.url:
            client.carry_on(former.client)
        else:
            request_memory.resume(ahead=sum(one.requests for one in settings.schedules))
        worker, recovery_clients = None, list[VergeOSClient]()
        if settings.recovers:
            recovery_clients = [
                connect(settings, sessions[1], meter, self._clock, client.budget, state=state),
                connect(
                    settings, sessions[2], meter, self._clock, client.budget, acts=True, state=state
                ),
            ]
            # A refused key must cost one request, not one per client.
            recovery_clients[0].share_refusals(client)
            if not settings.system.acts_with_another_key:
                recovery_clients[1].share_refusals(client)
            worker = self._recovery_worker(settings, recovery_clients, sessions[3:], meter, name)
        recovery = worker.recovery if worker is not None else None
        publisher = PagePublisher(_families(settings), self._cache, meter, self._clock, recovery)
        source = _source(client, settings)
        poller = Poller(
            source,
            join,
            publisher,
            _plan(settings, source),
            name=meter.system_name,
            named=name.is_known,
            url=system.url,
            clock=self._clock,
            rename=lambda cloud_name: meter.rename(name.reported(cloud_name)),
            requests_remaining=lambda: client.budget.left(at=self._clock.monotonic()),
            on_poll=worker.enqueue if worker is not None else None,
            former=former.poller if former is not None else None,
        )
        saving = request_memory.save_forever()
        tasks = [
            self._tasks.create_task(poller.run(), name=f"poll {system.url}"),
            self._tasks.create_task(saving, name=f"remember requests {system.url}"),
        ]
        if worker is not None:
            tasks.append(self._tasks.create_task(worker.run(), name=f"recovery {system.url}"))
        return WatchedSystem(
            settings,
            poller,
            publisher,
            (client, *recovery_clients),
            sessions,
            meter,
            request_memory,
            name,
            recovery,
            tasks,
        )

    def _name_and_meter(
        self, settings: ResolvedSystem, memory: SystemMemory, former: WatchedSystem | None
    ) -> tuple[SystemName, SystemMeter]:
        """Return the name of a system, and its meter, which is also its place on the page."""
        before = former.settings.system if former is not None else None
        if former is not None and before is not None and before.name == settings.system.name:
            # Its page stays until there is a newer one.
            same = before.url == settings.system.url
            return former.name if same else self._name(settings, memory), former.meter
        if former is not None:
            self._cache.remove(former.meter)
            self._telemetry.forget(former.meter.system_name)
        name = self._name(settings, memory)
        meter = self._telemetry.meter(name.current)
        self._cache.add(meter)
        return name, meter

    def _request_memory(self, settings: ResolvedSystem, client: VergeOSClient) -> RequestMemory:
        url, directory = settings.system.url, self._journal.directory
        return RequestMemory(self._memory(url), directory, url, client.budget, self._clock)

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
        return RecoveryWorker(
            Recovery(
                url,
                lambda: self._journal.store(url),
                Operations(reader, actor, self._clock),
                self._setup(settings, to_prometheus, meter, name),
                self._clock,
                random=random.random,
                meter=self._telemetry.recovery_meter(meter),
            )
        )

    def _setup(
        self,
        settings: ResolvedSystem,
        to_prometheus: Sequence[aiohttp.ClientSession],
        meter: SystemMeter,
        name: SystemName,
    ) -> RecoveryConfig:
        """Return the setup of a system's recovery."""
        confirmers = [
            PrometheusConfirmer(settings.recovery.confirm, session, lambda: meter.system_name)
            for session in to_prometheus
        ]
        return recovery_setup(settings.recovery, settings.recovery_mode)._replace(
            silences=self._alerting.silences_of(lambda: name.silenced_names),
            confirmer=next(iter(confirmers), None),
        )

    async def _stop(self, watched: WatchedSystem, *, has_successor: bool = False) -> None:
        """Stop a system; its page and its counters stay if *has_successor*."""
        if has_successor:
            watched.publisher.retire()
        for task in watched.tasks:
            task.cancel()
        await asyncio.wait(watched.tasks)  # the task group handles their errors
        for client in watched.clients:
            await client.close()
        watched.request_memory.save()
        for session in watched.sessions:
            await session.close()
        if not has_successor:
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


def _matched(
    watched: Sequence[WatchedSystem], wanted: Sequence[ResolvedSystem]
) -> dict[ResolvedSystem, WatchedSystem]:
    """Return which running system each of *wanted* continues: by address, by name, or the only."""
    by_url = {one.settings.system.url: one for one in watched}
    found = {one: by_url.pop(one.system.url) for one in wanted if one.system.url in by_url}
    by_name = {one.settings.system.name: one for one in by_url.values() if one.settings.system.name}
    for one in wanted:
        if one not in found and one.system.name in by_name:
            found[one] = by_name.pop(one.system.name)
    if len(watched) == len(wanted) == 1 and not found:
        found[wanted[0]] = watched[0]
    return found


def _stays(watched: WatchedSystem, settings: ResolvedSystem) -> bool:
    """Return whether a system goes on running, with the same name, address, trust and login."""
    before = watched.settings
    if settings == before:
        return True
    same = _identity(before) == _identity(settings) and before.recovers is settings.recovers
    return same and not (watched.recovery is not None and watched.recovery.bug)


def _identity(settings: ResolvedSystem) -> object:
    """Return what a system is restarted for when it changes."""
    apart = {"poll": None, "api": None, "recovery_mode": None}
    return settings.system.model_copy(update=apart)


def _rules(settings: ResolvedSystem) -> object:
    """Return what recovery decides by."""
    apart = {"token": None, "token_file": None, "retention_days": 0}
    return settings.recovery.model_copy(update=apart), settings.recovery_mode


def _polled(settings: ResolvedSystem) -> object:
    """Return what the poller works by."""
    page_rows = settings.api.page_rows
    return settings.schedules, settings.besides, settings.collectors, settings.poll, page_rows


def _families(settings: ResolvedSystem) -> list[Family]:
    return [family for one in settings.collectors for family in one.families]


def _source(client: VergeOSClient, settings: ResolvedSystem) -> VergeOSSource:
    return VergeOSSource(client, settings.tables, page_rows=settings.api.page_rows)


def _plan(settings: ResolvedSystem, source: VergeOSSource) -> Plan:
    return Plan(
        settings.schedules,
        settings.poll.stale_after_polls,
        settings.besides,
        lambda: settings.schedules_for(source.requests(), is_running=True),
        frozen_after_seconds=settings.poll.frozen_after_seconds,
        withdraws_frozen=settings.poll.frozen_status == "withdraw",
    )

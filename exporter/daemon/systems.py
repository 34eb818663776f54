"""Start, replace and stop the monitored systems as the settings change."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog

from exporter.alerting.alerting import Alerting
from exporter.clock import Clock
from exporter.config.systems import ResolvedSystem
from exporter.console.daemon_facts import SystemPlan
from exporter.console.system_history import SystemHistory
from exporter.daemon.clients import make_confirming_sessions, make_sessions
from exporter.daemon.recovery_worker import JournalHandle
from exporter.daemon.system_builder import SystemBuilder
from exporter.daemon.system_memory import SystemMemory
from exporter.daemon.system_names import SystemName
from exporter.daemon.vendor_page import VendorPage
from exporter.daemon.watched_system import WatchedSystem
from exporter.errors import ConfigError, NotKnownYetError
from exporter.executor import run_in_thread
from exporter.exposition.cache import PageCache
from exporter.formatting import nearest_or_all
from exporter.inputs.live_file import FileWatch
from exporter.model import Retried, SystemReport, SystemState
from exporter.recovery.model.views import UnknownNameError
from exporter.telemetry import SystemMeter, Telemetry

if TYPE_CHECKING:  # loaded only where recovery is on
    from exporter.recovery.engine import Recovery

log = structlog.get_logger()


class SystemManager:
    """
    The monitored systems, each with its own connections, request budget and failures.

    Args:
        tasks: The task group of all pollers: a bug in one of them ends the process.
        journal: The journal of recovery.
        alerting: Provides the silences that hold recovery.
        files: Reports a CA file that becomes invalid.
        vendor: The page with the vendor's names.
        history_hours: How long the console's history of resources is kept.

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
        vendor: VendorPage | None = None,
        history_hours: int = 0,
    ) -> None:
        self._vendor = vendor or VendorPage(clock)
        self._builder = SystemBuilder(
            tasks, cache, telemetry, clock, journal, alerting, self._vendor
        )
        self._journal = journal
        self._files = files
        self._tasks = tasks
        self._cache = cache
        self._telemetry = telemetry
        self._watched: list[WatchedSystem] = []
        self._memories: dict[str, SystemMemory] = {}
        """By URL."""
        self._configured_names: frozenset[str] = frozenset()
        self._histories: dict[str, SystemHistory] = {}
        """By URL."""
        self._history_hours = history_hours
        self._changing = asyncio.Lock()
        self._stopped = False

    def reports(self) -> Sequence[SystemReport]:
        """Return the report of each system, in the order of the configuration."""
        return [watched.report() for watched in self._watched]

    def states(self) -> Sequence[SystemState]:
        """
        Return the newest state of each system, in the order of the configuration.

        Raises:
            NotKnownYetError: Systems are being started or replaced, so that some may be missing.

        """
        if not self._watched or self._changing.locked():
            raise NotKnownYetError("the systems are being started")
        return [SystemState(one.poller.inventory, one.report()) for one in self._watched]

    def recoveries(self) -> Mapping[str, "Recovery"]:
        """Return the recovery of each system where it is not off, by the system's name."""
        return {
            watched.meter.system_name: watched.recovery
            for watched in self._watched
            if watched.recovery is not None
        }

    def plans(self) -> Mapping[str, SystemPlan]:
        """Return what the requests of each system are planned from, by the system's name."""
        return {
            watched.meter.system_name: SystemPlan(
                watched.settings.api.requests_per_hour,
                watched.settings.api.reserve,
                watched.settings.wanted_seconds(),
            )
            for watched in self._watched
        }

    def histories(self) -> Mapping[str, SystemHistory]:
        """Return the history of each system, by the system's name."""
        return {watched.meter.system_name: watched.history for watched in self._watched}

    async def apply(self, wanted: Sequence[ResolvedSystem]) -> None:
        """
        Monitor exactly the *wanted* systems; one with unchanged settings keeps running.

        Raises:
            ConfigError: The settings of one do not allow a connection; nothing has changed then.

        """
        async with self._changing:
            if not self._stopped:
                await self._replace(wanted)
                for watched in self._watched:  # a reload may follow the repair of an account
                    watched.retry_refused()

    def retry(self, system: str) -> Retried:
        """
        Try the credentials of *system* again if VergeOS refused them.

        Raises:
            UnknownNameError: There is no such system.

        """
        for watched in self._watched:
            if watched.meter.system_name == system:
                wait = watched.retry_refused()
                log.info("refusal.retried", system=system, in_seconds=wait)
                return Retried(system, refused=wait is not None, in_seconds=wait)
        names = [one.meter.system_name for one in self._watched]
        raise UnknownNameError(f"no system is named {system!r}{nearest_or_all(system, names)}")

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
        stays = {id(one): settings for settings, one in known.items() if one.stays(settings)}
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
                memory = self._memory(settings.system.url)
                name, meter = self._name_and_meter(settings, memory, watched_before)
                self._watched.append(
                    self._builder.start(
                        settings,
                        opened[settings],
                        memory,
                        name,
                        meter,
                        watched_before,
                        self._history(settings.system.url),
                    )
                )
                if self._files is not None:
                    self._files.add(self._watched[-1].secrets)
            elif settings != watched_before.settings:
                place = self._watched.index(watched_before)
                self._watched[place] = await self._builder.change(
                    watched_before, settings, opened.get(settings)
                )
        urls = {one.settings.system.url for one in self._watched}
        self._histories = {url: one for url, one in self._histories.items() if url in urls}
        self._watched.sort(key=lambda watched: wanted.index(watched.settings))

    async def _opened(
        self, wanted: Sequence[ResolvedSystem], known: Mapping[ResolvedSystem, WatchedSystem]
    ) -> dict[ResolvedSystem, Sequence[aiohttp.ClientSession]]:
        """Return new sessions for those of *wanted* that start, or that ask another Prometheus."""
        opened: dict[ResolvedSystem, Sequence[aiohttp.ClientSession]] = {}
        try:
            for settings in wanted:
                before = known.get(settings)
                if before is None or not before.stays(settings):
                    opened[settings] = make_sessions(settings, self._files)
                elif settings.recovery.confirm != before.settings.recovery.confirm:
                    opened[settings] = make_confirming_sessions(settings, self._files)
        except ConfigError:
            for session in itertools.chain(*opened.values()):
                await session.close()
            raise
        return opened

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
            self._vendor.remove(former.meter)
            self._telemetry.forget(former.meter.system_name)
        name = self._name(settings, memory)
        meter = self._telemetry.meter(name.current)
        self._cache.add(meter)
        return name, meter

    async def _stop(self, watched: WatchedSystem, *, has_successor: bool = False) -> None:
        """Stop a system; its page and its counters stay if *has_successor*."""
        if has_successor:
            watched.publisher.retire()
        await watched.end()
        if not has_successor:
            self._cache.remove(watched.meter)
            self._vendor.remove(watched.meter)
            self._telemetry.forget(watched.meter.system_name)

    def _memory(self, url: str) -> SystemMemory:
        """Return the memory of the system at *url*, which outlasts a reload."""
        if url not in self._memories:
            self._memories[url] = SystemMemory(self._journal.directory, url)
        return self._memories[url]

    def _history(self, url: str) -> SystemHistory:
        """Return the history of the system at *url*, which outlasts a reload."""
        return self._histories.setdefault(url, SystemHistory(self._history_hours))

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

"""The clouds that are watched: started, exchanged and stopped as the settings say."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import aiohttp
import structlog

from exporter.clock import Clock
from exporter.connection import CloudSettings, beats, connect, make_session
from exporter.errors import ConfigError
from exporter.exposition.renderer import Renderer
from exporter.exposition.shelf import Shelf
from exporter.model import Snapshot, SystemReport
from exporter.polling.watch import Plan, Watch
from exporter.telemetry import SystemMeter, Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.inventory import join
from exporter.vergeos.source import IDENTITY, VergeOSSource

log = structlog.get_logger()


class _Draughtsman:
    """
    Draws one cloud's pictures and puts them on the shelf; called in worker threads.

    Args:
        meter: Told how long it took; also what stands for the cloud on the shelf.

    """

    def __init__(self, shelf: Shelf, meter: SystemMeter, clock: Clock) -> None:
        self._renderer = Renderer()
        self._shelf = shelf
        self._meter = meter
        self._clock = clock
        self._told: frozenset[str] = frozenset()

    def __call__(self, snapshot: Snapshot | None, report: SystemReport, /) -> None:
        started = self._clock.monotonic()
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
    client: VergeOSClient
    session: aiohttp.ClientSession
    meter: SystemMeter
    task: asyncio.Task[Any]


class Fleet:
    """
    Every cloud that is watched, each with a connection, a budget and failures of its own.

    Args:
        parts: The group that the watching runs in: a bug in one of them ends the process.

    """

    def __init__(
        self, parts: asyncio.TaskGroup, shelf: Shelf, telemetry: Telemetry, clock: Clock
    ) -> None:
        self._parts = parts
        self._shelf = shelf
        self._telemetry = telemetry
        self._clock = clock
        self._clouds: list[_Cloud] = []
        self._changing = asyncio.Lock()
        self._stopped = False

    def reports(self) -> Sequence[SystemReport]:
        """Return how the watching of each cloud is going, in the order of the configuration."""
        return [cloud.watch.report for cloud in self._clouds]

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
        sessions: dict[CloudSettings, aiohttp.ClientSession] = {}
        try:
            for settings in wanted:
                if settings not in kept:
                    sessions[settings] = make_session(settings.system.tls)
        except ConfigError:
            for session in sessions.values():
                await session.close()
            raise
        former = {cloud.settings.system.url: cloud.client for cloud in self._clouds}
        for cloud in self._clouds:
            if cloud.settings not in kept:
                await self._stop(cloud)
        self._clouds = list(kept.values())
        for settings, session in sessions.items():
            after = former.get(settings.system.url)
            self._clouds.append(self._start(settings, session, after))
        self._clouds.sort(key=lambda cloud: wanted.index(cloud.settings))

    def _start(
        self,
        settings: CloudSettings,
        session: aiohttp.ClientSession,
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
        client = connect(settings, session, meter, self._clock)
        if former is not None:
            client.carry_on(former)
        watch = Watch(
            VergeOSSource(client, page_rows=settings.api.page_rows),
            join,
            _Draughtsman(self._shelf, meter, self._clock),
            Plan(beats(settings.poll), IDENTITY, settings.poll.stale_after_polls),
            name=meter.system_name,
            url=system.url,
            clock=self._clock,
            rename=lambda cloud_name: self._rename(settings, meter, cloud_name),
            requests_left=lambda: client.budget.left(at=self._clock.monotonic()),
        )
        task = self._parts.create_task(watch.run(), name=f"watch {system.url}")
        return _Cloud(settings, watch, client, session, meter, task)

    async def _stop(self, cloud: _Cloud) -> None:
        cloud.task.cancel()
        await asyncio.wait({cloud.task})  # how it ended is the task group's business
        await cloud.client.close()
        await cloud.session.close()
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

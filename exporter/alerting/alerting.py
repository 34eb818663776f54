"""
Alerting of the daemon: evaluates its alerts, posts them to every Alertmanager, reads silences.

Each Alertmanager has its own notifier and silence poller, so that a slow or broken one affects
neither the others nor the daemon.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import structlog

from exporter.alerting.alert_store import AlertStore
from exporter.alerting.alertmanager import (
    Alertmanager,
    AlertmanagerError,
    MakeSession,
    session_maker,
)
from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.notifier import Notifier
from exporter.alerting.silence_poller import SilencePoller
from exporter.alerting.silences import NewSilence, SilenceInterval
from exporter.alerting.vm_silences import SystemSilences, VMSilences
from exporter.clock import Clock
from exporter.executor import run_in_thread
from exporter.inputs.live_file import FileWatch
from exporter.model import SystemReport
from exporter.telemetry import AlertmanagerMeter
from exporter.tolerant_json import UNREADABLE

log = structlog.get_logger()

FILE = "alerts.json"
LOGGED_LABELS = ("system_name", "vm_id", "vm_name")

Reports = Callable[[], Sequence[SystemReport]]


class Alerting:
    """
    Alerts and silences of all systems.

    Args:
        directory: Where ``alerts.json`` is kept, so that a restart loses no alert.
        watch: Reports a CA file that becomes invalid.

    Raises:
        ConfigError: The CA file or the proxy cannot be used.

    """

    def __init__(
        self,
        settings: AlertmanagerSettings,
        directory: Path,
        clock: Clock,
        meter: AlertmanagerMeter,
        watch: FileWatch | None = None,
    ) -> None:
        self._clock = clock
        self._meter = meter
        self._watch = watch
        self._changed = asyncio.Event()
        self._make_session = self.check(settings)
        self.settings = settings
        self.pollers = self._make_pollers(settings)
        self.silences = VMSilences(self.pollers, settings, clock)
        self.store = AlertStore()
        """Replaced whole by each evaluation."""
        self._is_loaded = False
        self._file = directory / FILE
        self._save_error = ""
        """Why the file could not be written the last time."""

    def check(self, settings: AlertmanagerSettings) -> MakeSession | None:
        """
        Return what makes sessions by *settings*, to be put in force; None without Alertmanagers.

        Raises:
            ConfigError: The CA file or the proxy cannot be used.

        """
        return session_maker(settings, self._watch) if settings.urls else None

    def apply(self, settings: AlertmanagerSettings, make_session: MakeSession | None) -> None:
        """
        Put *settings* in force; alerts and silences stay.

        Args:
            make_session: From `check`: the CA file may be invalid by now.

        """
        if settings == self.settings:
            return
        for url in set(self.settings.urls) - set(settings.urls):
            self._meter.forget(url)
        self.settings, self._make_session = settings, make_session
        self.pollers = self._make_pollers(settings)
        self.silences.use(self.pollers, settings)
        self._changed.set()

    def _make_pollers(self, settings: AlertmanagerSettings) -> Sequence[SilencePoller]:
        urls = settings.urls if settings.reads_silences else ()
        return [SilencePoller(url, settings, self._clock, self._meter) for url in urls]

    async def run(self, reports: Reports) -> None:
        """
        Evaluate, post and poll until cancelled, by the settings that are in force.

        Args:
            reports: Returns the current report of each system.

        """
        while True:
            self._changed.clear()
            async with asyncio.TaskGroup() as tasks:
                work = tasks.create_task(self._work(reports))
                await self._changed.wait()
                work.cancel()

    async def _work(self, reports: Reports) -> None:
        settings = self.settings
        if self._make_session is None:
            return
        async with self._make_session() as session:
            if settings.posts_alerts and not self._is_loaded:
                await self._load()
            async with asyncio.TaskGroup() as tasks:
                for poller in self.pollers:
                    tasks.create_task(poller.run(self._client(poller.url, session)))
                if settings.posts_alerts:
                    tasks.create_task(self._evaluate_forever(reports))
                    for url in settings.urls:
                        client = self._client(url, session)
                        notifier = Notifier(client, settings, self._clock, self._meter)
                        tasks.create_task(notifier.run(lambda: self.store))

    def _client(self, url: str, session: aiohttp.ClientSession) -> Alertmanager:
        return Alertmanager(url, session, self.settings, self._clock)

    def silences_of(self, system_names: Callable[[], Sequence[str]]) -> SystemSilences:
        """Return the silences of one system; there are none while silences are not read."""
        return SystemSilences(self.silences, system_names)

    @property
    def known_silences(self) -> Sequence[SilenceInterval]:
        """The silences of every Alertmanager, as last read; none while they are not read."""
        return self.silences.all

    @property
    def silences_unknown(self) -> str:
        """Why the silences of an Alertmanager are unknown; empty if all are known."""
        return self.silences.unknown

    async def create_silence(self, silence: NewSilence) -> None:
        """
        Create *silence* in the first Alertmanager that takes it; a cluster spreads it.

        Raises:
            AlertmanagerError: None took it; the text is that of the first.

        """

        async def create(client: Alertmanager) -> None:
            known = await client.create_silence(silence)
            log.info("silence.created", silence=known, owner=silence.created_by, url=client.url)

        await self._first(self.settings.urls, create)

    async def expire_silence(self, silence_id: str, owner: str) -> None:
        """
        End a silence, in the first Alertmanager that has it; a cluster spreads that too.

        Args:
            owner: The operator, for the log.

        Raises:
            AlertmanagerError: None ended it.

        """

        async def expire(client: Alertmanager) -> None:
            await client.expire_silence(silence_id)
            log.info("silence.expired", silence=silence_id, owner=owner, url=client.url)

        having = [one.url for one in self.pollers if one.has(silence_id)]
        await self._first(having or self.settings.urls, expire)

    async def _first(
        self, urls: Sequence[str], send: Callable[[Alertmanager], Awaitable[None]]
    ) -> None:
        """Send a request to one Alertmanager after the other until one takes it."""
        if self._make_session is None:
            raise AlertmanagerError("no Alertmanager is configured", outcome="unreachable")
        errors = []
        async with self._make_session() as session:
            for url in urls:
                try:
                    await send(self._client(url, session))
                except AlertmanagerError as error:
                    errors.append(error)
                else:
                    await self.silences.refresh()
                    return
        raise errors[0]

    async def _load(self) -> None:
        """Continue with the alerts of the previous process."""
        self._is_loaded = True
        try:
            self.store = AlertStore.from_json(await run_in_thread(self._file.read_bytes))
        except FileNotFoundError:
            return
        except (OSError, *UNREADABLE) as error:
            log.warning("alerts.load_failed", file=str(self._file), error=_reason(error))

    async def _evaluate_forever(self, reports: Reports) -> None:
        saved = self.store.by_version.keys()
        while True:
            self.evaluate(reports())
            versions = self.store.by_version.keys()
            if versions != saved and await self._save(self.store.to_json()):
                saved = versions
            await self._clock.sleep(self.settings.evaluate_every_seconds)

    def evaluate(self, reports: Sequence[SystemReport]) -> None:
        """Update the store from *reports*; without any report, all alerts stay as they are."""
        if not reports:
            return
        settings, before = self.settings, self.store
        self.store = before.evaluate(
            reports,
            settings.limits,
            settings.links,
            now=self._clock.now(),
            at=self._clock.monotonic(),
        )
        for label_set, stored in self.store.alerts.items():
            known = before.alerts.get(label_set)
            if known is None or known.ends_at != stored.ends_at:
                event = "alert.firing" if stored.ends_at is None else "alert.resolved"
                labels = {k: v for k, v in stored.alert.labels.items() if k in LOGGED_LABELS}
                log.info(event, alert=str(stored.alert.name), **labels)

    async def _save(self, body: bytes) -> bool:
        try:
            await run_in_thread(_write, self._file, body)
        except OSError as error:
            if _reason(error) != self._save_error:
                log.warning("alerts.save_failed", file=str(self._file), error=_reason(error))
            self._save_error = _reason(error)
            return False
        self._save_error = ""
        return True


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _write(path: Path, body: bytes) -> None:
    """Replace the file at *path* atomically."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

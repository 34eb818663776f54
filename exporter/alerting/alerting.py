"""
The daemon as an alerter: it tells every Alertmanager what is so, and listens to what they silence.

Each Alertmanager is talked to by itself; one that is slow, down or mad disturbs no other, and none
of them disturbs the daemon. Whatever is told is told again until it is over, and that it is over
is told until each of them has taken it twice.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec
import structlog

from exporter.alerting.alert_store import EMPTY, AlertStore, Entry, from_bytes, post, to_bytes
from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError, make_session
from exporter.alerting.plan import Plan
from exporter.alerting.silences import (
    Silence,
    SilenceInterval,
    SilencesResponse,
    active,
    ended,
    holding,
    spells,
)
from exporter.clock import Clock
from exporter.executor import run_in_thread
from exporter.model import SystemReport
from exporter.recovery.model.ports import VMLocation

log = structlog.get_logger()

FILE = "alerts.json"
BEATS = 4
"""For how many table_schedules an alert stays alive that nobody repeats."""
TWICE = 2
AT_ONCE = 500
"""Alerts in one request."""
READINGS = 3
"""How many readings of silences may be missing before they are called unknown."""

Reports = Callable[[], Sequence[SystemReport]]


class Meter(Protocol):
    """Who counts what goes to Alertmanagers and what comes from them."""

    def answered(self, alertmanager: str, /, *, up: bool) -> None: ...
    def posted(self, alertmanager: str, outcome: str, /) -> None: ...
    def took(self, alertmanager: str, alerts: int, time: float, /) -> None: ...
    def told(self, alertmanager: str, silences: int, time: float, /) -> None: ...
    def knows_silences(self, alertmanager: str, /, *, known: bool) -> None: ...


class Alerting:
    """
    All of it, for all clouds.

    Args:
        directory: Where ``alerts.json`` is kept, so that a restart loses no alert.

    Raises:
        ConfigError: The CA file cannot be used.

    """

    def __init__(self, plan: Plan, directory: Path, clock: Clock, meter: Meter) -> None:
        if plan.urls:
            plan.access.trust()
        self.plan = plan
        self.listeners = [
            SilencePoller(url, plan, clock, meter) for url in plan.urls if plan.silences
        ]
        self._file = directory / FILE
        self._clock = clock
        self._meter = meter
        self._unsaved = ""
        """Why the file could not be written the last time."""
        self._known: tuple[tuple[SilencesResponse | None, ...], list[SilenceInterval]] = ((), [])
        self.roll = EMPTY
        """What is told; replaced whole."""

    async def run(self, reports: Reports) -> None:
        """
        Tell and listen, until cancelled; without an Alertmanager there is nothing to do.

        Args:
            reports: Returns how the watching of each cloud is going.

        """
        plan = self.plan
        if not plan.urls:
            return
        async with make_session(plan.access, timeout_seconds=plan.timeout_seconds) as session:
            if plan.tells:
                await self._recall()
            async with asyncio.TaskGroup() as parts:
                for listener in self.listeners:
                    parts.create_task(listener.run(self._reach(listener.url, session)))
                if plan.tells:
                    parts.create_task(self._look_forever(reports))
                for url in plan.urls if plan.tells else ():
                    courier = Notifier(self._reach(url, session), plan, self._clock, self._meter)
                    parts.create_task(courier.run(lambda: self.roll))

    def _reach(self, url: str, session: aiohttp.ClientSession) -> Alertmanager:
        plan = self.plan
        return Alertmanager(
            url, session, plan.access, self._clock, timeout_seconds=plan.timeout_seconds
        )

    def silences_of(self, system_name: Callable[[], str]) -> "Silenced | None":
        """Return what recovery of a cloud asks; ``None`` where silences do not matter."""
        return Silenced(self, system_name) if self.plan.listens else None

    def known(self) -> list[SilenceInterval]:
        """Return the silences that may hold a VM, of all Alertmanagers together."""
        told = tuple(listener.told for listener in self.listeners)
        before, known = self._known
        if len(told) != len(before) or any(map(_differ, told, before)):
            known = spells(one for one in told if one is not None)
            self._known = told, known
        return known

    def holding(self, labels: Mapping[str, str]) -> str:
        """Return why the VM with *labels* is to be left alone; empty where nobody asked for it."""
        plan, at = self.plan, self._clock.monotonic()
        held = holding(self.known(), labels, at=at, after_seconds=plan.after_silence_seconds)
        if held or not plan.hold_when_unknown:
            return held
        return self.unknown

    @property
    def unknown(self) -> str:
        """Why nobody knows what is silenced; empty while that is known."""
        return next(filter(None, (listener.unknown for listener in self.listeners)), "")

    async def _recall(self) -> None:
        """Go on with what the process before this one told."""
        try:
            self.roll = from_bytes(await run_in_thread(self._file.read_bytes))
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("alerts.forgotten", file=str(self._file), error=_short(error))

    async def _look_forever(self, reports: Reports) -> None:
        saved = news(self.roll).keys()
        while True:
            self.look(reports())
            now = news(self.roll).keys()
            if now != saved and await self._save(to_bytes(self.roll)):
                saved = now
            await self._clock.sleep(self.plan.look_every_seconds)

    def look(self, reports: Sequence[SystemReport]) -> None:
        """Bring the roll up to date; without a cloud there is nothing to be seen."""
        if not reports:
            return
        plan, before = self.plan, self.roll
        now, at = self._clock.now(), self._clock.monotonic()
        self.roll = before.after(reports, plan.limits, plan.runbooks, now=now, at=at)
        for key, entry in self.roll.entries.items():
            known = before.entries.get(key)
            if known is None or known.ends_at != entry.ends_at:
                event = "alert.firing" if entry.ends_at is None else "alert.resolved"
                labels = {k: v for k, v in entry.alert.labels.items() if k in LOGGED}
                log.info(event, alert=str(entry.alert.name), **labels)

    async def _save(self, body: bytes) -> bool:
        try:
            await run_in_thread(_write, self._file, body)
        except OSError as error:
            if _short(error) != self._unsaved:
                log.warning("alerts.not_saved", file=str(self._file), error=_short(error))
            self._unsaved = _short(error)
            return False
        self._unsaved = ""
        return True


LOGGED = ("system_name", "vm_id", "vm_name")


class Notifier:
    """Brings the alerts to one Alertmanager: news at once, the rest with every beat."""

    def __init__(self, alertmanager: Alertmanager, plan: Plan, clock: Clock, meter: Meter) -> None:
        self._alertmanager = alertmanager
        self._plan = plan
        self._clock = clock
        self._meter = meter
        self._taken: dict[News, int] = {}
        """How often it took each news."""
        self._due_at = 0.0
        self._problem = ""

    async def run(self, roll: Callable[[], AlertStore]) -> None:
        while True:
            await self.visit(roll())
            await self._clock.sleep(self._plan.look_every_seconds)

    async def visit(self, roll: AlertStore) -> None:
        """Bring what is new, or everything when it is time; what failed waits for its time."""
        told = news(roll)
        self._taken = {one: times for one, times in self._taken.items() if one in told}
        failed = self._problem != ""
        unheard = any(one not in self._taken for one in told)
        if self._clock.monotonic() < self._due_at and (failed or not unheard):
            return
        self._due_at = self._clock.monotonic() + self._plan.post_every_seconds
        cargo = {
            one: entry
            for one, entry in told.items()
            if entry.ends_at is None or self._taken.get(one, 0) < TWICE
        }
        url = self._alertmanager.url
        try:
            await self._bring(list(cargo.values()))
        except AlertmanagerError as error:
            self._meter.posted(url, error.outcome)
            self._told_of(str(error), error.outcome)
            return
        self._meter.posted(url, "ok")
        self._told_of("", "")
        for one in cargo:
            self._taken[one] = self._taken.get(one, 0) + 1
        self._meter.took(url, len(roll.firing), self._clock.now().timestamp())

    async def _bring(self, entries: Sequence[Entry]) -> None:
        """Post all of them; none at all is a post too, which shows that the way is free."""
        lasts = timedelta(seconds=BEATS * self._plan.post_every_seconds)
        for first in range(0, len(entries) or 1, AT_ONCE):
            until = self._clock.now() + lasts
            await self._alertmanager.post(post(entries[first : first + AT_ONCE], until=until))

    def _told_of(self, problem: str, outcome: str) -> None:
        self._meter.answered(self._alertmanager.url, up=not problem)
        if outcome != self._problem:
            if problem:
                log.warning("alertmanager.not_told", error=problem)
            else:
                log.info("alertmanager.told", alertmanager=self._alertmanager.url)
        self._problem = outcome


class SilencePoller:
    """Reads the silences of one Alertmanager, again and again."""

    def __init__(self, url: str, plan: Plan, clock: Clock, meter: Meter) -> None:
        self.url = url.rstrip("/")
        self.told: SilencesResponse | None = None
        """What it told last, however long ago."""
        self._plan = plan
        self._clock = clock
        self._meter = meter
        self._heard_at = clock.monotonic()
        self._lost: list[Silence] = []
        self._problem = "it was not asked yet"
        self._outcome = ""

    @property
    def unknown(self) -> str:
        """Why nobody knows what it silences; empty while that is known."""
        age = self._clock.monotonic() - self._heard_at
        if self.told is not None and age <= READINGS * self._plan.silences_every_seconds:
            unread = self.told.unread
            return f"{self.url} has silences that cannot be read: {unread}" if unread else ""
        return f"{self.url} has told no silences for {age:.0f} s: {self._problem}"

    async def run(self, alertmanager: Alertmanager) -> None:
        while True:
            await self.listen(alertmanager)
            await self._clock.sleep(self._plan.silences_every_seconds)

    async def listen(self, alertmanager: Alertmanager) -> None:
        """Ask once; what was told before stays known when there is no answer."""
        try:
            told = await alertmanager.silences()
        except AlertmanagerError as error:
            self._meter.answered(self.url, up=False)
            self._problem = str(error)
            if error.outcome != self._outcome:
                log.warning("silences.unread", error=str(error))
            self._outcome = error.outcome
        else:
            self._heard(told)
        self._meter.knows_silences(self.url, known=not self.unknown)

    def _heard(self, told: SilencesResponse) -> None:
        self._meter.answered(self.url, up=True)
        self._meter.told(self.url, active(told), self._clock.now().timestamp())
        if self._outcome:
            log.info("silences.read", alertmanager=self.url)
        if told.unread and (self.told is None or told.unread != self.told.unread):
            log.warning("silences.not_understood", alertmanager=self.url, silences=told.unread)
        self.told, self._heard_at = self._with_lost(told), self._clock.monotonic()
        self._problem = self._outcome = ""

    def _with_lost(self, told: SilencesResponse) -> SilencesResponse:
        """Return *told* with the silences that it lost, which count as ended just now."""
        ids = {one.id for one in told.silences}
        after = self._plan.after_silence_seconds
        before = self.told.silences if self.told is not None else ()
        self._lost = [
            one
            for one in self._lost
            if one.id not in ids and (told.time - one.ends_at).total_seconds() < after
        ] + [ended(one, told.time) for one in before if one.id not in ids and one.is_active]
        return told._replace(silences=[*told.silences, *self._lost])


class Silenced:
    """
    The silences, as recovery of one cloud asks for them.

    Args:
        system_name: Returns what the cloud is called now.

    """

    def __init__(self, alerting: Alerting, system_name: Callable[[], str]) -> None:
        self._alerting = alerting
        self._system_name = system_name

    @property
    def unknown(self) -> str:
        return self._alerting.unknown

    def holding(self, spot: VMLocation, /) -> str:
        return self._alerting.holding(
            {
                "system_name": self._system_name(),
                "vm_id": str(spot.vm_key),
                "vm_name": spot.vm_name,
                "node": spot.node,
                "cluster": spot.cluster,
            }
        )


def _differ(one: object, other: object) -> bool:
    return one is not other


News = tuple[object, ...]


def news(roll: AlertStore) -> Mapping[News, Entry]:
    """Return what is told, by what makes it worth telling at once."""
    entries = roll.entries.values()
    return {(one.alert.key, one.starts_at, one.ends_at): one for one in entries}


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _write(path: Path, body: bytes) -> None:
    """Put *body* where *path* is, all of it or nothing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

"""Hours of failovers: replicas with one key together never send more than VergeOS allows."""

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import Settings
from exporter.daemon import replica
from exporter.journal.key_uses import KeyUse
from exporter.journal.lease import LEASE_SECONDS, Acquired, LeaseState
from tests.bench.thinking import EmptyJournal
from tests.daemon.hours import (
    CREDENTIALS,
    HOUR,
    URL,
    Daemon,
    Journals,
    Rows,
    System,
    captured_rows,
    replace_sockets,
)
from tests.fakes import FakeClock

PER_HOUR = 1000
HOURS = int(os.environ.get("FAILOVER_HOURS", "6"))
"""A day takes a minute of CPU time."""
NAMES = ("a", "b")
STANDBY = {"identity", "vms", "machine_status"}


@pytest.fixture(scope="module")
def rows() -> Rows:
    return captured_rows()


class Uses:
    """The table of uses, in memory."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], KeyUse] = {}

    async def exchange(
        self, key: str, name: str, now: datetime, use: str, refusal: str | None
    ) -> Sequence[KeyUse]:
        before = self.rows.get((key, name))
        kept = before.refusal if before is not None else ""
        self.rows[key, name] = KeyUse(name, now, use, kept if refusal is None else refusal)
        return await self.read(key, now)

    async def read(self, key: str, now: datetime) -> Sequence[KeyUse]:
        return [
            row
            for (used, _), row in self.rows.items()
            if used == key and (now - row.time).total_seconds() <= HOUR
        ]


@dataclass
class Lease:
    """The row of a lease, in memory; `of` gives it as one replica sees it."""

    clock: FakeClock
    holder: str = ""
    epoch: int = 0
    until: float = 0.0

    def of(self, name: str) -> "LeaseOf":
        return LeaseOf(self, name)


@dataclass
class LeaseOf:
    row: Lease
    name: str

    async def state(self) -> LeaseState:
        left = self.row.until - self.row.clock.elapsed
        return LeaseState(self.row.holder if left > 0 else "", self.row.epoch, LEASE_SECONDS - left)

    async def acquire(self) -> Acquired | None:
        if self.row.until > self.row.clock.elapsed:
            return None
        former, self.row.holder, self.row.epoch = self.row.holder, self.name, self.row.epoch + 1
        self.row.until = self.row.clock.elapsed + LEASE_SECONDS
        return Acquired(self.row.epoch, former)

    async def renew(self, epoch: int) -> bool:
        holds = (self.row.holder, self.row.epoch) == (self.name, epoch)
        if holds:
            self.row.until = self.row.clock.elapsed + LEASE_SECONDS
        return holds

    async def release(self, epoch: int) -> None:
        if (self.row.holder, self.row.epoch) == (self.name, epoch):
            self.row.until = self.row.clock.elapsed


class Store(EmptyJournal):
    async def share_kill_switch(self, *_: str) -> None:
        pass


@dataclass
class Shared(Journals):
    """The journal that replicas share, as one of them sees it."""

    directory: Path
    replica: str
    uses: Uses
    row: Lease
    is_shared: bool = field(default=True, init=False)

    async def key_uses(self) -> Uses:
        return self.uses

    async def lease(self, _: str) -> LeaseOf:
        return self.row.of(self.replica)

    async def fenced_store(self, *_: Any) -> Store:
        return Store()


class Site:
    """Two replicas with one key, one system that counts its requests, and one clock."""

    def __init__(
        self, rows: Rows, folder: Path, tasks: asyncio.TaskGroup, *, shares: bool = True
    ) -> None:
        self.clock = FakeClock()
        self.system = System(rows, self.clock)
        self.replicas: dict[str, Daemon] = {}
        self._folder = folder
        self._tasks = tasks
        self._uses = Uses()
        self._row = Lease(self.clock)
        self._shares = shares

    async def start(self, name: str, directory: str) -> None:
        settings = Settings.model_validate(
            {
                "systems": [{"url": URL, **CREDENTIALS}],
                "api": {"requests_per_hour": PER_HOUR},
                "recovery": {"mode": "shadow", "directory": self._folder / directory},
            }
        )
        uses = self._uses if self._shares else Uses()
        shared = Shared(self._folder / directory, name, uses, self._row)
        self.replicas[name] = Daemon(self.system, shared.directory, self._tasks, shared)
        await self.replicas[name].apply(settings)

    async def until(self, time: float) -> None:
        await next(iter(self.replicas.values())).until(time)

    @property
    def leader(self) -> str:
        return self._row.holder

    def tables_of(self, name: str) -> set[str]:
        return {one.table for one in self.replicas[name].report.tables}


async def fail_over_again_and_again(site: Site, rng: random.Random, hours: int) -> int:
    """End the leader, or another replica, every few minutes; return how often another one led."""
    for name in NAMES:
        await site.start(name, name)
    failovers, starts = 0, 0
    while site.clock.elapsed < hours * HOUR:
        await site.until(site.clock.elapsed + rng.uniform(60, 900))
        name, before = rng.choice([site.leader, rng.choice(NAMES)]) or NAMES[0], site.leader
        if rng.random() < 0.5:
            site.replicas[name].kill()
        else:
            await site.replicas[name].stop()
        await site.until(site.clock.elapsed + rng.choice([0.0, 5.0, 60.0, 400.0]))
        starts += 1  # half of them come up without what they remembered
        await site.start(name, name if rng.random() < 0.5 else f"{name}-{starts}")
        failovers += site.leader not in ("", before)
    for daemon in site.replicas.values():
        await daemon.stop()
    return failovers


async def test_hours_of_failovers_are_never_refused(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "STEP_SECONDS", 5.0)
    async with asyncio.TaskGroup() as tasks:
        site = Site(rows, tmp_path, tasks)
        replace_sockets(site.system, monkeypatch)
        failovers = await fail_over_again_and_again(site, random.Random(1), HOURS)

    assert failovers > 2 * HOURS
    assert site.system.most_in_an_hour <= PER_HOUR


async def test_hours_of_failovers_are_refused_without_the_shared_journal(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "STEP_SECONDS", 5.0)
    async with asyncio.TaskGroup() as tasks:
        site = Site(rows, tmp_path, tasks, shares=False)
        replace_sockets(site.system, monkeypatch)
        await fail_over_again_and_again(site, random.Random(1), 3)

    assert site.system.most_in_an_hour > PER_HOUR


async def test_standby_polls_what_shows_that_a_vm_runs_until_it_leads(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.TaskGroup() as tasks:
        site = Site(rows, tmp_path, tasks)
        replace_sockets(site.system, monkeypatch)
        for name in NAMES:
            await site.start(name, name)
        await site.until(HOUR)
        standby = next(name for name in NAMES if name != site.leader)
        former = site.leader

        assert site.tables_of(standby) == STANDBY
        assert len(site.tables_of(former)) > 30
        assert site.replicas[standby].report.up
        assert site.system.sent(HOUR / 2, HOUR) < (850 + 60) / 2  # with the logs of recovery

        site.replicas[former].kill()
        await site.until(HOUR + 60)
        assert site.leader == standby
        assert len(site.tables_of(standby)) > 30
        assert site.replicas[standby].report.up

        await site.start(former, former)
        await site.until(HOUR + 200)
        assert site.tables_of(former) == STANDBY
        for daemon in site.replicas.values():
            await daemon.stop()

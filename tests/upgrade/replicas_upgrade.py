"""The rolling upgrade of two replicas with their journal in PostgreSQL, by docs/operations.md."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from exporter.polling.key_share import STANDBY_SECONDS
from tests.daemon_process import REAL_TIME, Daemon
from tests.postgres import Postgres
from tests.upgrade.earlier_code import ROOT, vergewatch
from tests.upgrade.knowledge import Knowledge, check_known, resume_and_ask, teach_and_hold
from tests.upgrade.recovery_times import START_SECONDS, Say, tell_starts, until_ready
from tests.upgrade.scrapes import Scrapes, scraping, serves_all
from tests.upgrade.site import (
    NORTH,
    POLL_SECONDS,
    SETTINGS,
    STALE_AFTER_POLLS,
    VMS,
    WARMUP_POLLS,
    WARMUP_SECONDS,
    Site,
    pointing_at,
    site,
)

NAMES = ("first", "second")
BEFORE, STANDBY, LEADER, AFTER, WAY_BACK = (
    "before the upgrade",
    "while the standby is upgraded",
    "while the leader is upgraded",
    "after the upgrade",
    "after the way back",
)
QUIET_SECONDS = 15.0
"""How long nothing is upgraded, before and after."""
TAKEOVER_SECONDS = 3.0
"""How long recovery may have no leader after SIGTERM."""


class RollingUpgrade:
    """Two replicas, upgraded one after the other while VMs crash."""

    def __init__(
        self,
        place: Site,
        earlier: Path,
        postgres: Postgres,
        random: Random,
        say: Say,
        *,
        one_key: bool,
    ) -> None:
        self.place = place
        self.earlier = earlier
        self.postgres = postgres
        self.journal = postgres.new_database()
        self.random = random
        self.say = say
        self.one_key = one_key
        self.standby_seconds = STANDBY_SECONDS if one_key else POLL_SECONDS
        """The interval at which a standby polls."""
        self.crash_seconds = 15.0 if one_key else 4.0
        """The longest time between two crashes."""
        self.fresh_seconds = STALE_AFTER_POLLS * self.standby_seconds

    async def start(self, name: str, code: Path | None) -> Daemon:
        daemon = await self.place.start(name, code, self.env(name))
        await daemon.page_where(lambda page: serves_all(page, self.place, self.fresh_seconds))
        return daemon

    def env(self, name: str) -> Mapping[str, str]:
        folder = self.place.folder / name
        folder.mkdir(exist_ok=True)
        return {
            "VERGEWATCH_SYSTEMS": pointing_at(
                self.place.systems, with_password=name != NAMES[0] and not self.one_key
            ),
            "VERGEWATCH_JOURNAL__URL": self.journal.url,
            "VERGEWATCH_JOURNAL__REPLICA": name,
            "STATE_DIRECTORY": str(folder),
        }

    async def run(self) -> None:
        first, second = NAMES
        daemon = await self.start(first, self.earlier)
        await self.until_leads(first)
        await self.start(second, self.earlier)
        await until_ready(self.place, daemon)
        known = await teach_and_hold(self.place, daemon)
        exported = await self.export()
        await vergewatch(ROOT, {**SETTINGS, **self.env(second)}, "check")
        async with (
            scraping(self.place, every_seconds=1.0, fresh_seconds=self.fresh_seconds) as scrapes,
            self.crashing(),
        ):
            await self.pass_time(BEFORE)
            await self.upgrade_standby(second)
            await self.upgrade_leader(first, other=second)
            await self.pass_time(AFTER)
        await self.place.until_recovered(self.place.crashes)
        self.place.check_posts(await self.actions_sent())
        assert not await self.rows(
            "SELECT decision FROM intents GROUP BY decision HAVING count(*) > 1"
        )
        for phase in (BEFORE, STANDBY, LEADER, AFTER):
            tell_starts(self.place, phase, START_SECONDS + TAKEOVER_SECONDS, self.say)
        self.tell_monitoring(scrapes)
        leader = self.place.daemons[second]
        await check_known(self.place, leader, known)
        await resume_and_ask(self.place, leader, known)
        if exported:
            await self.go_back(known)

    async def export(self) -> bool:
        """Keep the journal with the version that is installed, while the daemons run."""
        if not (self.earlier / "exporter/cli/journal.py").exists():
            self.say("no way back: the earlier version cannot export the journal")
            return False
        await self.journal_command("export")
        return True

    async def go_back(self, known: Knowledge) -> None:
        """Restore the exported journal with the earlier version, and run that."""
        self.place.phase = WAY_BACK
        first, second = NAMES
        for name in NAMES:
            await self.place.stop(name)
        self.journal = self.postgres.new_database()
        await self.journal_command("import")
        daemon = await self.start(first, self.earlier)
        await self.until_leads(first)
        await self.start(second, self.earlier)
        await until_ready(self.place, daemon)
        await check_known(self.place, daemon, known)
        await self.place.until_recovered([self.place.crash()])
        tell_starts(self.place, WAY_BACK, START_SECONDS, self.say)
        await resume_and_ask(self.place, daemon, known, number=2)
        self.place.check_posts({one.vm.key: 1 for one in self.place.crashes})

    async def journal_command(self, name: str) -> None:
        """Run `vergewatch journal export` or `import` of the earlier version."""
        file = self.place.folder / "before.sqlite"
        env = {**SETTINGS, **self.env(NAMES[0])}
        await vergewatch(self.earlier, env, "journal", name, str(file))

    async def upgrade_standby(self, name: str) -> None:
        self.place.phase = STANDBY
        before = await self.revision()
        assert not await self.leads(name)
        await self.place.stop(name)
        await self.start(name, None)
        self.say(f"the new standby found revision {before}, and made it {await self.revision()}")
        await self.watch_long_enough()

    async def upgrade_leader(self, name: str, *, other: str) -> None:
        self.place.phase = LEADER
        assert await self.leads(name)
        began = REAL_TIME.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.place.stop(name))
            await self.until_leads(other)
            seconds = REAL_TIME.monotonic() - began
        self.say(f"{seconds:.1f} s after SIGTERM to the leader, the other replica leads")
        assert seconds <= TAKEOVER_SECONDS
        await self.start(name, None)
        await REAL_TIME.sleep(START_SECONDS)

    async def watch_long_enough(self) -> None:
        """Let a replica watch for as long as it would warm up for if it led."""
        await REAL_TIME.sleep(max(WARMUP_SECONDS, WARMUP_POLLS * self.standby_seconds) + 2.0)

    async def pass_time(self, phase: str) -> None:
        self.place.phase = phase
        await REAL_TIME.sleep(QUIET_SECONDS)

    @asynccontextmanager
    async def crashing(self) -> AsyncIterator[None]:
        """Crash VMs at random moments."""

        async def crash() -> None:
            while True:
                await REAL_TIME.sleep(self.random.uniform(0.5, self.crash_seconds))
                self.place.crash()

        task = asyncio.create_task(crash())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def leads(self, name: str) -> bool:
        """Return whether a replica leads recovery of every system."""
        page = await self.place.daemons[name].page()
        return page.get("vergewatch_recovery_leader") == [1.0] * len(VMS)

    async def until_leads(self, name: str) -> None:
        await self.place.until(lambda: self.leads(name), f"{name} leads")

    def tell_monitoring(self, scrapes: Scrapes) -> None:
        each = ", ".join(f"{scrapes.by(name)} by {name}" for name in NAMES)
        self.say(
            f"of {len(scrapes.all)} scrapes, one a second, {len(scrapes.missed)} found no replica "
            f"that served every VM ({each})"
        )
        assert not scrapes.missed

    async def revision(self) -> str:
        """Return the revision of the journal's tables."""
        ((revision,),) = await self.rows("SELECT version_num FROM alembic_version")
        return str(revision)

    async def actions_sent(self) -> Mapping[int, int]:
        """Return how many actions the journal has as sent in `NORTH`, by VM."""
        rows = await self.rows(
            "SELECT vm_key, count(*) FROM intents WHERE sent_at IS NOT NULL AND system = $1 "
            "GROUP BY vm_key",
            self.place.systems[NORTH].url,
        )
        return dict(rows)

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.journal.url)
        try:
            return [tuple(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()


async def upgrade_replicas(
    folder: Path, postgres: Postgres, earlier: Path, seed: int, say: Say, *, one_key: bool
) -> None:
    """Upgrade replicas of the *earlier* code; raise `AssertionError` if something does not hold."""
    async with site(folder) as place:
        await RollingUpgrade(place, earlier, postgres, Random(seed), say, one_key=one_key).run()

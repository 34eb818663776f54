"""The upgrade of one daemon with its journal in SQLite, and the way back, by docs/operations.md."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from exporter.journal.sqlite_database import FILE
from tests.daemon_process import REAL_TIME, Daemon
from tests.upgrade.earlier_code import ROOT, vergewatch
from tests.upgrade.knowledge import (
    Knowledge,
    check_known,
    resume_and_ask,
    teach_and_hold,
)
from tests.upgrade.recovery_times import START_SECONDS, Say, tell_starts, until_ready
from tests.upgrade.scrapes import scraping, serves_all
from tests.upgrade.site import (
    NORTH,
    SETTINGS,
    WARMUP_SECONDS,
    Site,
    pointing_at,
    site,
    status_of,
)

NAME = "daemon"
GAP_SECONDS = 15.0
HELD_SECONDS = WARMUP_SECONDS + 5.0
"""So long after a start, an action would follow a crash if nothing held recovery."""


class Upgrade:
    """One daemon, upgraded and brought back."""

    def __init__(self, place: Site, earlier: Path, say: Say) -> None:
        self.place = place
        self.earlier = earlier
        self.say = say
        self.state = place.folder / "state"
        self.copy = place.folder / "state.before"
        self.env = {
            "VERGEWATCH_SYSTEMS": pointing_at(place.systems),
            "STATE_DIRECTORY": str(self.state),
        }

    async def start(self, code: Path | None) -> Daemon:
        return await self.place.start(NAME, code, self.env)

    async def run(self) -> None:
        self.state.mkdir()
        daemon = await self.start(self.earlier)
        await until_ready(self.place, daemon)
        known = await teach_and_hold(self.place, daemon)
        await self.crash_and_recover("before the upgrade")
        await vergewatch(ROOT, {**SETTINGS, **self.env}, "check")
        daemon = await self.upgrade()
        await until_ready(self.place, daemon)
        await check_known(self.place, daemon, known)
        await self.place.until_recovered(self.place.crashes)
        limit = WARMUP_SECONDS + GAP_SECONDS + START_SECONDS
        tell_starts(self.place, "around the upgrade", limit, self.say)
        await self.crash_and_recover("after the upgrade")
        self.place.check_posts(actions_sent(self.state / FILE, self.place))
        await self.go_back(known)

    async def upgrade(self) -> Daemon:
        """Replace the earlier daemon by the present one, while a crash is dealt with."""
        self.place.phase = "around the upgrade"
        async with scraping(self.place, every_seconds=0.1) as scrapes:
            self.place.crash()
            await REAL_TIME.sleep(2.0)
            self.place.crash()
            await REAL_TIME.sleep(1.0)
            await self.place.stop(NAME)
            self.place.crash()
            shutil.copytree(self.state, self.copy)
            daemon = await self.start(None)
            await daemon.page_where(lambda page: serves_all(page, self.place))
            await REAL_TIME.sleep(1.0)
        gap = scrapes.longest_gap_seconds
        self.say(f"no metrics during the restart: {gap:.1f} s")
        assert gap <= GAP_SECONDS
        return daemon

    async def go_back(self, known: Knowledge) -> None:
        """Run the earlier version again, with the copy of the journal if it needs that."""
        await self.place.stop(NAME)
        daemon = await self.start(self.earlier)
        await daemon.page_where(lambda page: serves_all(page, self.place))
        status = await self.settled_status(daemon)
        if "newer version" not in status["because"]:
            self.say("way back: the earlier version reads the journal as it is")
            await until_ready(self.place, daemon)
        else:
            self.say(f"way back: {status['readiness']} ({status['because']})")
            await self.crash_without_action(daemon)
            daemon = await self.restore()
            await self.crash_without_action(daemon)
            (self.state / "kill-switch").unlink()
            await until_ready(self.place, daemon)
            await self.place.until_recovered(self.place.crashes)
        await check_known(self.place, daemon, known)
        await self.crash_and_recover("after the way back")
        await resume_and_ask(self.place, daemon, known)
        self.place.check_posts({one.vm.key: 1 for one in self.place.crashes})

    async def restore(self) -> Daemon:
        """Put the copy of the state back, with a kill switch, and start the earlier version."""
        await self.place.stop(NAME)
        self.state.rename(self.place.folder / "state.newer")
        shutil.copytree(self.copy, self.state)
        (self.state / "kill-switch").touch()
        daemon = await self.start(self.earlier)
        status = await self.settled_status(daemon)
        assert status["readiness"] == "disarmed", status
        assert "kill-switch" in status["because"]
        return daemon

    async def settled_status(self, daemon: Daemon) -> Mapping[str, str]:
        """Return the status of recovery once the journal was opened, or cannot be."""
        status: Mapping[str, str] = {}

        async def is_known() -> bool:
            nonlocal status
            status = await status_of(daemon, NORTH)
            return bool(status["journal"]) or "newer version" in status["because"]

        await self.place.until(is_known, "the journal was opened")
        return status

    async def crash_and_recover(self, phase: str) -> None:
        """Crash a VM, and let it be started."""
        self.place.phase = phase
        crashed = self.place.crash()
        await self.place.until_recovered([crashed])
        tell_starts(self.place, phase, START_SECONDS, self.say)
        await REAL_TIME.sleep(2.0)

    async def crash_without_action(self, daemon: Daemon) -> None:
        """Crash a VM: it stays down, and monitoring goes on."""
        self.place.phase = "on the way back"
        crashed = self.place.crash()
        await REAL_TIME.sleep(HELD_SECONDS)
        assert self.place.seconds_to_start(crashed) is None
        assert serves_all(await daemon.page(), self.place)


def actions_sent(journal: Path, place: Site) -> Mapping[int, int]:
    """Return how many actions the journal has as sent in `NORTH`, by VM."""
    query = (
        "SELECT vm_key, count(*) FROM intents WHERE sent_at IS NOT NULL AND system = ? "
        "GROUP BY vm_key"
    )
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        return dict(connection.execute(query, [place.systems[NORTH].url]).fetchall())


async def upgrade_sqlite(folder: Path, earlier: Path, say: Say) -> None:
    """Upgrade a daemon of the *earlier* code and go back; raise `AssertionError` if it fails."""
    async with site(folder) as place:
        await Upgrade(place, earlier, say).run()

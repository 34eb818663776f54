"""Two real daemons with journals of their own on one system: together they keep one budget."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from itertools import count
from pathlib import Path

from exporter.journal.sqlite_database import FILE
from exporter.simulator import Simulator
from tests.daemon_process import REAL_TIME, Daemon, running
from tests.recovery.enrolled_world import enrolled_world

POLL_SECONDS = 0.4
PATIENCE_SECONDS = 60.0
LIMITS = {
    "warmup_seconds": 0.2,
    "warmup_polls": 2,
    "confirm_down_seconds": 0.2,
    "platform_seconds": 0.2,
    "log_settle_seconds": 0.1,
    "log_read_seconds": 2,
    "backoff_seconds": 0.1,
    "backoff_max_seconds": 0.2,
    "backoff_jitter": 0,
    "probation_seconds": 0.2,
    "breaker_min_vms": 1000,
    "reread_age_seconds": 20,
    "frozen_after_seconds": 120,
}
BUDGET = 3
"""Restarts of a VM in an hour, the default."""


def enforcing(system: Simulator, directory: Path, **limits: float) -> Mapping[str, str]:
    return {
        "VERGEWATCH_URL": system.url,
        "VERGEWATCH_API_KEY": system.api_key,
        "VERGEWATCH_POLL__FAST_SECONDS": str(POLL_SECONDS),
        "VERGEWATCH_API__TIMEOUT_SECONDS": "15",
        "VERGEWATCH_RECOVERY__MODE": "enforce",
        "VERGEWATCH_RECOVERY__OWN_USER": system.username,
        "VERGEWATCH_RECOVERY__DIRECTORY": str(directory),
        "VERGEWATCH_RECOVERY__LIMITS": json.dumps(LIMITS | limits),
    }


def sent(directory: Path) -> int:
    """Return how many actions a daemon has sent, by its journal."""
    with closing(sqlite3.connect(f"file:{directory / FILE}?mode=ro", uri=True)) as connection:
        found: int = connection.execute(
            "SELECT count(*) FROM intents WHERE sent_at IS NOT NULL"
        ).fetchone()[0]
        return found


async def until_ready(daemon: Daemon) -> None:
    await daemon.page_where(lambda page: page.get("vergewatch_recovery_ready") == [1])


async def test_second_daemon_holds_and_total_starts_keep_within_one_budget(tmp_path: Path) -> None:
    world = enrolled_world(6)
    vm = next(vm for vm in world.live_vms() if vm.service is None)
    first, second = tmp_path / "first", tmp_path / "second"

    async def crash_again_and_again(daemon: Daemon) -> None:
        """Crash the VM, each time when the daemon has seen it up."""
        for crashes in count():
            while daemon.events().count("recovery.restarted") < crashes:
                await REAL_TIME.sleep(0.05)
            await REAL_TIME.sleep(POLL_SECONDS)
            world.crash(vm.name)

    async with (
        Simulator(world=world, clock=REAL_TIME, burst_limit=None) as system,
        running(enforcing(system, first)) as one,
        running(enforcing(system, second, confirm_down_seconds=4)) as other,
    ):
        await until_ready(one)
        await until_ready(other)
        crashing = asyncio.create_task(crash_again_and_again(one))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "recovery.rival" not in other.events():
                await REAL_TIME.sleep(0.02)
        sent_before = sent(second)
        await REAL_TIME.sleep(POLL_SECONDS)
        page = await other.page()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "recovery.gave_up" not in one.events():
                await REAL_TIME.sleep(0.05)
        await REAL_TIME.sleep(6.0)  # the other would take over
        crashing.cancel()

        posts = [one for one in system.requests if one.path == "/api/v4/vm_actions"]
        assert sent_before == sent(second) == 0
        assert page.get("vergewatch_recovery_info", readiness="rival") == [1]
        assert len(posts) == sent(first) == BUDGET
        assert "recovery.rival" not in one.events()

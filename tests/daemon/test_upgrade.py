"""The journal that an earlier version wrote is taken over: what it knew holds on."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from exporter.simulator import Simulator
from tests.daemon.test_end_to_end import actions, is_running, until
from tests.daemon_process import Daemon, pointing_at, polls, running, simulating

SAVED = Path(__file__).with_name("saved") / "journal.sql"
"""
The dump of a journal.

Written in mode enforce by the version before the journal's directory kept files for each system.
db-01 crashed, was started, crashed again and is quarantined; anna stopped app-01, taught a log
template and disarmed recovery.
"""
TOKEN = "a token for tests"
SETTINGS = {
    "VERGEWATCH_RECOVERY__MODE": "enforce",
    "VERGEWATCH_RECOVERY__TOKEN": TOKEN,
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_SECONDS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_POLLS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__CONFIRM_DOWN_SECONDS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__LOG_SETTLE_SECONDS": "1",
    "VERGEWATCH_RECOVERY__LIMITS__BREAKER_MIN_VMS": "6",
    "VERGEWATCH_RECOVERY__LIMITS__NODE_FAILURE_VMS": "6",
    "VERGEWATCH_RECOVERY__LIMITS__MAX_PER_HOUR": "1",
}


async def test_saved_journal_holds_on_after_the_upgrade(tmp_path: Path) -> None:
    async with simulating(vms=12) as system:
        for name in ("web-01", "db-01", "app-01"):
            system.world.untag(name, "recovery/never")
            system.world.tag(name, "recovery/auto")
        for _ in range(10):  # its log goes on after the rows that the journal knows
            system.world.operator_stops("test-01")
            system.world.operator_starts("test-01")
        system.world.operator_stops("app-01")
        system.world.crash("db-01")
        restore(tmp_path / "journal.sqlite", system.url)
        state = {"VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path)}
        async with running({**pointing_at(system), **SETTINGS, **state}) as daemon:
            await until(lambda: "recovery.started" in daemon.events())
            await disarmed_stays_disarmed(system, daemon)
            await what_was_known_of_vms_is_known(daemon)
            await armed_it_acts_within_the_old_budgets(system, daemon)


def restore(path: Path, url: str) -> None:
    """Write the saved journal, as that of the system at *url*."""
    text = SAVED.read_text(encoding="utf-8").replace("http://URL", url)
    with sqlite3.connect(path) as database:
        database.executescript(text)
    database.close()


async def disarmed_stays_disarmed(system: Simulator, daemon: Daemon) -> None:
    await polls(system, 6)
    system.world.crash("web-01")
    await polls(system, 12)
    (status,) = (await asked(daemon, "/api/v1/recovery"))["systems"]
    assert status["readiness"] == "disarmed"
    assert status["disarmed"]["reason"] == "upgrade of vergewatch"
    assert actions(system) == []


async def what_was_known_of_vms_is_known(daemon: Daemon) -> None:
    patterns = json.dumps(await asked(daemon, "/api/v1/recovery/patterns"))
    assert "the site's own tool looked at" in patterns
    assert "the inventory tool" in patterns
    states = {
        name: (await asked(daemon, f"/api/v1/recovery/explain/{name}"))["state"]
        for name in ("db-01", "app-01")
    }
    assert states == {"db-01": "quarantined", "app-01": "stopped"}


async def armed_it_acts_within_the_old_budgets(system: Simulator, daemon: Daemon) -> None:
    await command(daemon, "arm")
    await until(lambda: is_running(system, "web-01"))
    await polls(system, 12)
    assert actions(system) == [("web-01", "poweron")]


async def asked(daemon: Daemon, path: str) -> Any:
    status, text = await daemon.get(path)
    assert status == 200, text
    return json.loads(text)


async def command(daemon: Daemon, kind: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = {"owner": "anna", "reason": "the upgrade is done"}
    async with daemon.http.post(
        f"{daemon.url}/api/v1/recovery/{kind}", json=body, headers=headers
    ) as answer:
        assert answer.status == 200, await answer.text()

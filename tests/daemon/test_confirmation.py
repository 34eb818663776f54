"""Confirmation by Prometheus with everything real: the daemon, Prometheus, and a prober."""

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from exporter.simulator import Simulator
from tests.daemon.test_approval import until
from tests.daemon.test_end_to_end import actions, explained, is_running, made
from tests.daemon_process import Daemon, pointing_at, running, simulating
from tests.prometheus.test_client import QUERY, probing
from tests.real_prometheus import prometheus

SETTINGS = {
    "VERGEWATCH_RECOVERY__MODE": "enforce",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_SECONDS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_POLLS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__CONFIRM_DOWN_SECONDS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__LOG_SETTLE_SECONDS": "1",
    "VERGEWATCH_RECOVERY__LIMITS__BREAKER_MIN_VMS": "6",
    "VERGEWATCH_RECOVERY__LIMITS__NODE_FAILURE_VMS": "6",
    "VERGEWATCH_RECOVERY__CONFIRM__QUERY": QUERY.replace("max_", "last_"),
}
CONFIRMED, DENIED, LATER = "web-01", "app-01", "db-01"
NAMES = (CONFIRMED, DENIED, LATER)
GUARD = "down_confirmed"


async def guard(daemon: Daemon, name: str) -> Any:
    guards = (await explained(daemon, name))["guards"]
    return next((one for one in guards if one["guard"] == GUARD), None)


async def is_held(daemon: Daemon, name: str) -> bool:
    return bool((await explained(daemon, name)).get("failed_guard") == GUARD)


async def test_daemon_starts_what_prometheus_confirms_and_holds_the_rest(tmp_path: Path) -> None:
    async with (
        simulating(vms=12) as system,
        probing(dict.fromkeys(NAMES, 1.0)) as probe,
        AsyncExitStack() as until_killed,
    ):
        server = await until_killed.enter_async_context(prometheus(tmp_path, {"probe": probe.url}))
        enroll(system, *NAMES)
        env = {
            **pointing_at(system),
            **SETTINGS,
            "VERGEWATCH_RECOVERY__DIRECTORY": str(made(tmp_path / "state")),
            "VERGEWATCH_RECOVERY__CONFIRM__URL": server.url,
        }
        async with running(env) as daemon:
            await until(lambda: is_active(daemon))

            system.world.crash(CONFIRMED)
            probe.success[CONFIRMED] = 0.0
            await until(lambda: is_running(system, CONFIRMED))
            assert actions(system) == [(CONFIRMED, "poweron")]

            probe.success[CONFIRMED] = 1.0
            await until(lambda: served(daemon))
            assert "worked again after" in (await daemon.get("/api/v1/recovery/log"))[1]

            system.world.crash(DENIED)
            await until(lambda: is_held(daemon, DENIED))
            assert (await guard(daemon, DENIED))["detail"].endswith("== bool 0 returned 0")
            probe.success[DENIED] = 0.0
            await until(lambda: is_running(system, DENIED))

            await until_killed.aclose()
            system.world.crash(LATER)
            await until(lambda: is_held(daemon, LATER))
            assert "cannot connect" in (await guard(daemon, LATER))["detail"]
    assert actions(system) == [(CONFIRMED, "poweron"), (DENIED, "poweron")]


async def test_daemon_goes_on_without_prometheus_if_the_setting_says_so(tmp_path: Path) -> None:
    async with simulating(vms=12) as system:
        enroll(system, CONFIRMED)
        env = {
            **pointing_at(system),
            **SETTINGS,
            "VERGEWATCH_RECOVERY__DIRECTORY": str(made(tmp_path / "state")),
            "VERGEWATCH_RECOVERY__CONFIRM__URL": "http://127.0.0.1:1",
            "VERGEWATCH_RECOVERY__CONFIRM__UNREACHABLE": "go_on",
        }
        async with running(env) as daemon:
            await until(lambda: is_active(daemon))
            system.world.crash(CONFIRMED)
            await until(lambda: is_running(system, CONFIRMED))

            assert "not confirmed, which the settings permit" in await why_it_acted(daemon)


def enroll(system: Simulator, *names: str) -> None:
    for name in names:
        system.world.untag(name, "recovery/never")
        system.world.tag(name, "recovery/auto")


async def is_active(daemon: Daemon) -> bool:
    _, text = await daemon.get("/api/v1/recovery")
    return bool(json.loads(text)["systems"][0]["readiness"] == "active")


async def served(daemon: Daemon) -> bool:
    return any(one["event"] == "recovery.service_returned" for one in daemon.log)


async def why_it_acted(daemon: Daemon) -> str:
    """Return the detail of the guard in the decision that led to the action."""
    for number in range(1, 20):
        _, text = await daemon.get(f"/api/v1/recovery/explain/{CONFIRMED}?decision={number}")
        found = json.loads(text)
        if found.get("guards") and found.get("failed_guard") is None:
            return next(str(one["detail"]) for one in found["guards"] if one["guard"] == GUARD)
    raise AssertionError("no decision led to an action")

"""The world of `vergewatch demo`, in haste and with a story that reaches every panel."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from exporter.simulator import Simulator
from exporter.simulator.scenarios.scenario import load_scenario
from tests.daemon.test_prometheus import free_port, ready
from tests.daemon_process import REAL_TIME, Daemon, Page, pointing_at, running
from tests.dashboards.shipped import RULES
from tests.debian import needs

RESCUED = "app-badger"
"""Crashes once and is started again; it has a guest agent, so that its page is full."""
DOOMED = "queue-heron"
"""Crashes whenever it runs, until it is given up."""
STOPPED = "desktop-mira"
"""A person stops it."""
HUNG = "wiki-lantern"
"""Hangs, and recovery may not act on it."""

HASTE = {
    "VERGEWATCH_RECOVERY__MODE": "enforce",
    "VERGEWATCH_RECOVERY__LIMITS": json.dumps(
        {
            "warmup_seconds": 2,
            "warmup_polls": 3,
            "confirm_down_seconds": 1,
            "log_settle_seconds": 1,
            "backoff_seconds": 0.5,
            "probation_seconds": 2,
            "platform_seconds": 5,
            "breaker_min_vms": 10,
            "node_failure_window_seconds": 1,
        }
    ),
}
BY = 60.0
"""A minute of an ordinary daemon is a second of this one."""


@dataclass(frozen=True)
class Stage:
    """What runs."""

    system: Simulator
    daemon: Daemon
    prometheus: str


@asynccontextmanager
async def demo_world(folder: Path) -> AsyncIterator[Stage]:
    """Run the demo's cloud, a daemon and a Prometheus with our rules, over real sockets."""
    needs("prometheus")
    # By the timetable and by chance things happen over half an hour; here they are told to.
    scenario = replace(load_scenario("demo"), schedule=(), rates={})
    world = scenario.build(REAL_TIME)
    async with Simulator(world=world, clock=REAL_TIME) as system:
        journal = {"VERGEWATCH_RECOVERY__DIRECTORY": str(folder / "journal")}
        async with (
            running({**pointing_at(system), **HASTE, **journal}) as daemon,
            _prometheus(folder, daemon.url) as url,
        ):
            yield Stage(system, daemon, url)


async def play(stage: Stage) -> None:
    """Let happen what the dashboards tell of."""
    world = stage.system.world
    for vm in list(world.live_vms()):
        if not vm.machine.status.running:
            world.operator_starts(vm.name)
    await stage.daemon.page_where(lambda page: page.get("vergewatch_recovery_ready") == [1])
    await stage.daemon.page_where(
        lambda page: _is(page, RESCUED, "healthy") and _is(page, DOOMED, "healthy")
    )
    await _seen(stage)

    world.crash(RESCUED)
    world.operator_stops(STOPPED)
    world.hang(HUNG)
    while not _is(page := await stage.daemon.page(), DOOMED, "quarantined"):
        seen_up = _is(page, DOOMED, "healthy") or _is(page, DOOMED, "probation")
        if seen_up and world.vm(DOOMED).machine.status.running:
            world.crash(DOOMED)
        await REAL_TIME.sleep(0.5)
    await stage.daemon.page_where(lambda page: _is(page, RESCUED, "healthy"))
    await stage.daemon.page_where(_knows_its_agent)  # which comes up a while after its guest


def _is(page: Page, name: str, state: str) -> bool:
    return bool(page.get("vergewatch_recovery_vm_state_info", vm_name=name, state=state))


def _knows_its_agent(page: Page) -> bool:
    known = page.get("vergewatch_vm_info", vm_name=RESCUED)
    return bool(known) and not page.get("vergewatch_vm_info", vm_name=RESCUED, agent_version="")


async def _seen(stage: Stage) -> None:
    """Return when Prometheus has seen the world as it was before the trouble."""
    params = {"query": f'vergewatch_vm_guest_info{{vm_name="{RESCUED}"}}'}
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{stage.prometheus}/api/v1/query", params=params) as answer:
                if (await answer.json())["data"]["result"]:
                    return
            await REAL_TIME.sleep(0.2)


@asynccontextmanager
async def _prometheus(folder: Path, scraped: str) -> AsyncIterator[str]:
    config = folder / "prometheus.yml"
    config.write_text(
        json.dumps(
            {
                "global": {
                    "scrape_interval": "1s",
                    "scrape_timeout": "1s",
                    "evaluation_interval": "1s",
                },
                "rule_files": [str(path) for path in RULES],
                "scrape_configs": [
                    {
                        "job_name": "vergewatch",
                        "static_configs": [{"targets": [urlsplit(scraped).netloc]}],
                    }
                ],
            }
        ),
        encoding="utf-8",
    )
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        needs("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as http:
            await ready(http, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()

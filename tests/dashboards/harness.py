"""The system of `vergewatch demo` with a fast recovery, and a scenario that fills every panel."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from exporter.simulator import Simulator
from exporter.simulator.scenarios.scenario import load_scenario
from tests.daemon_process import REAL_TIME, Daemon, Page, pointing_at, running
from tests.dashboards.shipped import RULES
from tests.real_prometheus import prometheus

RECOVERED = "app-badger"
"""Crashes once and is restarted; it has a guest agent, which fills its dashboard."""
QUARANTINED = "queue-heron"
"""Crashes whenever it runs, until it is quarantined."""
STOPPED = "desktop-mira"
"""Is stopped by an operator."""
HUNG = "wiki-lantern"
"""Hangs, and is not enrolled."""

FAULTS = (
    "alarm_raised",
    "snapshot_overdue",
    "drive_failing",
    "drive_offline",
    "vnet_unresponsive",
)
"""What is wrong from the start, in tables that are read seldom."""
FAST_RECOVERY = {
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
SPEEDUP = 60.0
"""A minute of an ordinary daemon is a second of this one."""


@dataclass(frozen=True)
class Harness:
    """The running parts."""

    system: Simulator
    daemon: Daemon
    prometheus: str


@asynccontextmanager
async def running_demo(folder: Path) -> AsyncIterator[Harness]:
    """Run the demo's system, a daemon and a Prometheus with our rules, over real sockets."""
    # The demo's schedule and rates take half an hour; run_scenario causes the events instead.
    scenario = replace(load_scenario("demo"), schedule=(), rates={})
    world = scenario.build(REAL_TIME)
    for fault in FAULTS:
        world.faults.turn_on(fault)
    async with Simulator(world=world, clock=REAL_TIME) as system:
        journal = {"VERGEWATCH_RECOVERY__DIRECTORY": str(folder / "journal")}
        async with (
            running({**pointing_at(system), **FAST_RECOVERY, **journal}) as daemon,
            prometheus(
                folder, {"vergewatch": daemon.url}, rule_files=[str(path) for path in RULES]
            ) as server,
        ):
            yield Harness(system, daemon, server.url)


async def run_scenario(harness: Harness) -> None:
    """Cause everything that the dashboards show."""
    world = harness.system.world
    harness.system.faults.turn_on("cluster_reduced")  # which the doctor finds
    for vm in list(world.live_vms()):
        if not vm.machine.status.running:
            world.operator_starts(vm.name)
    await harness.daemon.page_where(lambda page: page.get("vergewatch_recovery_ready") == [1])
    await harness.daemon.page_where(
        lambda page: all(_in_state(page, vm, "healthy") for vm in (RECOVERED, QUARANTINED))
    )
    await _scraped(harness)

    world.crash(RECOVERED)
    world.operator_stops(STOPPED)
    world.hang(HUNG)
    while not _in_state(page := await harness.daemon.page(), QUARANTINED, "quarantined"):
        seen_up = any(_in_state(page, QUARANTINED, one) for one in ("healthy", "probation"))
        if seen_up and world.vm(QUARANTINED).machine.status.running:
            world.crash(QUARANTINED)
        await REAL_TIME.sleep(0.5)
    await harness.daemon.page_where(lambda page: _in_state(page, RECOVERED, "healthy"))
    await harness.daemon.page_where(_has_agent_version)  # which comes up a while after its guest


def _in_state(page: Page, name: str, state: str) -> bool:
    return bool(page.get("vergewatch_recovery_vm_state_info", vm_name=name, state=state))


def _has_agent_version(page: Page) -> bool:
    known = page.get("vergewatch_vm_info", vm_name=RECOVERED)
    return bool(known) and not page.get("vergewatch_vm_info", vm_name=RECOVERED, agent_version="")


async def _scraped(harness: Harness) -> None:
    """Return when Prometheus has scraped the system as it was before the problems."""
    params = {"query": f'vergewatch_vm_guest_info{{vm_name="{RECOVERED}"}}'}
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{harness.prometheus}/api/v1/query", params=params) as answer:
                if (await answer.json())["data"]["result"]:
                    return
            await REAL_TIME.sleep(0.2)

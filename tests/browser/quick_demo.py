"""``python -m tests.browser.quick_demo``: the demo with a test's settings, ready in seconds."""

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

from exporter import logs
from exporter.cli.demo import show
from exporter.cli.main import DEMO_TOKEN
from exporter.clock import SystemClock
from exporter.config.loader import merged
from exporter.simulator import Simulator, World, load_scenario
from exporter.simulator.world.events import VM_EVENTS, Event
from exporter.simulator.world.machines import VM

QUICK: dict[str, Any] = {
    "poll": {"fast_seconds": 1, "slow_seconds": 5, "inventory_seconds": 10, "rare_seconds": 20},
    "api": {"requests_per_hour": 100_000},
    "alertmanager": {
        "evaluate_every_seconds": 1,
        "silences_every_seconds": 1,
        "after_silence_seconds": 0,
    },
    "recovery": {
        "limits": {
            "warmup_seconds": 2,
            "warmup_polls": 1,
            "confirm_down_seconds": 2,
            "log_settle_seconds": 2,
            "log_read_seconds": 2,
        }
    },
}
UNCLEAR_ROW = "Blinkenlights of the hypervisor were reversed"


def main() -> None:
    """Run the demo with the settings in the first argument; with ``quiet``, nothing happens."""
    given = json.loads(sys.argv[1])
    logs.configure("info", "json")
    scenario = load_scenario("demo")
    if "quiet" in sys.argv:
        scenario = replace(scenario, schedule=(), rates={})
    VM_EVENTS["crashes_unclearly"] = Event(_crash_unclearly, "vm")
    clock = SystemClock()
    simulator = Simulator(world=scenario.build(clock), clock=clock)
    settings = merged(QUICK, given)
    asyncio.run(show(simulator, settings, clock, token=DEMO_TOKEN, started=lambda: None))


def _crash_unclearly(world: World, vm: VM) -> None:
    """Crash a VM at the same time as a log row about it that no pattern knows."""
    machine = vm.machine.key
    world.platform_log.write(
        UNCLEAR_ROW, at=world.now, user="system", name=vm.name, machine=machine
    )
    world.crash(vm)


if __name__ == "__main__":
    main()

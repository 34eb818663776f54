"""Run the VergeOS simulator, alone or with a daemon that monitors it."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import structlog

from exporter.cli.demo_control import DemoControl
from exporter.clock import Clock
from exporter.config.loader import merged
from exporter.config.settings import Settings
from exporter.daemon import app
from exporter.errors import ConfigError
from exporter.simulator import FaultError, Simulator

log = structlog.get_logger()

DEMO_SETTINGS: dict[str, Any] = {
    "poll": {"fast_seconds": 5, "slow_seconds": 15, "inventory_seconds": 60, "rare_seconds": 60},
    # The simulator has no hourly limit.
    "api": {"requests_per_hour": 10_000},
    "alertmanager": {"silences_every_seconds": 5, "after_silence_seconds": 30},
    "recovery": {
        "mode": "enforce",
        "limits": {
            "warmup_seconds": 15,
            "warmup_polls": 3,
            "confirm_down_seconds": 10,
            "log_settle_seconds": 5,
            "log_read_seconds": 10,
            "confirm_hung_seconds": 60,
            "backoff_seconds": 10,
            "probation_seconds": 60,
            "platform_seconds": 60,
            "breaker_min_vms": 6,
            "breaker_close_seconds": 60,
            "system_max_per_10_minutes": 20,
            "node_failure_window_seconds": 5,
        },
    },
}
"""Short intervals: what takes minutes on a real system takes seconds here."""


async def show(
    simulator: Simulator,
    given: dict[str, dict[str, Any]],
    clock: Clock,
    *,
    token: str,
    started: Callable[[], None],
) -> None:
    """
    Run the simulator and a daemon that restarts its crashed VMs, until SIGTERM or Ctrl-C.

    Args:
        token: The token that recovery commands require.
        started: Called once the daemon serves.

    """
    async with simulator:
        log.info("simulator.started", url=simulator.url, control=f"{simulator.url}/simulator/")
        with TemporaryDirectory(prefix="vergewatch-demo-") as directory:
            own = {
                "systems": [{"url": simulator.url, "api_key": simulator.api_key}],
                "recovery": {"directory": directory, "token": token},
            }
            settings = Settings(**merged(merged(DEMO_SETTINGS, given), own))
            await app.run(
                settings, lambda: settings, clock, started, demo=DemoControl(simulator, token)
            )


async def serve(
    simulator: Simulator, faults: Sequence[str], started: Callable[[Simulator], None]
) -> None:
    """
    Run the simulator alone, until SIGTERM or Ctrl-C.

    Args:
        faults: The initial faults, each ``name`` or ``name:key=value,key=value``.
        started: Called once the simulator listens.

    Raises:
        ConfigError: A fault does not exist, or the address cannot be listened on.

    """
    for fault in faults:
        turn_on(simulator, fault)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        await simulator.start()
    except OSError as problem:
        raise ConfigError(f"cannot listen: {problem.strerror}") from None
    try:
        started(simulator)
        await stopping.wait()
    finally:
        await simulator.stop()


def turn_on(simulator: Simulator, fault: str) -> None:
    """Turn on a fault written as ``latency:seconds=2,path=vms``."""
    name, _, rest = fault.partition(":")
    settings: dict[str, Any] = {}
    for pair in rest.split(",") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--fault {fault}: {pair!r} is not key=value")
        try:
            settings[key] = msgspec.json.decode(value)  # a number or a boolean
        except msgspec.DecodeError:
            settings[key] = value
    try:
        simulator.faults.turn_on(name, **settings)
    except (FaultError, TypeError) as problem:
        raise ConfigError(f"--fault {fault}: {problem}") from None

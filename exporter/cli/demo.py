"""The simulated VergeOS for whoever wants to see something work: alone, or with the daemon."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import structlog

from exporter.clock import Clock
from exporter.config.settings import Settings
from exporter.daemon import app
from exporter.errors import ConfigError
from exporter.simulator import FaultError, Simulator

log = structlog.get_logger()

HASTE: dict[str, Any] = {
    "poll": {"fast_seconds": 5, "slow_seconds": 15, "inventory_seconds": 60},
    # The simulated VergeOS has no hourly limit, and nobody should wait to see something happen.
    "api": {"requests_per_hour": 10_000},
    "alertmanager": {"silences_every_seconds": 5, "after_silence_seconds": 30},
    "recovery": {
        "mode": "enforce",
        "limits": {
            "warmup_seconds": 15,
            "warmup_polls": 3,
            "confirm_down_seconds": 10,
            "log_settle_seconds": 5,
            "log_others_seconds": 10,
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
"""A toy's haste: what takes minutes on a real cloud is seen in moments here."""


async def show(
    simulator: Simulator,
    given: dict[str, dict[str, Any]],
    clock: Clock,
    *,
    token: str,
    started: Callable[[], None],
) -> None:
    """
    Run the simulator and a daemon that watches it and starts what crashes, until told to stop.

    Args:
        token: What `vergewatch recovery pause` and the like have to show.
        introduce: Called once there is something to look at.

    """
    async with simulator:
        log.info("simulator.started", url=simulator.url, control=f"{simulator.url}/simulator/")
        system = {"url": simulator.url, "api_key": simulator.api_key}
        with TemporaryDirectory(prefix="vergewatch-demo-") as directory:
            recovery = {**HASTE["recovery"], "directory": directory, "token": token}
            alerting = {**HASTE["alertmanager"], **given.get("alertmanager", {})}
            made = {**HASTE, **given, "recovery": recovery, "alertmanager": alerting}
            settings = Settings(**{"systems": [system], **made})
            await app.run(settings, lambda: settings, clock, started)


async def serve(
    simulator: Simulator, faults: Sequence[str], introduce: Callable[[Simulator], None]
) -> None:
    """
    Run the simulator alone, until told to stop.

    Args:
        faults: What is broken from the start, as ``name`` or ``name:key=value,key=value``.
        introduce: Told once there is an address to tell people.

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
        introduce(simulator)
        await stopping.wait()
    finally:
        await simulator.stop()


def turn_on(simulator: Simulator, fault: str) -> None:
    """Turn on what ``latency:seconds=2,path=vms`` says."""
    name, _, rest = fault.partition(":")
    settings: dict[str, Any] = {}
    for pair in rest.split(",") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--fault {fault}: {pair!r} is not key=value")
        settings[key] = _value(value)
    try:
        simulator.faults.turn_on(name, **settings)
    except (FaultError, TypeError) as problem:
        raise ConfigError(f"--fault {fault}: {problem}") from None


def _value(text: str) -> Any:
    """Return the number or flag that *text* is, or else the text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text

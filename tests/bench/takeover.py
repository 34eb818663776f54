"""How long recovery has no leader when the replica that leads ends, or is killed."""

import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.daemon_process import REAL_TIME
from tests.postgres import postgres_server
from tests.recovery.replica_scene import Replica, Scene, scene


class Cost(NamedTuple):
    """Seconds until another replica leads."""

    after_sigterm: float
    after_sigkill: float


async def measure() -> Cost:
    """Return the cost with the real times of the lease, and PostgreSQL on this machine."""
    with TemporaryDirectory(prefix="vergewatch-bench-") as folder, postgres_server() as server:
        async with scene(Path(folder), server.new_database(), speedup=1.0) as stage:
            first = await stage.start("first")
            await stage.until(lambda: first.leads, "the first leads")
            second = await stage.start("second")
            await stage.until_watched(stage.vms[0])
            after_sigterm = await _takeover(stage, first, signal.SIGTERM, second)
            third = await stage.start("third")
            await stage.until_watched(stage.vms[0])
            return Cost(after_sigterm, await _takeover(stage, second, signal.SIGKILL, third))


async def _takeover(stage: Scene, leader: Replica, number: signal.Signals, other: Replica) -> float:
    began = REAL_TIME.monotonic()
    leader.send(number)
    await stage.until(lambda: other.leads, f"{other.name} leads")
    return REAL_TIME.monotonic() - began

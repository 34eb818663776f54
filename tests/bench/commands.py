"""How long commands of the CLI take, as a user sees them: processes, wall time."""

import asyncio
import sys
from typing import NamedTuple

from tests.bench.daemon import simulating
from tests.daemon_process import REAL_TIME, running_program

REPETITIONS = 5
RECOVERY_POLLED = "vergewatch_recovery_inventory_timestamp_seconds"


class Cost(NamedTuple):
    """Seconds from start to exit, the best of several runs."""

    version: float
    explain: float
    """Against a running daemon with recovery in shadow mode."""


async def measure(directory: str) -> Cost:
    """Measure both commands with a simulated system of 20 VMs; *directory* is for the journal."""
    async with simulating(20) as (url, key):
        env = {
            "VERGEWATCH_URL": url,
            "VERGEWATCH_API_KEY": key,
            "VERGEWATCH_RECOVERY__MODE": "shadow",
            "VERGEWATCH_RECOVERY__DIRECTORY": directory,
        }
        async with running_program(env) as daemon:
            page = await daemon.until_up()
            # Recovery imports SQLAlchemy and opens the journal before it looks at the first poll.
            await daemon.page_where(lambda page: bool(page.get(RECOVERY_POLLED)))
            vm = dict(next(iter(page.samples["vergewatch_vm_info"])))["vm_name"]
            return Cost(
                version=await _best("--version"),
                explain=await _best("explain", vm, "--url", daemon.url),
            )


async def _best(*args: str) -> float:
    return min([await _seconds(*args) for _ in range(REPETITIONS)])


async def _seconds(*args: str) -> float:
    began = REAL_TIME.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", *args),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {output.decode()}")
    return REAL_TIME.monotonic() - began

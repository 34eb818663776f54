"""The real daemon, in a process of its own, watching whatever a test points it at."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from exporter.clock import SystemClock
from exporter.simulator import Simulator, Timings, create_world
from tests.forking import ForkedCommand, bare_environment, start_command

PATIENCE_SECONDS = 20.0
HASTE = {
    "VERGEWATCH_POLL__FAST_SECONDS": "0.5",
    "VERGEWATCH_POLL__SLOW_SECONDS": "1",
    "VERGEWATCH_POLL__INVENTORY_SECONDS": "2",
    "VERGEWATCH_API__REQUESTS_PER_HOUR": "1000000",
    "VERGEWATCH_API__TIMEOUT_SECONDS": "2",
    # The start sends a request per table, and the simulator drops more than 50 in a second.
    "VERGEWATCH_API__SPACING_SECONDS": "0.025",
    "VERGEWATCH_RECOVERY__MODE": "off",
}
"""A day in the life of a daemon, in seconds."""

OBSERVED = {"VERGEWATCH_LOG__FORMAT": "json", "VERGEWATCH_WEB__LISTEN_ADDRESS": "127.0.0.1:0"}
"""What a test needs to follow it. Not as options: without any, the daemon imports less."""

QUICK_MIGRATION = Timings(migration_per_gb=0.01, migration_at_most=0.1)

REAL_TIME = SystemClock()
"""The daemon is another process: it cannot be handed a clock."""

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """A scraped page, to be asked for values."""

    text: str

    @cached_property
    def samples(self) -> dict[str, dict[Labels, float]]:
        """Every sample, by the name of its metric."""
        return _samples(self.text)

    def get(self, name: str, **labels: str) -> list[float]:
        """
        Return the values of a metric.

        Only its lines are parsed: the test runs the simulated system as well, and a page of 800
        VMs takes so long that the requests of the daemon would time out meanwhile.
        """
        begins = (f"{name}{{", f"{name} ")
        lines = [line for line in self.text.splitlines() if line.startswith(begins)]
        found = _samples("\n".join([*lines, ""])).get(name, {})
        wanted = set(labels.items())
        return [value for known, value in found.items() if wanted <= known]

    def one(self, name: str, **labels: str) -> float:
        (value,) = self.get(name, **labels)
        return value

    def names(self) -> set[str]:
        return set(self.samples)

    @property
    def vm_names(self) -> set[str]:
        """Names of the metrics about VMs that have samples."""
        return {name for name in self.samples if name.startswith("vergewatch_vm_")}


def _samples(text: str) -> dict[str, dict[Labels, float]]:
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            assert labels not in found.setdefault(sample.name, {}), sample
            found[sample.name][labels] = sample.value
    return found


@dataclass
class Daemon:
    """A running daemon."""

    process: asyncio.subprocess.Process | ForkedCommand
    url: str
    http: aiohttp.ClientSession
    log: list[dict[str, Any]]
    output: list[str]

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.http.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def page(self) -> Page:
        status, text = await self.get("/metrics")
        assert status == 200
        return Page(text)

    async def page_where(self, holds: Callable[[Page], bool]) -> Page:
        """Scrape until *holds* of the page; the test fails if it never does."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for page in self._pages():
                if holds(page):
                    return page
        raise AssertionError("there are always more pages")

    async def _pages(self) -> AsyncIterator[Page]:
        while True:
            yield await self.page()
            await REAL_TIME.sleep(0.05)

    async def until_up(self, **labels: str) -> Page:
        """Scrape until the whole picture is there."""
        return await self.page_where(
            lambda page: (
                page.get("vergewatch_up", **labels) == [1]
                and bool(page.get("vergewatch_vm_disk_reads_total", **labels))
                and _is_polled(page, labels)
            )
        )

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.log]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def end(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()


def _is_polled(page: Page, labels: Mapping[str, str]) -> bool:
    """Return whether every table was polled at least once."""
    polled, planned = (
        len(page.get(f"vergewatch_table_{name}", **labels))
        for name in ("success", "interval_seconds")
    )
    return polled == planned


@asynccontextmanager
async def running(env: Mapping[str, str], *args: str) -> AsyncIterator[Daemon]:
    """Run ``vergewatch run`` with *env* on a free port, in a forked process."""
    # What another daemon remembered is not for this one.
    with TemporaryDirectory() as state:
        environ = _environment(env, state)
        process = await start_command("run", *args, env=environ, one_output=True)
        async with _followed(process) as daemon:
            yield daemon


@asynccontextmanager
async def running_program(
    env: Mapping[str, str], *, files: int | None = None, code: Path | None = None
) -> AsyncIterator[Daemon]:
    """
    Run ``vergewatch run`` in an interpreter of its own, as a site does.

    Args:
        files: How many files it may open.
        code: The directory of another version of the package. Default: the present version.

    """
    limited = ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh") if files is not None else ()
    with TemporaryDirectory() as state:
        place = {} if code is None else {"PYTHONPATH": str(code)}
        process = await asyncio.create_subprocess_exec(
            *limited,
            *(sys.executable, "-m", "exporter", "run"),
            cwd=code,
            env={**_environment(env, state), **place},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with _followed(process) as daemon:
            yield daemon


def _environment(env: Mapping[str, str], state: str) -> dict[str, str]:
    return {**bare_environment(), "STATE_DIRECTORY": state, **HASTE, **OBSERVED, **env}


@asynccontextmanager
async def _followed(process: asyncio.subprocess.Process | ForkedCommand) -> AsyncIterator[Daemon]:
    """Read what a daemon logs, from when it listens; end it at the end."""
    output: list[str] = []
    log: list[dict[str, Any]] = []
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def listen() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            output.append(line.decode())
            with suppress(json.JSONDecodeError):
                log.append(json.loads(line))
                if log[-1].get("event") == "daemon.started":
                    started.set_result(log[-1]["listen"])
        if not started.done():
            started.set_exception(AssertionError("".join(output)))

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            address = await started
        async with aiohttp.ClientSession() as http:
            yield Daemon(process, f"http://{address}", http, log, output)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await process.wait()
        await listening


@asynccontextmanager
async def simulating(
    *, vms: int = 20, seed: int = 1, timings: Timings = QUICK_MIGRATION, **options: Any
) -> AsyncIterator[Simulator]:
    """Run a simulator of a small cloud in this process, in real time."""
    world = create_world(
        seed=seed,
        vms=vms,
        start=REAL_TIME.now().timestamp(),
        timings=timings,
    )
    async with Simulator(world=world, clock=REAL_TIME, **options) as simulator:
        yield simulator


async def polls(simulator: Simulator, count: int) -> None:
    """Return when *count* more polls have been made of *simulator*, or tried."""
    seen = len(simulator.requests)
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for _ in _ticks():
            asked = list(simulator.requests)[seen:]
            if sum(request.path.endswith("/machine_status") for request in asked) >= count:
                return


async def _ticks() -> AsyncIterator[None]:
    while True:
        yield
        await REAL_TIME.sleep(0.05)


def pointing_at(simulator: Simulator) -> dict[str, str]:
    """Return the environment that makes a daemon watch *simulator*."""
    return {"VERGEWATCH_URL": simulator.url, "VERGEWATCH_API_KEY": simulator.api_key}

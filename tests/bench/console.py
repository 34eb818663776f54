"""The costs of the console: how fast its pages come, what they weigh, and what open ones cost."""

import asyncio
import os
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import aiohttp

from tests.bench.daemon import simulating
from tests.daemon_process import REAL_TIME, Daemon, running_program

BROWSERS = 50
WATCHED_SECONDS = 60.0
TRIES = 10
LIST = "/vms"
SEARCH = "/vms?q=web-12"
PAGES = ("/", LIST, "/recovery", "/alerts", "/platform", "/data")
NOT_SHARED = {"Cookie": "bench=1"}
"""Visitors with a cookie do not share the pages that were rendered for others."""
LINKED = re.compile(r'(?:src|href)="(/static/[^"]+)"')


class Cost(NamedTuple):
    """The costs of the console of one daemon."""

    first_byte_ms: float
    """Of the list of VMs."""
    first_byte_after_poll_ms: float
    """The same, where the entries of a new inventory have to be made."""
    search_ms: float
    heaviest_kb: float
    """Page, scripts and styles of the heaviest page."""
    heaviest: str
    share_ratio: float
    """Of a processor, that open browsers cost: what the daemon takes with them, less without."""
    refreshes: int
    """How often one of the browsers fetched its page."""
    refused: int
    """How many of these were refused."""


async def measure(vms: int) -> Cost:
    """Run a daemon with the default intervals and a simulator, each in its own process."""
    with TemporaryDirectory(prefix="vergewatch-bench-") as directory:
        async with simulating(vms) as (url, key):
            env = {
                "VERGEWATCH_RECOVERY__MODE": "shadow",
                "VERGEWATCH_RECOVERY__DIRECTORY": directory,
                "VERGEWATCH_URL": url,
                "VERGEWATCH_API_KEY": key,
                "VERGEWATCH_POLL__FAST_SECONDS": "20",
                "VERGEWATCH_POLL__SLOW_SECONDS": "60",
                "VERGEWATCH_POLL__INVENTORY_SECONDS": "300",
                "VERGEWATCH_API__TIMEOUT_SECONDS": "30",
                "VERGEWATCH_API__SPACING_SECONDS": "0.05",
            }
            async with running_program(env) as daemon:
                await daemon.until_up()
                return await _measure(daemon)


async def _measure(daemon: Daemon) -> Cost:
    weights = {page: await weight(daemon, page) for page in PAGES}  # which loads the templates
    await _next_poll(daemon)
    cold = await first_byte_ms(daemon, LIST)
    warm = [await first_byte_ms(daemon, LIST) for _ in range(TRIES)]
    search = [await _fetched_ms(daemon, SEARCH) for _ in range(TRIES)]
    heaviest = max(weights, key=lambda page: weights[page])
    alone, _ = await _share(daemon, 0)
    crowded, browsers = await _share(daemon, BROWSERS)
    return Cost(
        first_byte_ms=statistics.median(warm),
        first_byte_after_poll_ms=cold,
        search_ms=statistics.median(search),
        heaviest_kb=weights[heaviest] / 1000,
        heaviest=heaviest,
        share_ratio=max(0.0, crowded - alone),
        refreshes=sum(browser.refreshes for browser in browsers),
        refused=sum(browser.refused for browser in browsers),
    )


async def first_byte_ms(daemon: Daemon, path: str) -> float:
    """Return how long the first bytes of a page take that is rendered for this request."""
    began = REAL_TIME.monotonic()
    async with daemon.http.get(daemon.url + path, headers=NOT_SHARED) as answer:
        await answer.content.readany()
        spent = REAL_TIME.monotonic() - began
        await answer.read()
        answer.raise_for_status()
    return spent * 1000


async def weight(daemon: Daemon, path: str) -> int:
    """Return the bytes of a page and of the files that it loads, as they are sent."""
    html = await _received(daemon, path)
    files = set(LINKED.findall(html.decode()))
    return len(html) + sum([len(await _received(daemon, file)) for file in files])


class Browser:
    """An open page: it is fetched at each poll, as htmx does."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.refreshes = 0
        self.refused = 0

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(f"{self._daemon.url}/events") as events,
        ):
            events.raise_for_status()
            async for line in events.content:
                if line == b"event: poll\n":
                    await self._refresh(http)

    async def _refresh(self, http: aiohttp.ClientSession) -> None:
        async with http.get(f"{self._daemon.url}/", headers={"HX-Request": "true"}) as answer:
            await answer.read()
        self.refreshes += 1
        self.refused += answer.status != 200


async def _share(daemon: Daemon, count: int) -> tuple[float, Sequence[Browser]]:
    """Return which share of a processor the daemon takes with *count* open browsers."""
    browsers = [Browser(daemon) for _ in range(count)]
    tasks = [asyncio.create_task(browser.run()) for browser in browsers]
    await _next_poll(daemon)
    before, began = _cpu_seconds(daemon), REAL_TIME.monotonic()
    await REAL_TIME.sleep(WATCHED_SECONDS)
    share = (_cpu_seconds(daemon) - before) / (REAL_TIME.monotonic() - began)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
    return share, browsers


def _cpu_seconds(daemon: Daemon) -> float:
    """Return the processor time that the daemon has taken."""
    stat = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


async def _next_poll(daemon: Daemon) -> None:
    async with daemon.http.get(f"{daemon.url}/events") as events:
        async for line in events.content:
            if line == b"event: poll\n":
                return


async def _fetched_ms(daemon: Daemon, path: str) -> float:
    began = REAL_TIME.monotonic()
    await _received(daemon, path)
    return (REAL_TIME.monotonic() - began) * 1000


async def _received(daemon: Daemon, path: str) -> bytes:
    async with daemon.http.get(daemon.url + path, headers=NOT_SHARED) as answer:
        answer.raise_for_status()
        return await answer.read()

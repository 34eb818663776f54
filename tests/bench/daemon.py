"""What the whole daemon takes: to start, in memory, and for a scrape in a crowd."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import aiohttp

from exporter.journal.journal import open_journal
from tests.daemon_process import REAL_TIME, Daemon, Page, running

CLIENTS = 50
HAMMERING_SECONDS = 8.0
CYCLES = 100
MIB = 2**20
GZIP = {
    "Accept-Encoding": "gzip",
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
}


class Cost(NamedTuple):
    """What a daemon took."""

    first_page_seconds: float
    picture_seconds: float
    rss_mib: tuple[float, float]
    """After a fifth of the cycles, and after all of them."""
    scrapes_per_second: float
    server_p50_ms: str
    server_p99_ms: str
    client_p99_ms: float
    worst_lag_ms: str
    """While polling, nobody scraping."""


async def measure(vms: int) -> Cost:
    """Run a daemon with recovery in shadow against a simulator, each in a process of its own."""
    with TemporaryDirectory(prefix="vergewatch-bench-") as directory:
        # As after every start but the very first, which has to make the tables.
        await (await open_journal(Path(directory), REAL_TIME)).close()
        async with simulating(vms) as (url, key):
            return await _watched(url, key, directory)


async def _watched(url: str, key: str, directory: str) -> Cost:
    env = {
        "VERGEWATCH_RECOVERY__MODE": "shadow",
        "VERGEWATCH_RECOVERY__DIRECTORY": directory,
        "VERGEWATCH_URL": url,
        "VERGEWATCH_API_KEY": key,
        "VERGEWATCH_POLL__FAST_SECONDS": "1",
        "VERGEWATCH_POLL__SLOW_SECONDS": "3",
        "VERGEWATCH_POLL__INVENTORY_SECONDS": "15",
        "VERGEWATCH_API__TIMEOUT_SECONDS": "30",
        "VERGEWATCH_API__SPACING_SECONDS": "0.05",
    }
    began = REAL_TIME.monotonic()
    async with running(env) as daemon:
        await fetched(daemon)
        first_page = REAL_TIME.monotonic() - began
        while b"\nvergewatch_vm_disk_reads_total{" not in await fetched(daemon):
            await REAL_TIME.sleep(0.1)
        inventory = REAL_TIME.monotonic() - began
        early = await after(daemon, CYCLES // 5)
        late = await after(daemon, CYCLES)
        latencies = await hammer(daemon)
        crowded = await own(daemon)
    return Cost(
        first_page_seconds=first_page,
        picture_seconds=inventory,
        rss_mib=(rss(early), rss(late)),
        scrapes_per_second=len(latencies) / HAMMERING_SECONDS,
        server_p50_ms=quantile(late, crowded, "vergewatch_scrape_duration_seconds", 0.5),
        server_p99_ms=quantile(late, crowded, "vergewatch_scrape_duration_seconds", 0.99),
        client_p99_ms=sorted(latencies)[int(len(latencies) * 0.99)] * 1000,
        worst_lag_ms=quantile(early, late, "vergewatch_event_loop_lag_seconds", 1.0),
    )


@asynccontextmanager
async def simulating(vms: int) -> AsyncIterator[tuple[str, str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "simulate", "--vms", str(vms)),
        *("--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    key = (await process.stdout.readline()).decode().split("API_KEY=")[1].split()[0]
    try:
        yield url, key
    finally:
        process.terminate()
        await process.communicate()


async def after(daemon: Daemon, cycles: int) -> Page:
    """Return the page after so many polls of the VMs."""
    while True:
        page = await own(daemon)
        if sum(page.get("vergewatch_api_requests_total", endpoint="vms", outcome="ok")) >= cycles:
            return page
        await REAL_TIME.sleep(2)


async def fetched(daemon: Daemon) -> bytes:
    """Return the page, asked for as Prometheus asks."""
    async with daemon.http.get(daemon.url + "/metrics", headers=GZIP) as answer:
        return await answer.read()


async def own(daemon: Daemon) -> Page:
    """Return the page's end, where our own metrics are: parsing a large fleet takes long."""
    text = await fetched(daemon)
    return Page(text[text.index(b"# HELP vergewatch_build_info") :].decode())


async def hammer(daemon: Daemon) -> list[float]:
    """Scrape with many clients at once for a while; return how long each scrape took, in s."""
    latencies: list[float] = []
    until = REAL_TIME.monotonic() + HAMMERING_SECONDS
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:

        async def scrape() -> None:
            while (began := REAL_TIME.monotonic()) < until:
                async with http.get(daemon.url + "/metrics", headers=GZIP) as answer:
                    await answer.read()
                latencies.append(REAL_TIME.monotonic() - began)

        await asyncio.gather(*(scrape() for _ in range(CLIENTS)))
    return latencies


def rss(page: Page) -> float:
    return page.one("process_resident_memory_bytes") / MIB


def quantile(before: Page, after: Page, histogram: str, share: float) -> str:
    """Return which bucket of *histogram* that share of the new observations stays within, in ms."""
    name = f"{histogram}_bucket"
    counts = {
        float(dict(labels)["le"]): value - before.samples[name][labels]
        for labels, value in after.samples[name].items()
    }
    total = max(counts.values())
    limits = sorted(counts)
    for lower, upper in pairwise([0.0, *limits]):
        if counts[upper] >= share * total:
            return f"<= {upper * 1000:g}" if upper != float("inf") else f"> {lower * 1000:g}"
    return "none"

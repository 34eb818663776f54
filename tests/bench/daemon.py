"""The costs of the whole daemon: start, memory, event loop lag, and concurrent scrapes."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import NamedTuple

import aiohttp

from tests.daemon_process import REAL_TIME, Daemon, Page, running_program

CLIENTS = 50
SCRAPING_SECONDS = 8.0
CYCLES = 100
MIB = 2**20
GZIP = {
    "Accept-Encoding": "gzip",
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
}


class Cost(NamedTuple):
    """The costs of one daemon."""

    first_page_seconds: float
    inventory_seconds: float
    rss_mib: tuple[float, float]
    """After a fifth of the cycles, and after all of them."""
    scrapes_per_second: float
    server_p50_ms: float
    server_p99_ms: float
    client_p99_ms: float
    worst_lag_ms: float
    """While polling, without scrapes."""


async def measure(vms: int, *, mode: str, clients: int = CLIENTS) -> Cost:
    """
    Run a daemon and a simulator, each in its own process.

    Args:
        mode: Recovery's mode.
        clients: How many scrape at the same time; without any, the scrape costs are 0.

    """
    with TemporaryDirectory(prefix="vergewatch-bench-") as directory:
        async with simulating(vms) as (url, key):
            return await _measure(url, key, directory, mode=mode, clients=clients)


async def _measure(url: str, key: str, directory: str, *, mode: str, clients: int) -> Cost:
    env = {
        "VERGEWATCH_RECOVERY__MODE": mode,
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
    async with running_program(env) as daemon:
        await fetched(daemon)
        first_page = REAL_TIME.monotonic() - began
        while b"\nvergewatch_vm_disk_reads_total{" not in await fetched(daemon):
            await REAL_TIME.sleep(0.1)
        inventory = REAL_TIME.monotonic() - began
        early = await after(daemon, CYCLES // 5)
        late = await after(daemon, CYCLES)
        latencies = await scrape_concurrently(daemon, clients)
        crowded = await own(daemon)
    return Cost(
        first_page_seconds=first_page,
        inventory_seconds=inventory,
        rss_mib=(rss(early), rss(late)),
        scrapes_per_second=len(latencies) / SCRAPING_SECONDS,
        server_p50_ms=quantile(late, crowded, "vergewatch_scrape_duration_seconds", 0.5),
        server_p99_ms=quantile(late, crowded, "vergewatch_scrape_duration_seconds", 0.99),
        client_p99_ms=sorted(latencies or [0.0])[int(len(latencies) * 0.99)] * 1000,
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
    """Return the page after *cycles* polls of the VMs."""
    while True:
        page = await own(daemon)
        if (
            sum(page.get("vergewatch_api_requests_total", api_endpoint="vms", outcome="ok"))
            >= cycles
        ):
            return page
        await REAL_TIME.sleep(2)


async def fetched(daemon: Daemon) -> bytes:
    """Return the page, requested like Prometheus does."""
    async with daemon.http.get(daemon.url + "/metrics", headers=GZIP) as answer:
        return await answer.read()


async def own(daemon: Daemon) -> Page:
    """Return the end of the page with the daemon's own metrics; parsing all of it takes long."""
    text = await fetched(daemon)
    return Page(text[text.index(b"# HELP vergewatch_build_info") :].decode())


async def scrape_concurrently(daemon: Daemon, clients: int) -> list[float]:
    """Scrape with *clients* at the same time; return the seconds of each scrape."""
    latencies: list[float] = []
    until = REAL_TIME.monotonic() + SCRAPING_SECONDS
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:

        async def scrape() -> None:
            while (began := REAL_TIME.monotonic()) < until:
                async with http.get(daemon.url + "/metrics", headers=GZIP) as answer:
                    await answer.read()
                latencies.append(REAL_TIME.monotonic() - began)

        await asyncio.gather(*(scrape() for _ in range(clients)))
    return latencies


def rss(page: Page) -> float:
    return page.one("process_resident_memory_bytes") / MIB


def quantile(before: Page, after: Page, histogram: str, share: float) -> float:
    """
    Return the upper bound in ms of the bucket with the *share* quantile of *histogram*.

    Only observations between the two pages count.
    """
    name = f"{histogram}_bucket"
    counts = {
        float(dict(labels)["le"]): value - before.samples[name][labels]
        for labels, value in after.samples[name].items()
    }
    total = max(counts.values())
    limits = sorted(counts)
    return next((upper * 1000 for upper in limits if counts[upper] >= share * total > 0), 0.0)

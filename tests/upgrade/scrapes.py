"""Scrapes every daemon again and again, as Prometheus does, and finds gaps in monitoring."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import NamedTuple

import aiohttp

from tests.daemon_process import REAL_TIME, Page
from tests.upgrade.site import POLL_SECONDS, STALE_AFTER_POLLS, Site

FRESH_SECONDS = STALE_AFTER_POLLS * POLL_SECONDS


class Scrape(NamedTuple):
    """One look at all daemons."""

    at: float
    """In monotonic seconds."""
    served: frozenset[str]
    """The daemons that served every system and all of its VMs."""


class Scrapes:
    """What was seen of the daemons of a site."""

    def __init__(self) -> None:
        self.all: list[Scrape] = []

    @property
    def missed(self) -> Sequence[Scrape]:
        """Those that found no daemon that served everything."""
        return [one for one in self.all if not one.served]

    @property
    def longest_gap_seconds(self) -> float:
        """The longest time from one scrape that found such a daemon to the next."""
        served = [one.at for one in self.all if one.served]
        return max(later - before for before, later in pairwise(served))

    def by(self, name: str) -> int:
        """Return how many scrapes found that a daemon served everything."""
        return sum(name in one.served for one in self.all)


@asynccontextmanager
async def scraping(
    site: Site, *, every_seconds: float, fresh_seconds: float = FRESH_SECONDS
) -> AsyncIterator[Scrapes]:
    """Scrape all daemons of a *site* every so many seconds; see `serves_all`."""
    found = Scrapes()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(1.0)) as http:
        scraper = asyncio.create_task(_scrape(site, http, found, every_seconds, fresh_seconds))
        try:
            yield found
        finally:
            scraper.cancel()
            with suppress(asyncio.CancelledError):
                await scraper


async def _scrape(
    site: Site,
    http: aiohttp.ClientSession,
    found: Scrapes,
    every_seconds: float,
    fresh_seconds: float,
) -> None:
    due = REAL_TIME.monotonic()
    while True:
        at, urls = REAL_TIME.monotonic(), {name: one.url for name, one in site.daemons.items()}
        pages = await asyncio.gather(*(_page(http, url) for url in urls.values()))
        serving = zip(urls, pages, strict=True)
        served = frozenset(
            name
            for name, page in serving
            if page is not None and serves_all(page, site, fresh_seconds)
        )
        found.all.append(Scrape(at, served))
        due = max(due + every_seconds, REAL_TIME.monotonic())
        await REAL_TIME.sleep(due - REAL_TIME.monotonic())


async def _page(http: aiohttp.ClientSession, url: str) -> Page | None:
    try:
        async with http.get(f"{url}/metrics") as answer:
            return Page(await answer.text()) if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError):
        return None


def serves_all(page: Page, site: Site, fresh_seconds: float = FRESH_SECONDS) -> bool:
    """Return whether a page has every system up, and each VM from an inventory that is fresh."""
    oldest = REAL_TIME.now().timestamp() - fresh_seconds
    return all(
        page.get("vergewatch_up", system_name=name) == [1.0]
        and len(page.get("vergewatch_vm_running", system_name=name))
        == len(list(system.world.live_vms()))
        and page.one("vergewatch_inventory_timestamp_seconds", system_name=name) > oldest
        for name, system in site.systems.items()
    )

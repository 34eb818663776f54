"""
The vendor's page, /metrics/vendor, rendered only while it is scraped.

The first scrape renders it in a worker thread. From then on each new inventory is rendered as it
comes, like the page of our own metrics, until the page was not asked for during `WANTED_SECONDS`;
then the rendered samples and the renderers are dropped. Without any scrape, not even the
declarations of its families are loaded.
"""

import asyncio
import threading
from collections.abc import Sequence
from math import inf

import structlog

from exporter.clock import Clock
from exporter.executor import run_in_thread
from exporter.exposition.cache import PageCache
from exporter.exposition.collector import Family
from exporter.exposition.formats import Format
from exporter.exposition.page import Body
from exporter.exposition.renderer import Renderer
from exporter.model import Inventory, SystemReport
from exporter.telemetry import SystemMeter

log = structlog.get_logger()

WANTED_SECONDS = 600.0
"""After the last scrape: several times the usual scrape interval."""


class VendorPage:
    """The page of all systems. It has no metrics of the daemon itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made: PageCache | None = None
        self._publishers: dict[SystemMeter, VendorPublisher] = {}
        self._asked_at = -inf
        self._rendering = asyncio.Lock()

    def publisher(self, meter: SystemMeter) -> "VendorPublisher":
        """Return the publisher of a system; it continues the former one of the same *meter*."""
        former = self._publishers.get(meter)
        publisher = VendorPublisher(self, meter)
        if former is None and self._made is not None:
            self._made.add(meter)
        if former is not None:
            former.retire()
            publisher.latest = former.latest  # shown until there is a newer one
        self._publishers[meter] = publisher
        return publisher

    def remove(self, meter: SystemMeter) -> None:
        """Remove a system."""
        if (former := self._publishers.pop(meter, None)) is not None:
            former.retire()
        if self._made is not None:
            self._made.remove(meter)

    @property
    def cache(self) -> PageCache:
        """The samples of all systems; made for the first scrape."""
        if self._made is None:
            self._made = PageCache(families(), lambda _: b"")
            for meter in self._publishers:
                self._made.add(meter)
        return self._made

    @property
    def is_wanted(self) -> bool:
        """Whether it was asked for a short time ago."""
        return self._clock.monotonic() - self._asked_at < WANTED_SECONDS

    async def page(self, *, gzipped: bool) -> Body:
        """Return the page in the classic format: the vendor's counters may lack ``_total``."""
        self._asked_at, cache = self._clock.monotonic(), self.cache
        async with self._rendering:  # of several first scrapes, one renders
            while waiting := [one for one in self._publishers.values() if one.waits]:
                for publisher in waiting:
                    await run_in_thread(publisher.render)
        return cache.page(Format.CLASSIC, gzipped=gzipped, now=self._clock.monotonic())


class VendorPublisher:
    """Renders one system's inventories for the vendor's page; called in worker threads."""

    def __init__(self, page: VendorPage, meter: SystemMeter) -> None:
        self._page = page
        self._meter = meter
        self._renderer: Renderer | None = None
        self.latest: tuple[Inventory | None, SystemReport] | None = None
        self._logged: frozenset[str] = frozenset()
        self._is_retired = False
        self._turn = threading.Lock()
        """The first scrape and a poll may render at the same time."""

    def retire(self) -> None:
        """Publish nothing any more."""
        self._is_retired = True

    @property
    def waits(self) -> bool:
        """Whether it has an inventory and rendered none."""
        return self.latest is not None and self._renderer is None and not self._is_retired

    def __call__(self, inventory: Inventory | None, report: SystemReport, /) -> None:
        """Take a new inventory, and render it if the page is wanted."""
        with self._turn:
            self.latest = inventory, report
        if self._page.is_wanted:
            self.render()
        elif self._renderer is not None:
            self._forget()

    def render(self) -> None:
        """Render the newest inventory."""
        with self._turn:
            if self.latest is None:
                return
            renderer = self._renderer or Renderer(families())
            rendered = renderer.render(*self.latest)
            if self._is_retired or not self._page.cache.put(self._meter, rendered):
                return  # the system is no longer monitored
            self._renderer = renderer  # not before its samples are on the page
            duplicates = frozenset(rendered.duplicates)
            self._meter.rendered_vendor_page(duplicates=len(duplicates))
        for label in sorted(duplicates - self._logged):
            log.warning("vendor_series.duplicate", system=self._meter.system_name, labels=label)
        self._logged |= duplicates

    def _forget(self) -> None:
        """Free what was rendered."""
        with self._turn:
            self._renderer = None
            if not self._is_retired:
                self._page.cache.clear(self._meter)
                self._meter.rendered_vendor_page(duplicates=0)


def families() -> Sequence[Family]:
    """Return the families of the page."""
    from exporter.vendor.registry import FAMILIES  # noqa: PLC0415 - see the module's text

    return FAMILIES

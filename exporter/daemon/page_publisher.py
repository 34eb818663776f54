"""Puts one system's inventories on the page, with what the doctor finds in them."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from exporter.clock import Clock
from exporter.console.system_history import SystemHistory
from exporter.doctor.doctor import Doctor
from exporter.exposition.cache import PageCache
from exporter.exposition.collector import Family
from exporter.exposition.renderer import Renderer
from exporter.model import CheckResult, Inventory, SystemReport
from exporter.telemetry import SystemMeter

if TYPE_CHECKING:  # loaded only where recovery is on
    from exporter.recovery.engine import Recovery

log = structlog.get_logger()


class PagePublisher:
    """
    Renders one system's inventories into the page cache; called in worker threads.

    Args:
        meter: Receives the render duration; also the system's key in the cache.
        recovery: The recovery of the same system, whose metrics are on the same page.
        doctor: Examines each inventory; None if it is off.
        also: Another page that receives each inventory.
        history: Receives each inventory, for the console.

    """

    def __init__(
        self,
        families: Iterable[Family],
        cache: PageCache,
        meter: SystemMeter,
        clock: Clock,
        recovery: "Recovery | None",
        doctor: Doctor | None,
        also: Callable[[Inventory | None, SystemReport], None] = lambda *_: None,
        history: SystemHistory | None = None,
    ) -> None:
        self.recovery = recovery
        self._doctor = doctor
        self._renderer = Renderer(families)
        self._cache = cache
        self._meter = meter
        self._clock = clock
        self._also = also
        self._history = history
        self._logged: frozenset[str] = frozenset()
        self._is_retired = False

    def use(self, families: Iterable[Family], doctor: Doctor | None) -> None:
        """Render other families from the next inventory on, with the results of *doctor*."""
        self._renderer = Renderer(families)
        self._doctor = doctor

    @property
    def examined(self) -> Sequence[CheckResult]:
        """The last results of the doctor; none if it is off."""
        return self._doctor.results if self._doctor is not None else ()

    def retire(self) -> None:
        """Publish nothing any more: another publisher has the place on the page."""
        self._is_retired = True

    def __call__(self, inventory: Inventory | None, report: SystemReport, /) -> None:
        started = self._clock.monotonic()
        if self.recovery is not None:
            report = msgspec.structs.replace(report, recovery=self.recovery.report)
        if self._doctor is not None:
            report = self._doctor.examine(inventory, report, now=self._clock.now())
        rendered = self._renderer.render(inventory, report)
        if self._is_retired or not self._cache.put(self._meter, rendered):
            return  # the system is no longer monitored
        duplicates = frozenset(rendered.duplicates)
        self._meter.rendered_in(self._clock.monotonic() - started, duplicates=len(duplicates))
        for label in sorted(duplicates - self._logged):
            log.warning("series.duplicate", system=report.system_name, labels=label)
        self._logged |= duplicates
        self._also(inventory, report)
        if self._history is not None and inventory is not None:
            self._history.record(inventory, report.recovery)

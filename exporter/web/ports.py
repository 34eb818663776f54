"""What the web needs from the rest of the program: pages that are ready, and how things stand."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from exporter.exposition.formats import Format
from exporter.model import SystemReport


class Pages(Protocol):
    """Metrics that are ready to be sent."""

    def page(self, form: Format, *, gzipped: bool) -> bytes:
        """Return a complete body, already compressed if *gzipped*; quickly, and without I/O."""
        ...


class Overview(Protocol):
    """How the watching of each cloud is going."""

    def reports(self) -> Sequence[SystemReport]:
        """Return one report per configured cloud, in the order of the configuration."""
        ...


Reload = Callable[[], Awaitable[None]]
"""Reads the configuration again; raises `ConfigError`, and changes nothing, if it is wrong."""

ObserveScrape = Callable[[float], None]
"""Told the seconds between the arrival of a scrape and its answer being ready to be sent."""

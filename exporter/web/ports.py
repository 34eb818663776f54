"""What the web server needs from the rest of the program."""

from collections.abc import Callable, Sequence
from typing import Protocol

from exporter.exposition.formats import Format
from exporter.model import SystemReport


class Pages(Protocol):
    """The rendered metrics."""

    def page(self, form: Format, *, gzipped: bool, now: float) -> bytes:
        """Return a complete body, without I/O; *now* is in seconds, monotonic."""
        ...


class Overview(Protocol):
    """The state of each configured system."""

    def reports(self) -> Sequence[SystemReport]:
        """Return one report per system, in the order of the configuration."""
        ...


class Reload(Protocol):
    """Reloads the configuration."""

    problem: str
    """Why the last reload was refused, and when; empty if it was not."""

    async def __call__(self) -> Sequence[str]:
        """
        Apply the configuration, and return the settings that need a restart.

        Raises:
            ConfigError: The configuration is invalid and was not applied.

        """
        ...


ObserveScrape = Callable[[float], None]
"""Takes the seconds from the arrival of a scrape until its response is ready."""

"""What the web server needs from the rest of the program."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from exporter.exposition.formats import Format
from exporter.exposition.page import Body
from exporter.model import SystemReport


class Pages(Protocol):
    """The rendered metrics."""

    def page(self, form: Format, *, gzipped: bool, now: float) -> Body:
        """Return a body, without I/O; *now* is in seconds, monotonic."""
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


class Refusal(StrEnum):
    """Why a request or a connection was refused or ended."""

    CONNECTIONS = "connections"
    """Too many connections: the one that waited longest made room, or the new one was closed."""
    SLOW_REQUEST = "slow_request"
    """The client did not send a request, or its body, in time."""
    SLOW_READER = "slow_reader"
    """The client did not read its response in time."""
    SCRAPES = "scrapes"
    VIEWS = "views"
    """Too many queries and status pages at once."""
    RELOADS = "reloads"
    HOST = "host"
    """A command or reload under a foreign host name."""
    CROSS_SITE = "cross_site"
    """A command or reload by a page of another site."""
    PASSWORD = "password"  # noqa: S105 - a reason
    """A wrong password."""
    TOKEN = "token"  # noqa: S105 - a reason
    """A wrong recovery token."""
    GUESSING = "guessing"
    """Not even checked: too many wrong passwords or tokens before."""


CountRefusal = Callable[[Refusal], None]

"""What the web server needs from the rest of the program."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from pydantic import SecretStr

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


class Reloaded(NamedTuple):
    """What a reload did: names of settings."""

    applied: Sequence[str] = ()
    """They have changed and are in force."""
    needs_restart: Sequence[str] = ()
    """They have changed since the start and are not in force."""


class Reload(Protocol):
    """Reloads the configuration."""

    @property
    def problem(self) -> str:
        """What of the configuration is not in force, in sentences; empty if all of it is."""
        ...

    async def __call__(self) -> Reloaded:
        """
        Apply the configuration, and return what has changed.

        Raises:
            ConfigError: The configuration is invalid and was not applied.

        """
        ...


TokenSource = Callable[[], SecretStr | None]
"""Returns the token that recovery commands require now; None if there is none. Raises ConfigError
where it cannot be read."""


def no_token() -> SecretStr | None:
    """Return no token: commands are refused."""
    return None


ObserveScrape = Callable[[float], None]
"""Takes the seconds from the arrival of a scrape until its response is ready."""

"""What the web server needs from the rest of the program."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from exporter.alerting.alert_store import AlertStore
from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.silences import NewSilence, SilenceInterval
from exporter.console.daemon_facts import DaemonFacts
from exporter.console.system_history import SystemHistory
from exporter.exposition.formats import Format
from exporter.exposition.page import Body
from exporter.model import SystemReport, SystemState
from exporter.prometheus.vm_resources import ResourceMeans


class Pages(Protocol):
    """The rendered metrics."""

    def page(self, form: Format, *, gzipped: bool, now: float) -> Body:
        """Return a body, without I/O; *now* is in seconds, monotonic."""
        ...


class VendorPages(Protocol):
    """The metrics with the names of the vendor's exporter."""

    async def page(self, *, gzipped: bool) -> Body:
        """Return a body in the classic format."""
        ...


class GuestTargets(Protocol):
    """Service discovery of the guests."""

    async def targets(self, query: Mapping[str, Sequence[str]]) -> bytes:
        """
        Return the targets as JSON, for the parameters *query* of the URL.

        Raises:
            ValueError: A parameter is invalid.
            NotKnownYetError: They are not known yet.

        """
        ...


class Overview(Protocol):
    """The state of each configured system."""

    def reports(self) -> Sequence[SystemReport]:
        """Return one report per system, in the order of the configuration."""
        ...

    def states(self) -> Sequence[SystemState]:
        """
        Return the newest state of each system, in the order of the configuration.

        Raises:
            NotKnownYetError: Systems are being started or replaced, so that some may be missing.

        """
        ...

    def histories(self) -> Mapping[str, SystemHistory]:
        """Return the history of the VMs of each system, by the system's name."""
        ...


class ResourceQueries(Protocol):
    """Asks Prometheus about VMs."""

    async def means(self, system: str, vm_key: int, *, until: float) -> ResourceMeans:
        """
        Return CPU and memory of a VM in the day before *until*, in seconds since 1970.

        Raises:
            PrometheusError: Prometheus does not answer, or not with them.

        """
        ...


class Alerts(Protocol):
    """The alerts of the daemon itself, and the silences of every Alertmanager."""

    @property
    def settings(self) -> AlertmanagerSettings: ...

    @property
    def store(self) -> AlertStore: ...

    @property
    def known_silences(self) -> Sequence[SilenceInterval]:
        """The silences as last read."""
        ...

    @property
    def silences_unknown(self) -> str:
        """Why the silences of an Alertmanager are unknown; empty if all are known."""
        ...

    async def create_silence(self, silence: NewSilence) -> None:
        """
        Create *silence*.

        Raises:
            AlertmanagerError: No Alertmanager took it.

        """
        ...

    async def expire_silence(self, silence_id: str, owner: str) -> None:
        """
        End a silence; *owner* is the operator.

        Raises:
            AlertmanagerError: No Alertmanager ended it.

        """
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


class DemoEvent(NamedTuple):
    """Something that happens in the simulated system of the demo."""

    at: datetime
    what: str
    """A word of the simulator: an event, a fault, or an entry of its history."""
    name: str
    """Of the VM or node; empty if there is none."""
    by: str
    """The user who causes it; empty if there is none."""


class DemoAction(StrEnum):
    """What a visitor of the demo can do to the simulated system."""

    CRASH = "crash"
    STOP = "stop"
    FAIL_NODE = "fail_node"
    FILL_TIER = "fill_tier"
    END = "end"
    """End what is broken."""


class Demo(Protocol):
    """The simulated system of the demo; a daemon that watches real systems has none."""

    @property
    def token(self) -> str:
        """The recovery token, which the demo shows."""
        ...

    def coming(self) -> Sequence[DemoEvent]:
        """Return what will happen next, soonest first."""
        ...

    def happened(self) -> Sequence[DemoEvent]:
        """Return what happened last, newest first."""
        ...

    def broken(self) -> Sequence[str]:
        """Return the names of failed nodes, and the faults that are on."""
        ...

    def act(self, action: DemoAction) -> None: ...


TokenSource = Callable[[], SecretStr | None]
"""Returns the token that recovery commands require now; None if there is none. Raises ConfigError
where it cannot be read."""


def no_token() -> SecretStr | None:
    """Return no token: commands are refused."""
    return None


ObserveScrape = Callable[[float], None]
"""Takes the seconds from the arrival of a scrape until its response is ready."""


DaemonInside = Callable[[], DaemonFacts]
"""Returns what the daemon tells of itself."""


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
    """Too many queries and pages at once."""
    STREAMS = "streams"
    """Too many pages that follow the polls."""
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

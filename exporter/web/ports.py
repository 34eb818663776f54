"""What the HTTP server needs from the rest of the daemon."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from exporter.errors import VergewatchError
from exporter.exposition.formats import Format
from exporter.model import SystemReport
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.explain import Explanation
from exporter.recovery.report.summary import RecoverySummary


class Pages(Protocol):
    """The rendered metrics."""

    def page(self, form: Format, *, gzipped: bool) -> bytes:
        """Return a complete body, compressed if *gzipped*, without I/O."""
        ...


class Overview(Protocol):
    """The state of each system."""

    def reports(self) -> Sequence[SystemReport]:
        """Return one report per configured system, in the order of the configuration."""
        ...


class Reload(Protocol):
    """Reloads the configuration."""

    problem: str
    """When and why the last reload was rejected; empty if it was not."""

    async def __call__(self) -> Sequence[str]:
        """
        Read and apply the configuration; return the changed settings that need a restart.

        Raises:
            ConfigError: The configuration is invalid; the previous one stays in force.

        """
        ...


ObserveScrape = Callable[[float], None]
"""Receives the seconds from the arrival of a scrape to the start of its response."""


class UnknownNameError(VergewatchError):
    """There is no cloud, or no VM, of that name; the message says which names come near."""


class AmbiguousNameError(VergewatchError):
    """Several VMs go by that name; the message lists them."""


class CommandInForce(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What somebody told recovery, and is so still."""

    owner: str
    reason: str
    since: datetime
    left_seconds: float | None = None
    """``None``: it does not end by itself."""


class Brief(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One VM in a list."""

    system: str
    vm: str
    vm_key: int
    uuid: str
    state: str
    sentence: str


class Care(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How recovery stands in one cloud."""

    system: str
    url: str
    mode: str
    readiness: str
    """What it is ready for, in one word."""
    because: str
    kill_switch: str = ""
    """The path of the file that forbids everything; empty where it is not there."""
    kill_switch_file: str = ""
    """Where it would be."""
    silences_unknown: str = ""
    """Why nobody knows what is silenced; empty while that is known, or does not matter."""
    paused: CommandInForce | None = None
    disarmed: CommandInForce | None = None
    journal: str = ""
    """Where it is; empty while it is not open."""
    journal_problem: str = ""
    vms: int = 0
    """How many are looked after."""
    states: Mapping[str, int] = {}
    """How many of them are in each state."""
    others: Mapping[str, int] = {}
    """How many are in each state of those that are only looked at, since nobody enrolled them."""
    under_way: tuple[str, ...] = ()
    """The VMs with an action whose outcome is not known yet."""
    inventory_at: datetime | None = None
    """When the last picture was taken that was believed."""
    unseen: str = ""
    """Since when nothing was seen of the cloud; empty while it is watched."""


class Given(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order, as it was written down for one cloud."""

    system: str
    kind: str
    owner: str
    reason: str
    time: datetime
    seconds: float | None = None
    paused_seconds: float | None = None
    """How long it stays paused, which may be by a longer pause of somebody else's."""
    vm: str = ""
    readiness: str
    """How recovery stands now."""
    because: str


class RecoveryService(Protocol):
    """
    Where people ask about recovery, and steer it.

    Names of clouds and VMs that nobody has raise `UnknownNameError`, those that several VMs have
    `AmbiguousNameError`, and a journal that cannot be read or written `JournalError`. Without a
    *system* a question is about all clouds.
    """

    def status(self, system: str | None = None) -> Sequence[Care]:
        """Return how recovery stands in each cloud; empty where it is off."""
        ...

    async def vms(
        self, system: str | None = None, *, everyone: bool = False, limit: int | None = None
    ) -> Sequence[Brief]:
        """Return the VMs that are not healthy, or *everyone*, those in need of a person first."""
        ...

    async def explain(
        self, vm: str, system: str | None = None, *, decision: int | None = None
    ) -> Explanation:
        """Return why a VM, by name, key or uuid, is as it is, or was when *decision* was made."""
        ...

    async def log(
        self, vm: str | None = None, system: str | None = None, *, limit: int
    ) -> Sequence[TimelineEvent]:
        """Return what happened, newest first."""
        ...

    async def actions(self, system: str | None = None, *, limit: int) -> Sequence[TimelineEvent]:
        """Return what was done lately, newest first; empty where nobody can tell."""
        ...

    async def report(self, system: str | None = None, *, days: float) -> Sequence[RecoverySummary]:
        """Return the account of each cloud's last *days*."""
        ...

    async def command(
        self,
        kind: CommandKind,
        *,
        owner: str,
        reason: str,
        seconds: float | None = None,
        vm: str | None = None,
        system: str | None = None,
    ) -> Sequence[Given]:
        """Give an order; what is returned is written down and in force."""
        ...

"""The ports of recovery: journal, platform, silences, metrics, random numbers."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from exporter.recovery.model.cases import Action, Case, Diagnosis, Intent, Reply, Spent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.platform_log import LogMark, LogReading
from exporter.recovery.model.states import State


class Change(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A VM's step from one state to another, for the journal and for people."""

    uuid: str
    vm_key: int
    name: str
    at: float
    """Seconds of watch."""
    time: datetime
    before: State | None
    """``None``: it was not monitored before."""
    after: State | None
    """``None``: it is not looked at any more."""
    word: str
    """The VM's VergeOS status at that moment."""
    diagnosis: Diagnosis | None
    """The diagnosis at that moment; ``None`` if there was none."""


class PollRecord(NamedTuple):
    """What one round writes down, all of it or nothing."""

    watched: float
    """Seconds of watch so far."""
    time: datetime
    clock: float | None
    """VergeOS' newest time, in Unix seconds."""
    cases: Sequence[Case]
    """Those that changed."""
    gone: Sequence[str]
    """The uuids of those that are not looked at any more."""
    changes: Sequence[Change]
    decisions: Sequence[Decision] = ()
    """Those that nothing follows from; one that something does has a number first."""


class SavedState(NamedTuple):
    """What the journal holds for one system."""

    watched: float = 0.0
    time: datetime | None = None
    clock: float | None = None
    cases: Sequence[Case] = ()
    open_actions: Sequence[Intent] = ()
    spent: Sequence[Spent] = ()
    """Every action sent in the last week of watch, oldest first."""
    commands: Sequence[Command] = ()
    """Oldest first."""


class JournalStore(Protocol):
    """
    The journal of one system; when a method returns, its data is on disk.

    Every method raises `JournalError` when that is not so.
    """

    async def load(self) -> SavedState:
        """Return what is remembered."""
        ...

    async def save_poll(self, record: PollRecord, /) -> None:
        """Write down a round."""
        ...

    async def save_decision(self, decision: Decision, /) -> int:
        """Write down a decision with all its guard_results; returns its number."""
        ...

    async def prepare(self, intent: Intent, decision: int, /) -> Intent:
        """
        Write down an intent; returns it with its number.

        Raises `IntentOpenError` where the VM has one that is still open.
        """
        ...

    async def update(self, intent: Intent, /) -> None:
        """Write down what has become of an intent; one with an outcome is closed for good."""
        ...

    async def save_command(self, command: Command, /) -> None:
        """Write a command."""
        ...


class FreshVM(NamedTuple):
    """A VM looked at by itself, just before something is done to it."""

    key: int
    uuid: str
    name: str
    machine: int | None
    enabled: bool | None
    is_snapshot: bool | None
    service: bool
    """Whether it belongs to a service of VergeOS."""
    disable_powercycle: bool | None
    running: bool | None
    word: str
    tags: frozenset[str]
    """As ``category/name``."""


class Platform(Protocol):
    """The API as recovery uses it; every method but `act` raises `VergeOSError`."""

    async def logs(
        self, machines: Sequence[int], since: float, mark: LogMark | None, /
    ) -> LogReading:
        """
        Return what the logs say of *machines* since VergeOS' time *since*, in one request.

        Args:
            mark: A row that must come too; without one the reading is not complete.

        """
        ...

    async def log_mark(self, before: float, /) -> LogMark | None:
        """Return the newest row that is older than *before*; None where the log has none."""
        ...

    async def read_vm(self, vm_key: int, /) -> FreshVM | None:
        """Return how one VM is right now; None where it has no row."""
        ...

    async def act(self, vm_key: int, action: Action, /) -> "ActionReply":
        """Ask once for *action*; never twice, whatever happens."""
        ...

    @property
    def read_only_reason(self) -> str:
        """Why our credential may not act, as far as we know; empty when nothing is known."""
        ...


class ActionReply(NamedTuple):
    """What came back for an action."""

    reply: Reply
    detail: str
    """What VergeOS said, or why nothing is known."""


class VMLocation(NamedTuple):
    """A VM and where it is, in the words that people use for them."""

    vm_key: int
    vm_name: str
    node: str
    """Where it runs, or ran when it was last seen up; empty if unknown."""
    cluster: str


class Silences(Protocol):
    """The silences of Alertmanager."""

    def holding(self, vm: VMLocation, /) -> str:
        """
        Return the silence that matches *vm*: its author, comment and end.

        Empty if none matches.
        """
        ...

    @property
    def unknown(self) -> str:
        """Why the silences are unknown; empty while they are known."""
        ...


class Meter(Protocol):
    """The metrics of recovery."""

    def decided(self, reason: str, cause: str, /) -> None: ...
    def acted(self, action: str, outcome: str, /) -> None: ...
    def invalid(self, reason: str, /) -> None: ...
    def clock_jumped(self) -> None: ...
    def recovered(self, seconds: float, /) -> None: ...


class Random(Protocol):
    """A source of random numbers."""

    def __call__(self) -> float:
        """Return a number from 0 to 1."""
        ...

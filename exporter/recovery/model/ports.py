"""The ports of recovery: journal, platform, silences, Prometheus, metrics, random numbers."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from exporter.recovery.model.cases import Action, Case, Diagnosis, Intent, Reply, Spent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.confirmation import Confirmation, ConfirmationQuery
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.history import NO_HISTORY, FactValues, HistoryRecord
from exporter.recovery.model.log_templates import TemplateHistory
from exporter.recovery.model.platform_log import LogReading, LogTable, PositionRead
from exporter.recovery.model.states import State


class Change(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A VM's change from one state to another."""

    uuid: str
    vm_key: int
    name: str
    at: float
    """Seconds of monitored time."""
    time: datetime
    before: State | None
    """``None``: it was not monitored before."""
    after: State | None
    """``None``: it is no longer monitored."""
    word: str
    """The VM's VergeOS status at that moment."""
    diagnosis: Diagnosis | None
    """The diagnosis at that moment; ``None`` if there was none."""
    started_by: str = ""
    """The person who had it started, if it came up and VergeOS' log shows that; else empty."""


class PollRecord(NamedTuple):
    """What one poll writes, in one transaction."""

    watched: float
    """Seconds of monitored time so far."""
    time: datetime
    clock: float | None
    """VergeOS's newest time, in Unix seconds."""
    log_positions: Sequence[PositionRead]
    """What was read of the logs lately."""
    cases: Sequence[Case]
    """The changed ones."""
    gone: Sequence[str]
    """UUIDs of the VMs that are no longer monitored."""
    changes: Sequence[Change]
    decisions: Sequence[Decision] = ()
    """Decisions without an action; the others are saved before their action."""
    templates: Sequence[TemplateHistory] = ()
    """Histories of log templates that changed."""
    templates_gone: Sequence[str] = ()
    """Templates whose history is forgotten."""
    history: HistoryRecord = NO_HISTORY
    """What a backtest needs."""


class SavedState(NamedTuple):
    """The newest state of one system in the journal."""

    watched: float = 0.0
    time: datetime | None = None
    clock: float | None = None
    log_positions: Sequence[PositionRead] = ()
    cases: Sequence[Case] = ()
    open_actions: Sequence[Intent] = ()
    spent: Sequence[Spent] = ()
    """Actions sent in the last week of monitored time, oldest first."""
    commands: Sequence[Command] = ()
    """Oldest first."""
    templates: Sequence[TemplateHistory] = ()
    facts: FactValues = {}
    """The newest facts of the recorded history."""


NoRoom = Callable[[int, Sequence[Spent]], str]
"""
Returns why a system's limits leave no room for one more action; empty if they do.

It is given the number of open actions, and the actions of the last day, the oldest first.
"""


class JournalStore(Protocol):
    """
    The journal of one system. What a method writes is on disk when it returns.

    Raises:
        JournalError: The journal cannot be read or written.

    """

    async def load(self) -> SavedState: ...
    async def save_poll(self, record: PollRecord, /) -> None: ...
    async def save_decision(self, decision: Decision, /) -> int:
        """Return the number of the decision."""
        ...

    async def prepare(self, intent: Intent, decision: int, no_room: NoRoom, /) -> Intent:
        """
        Write an intent and return it with its number.

        Raises:
            IntentOpenError: The VM has an open action.
            LimitReachedError: The actions in the journal leave no room for it.

        """
        ...

    async def update(self, intent: Intent, /, *, lease_seconds: float = 0.0) -> None:
        """
        Write the progress of an intent; one with an outcome is closed for good.

        Args:
            lease_seconds: How long this replica must lead still.

        """
        ...

    async def save_command(self, command: Command, /) -> Sequence[Command]:
        """
        Write a command; where another replica leads, for that one to take.

        Returns:
            The commands that the leader takes with it, the oldest first: they were given before.

        """
        ...

    async def waiting_commands(self) -> Sequence[Command]:
        """
        Return the commands that other replicas were given and the leader has not taken yet.

        Raises:
            LeaseLostError: Another replica leads, whatever the clocks of this one say.

        """
        ...

    async def take_commands(self, at: float, /) -> Sequence[Command]:
        """
        Take these commands, the oldest first; they are in force from *at* on.

        Args:
            at: The present, in seconds of monitored time.

        """
        ...

    async def save_time_to_service(self, intent: Intent, seconds: float, /) -> None:
        """Write how long after an action the service of its VM worked again."""
        ...


class Leadership(Protocol):
    """Whether this replica leads recovery of a system: it decides and acts, the others watch."""

    @property
    def term(self) -> int | None:
        """The number of its present leadership; None while it does not lead."""
        ...

    @property
    def leader(self) -> str:
        """The replica that leads, by its name; empty if none does, or if there is only one."""
        ...

    @property
    def problem(self) -> str:
        """Why it is not known who leads; empty if it is."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other replicas use the same journal."""
        ...

    @property
    def epoch(self) -> int | None:
        """The number of the newest lease; None if there are no other replicas."""
        ...

    @property
    def age_seconds(self) -> float | None:
        """How long ago it was renewed last; None if there are no other replicas."""
        ...

    async def step_down(self) -> None:
        """
        Leave the lead to another replica.

        Raises:
            JournalError: The lease could not be released; this replica leads no longer.

        """
        ...

    def forbidden(self) -> str:
        """Return why this replica must not begin an action now; empty if it may."""
        ...


class FreshVM(NamedTuple):
    """A VM that was read by itself, just before an action on it."""

    key: int
    uuid: str
    name: str
    machine: int | None
    enabled: bool | None
    is_snapshot: bool | None
    service: bool
    """Whether it is part of a VergeOS service."""
    disable_powercycle: bool | None
    running: bool | None
    word: str
    tags: frozenset[str]
    """As ``category/name``."""
    unreadable: frozenset[str] = frozenset()
    """The fields of its row that could not be read."""


class ActionReply(NamedTuple):
    """The reply to an action."""

    reply: Reply
    detail: str
    """VergeOS's text, or why the reply is unknown."""


LastCheck = Callable[[], Awaitable[str]]
"""
Called on the established connection, right before the first byte of an action is written.

It returns why the action must not be sent; empty if it may.
"""


class Platform(Protocol):
    """The VergeOS API; every method but `act` raises `VergeOSError`."""

    async def log_rows(self, table: LogTable, since: int, limit: int, /) -> LogReading:
        """
        Return the newest rows of a log, at most *limit*.

        Args:
            table: The log.
            since: The key of the oldest row to return; without that row, the reading is not
                complete. 0 for the newest rows, whatever their keys.

        """
        ...

    async def read_vm(self, vm_key: int, /) -> FreshVM | None:
        """Return one VM as it is now; None if it has no row."""
        ...

    async def act(self, vm_key: int, action: Action, last_check: LastCheck, /) -> ActionReply:
        """Send *action* once, if *last_check* allows it; never repeat it."""
        ...

    @property
    def read_only_reason(self) -> str:
        """Why the credential may not act; empty if no reason is known."""
        ...


class VMLocation(NamedTuple):
    """A VM and where it is, by name."""

    vm_key: int
    vm_name: str
    node: str
    """The node that it runs on, or last ran on; empty if unknown."""
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

    @property
    def are_needed(self) -> bool:
        """Whether recovery sends no action while they are unknown."""
        ...

    async def refresh(self) -> None:
        """Read the silences now, as far as that takes no longer than a moment."""
        ...


class Confirmer(Protocol):
    """A Prometheus that must confirm that a VM is down."""

    @property
    def goes_on(self) -> bool:
        """Whether recovery acts without a confirmation while Prometheus cannot be reached."""
        ...

    def is_needed(self, vm_name: str, /) -> bool:
        """Return whether an action on the VM needs a confirmation."""
        ...

    async def find_problem(self) -> str:
        """Return why Prometheus cannot be asked; empty if it can."""
        ...

    async def ask(self, queries: Sequence[ConfirmationQuery], /) -> Sequence[Confirmation]:
        """Return the answer to each query, within a few seconds and all at once; never raise."""
        ...


class Meter(Protocol):
    """The metrics of recovery."""

    def decided(self, reason: str, cause: str, /) -> None: ...
    def acted(self, action: str, outcome: str, /) -> None: ...
    def invalid(self, reason: str, /) -> None: ...
    def clock_jumped(self) -> None: ...
    def recovered(self, seconds: float, /) -> None: ...
    def service_returned(self, seconds: float, /) -> None: ...


Random = Callable[[], float]
"""A source of random numbers from 0 to 1."""

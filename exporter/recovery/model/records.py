"""Journal records, and the port through which reports read them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from exporter.recovery.model.cases import Intent, Outcome
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.history import Fact, FactKind, RecordedPoll
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.ports import Change


class DecisionRecord(msgspec.Struct, frozen=True, gc=False):
    """A decision with its number in the journal."""

    number: int
    decision: Decision


class ActionRecord(msgspec.Struct, frozen=True, gc=False):
    """An action with the times at which the journal recorded it."""

    intent: Intent
    decision: int
    """Number of the decision that the action carries out."""
    prepared: datetime
    closed: datetime | None
    time_to_service_seconds: float | None = None
    """How long after it the service of the VM worked again; ``None`` if that is not known."""

    @property
    def sent(self) -> bool:
        """Whether the request was sent to VergeOS, or may have been."""
        return self.intent.sent_at is not None and self.intent.outcome is not Outcome.ABANDONED


class JournalRecords(NamedTuple):
    """The records of one system in a period."""

    changes: Sequence[Change]
    decisions: Sequence[DecisionRecord]
    actions: Sequence[ActionRecord]
    answers: Sequence[Command] = ()
    """Of operators to questions."""


class StatusRecords(NamedTuple):
    """What a journal knows of the states of the VMs of one system in a period."""

    changes: Sequence[Change]
    """The oldest first."""
    polls: Sequence[datetime]
    """When the system was polled."""


class TimedFact(NamedTuple):
    """A fact of the recorded history with its time of day."""

    time: datetime
    kind: FactKind
    value: str | None
    """As JSON; ``None``: it is gone."""


class VMPast(NamedTuple):
    """What a journal knows of one VM in a period, the oldest first."""

    changes: Sequence[Change] = ()
    decisions: Sequence[DecisionRecord] = ()
    actions: Sequence[ActionRecord] = ()
    commands: Sequence[Command] = ()
    """Those about the VM and those about the whole system."""
    facts: Sequence[TimedFact] = ()
    """Its status and its silences, and what was so when the period began."""
    rows: Sequence[LogRow] = ()
    """Rows of logs that diagnoses rest on."""
    gaps: Sequence[tuple[datetime, datetime]] = ()
    """When no daemon polled, for half an hour or longer."""


class History(NamedTuple):
    """The recorded history of one system, oldest first."""

    system: str
    """The key of the system in the journal."""
    base: Sequence[Fact]
    """The facts that held before the first poll."""
    polls: Sequence[RecordedPoll]
    facts: Sequence[Fact]
    rows: Sequence[LogRow]
    changes: Sequence[Change]
    decisions: Sequence[DecisionRecord]
    actions: Sequence[ActionRecord]
    """Those of the week before the first poll too: restart budgets count them."""
    commands: Sequence[Command]
    """All of them: what was commanded before the first poll may still be in force."""
    causes_recorded: bool = True
    """Whether log rows were recorded, so that causes can be diagnosed."""


class JournalReader(Protocol):
    """
    The journal as reports read it: the newest records first.

    Args:
        system: The key of a system, its API URL.
        uuid: Only the records of this VM.

    Raises:
        JournalError: The journal cannot be read.

    """

    @property
    def place(self) -> str:
        """The path of the database file, or its URL without the password."""
        ...

    async def changes(
        self, system: str, uuid: str | None = None, limit: int = 100
    ) -> Sequence[Change]: ...
    async def decisions(
        self, system: str, uuid: str | None = None, limit: int = 100
    ) -> Sequence[DecisionRecord]: ...
    async def decision(self, system: str, uuid: str, number: int) -> DecisionRecord | None: ...
    async def intents(
        self, system: str, uuid: str | None = None, limit: int = 100
    ) -> Sequence[ActionRecord]: ...
    async def commands(self, system: str, limit: int = 100) -> Sequence[Command]: ...
    async def past_of_vm(
        self, system: str, uuid: str, vm_key: int, machine: int | None, since: datetime
    ) -> VMPast: ...
    async def states_since(self, system: str, time: datetime) -> StatusRecords: ...
    async def since(self, system: str, time: datetime) -> JournalRecords:
        """
        Return the records since *time*, and those before about VMs that were down then.

        Also the actions that were still open, and every answer to a question.
        """
        ...

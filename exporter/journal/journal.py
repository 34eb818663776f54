"""The journal of all systems: opening, reading, retention, closing."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Table,
    delete,
    exists,
    func,
    select,
)

from exporter.clock import Clock
from exporter.errors import JournalError
from exporter.journal import rows
from exporter.journal.database import Database
from exporter.journal.key_uses import KeyUses
from exporter.journal.place import Place, PostgresServer
from exporter.journal.report_query import (
    changes_since,
    decisions_since,
    intents_since,
)
from exporter.journal.sqlite_database import locked_database
from exporter.journal.tables import (
    changes,
    commands,
    decisions,
    history_facts,
    history_polls,
    history_rows,
    intents,
    systems,
)
from exporter.journal.vm_query import past_of_vm
from exporter.journal.writer import REMEMBERED_SECONDS, SystemJournal
from exporter.recovery.model.commands import Command
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import (
    ActionRecord,
    DecisionRecord,
    JournalRecords,
    StatusRecords,
    VMPast,
)

if TYPE_CHECKING:
    from exporter.journal.lease import Fence, Lease

LIMIT = 100
"""Rows that a query returns by default."""
DELETE_BATCH = 1000
"""Rows; recovery can write between two batches."""

T = TypeVar("T")

_command_from_row = partial(rows.from_row, kind=Command)


class Journal:
    """
    The journal of all systems.

    Recovery writes through `store`; the other methods are for the CLI and the web console, and do
    not delay recovery. All methods raise `JournalError`; a later call can succeed again.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @property
    def is_lost(self) -> bool:
        """Whether it must be closed and opened again."""
        return self._database.is_lost

    @property
    def place(self) -> str:
        """The file, or the URL without its password."""
        return self._database.place

    def store(self, system: str, fence: "Fence | None" = None) -> SystemJournal:
        """Return the journal of *system*, written only while *fence* holds."""
        return SystemJournal(self._database, self._clock, system, fence)

    def lease(self, system: str, replica: str) -> "Lease":
        """Return the lease of *system*, as *replica* sees it; only in PostgreSQL."""
        from exporter.journal.lease import Lease  # noqa: PLC0415 - loads the dialect of PostgreSQL

        return Lease(self._database, system, replica)

    def key_uses(self) -> KeyUses:
        return KeyUses(self._database)

    async def changes(
        self, system: str, uuid: str | None = None, limit: int = LIMIT
    ) -> list[Change]:
        return await self._read(changes, rows.change_from_row, system, uuid, limit=limit)

    async def decisions(
        self, system: str, uuid: str | None = None, limit: int = LIMIT
    ) -> list[DecisionRecord]:
        return await self._read(decisions, rows.decision_from_row, system, uuid, limit=limit)

    async def decision(self, system: str, uuid: str, number: int) -> DecisionRecord | None:
        """Return decision *number* if it is about that VM."""
        is_it = decisions.c.id == number
        found = await self._read(decisions, rows.decision_from_row, system, uuid, is_it, limit=1)
        return next(iter(found), None)

    async def intents(
        self, system: str, uuid: str | None = None, limit: int = LIMIT
    ) -> list[ActionRecord]:
        return await self._read(intents, rows.intent_from_row, system, uuid, limit=limit)

    async def commands(self, system: str, limit: int = LIMIT) -> list[Command]:
        return await self._read(commands, _command_from_row, system, limit=limit)

    async def past_of_vm(
        self, system: str, uuid: str, vm_key: int, machine: int | None, since: datetime
    ) -> VMPast:
        """Return what is known of a VM since *since*."""
        return await self._database.read(
            partial(
                past_of_vm, system=system, uuid=uuid, vm_key=vm_key, machine=machine, since=since
            )
        )

    async def states_since(self, system: str, time: datetime) -> StatusRecords:
        """Return the changes since *time* and when the system was polled, the oldest first."""
        changed = select(changes).where(changes.c.system == system, changes.c.time >= time)
        polls, polled_at = history_polls.c, history_polls.c.time
        polled = select(polled_at).where(polls.system == system, polled_at >= time)
        return StatusRecords(
            await self._select(changed.order_by(changes.c.id), rows.change_from_row),
            await self._select(polled.order_by(polls.id), lambda row: row["time"]),
        )

    async def since(self, system: str, time: datetime) -> JournalRecords:
        """Return what happened at *time* or later, and before on VMs that were down then."""
        return JournalRecords(
            await self._select(changes_since(system, time), rows.change_from_row),
            await self._select(decisions_since(system, time), rows.decision_from_row),
            await self._select(intents_since(system, time), rows.intent_from_row),
            await self._read(
                commands, _command_from_row, system, None, commands.c.question.is_not(None)
            ),
        )

    async def prune(self, before: datetime) -> int:
        """
        Delete what is older than *before*; return the number of deleted rows.

        Kept regardless of age: commands, open intents, and intents that a restart budget may
        still count, with their decisions; the newest of the recorded facts about each thing.
        """
        in_use = exists().where(intents.c.decision == decisions.c.id)
        return (
            await self._delete(intents, _settled_before(before))
            + await self._delete(decisions, (decisions.c.time < before) & ~in_use)
            + await self._delete(changes, changes.c.time < before)
            + await self._delete(history_polls, history_polls.c.time < before)
            + await self._delete(history_rows, history_rows.c.time < before)
            + await self._delete(history_facts, _replaced_before(before))
        )

    async def close(self) -> None:
        await self._database.close()

    async def _read(
        self,
        table: Table,
        convert: Callable[[RowMapping], T],
        system: str,
        uuid: str | None = None,
        condition: ColumnElement[bool] | None = None,
        *,
        limit: int | None = None,
    ) -> list[T]:
        """Return the rows of a system or of one VM that fulfill *condition*, newest first."""
        query = select(table).where(table.c.system == system).order_by(table.c.id.desc())
        if uuid is not None:
            query = query.where(table.c.uuid == uuid)
        if condition is not None:
            query = query.where(condition)
        return await self._select(query.limit(limit), convert)

    async def _select(self, query: Select[Any], convert: Callable[[RowMapping], T]) -> list[T]:
        return await self._database.read(
            lambda connection: [convert(row) for row in connection.execute(query).mappings()]
        )

    async def _delete(self, table: Table, condition: ColumnElement[bool]) -> int:
        batch = select(table.c.id).where(condition).limit(DELETE_BATCH)
        query = delete(table).where(table.c.id.in_(batch))
        total = 0
        while True:
            deleted = await self._database.write(
                lambda connection: connection.execute(query).rowcount
            )
            total += deleted
            if deleted < DELETE_BATCH:
                return total


async def open_journal(place: Place, clock: Clock) -> Journal:
    """
    Open the journal at *place*; create its directory, file and tables if they do not exist.

    Raises:
        JournalError: It cannot be opened; the message has the cause and the remedy.

    """
    database = await open_database(place)
    try:
        await database.prepare()
    except BaseException:
        await database.close()
        raise
    return Journal(database, clock)


async def open_database(place: Place) -> Database:
    """
    Return the database of the journal at *place*, whose tables may be missing or old.

    Raises:
        JournalError: It cannot be opened.

    """
    if isinstance(place, Path):
        return await locked_database(place)
    return postgres_database(place)


def postgres_database(server: PostgresServer, *, seconds: float | None = None) -> Database:
    """
    Return the journal's database on *server*; nothing is connected yet.

    Args:
        seconds: The longest time that a transaction may take. Default: what the daemon allows.

    Raises:
        JournalError: The driver is not installed.

    """
    try:
        # Only those who use it pay for it: 10 MiB.
        from exporter.journal.postgres_database import PostgresDatabase  # noqa: PLC0415
    except ImportError as error:
        raise JournalError(
            f"the journal {server} cannot be opened: {error.name} is not installed; install "
            "vergewatch[postgres]"
        ) from None
    return PostgresDatabase(server) if seconds is None else PostgresDatabase(server, seconds)


def _replaced_before(before: datetime) -> ColumnElement[bool]:
    """Return the condition for facts that another about the same thing replaced before then."""
    other = history_facts.alias()
    same = (
        other.c.system == history_facts.c.system,
        other.c.kind == history_facts.c.kind,
        other.c.key == history_facts.c.key,
    )
    newer = exists().where(*same, other.c.id > history_facts.c.id, other.c.time < before)
    older = exists().where(*same, other.c.id < history_facts.c.id)
    # The end of a thing is kept until nothing is left that it ends.
    is_over = history_facts.c.value.is_(None) & ~older
    return (history_facts.c.time < before) & (newer | is_over)


def _settled_before(before: datetime) -> ColumnElement[bool]:
    """Return the condition for intents that are closed and that no budget counts any more."""
    watched = (
        select(systems.c.watched).where(systems.c.system == intents.c.system).scalar_subquery()
    )
    counted_from = func.coalesce(intents.c.sent_at, intents.c.prepared_at)
    return (
        intents.c.outcome.is_not(None)
        & (intents.c.closed_time < before)
        & (counted_from < watched - REMEMBERED_SECONDS)
    )

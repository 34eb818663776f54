"""One cloud's part of the journal, as recovery writes it."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import RowMapping, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from exporter.clock import Clock
from exporter.errors import IntentOpenError, JournalError
from exporter.journal import rows
from exporter.journal.database import Database
from exporter.journal.db_errors import breaks_uniqueness
from exporter.journal.tables import cases, changes, commands, decisions, intents, systems
from exporter.recovery.model.cases import Case, Intent, Spent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.ports import PollRecord, SavedState

REMEMBERED_SECONDS = 7 * 24 * 3600.0
"""Of watch: the longest time that a budget looks back."""
SLICE = 500
"""Rows to hand over at a time: the event loop gets a turn in between."""

_PROGRESS = ("sent_at", "sent_clock", "deadline", "reply", "detail", "outcome", "extended")
"""What may change in an intent; whose it is and what it does is settled."""

T = TypeVar("T")

_DROP_CASE = delete(cases).where(
    cases.c.system == bindparam("of_system"), cases.c.uuid == bindparam("of_uuid")
)


class SystemJournal:
    """The `JournalStore` of one cloud."""

    def __init__(self, database: Database, clock: Clock, system: str) -> None:
        self._database = database
        self._clock = clock
        self._system = system

    async def recall(self) -> SavedState:
        async with self._database.reading() as connection:
            system_row = await self._cloud(connection)
            watched = system_row["watched"] if system_row else 0.0
            return SavedState(
                watched=watched,
                time=system_row["time"] if system_row else None,
                clock=system_row["clock"] if system_row else None,
                cases=await self._cases(connection),
                open_actions=await self._open_intents(connection),
                spent=await self._spent(connection, since=watched - REMEMBERED_SECONDS),
                commands=await self._orders(connection),
            )

    async def note(self, page: PollRecord, /) -> None:
        stale = [*page.gone, *(case.uuid for case in page.cases)]
        async with self._database.writing() as connection:
            await self._note_system(connection, page)
            for some in _slices(stale):
                which = [{"of_system": self._system, "of_uuid": uuid} for uuid in some]
                await connection.execute(_DROP_CASE, which)
            for part in _slices(page.cases):
                fresh = [self._mine(rows.from_case(case)) for case in part]
                await connection.execute(insert(cases), fresh)
            for steps in _slices(page.changes):
                written = [self._mine(rows.plain(step)) for step in steps]
                await connection.execute(insert(changes), written)
            for lot in _slices(page.decisions):
                judged = [self._mine(rows.from_decision(decision)) for decision in lot]
                await connection.execute(insert(decisions), judged)

    async def decided(self, decision: Decision, /) -> int:
        async with self._database.writing() as connection:
            return await _insert(connection, decisions, self._mine(rows.from_decision(decision)))

    async def prepare(self, intent: Intent, decision: int, /) -> Intent:
        now = self._clock.now()
        row = rows.plain(intent) | {
            "decision": decision,
            "prepared_time": now,
            "closed_time": None if intent.outcome is None else now,
        }
        del row["id"]  # that is the database's to give
        async with self._database.writing() as connection:
            try:
                number = await _insert(connection, intents, self._mine(row))
            except IntegrityError as error:
                if not breaks_uniqueness(error):
                    raise
                raise IntentOpenError(
                    f"the VM {intent.name} ({intent.uuid}) has an intent in the journal "
                    f"{self._database.place} whose outcome is not known yet"
                ) from None
        return msgspec.structs.replace(intent, id=number)

    async def update(self, intent: Intent, /) -> None:
        row = rows.plain(intent)
        progress = {name: row[name] for name in _PROGRESS}
        progress["closed_time"] = None if intent.outcome is None else self._clock.now()
        still_open = (
            intents.c.id == intent.id,
            intents.c.system == self._system,
            intents.c.uuid == row["uuid"],
            intents.c.action == row["action"],
            intents.c.outcome.is_(None),
        )
        async with self._database.writing() as connection:
            done = await connection.execute(update(intents).where(*still_open).values(progress))
            if done.rowcount == 0:
                await self._check_said_before(connection, intent)

    async def ordered(self, command: Command, /) -> None:
        async with self._database.writing() as connection:
            await _insert(connection, commands, self._mine(rows.plain(command)))

    async def _check_said_before(self, connection: AsyncConnection, intent: Intent) -> None:
        """
        Raise unless the journal has *intent* exactly so.

        Whoever was told that a write failed may say it again, and it may have been done after all.
        """
        found = await connection.execute(
            select(intents).where(intents.c.id == intent.id, intents.c.system == self._system)
        )
        row = found.mappings().one_or_none()
        if row is None:
            why = "is not there"
        elif rows.noun(row, Intent) == intent:
            return
        elif row["outcome"] is None:
            why = "is of another VM, or another action"
        else:
            why = f"is closed ({row['outcome']}) and stays as it is"
        raise JournalError(
            f"the intent {intent.id} for the VM {intent.name} ({intent.uuid}) {why} "
            f"in the journal {self._database.place}"
        )

    def _mine(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"system": self._system, **row}

    async def _note_system(self, connection: AsyncConnection, page: PollRecord) -> None:
        row = {"watched": page.watched, "time": page.time, "clock": page.clock}
        done = await connection.execute(
            update(systems).where(systems.c.system == self._system).values(row)
        )
        if done.rowcount == 0:
            await connection.execute(insert(systems).values(system=self._system, **row))

    async def _cloud(self, connection: AsyncConnection) -> RowMapping | None:
        found = await connection.execute(select(systems).where(systems.c.system == self._system))
        return found.mappings().one_or_none()

    async def _cases(self, connection: AsyncConnection) -> list[Case]:
        found = await connection.execute(
            select(cases.c.whole).where(cases.c.system == self._system).order_by(cases.c.uuid)
        )
        return [rows.to_case(whole) for whole in found.scalars()]

    async def _open_intents(self, connection: AsyncConnection) -> list[Intent]:
        found = await connection.execute(
            select(intents)
            .where(intents.c.system == self._system, intents.c.outcome.is_(None))
            .order_by(intents.c.id)
        )
        return [rows.noun(row, Intent) for row in found.mappings()]

    async def _spent(self, connection: AsyncConnection, *, since: float) -> list[Spent]:
        found = await connection.execute(
            select(intents.c.sent_at.label("at"), intents.c.uuid, intents.c.action, intents.c.reply)
            .where(intents.c.system == self._system, intents.c.sent_at >= since)
            .order_by(intents.c.sent_at, intents.c.id)
        )
        return [rows.noun(row, Spent) for row in found.mappings()]

    async def _orders(self, connection: AsyncConnection) -> list[Command]:
        found = await connection.execute(
            select(commands).where(commands.c.system == self._system).order_by(commands.c.id)
        )
        return [rows.noun(row, Command) for row in found.mappings()]


async def _insert(connection: AsyncConnection, table: Table, row: dict[str, Any]) -> int:
    """Return the number that the new row was given."""
    done = await connection.execute(insert(table).values(row))
    key = done.inserted_primary_key
    assert key is not None  # noqa: S101 - every table that is written so counts its rows
    return int(key[0])


def _slices(things: Sequence[T]) -> Iterator[Sequence[T]]:
    return (things[start : start + SLICE] for start in range(0, len(things), SLICE))

"""The journal as a whole: how it is opened, read by people, kept small, and closed."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    ColumnElement,
    RowMapping,
    Select,
    Table,
    delete,
    exists,
    func,
    or_,
    select,
)

from exporter.clock import Clock
from exporter.journal import rows
from exporter.journal.database import Database
from exporter.journal.db_errors import plain_faults
from exporter.journal.lock import Lock
from exporter.journal.tables import changes, commands, decisions, intents, systems
from exporter.journal.writer import REMEMBERED_SECONDS, SystemJournal
from exporter.recovery.model.commands import Command
from exporter.recovery.model.ports import Change, JournalStore
from exporter.recovery.model.records import ActionRecord, DecisionRecord, JournalRecords

FILE = "journal.sqlite"
LOCK = "journal.lock"
LIMIT = 100
READ_AT_ONCE = 500
"""Rows; between one slice and the next the event loop has other things to do."""
FORGOTTEN_AT_ONCE = 1000
"""Rows; between one slice and the next recovery can write."""

T = TypeVar("T")


class Journal:
    """
    What recovery wrote down, for every cloud.

    Everything but `book` is for people, and is read beside recovery without holding it up. All
    methods raise `JournalError`; the journal can be used again when the cause is gone.
    """

    def __init__(self, database: Database, clock: Clock, lock: Lock | None = None) -> None:
        self._database = database
        self._clock = clock
        self._lock = lock

    @property
    def place(self) -> str:
        """The file, or the address without its password."""
        return self._database.place

    def book(self, system: str) -> JournalStore:
        """Return the part of the cloud *system*, for recovery."""
        return SystemJournal(self._database, self._clock, system)

    async def changes(
        self, system: str, uuid: str | None = None, limit: int = LIMIT
    ) -> list[Change]:
        return await self._read(changes, _newest(changes, system, uuid), _to_change, limit)

    async def decisions(
        self, system: str, uuid: str | None = None, limit: int = LIMIT
    ) -> list[DecisionRecord]:
        query = _newest(decisions, system, uuid)
        return await self._read(decisions, query, rows.to_decided, limit)

    async def decision(self, system: str, uuid: str, number: int) -> DecisionRecord | None:
        """Return the decision of that *number*, if it is one on that VM."""
        query = _newest(decisions, system, uuid).where(decisions.c.id == number)
        return next(iter(await self._read(decisions, query, rows.to_decided, 1)), None)

    async def intents(
        self, system: str, uuid: str | None = None, limit: int = LIMIT
    ) -> list[ActionRecord]:
        query = _newest(intents, system, uuid)
        return await self._read(intents, query, rows.to_attempt, limit)

    async def commands(self, system: str, limit: int = LIMIT) -> list[Command]:
        return await self._read(commands, _newest(commands, system), _to_order, limit)

    async def since(self, system: str, time: datetime) -> JournalRecords:
        """Return what happened at *time* or later; intents also if they were only open then."""
        happened = _newest(changes, system).where(changes.c.time >= time)
        weighed = _newest(decisions, system).where(decisions.c.time >= time)
        tried = _newest(intents, system).where(
            or_(
                intents.c.prepared_time >= time,
                intents.c.closed_time >= time,
                intents.c.outcome.is_(None),
            )
        )
        return JournalRecords(
            await self._read(changes, happened, _to_change),
            await self._read(decisions, weighed, rows.to_decided),
            await self._read(intents, tried, rows.to_attempt),
        )

    async def forget(self, before: datetime) -> int:
        """
        Delete what is older than *before*, and return how many rows that were.

        Orders, and what recovery still needs, stay however old they are: an intent that is open,
        or that a budget may count, together with its decision.
        """
        needed = exists().where(intents.c.decision == decisions.c.id)
        return (
            await self._delete(intents, _settled_before(before))
            + await self._delete(decisions, (decisions.c.time < before) & ~needed)
            + await self._delete(changes, changes.c.time < before)
        )

    async def close(self) -> None:
        try:
            await self._database.close()
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    async def _read(
        self,
        table: Table,
        query: Select[Any],
        make: Callable[[RowMapping], T],
        limit: int | None = None,
    ) -> list[T]:
        """Return what *make* makes of each row of *query*, the newest of *table* first."""
        found: list[T] = []
        more = True
        while more:
            size = READ_AT_ONCE if limit is None else min(READ_AT_ONCE, limit - len(found))
            async with self._database.reading() as connection:
                taken = (await connection.execute(query.limit(size))).mappings().all()
            found += map(make, taken)
            more = len(taken) == READ_AT_ONCE and len(found) != limit
            if more:
                query = query.where(table.c.id < taken[-1]["id"])
        return found

    async def _delete(self, table: Table, which: ColumnElement[bool]) -> int:
        some = select(table.c.id).where(which).limit(FORGOTTEN_AT_ONCE)
        total = 0
        while True:
            async with self._database.writing() as connection:
                done = await connection.execute(delete(table).where(table.c.id.in_(some)))
            total += done.rowcount
            if done.rowcount < FORGOTTEN_AT_ONCE:
                return total


async def open_journal(directory: Path, clock: Clock) -> Journal:
    """
    Return the journal in *directory*, which is made if it is not there.

    Raises:
        JournalError: It cannot be had; the message says why, and what to do.

    """
    file = directory / FILE
    with plain_faults(str(file)):
        lock = await asyncio.to_thread(_claim, directory)
    url = URL.create("sqlite+aiosqlite", database=str(file))
    try:
        database = await open_database(url, file=file)
    except BaseException:
        lock.release()
        raise
    return Journal(database, clock, lock)


async def open_database(url: str | URL, *, file: Path | None = None) -> Database:
    """
    Return the database at *url*, sound and up to date.

    Raises:
        JournalError: It is not, and cannot be made so.

    """
    database = Database(url, file=file)
    try:
        await database.prepare()
    except BaseException:
        await database.close()
        raise
    return database


def _claim(directory: Path) -> Lock:
    """Lock the journal in *directory*, and see to it that nobody else can read what it holds."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = Lock(directory / LOCK)
    try:
        os.close(os.open(directory / FILE, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError:
        lock.release()
        raise
    return lock


def _to_change(row: RowMapping) -> Change:
    return rows.noun(row, Change)


def _to_order(row: RowMapping) -> Command:
    return rows.noun(row, Command)


def _newest(table: Table, system: str, uuid: str | None = None) -> Select[Any]:
    query = select(table).where(table.c.system == system).order_by(table.c.id.desc())
    return query if uuid is None else query.where(table.c.uuid == uuid)


def _settled_before(before: datetime) -> ColumnElement[bool]:
    """Return the condition for intents that are over, and that no budget counts any longer."""
    watched = (
        select(systems.c.watched).where(systems.c.system == intents.c.system).scalar_subquery()
    )
    counted_from = func.coalesce(intents.c.sent_at, intents.c.prepared_at)
    return (
        intents.c.outcome.is_not(None)
        & (intents.c.closed_time < before)
        & (counted_from < watched - REMEMBERED_SECONDS)
    )

"""The journal of one system, as recovery reads and writes it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import Connection, Table, bindparam, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import ColumnElement

from exporter.clock import Clock
from exporter.errors import IntentOpenError, JournalError, LimitReachedError
from exporter.journal import rows
from exporter.journal.database import Database
from exporter.journal.db_errors import is_unique_violation
from exporter.journal.tables import (
    cases,
    changes,
    commands,
    decisions,
    history_facts,
    history_polls,
    history_rows,
    intents,
    log_templates,
    systems,
)
from exporter.recovery.model.cases import Intent, Spent
from exporter.recovery.model.commands import KILL_SWITCH, Command, CommandKind
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.history import FactKind
from exporter.recovery.model.limits import DAY
from exporter.recovery.model.log_templates import TemplateHistory
from exporter.recovery.model.ports import NoRoom, PollRecord, SavedState

if TYPE_CHECKING:
    from exporter.journal.lease import Fence

REMEMBERED_SECONDS = 7 * 24 * 3600.0
"""Of monitored time: the longest window of a restart budget."""

_PROGRESS = ("sent_at", "sent_position", "deadline", "reply", "detail", "outcome", "extended")
"""The columns of an intent that may change after it is prepared."""

T = TypeVar("T")

NO_EPOCH = 0
"""The epoch of a command that waits until the leader takes it."""
_WAITS = commands.c.epoch == NO_EPOCH
_ORDER = (case((_WAITS, 1), else_=0), commands.c.id)
"""The order in which commands are in force: those that wait will be taken after the others."""

_DELETE_CASE = delete(cases).where(
    cases.c.system == bindparam("of_system"), cases.c.uuid == bindparam("of_uuid")
)
_DELETE_TEMPLATE = delete(log_templates).where(
    log_templates.c.system == bindparam("of_system"),
    log_templates.c.template == bindparam("of_template"),
)


class SystemJournal:
    """
    The `JournalStore` of one system.

    Args:
        fence: The right of this replica to write; None if no other replica can.

    """

    def __init__(
        self, database: Database, clock: Clock, system: str, fence: "Fence | None" = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._system = system
        self._fence = fence

    async def load(self) -> SavedState:
        return await self._database.read(self._load)

    async def save_poll(self, record: PollRecord, /) -> None:
        await self._write(lambda connection: self._save_poll(connection, record))

    async def save_decision(self, decision: Decision, /) -> int:
        return await self._write(
            lambda connection: self._insert(connection, decisions, rows.decision_to_row(decision))
        )

    async def prepare(
        self, intent: Intent, decision: int, no_room: NoRoom = lambda *_: "", /
    ) -> Intent:
        now = self._clock.now()
        row = rows.to_row(intent) | {
            "decision": decision,
            "prepared_time": now,
            "closed_time": None if intent.outcome is None else now,
        }
        del row["id"]  # the database assigns it

        def insert_it(connection: Connection) -> int:
            self._check_room(connection, intent, no_room)
            try:
                return self._insert(connection, intents, row)
            except IntegrityError as error:
                if not is_unique_violation(error):
                    raise
                raise IntentOpenError(
                    f"the VM {intent.name} ({intent.uuid}) already has an open action "
                    f"in the journal {self._database.place}"
                ) from None

        number = await self._write(insert_it)
        return msgspec.structs.replace(intent, id=number)

    async def update(self, intent: Intent, /, *, lease_seconds: float = 0.0) -> None:
        row = rows.to_row(intent)
        progress = {name: row[name] for name in _PROGRESS}
        progress["closed_time"] = None if intent.outcome is None else self._clock.now()
        still_open = (
            intents.c.id == intent.id,
            intents.c.system == self._system,
            intents.c.uuid == row["uuid"],
            intents.c.action == row["action"],
            intents.c.outcome.is_(None),
        )

        def update_it(connection: Connection) -> None:
            done = connection.execute(update(intents).where(*still_open).values(progress))
            if done.rowcount == 0:
                self._check_already_written(connection, intent)

        await self._write(update_it, lease_seconds=lease_seconds)

    async def save_time_to_service(self, intent: Intent, seconds: float, /) -> None:
        this = (
            intents.c.id == intent.id,
            intents.c.system == self._system,
            intents.c.uuid == intent.uuid,
        )
        measured = update(intents).where(*this).values(time_to_service_seconds=seconds)
        await self._write(lambda connection: connection.execute(measured))

    async def save_command(self, command: Command, /) -> Sequence[Command]:
        return await self._database.write(
            lambda connection: self._save_command(connection, command)
        )

    async def waiting_commands(self) -> Sequence[Command]:
        fence = self._fence
        if fence is None:
            return ()

        def waiting(connection: Connection) -> Sequence[Command]:
            fence.check(connection, keeps=False)
            return self._read(connection, commands, Command, _WAITS)

        return await self._database.write(waiting)  # the reader may be busy with a long report

    async def take_commands(self, at: float, /) -> Sequence[Command]:
        return await self._write(lambda connection: self._take_commands(connection, at))

    async def share_kill_switch(self, replica: str, path: str) -> None:
        """
        Write for the leader that the kill switch file of *replica* exists, or no longer does.

        Args:
            path: Empty if it does not exist.

        """
        await self._database.write(
            lambda connection: self._share_kill_switch(connection, replica, path)
        )

    async def _write(self, work: Callable[[Connection], T], *, lease_seconds: float = 0.0) -> T:
        """
        Return the result of *work*, done in one transaction that the fence begins.

        Raises:
            LeaseLostError: Another replica leads, or this one not for so long still.

        """

        def fenced(connection: Connection) -> T:
            if self._fence is not None:
                self._fence.check(connection, seconds=lease_seconds)
            return work(connection)

        return await self._database.write(fenced)

    def _save_command(self, connection: Connection, command: Command) -> Sequence[Command]:
        row, taken = rows.to_row(command), list[Command]()
        if self._fence is not None:
            if self._fence.holds(connection):
                taken = self._take_commands(connection, command.at)
            else:
                row |= self._waiting(connection, command)
        self._insert(connection, commands, row)
        return taken

    def _waiting(self, connection: Connection, command: Command) -> dict[str, Any]:
        """Return the columns in which a command differs until the leader takes it."""
        watched = connection.scalar(
            select(systems.c.watched).where(systems.c.system == self._system)
        )
        at, uuid = watched or 0.0, command.uuid
        if command.question is not None:
            asked = (decisions.c.system == self._system, decisions.c.id == command.question)
            uuid = connection.scalar(select(decisions.c.uuid).where(*asked))
        until = None if command.until is None else at + command.until - command.at
        return {"epoch": NO_EPOCH, "at": at, "until": until, "uuid": uuid}

    def _take_commands(self, connection: Connection, at: float) -> list[Command]:
        """
        Take the commands that wait, each with a new id.

        One that was committed late may have a lower id than one that is in force already.
        """
        waiting = select(commands).where(commands.c.system == self._system, _WAITS)
        taken = []
        for row in connection.execute(waiting.order_by(commands.c.id)).mappings().all():
            until = None if row["until"] is None else at + row["until"] - row["at"]
            now = {**row, "at": at, "until": until} | self._epoch
            connection.execute(delete(commands).where(commands.c.id == now.pop("id")))
            self._insert(connection, commands, now)
            taken.append(rows.from_row(now, Command))
        return taken

    def _share_kill_switch(self, connection: Connection, replica: str, path: str) -> None:
        own = commands.c.kind.in_(KILL_SWITCH) & (commands.c.owner == replica)
        ends = own | (commands.c.kind == CommandKind.ARM)
        newest = select(commands.c.kind).where(commands.c.system == self._system, ends)
        newest = newest.order_by(*(column.desc() for column in _ORDER))
        kind = connection.scalar(newest.limit(1))
        was_set = kind == CommandKind.KILL_SWITCH_SET
        if was_set == bool(path):
            return
        given = Command(
            kind=CommandKind.KILL_SWITCH_SET if path else CommandKind.KILL_SWITCH_REMOVED,
            owner=replica,
            reason=path or "the file was removed",
            at=0.0,
            time=self._clock.now(),
        )
        self._insert(connection, commands, rows.to_row(given) | self._waiting(connection, given))

    def _check_room(self, connection: Connection, intent: Intent, no_room: NoRoom) -> None:
        """Raise if the actions in the journal leave no room for *intent*."""
        open_now = select(func.count()).where(
            intents.c.system == self._system, intents.c.outcome.is_(None)
        )
        spent = self._read_spent(connection, intent.prepared_at - DAY)
        if reason := no_room(connection.scalar(open_now) or 0, spent):
            raise LimitReachedError(
                f"no action on the VM {intent.name} ({intent.uuid}) was prepared: the journal "
                f"{self._database.place} has {reason}"
            )

    def _load(self, connection: Connection) -> SavedState:
        found = connection.execute(select(systems).where(systems.c.system == self._system))
        row = found.mappings().one_or_none()
        watched = row["watched"] if row else 0.0
        since = watched - REMEMBERED_SECONDS
        texts = connection.scalars(
            select(cases.c.case_json).where(cases.c.system == self._system).order_by(cases.c.uuid)
        )
        return SavedState(
            watched=watched,
            time=row["time"] if row else None,
            clock=row["clock"] if row else None,
            log_positions=rows.positions_from_json(row["log_positions"]) if row else (),
            cases=[rows.case_from_json(text) for text in texts],
            open_actions=self._read(connection, intents, Intent, intents.c.outcome.is_(None)),
            spent=self._read_spent(connection, since),
            commands=self._read(connection, commands, Command, order=_ORDER),
            templates=self._read_templates(connection),
            facts=newest_facts(connection, self._system),
        )

    def _save_poll(self, connection: Connection, record: PollRecord) -> None:
        self._write_system(connection, record)
        replaced = [*record.gone, *(case.uuid for case in record.cases)]
        if replaced:
            keys = [{"of_system": self._system, "of_uuid": uuid} for uuid in replaced]
            connection.execute(_DELETE_CASE, keys)
        self._insert_all(connection, cases, rows.case_to_row, record.cases)
        self._insert_all(connection, changes, rows.diagnosed_to_row, record.changes)
        self._insert_all(connection, decisions, rows.decision_to_row, record.decisions)
        self._write_templates(connection, record)
        self._write_history(connection, record)

    def _check_already_written(self, connection: Connection, intent: Intent) -> None:
        """
        Raise unless the journal already contains *intent* exactly.

        A write that was reported as failed may have been committed, so its repetition is allowed.
        """
        found = connection.execute(
            select(intents).where(intents.c.id == intent.id, intents.c.system == self._system)
        )
        row = found.mappings().one_or_none()
        if row is None:
            problem = "does not exist"
        elif rows.from_row(row, Intent) == intent:
            return
        elif row["outcome"] is None:
            problem = "belongs to another VM, or is another action"
        else:
            problem = f"is closed ({row['outcome']}) and cannot change"
        raise JournalError(
            f"the intent {intent.id} for the VM {intent.name} ({intent.uuid}) {problem} "
            f"in the journal {self._database.place}"
        )

    def _write_system(self, connection: Connection, record: PollRecord) -> None:
        row = {
            "watched": record.watched,
            "time": record.time,
            "clock": record.clock,
            "log_positions": msgspec.to_builtins(record.log_positions),
        }
        # Both databases have it, but SQLAlchemy has it in the dialects only.
        dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
        written = dialect.insert(systems).values(system=self._system, **row)
        connection.execute(written.on_conflict_do_update(index_elements=["system"], set_=row))

    def _write_templates(self, connection: Connection, record: PollRecord) -> None:
        replaced = [*record.templates_gone, *(one.template for one in record.templates)]
        if replaced:
            keys = [{"of_system": self._system, "of_template": template} for template in replaced]
            connection.execute(_DELETE_TEMPLATE, keys)
        self._insert_all(connection, log_templates, rows.to_row, record.templates)

    def _write_history(self, connection: Connection, record: PollRecord) -> None:
        polls, facts, log_rows = record.history
        times = {poll.at: poll.time for poll in polls}
        self._insert_all(connection, history_polls, rows.poll_to_row, polls)
        self._insert_all(
            connection,
            history_facts,
            lambda fact: rows.to_row(fact) | {"time": times.get(fact.at, record.time)},
            facts,
        )
        self._insert_all(
            connection,
            history_rows,
            lambda row: {"time": record.time, "row_json": rows.log_row_to_json(row)},
            log_rows,
        )

    def _read_templates(self, connection: Connection) -> tuple[TemplateHistory, ...]:
        found = connection.execute(
            select(log_templates)
            .where(log_templates.c.system == self._system)
            .order_by(log_templates.c.template)
        )
        return tuple(rows.from_row(row, TemplateHistory) for row in found.mappings())

    def _read(
        self,
        connection: Connection,
        table: Table,
        kind: type[T],
        *conditions: Any,
        order: Sequence[ColumnElement[Any]] = (),
    ) -> list[T]:
        """Return the rows of this system that fulfil *conditions*, oldest first."""
        found = connection.execute(
            select(table)
            .where(table.c.system == self._system, *conditions)
            .order_by(*(order or (table.c.id,)))
        )
        return [rows.from_row(row, kind) for row in found.mappings()]

    def _read_spent(self, connection: Connection, since: float) -> list[Spent]:
        found = connection.execute(
            select(intents.c.sent_at.label("at"), intents.c.uuid, intents.c.action, intents.c.reply)
            .where(intents.c.system == self._system, intents.c.sent_at >= since)
            .order_by(intents.c.sent_at, intents.c.id)
        )
        return [rows.from_row(row, Spent) for row in found.mappings()]

    @property
    def _epoch(self) -> dict[str, Any]:
        return {} if self._fence is None else {"epoch": self._fence.epoch}

    def _insert_all(
        self,
        connection: Connection,
        table: Table,
        convert: Callable[[T], dict[str, Any]],
        values: Sequence[T],
    ) -> None:
        if values:
            epoch = self._epoch if "epoch" in table.c else {}
            new = [{"system": self._system, **epoch, **convert(value)} for value in values]
            connection.execute(insert(table), new)

    def _insert(self, connection: Connection, table: Table, row: dict[str, Any]) -> int:
        """Insert *row*, of this epoch unless it has another; return its id."""
        new = {"system": self._system} | self._epoch | row
        done = connection.execute(insert(table).values(new))
        key = done.inserted_primary_key
        assert key is not None  # noqa: S101 - SQLAlchemy returns it for a single inserted row
        return int(key[0])


def newest_facts(
    connection: Connection, system: str, before: datetime | None = None
) -> dict[tuple[FactKind, str], str]:
    """Return the newest facts of *system*, or those that held *before*, as JSON."""
    of_system = history_facts.c.system == system
    newest = select(func.max(history_facts.c.id)).where(of_system)
    if before is not None:
        newest = newest.where(history_facts.c.time < before)
    newest = newest.group_by(history_facts.c.kind, history_facts.c.key)
    found = connection.execute(
        select(history_facts.c.kind, history_facts.c.key, history_facts.c.value).where(
            history_facts.c.id.in_(newest), history_facts.c.value.is_not(None)
        )
    )
    return {(FactKind(kind), key): value for kind, key, value in found}

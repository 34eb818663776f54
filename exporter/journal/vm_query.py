"""Reads what a journal knows of one VM in a period."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Float, Table, func, or_, select, type_coerce

from exporter.journal import rows
from exporter.journal.tables import (
    changes,
    commands,
    decisions,
    history_facts,
    history_polls,
    history_rows,
    intents,
)
from exporter.recovery.model.commands import Command
from exporter.recovery.model.history import FactKind
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.records import TimedFact, VMPast

MAX_ROWS = 500
"""Of each kind; a VM that flaps for a week has more than a page can show."""
MAX_LOG_ROWS = 5000
"""That are searched for those of the VM."""
GAP_SECONDS = 1800.0

_command = partial(rows.from_row, kind=Command)


def past_of_vm(
    connection: Connection,
    *,
    system: str,
    uuid: str,
    vm_key: int,
    machine: int | None,
    since: datetime,
) -> VMPast:
    """Return what is known of a VM since *since*."""
    newest = partial(_newest, connection, system=system, since=since)
    about_it = or_(commands.c.uuid == uuid, commands.c.uuid.is_(None))
    return VMPast(
        newest(changes, changes.c.time, changes.c.uuid == uuid, rows.change_from_row),
        newest(decisions, decisions.c.time, decisions.c.uuid == uuid, rows.decision_from_row),
        newest(intents, intents.c.prepared_time, intents.c.uuid == uuid, rows.intent_from_row),
        newest(commands, commands.c.time, about_it, _command),
        _facts(connection, system, vm_key),
        _rows(connection, system, machine, since),
        _gaps(connection, system, since),
    )


def _newest(
    connection: Connection,
    table: Table,
    time: Column[Any],
    condition: Any,
    convert: Any,
    *,
    system: str,
    since: datetime,
) -> list[Any]:
    """Return the newest rows, the oldest first."""
    query = (
        select(table)
        .where(table.c.system == system, condition, time >= since)
        .order_by(table.c.id.desc())
        .limit(MAX_ROWS)
    )
    return [convert(row) for row in connection.execute(query).mappings()][::-1]


def _facts(connection: Connection, system: str, vm_key: int) -> list[TimedFact]:
    facts = history_facts.c
    found: list[TimedFact] = []
    for kind in (FactKind.STATUS, FactKind.SILENCE):
        query = (
            select(facts.time, facts.value)
            .where(facts.system == system, facts.kind == kind.value, facts.key == str(vm_key))
            .order_by(facts.id.desc())
            .limit(MAX_ROWS)
        )
        found += [TimedFact(time, kind, value) for time, value in connection.execute(query)]
    return sorted(found, key=lambda fact: fact.time)


def _rows(
    connection: Connection, system: str, machine: int | None, since: datetime
) -> list[LogRow]:
    if machine is None:
        return []
    query = (
        select(history_rows.c.row_json)
        .where(history_rows.c.system == system, history_rows.c.time >= since)
        .order_by(history_rows.c.id.desc())
        .limit(MAX_LOG_ROWS)
    )
    found = [rows.log_row_from_json(text) for text in connection.scalars(query)]
    return [row for row in found if row.machine == machine][::-1][-MAX_ROWS:]


def _gaps(connection: Connection, system: str, since: datetime) -> list[tuple[datetime, datetime]]:
    time = type_coerce(history_polls.c.time, Float)
    before = func.lag(time).over(order_by=history_polls.c.id)
    polls = (
        select(before.label("before"), time.label("time"))
        .where(history_polls.c.system == system, history_polls.c.time >= since)
        .subquery()
    )
    gaps = select(polls).where(
        or_(polls.c.before.is_(None), polls.c.time - polls.c.before > GAP_SECONDS)
    )
    return [
        (since if before is None else _time(before), _time(until))
        for before, until in connection.execute(gaps.order_by(polls.c.time))
        if before is not None or until - since.timestamp() > GAP_SECONDS
    ]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""Selects what a report on a period needs: its records, and those of downtimes begun before."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, Table, case, func, or_, select

from exporter.journal.tables import changes, decisions, intents
from exporter.recovery.model.states import State

ENDS = (State.HEALTHY.value, State.PROBATION.value, State.BASELINE.value)
"""A change to one of these ends a downtime, as does one to no state."""


def changes_since(system: str, time: datetime) -> Select[Any]:
    """Return the query for the changes since *time*, and before of the VMs that were down then."""
    down = _down_at(system, time)
    return _with_down(changes, down, system, changes.c.time >= time, changes.c.id > down.c.up_id)


def decisions_since(system: str, time: datetime) -> Select[Any]:
    """Return the query for the decisions since *time*, and before on the VMs that were down."""
    down = _down_at(system, time)
    before = or_(down.c.up_time.is_(None), decisions.c.time > down.c.up_time)
    return _with_down(decisions, down, system, decisions.c.time >= time, before)


def intents_since(system: str, time: datetime) -> Select[Any]:
    """Return the query for the actions since *time*, open ones, and on the VMs that were down."""
    down = _down_at(system, time)
    recent = or_(
        intents.c.prepared_time >= time,
        intents.c.closed_time >= time,
        intents.c.outcome.is_(None),
    )
    before = or_(down.c.up_time.is_(None), intents.c.prepared_time > down.c.up_time)
    return _with_down(intents, down, system, recent, before)


def _with_down(
    table: Table,
    down: Subquery,
    system: str,
    recent: ColumnElement[bool],
    before: ColumnElement[bool],
) -> Select[Any]:
    """Return the query for the *recent* rows, and those *before* of the VMs that were down."""
    # A join, because SQLite would evaluate a subquery for each row.
    return (
        select(table)
        .join_from(table, down, down.c.uuid == table.c.uuid, isouter=True)
        .where(table.c.system == system, or_(recent, down.c.uuid.is_not(None) & before))
        .order_by(table.c.id.desc())
    )


def _down_at(system: str, time: datetime) -> Subquery:
    """Return the VMs that were down at *time*, with when they were last seen up."""
    is_end = or_(changes.c.after.is_(None), changes.c.after.in_(ENDS))
    up_id = func.coalesce(func.max(case((is_end, changes.c.id))), 0)
    return (
        select(
            changes.c.uuid,
            up_id.label("up_id"),
            func.max(case((is_end, changes.c.time))).label("up_time"),
        )
        .where(changes.c.system == system, changes.c.time < time)
        .group_by(changes.c.uuid)
        .having(func.max(changes.c.id) > up_id)
        .subquery()
    )

"""
Alarms of VergeOS: how many of each level and type, and since when the oldest is raised.

An alarm that is snoozed stays in the list and is counted apart. Its text is not asked for: it is
free text, to which the names of users' objects belong. The types of alarms are few.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from exporter.collectors.collector import Collector
from exporter.exposition.collector import each, gauge, group
from exporter.exposition.view import REPORT, Items, RenderView, escape
from exporter.model import Inventory
from exporter.vergeos.rows import (
    UNKNOWN_WORD,
    Lost,
    Name,
    Row,
    Whole,
    joined,
    lower_case,
    timestamp,
)
from exporter.vergeos.tables import Importance, Pace, Table

LEVELS = ("critical", "error", "warning")
"""Levels that are exported also while there is no such alarm."""


class AlarmRow(Row, gc=False):
    """A row of ``alarms``."""

    level: Name | None = None
    owner_type: Name | None = None
    owner_name: Annotated[Name | None, joined("owner#name as owner_name")] = None
    alarm_type_name: Annotated[Name | None, joined("alarm_type#name as alarm_type_name")] = None
    created: Whole | float | None = None
    snooze: Whole | float | None = None

    def is_snoozed(self, now: float) -> bool:
        """Return whether it is snoozed, until a point in time or without an end."""
        return self.snooze is not None and (self.snooze < 0 or self.snooze > now)


def _alarm(row: AlarmRow, _: int, __: Lost) -> AlarmRow:
    row.level = lower_case(row.level) or UNKNOWN_WORD
    row.owner_type = row.owner_type or UNKNOWN_WORD
    row.alarm_type_name = row.alarm_type_name or UNKNOWN_WORD
    return row


# It may not be hidden: a system without alarms would look the same.
ALARMS = Table(
    "alarms", "alarms", Pace.INVENTORY, AlarmRow, _alarm, importance=Importance.HIGH
)  # fmt: skip


class Alarms(NamedTuple):
    """The alarms of one level."""

    active: int
    snoozed: int
    oldest_at: float | None
    """When the oldest of the active ones was raised."""


def rows_of(inventory: Inventory) -> list[AlarmRow]:
    """Return the alarms, which are none while the table is stale."""
    found: dict[int, AlarmRow] = inventory.sources.get(ALARMS.name) or {}  # type: ignore[assignment]
    return list(found.values())


def active(inventory: Inventory) -> list[AlarmRow]:
    """Return the alarms that are not snoozed at the time of *inventory*."""
    now = inventory.taken_at.timestamp()
    return [row for row in rows_of(inventory) if not row.is_snoozed(now)]


def levels(view: RenderView) -> Items:
    """Return the alarms of each level."""
    if ALARMS.name not in view.inventory.sources:
        return Items([], [])
    now = view.inventory.taken_at.timestamp()
    rows = rows_of(view.inventory)
    known = dict.fromkeys((*LEVELS, *sorted(row.level or "" for row in rows)))
    return Items(
        [(view.system, escape(level)) for level in known],
        [_of([row for row in rows if row.level == level], now) for level in known],
    )


def _of(rows: Iterable[AlarmRow], now: float) -> Alarms:
    snoozed = [row.is_snoozed(now) for row in rows]
    times = [
        at
        for row, is_snoozed in zip(rows, snoozed, strict=True)
        if not is_snoozed and (at := timestamp(row.created)) is not None
    ]
    return Alarms(snoozed.count(False), sum(snoozed), min(times, default=None))


def types(view: RenderView) -> Items:
    """Return the number of active alarms of each level, type and type of owner."""
    found = Counter(
        (row.level or "", row.owner_type or "", row.alarm_type_name or "")
        for row in active(view.inventory)
    )
    return Items(
        [(view.system, *map(escape, labels)) for labels in sorted(found)],
        [found[labels] for labels in sorted(found)],
    )


# A snooze ends although the table does not change, hence the report.
LEVEL = group("alarm level", "system_name level", f"{ALARMS.name} {REPORT}", levels)
TYPE = group(
    "alarm type", "system_name level owner_type alarm_type", f"{ALARMS.name} {REPORT}", types
)

FAMILIES = (
    gauge("alarms_active", LEVEL, "alarms.level",
          "Alarms of VergeOS that are raised and not snoozed", "active"),
    gauge("alarms_snoozed", LEVEL, "alarms.snooze",
          "Alarms of VergeOS that are raised and snoozed", "snoozed"),
    gauge("alarms_oldest_timestamp_seconds", LEVEL, "alarms.created",
          "When the oldest alarm was raised that is not snoozed", "oldest_at"),
    gauge("alarms_active_by_type", TYPE, "alarms.alarm_type#name",
          "Alarms of VergeOS that are raised and not snoozed, by their type and what they are "
          "about", each(float)),
)  # fmt: skip

COLLECTOR = Collector("alarms", (ALARMS,), FAMILIES)

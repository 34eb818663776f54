"""Tables with a history: the newest row of each object is kept."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from exporter.polling.state import TableRows
from exporter.vergeos.rows import Row, Whole


class HistoryRow(Row, gc=False):
    """A row of a history."""

    timestamp: Whole | None = None
    """Unix seconds."""


def newest_by(
    owner: str,
) -> Callable[[TableRows[dict[int, Any]]], TableRows[dict[int, Any]]]:
    """Return what keeps the newest row of each object, by the key in the attribute *owner*."""
    owner_of = attrgetter(owner)

    def newest(decoded: TableRows[dict[int, Any]]) -> TableRows[dict[int, Any]]:
        found: dict[int, Any] = {}
        for row in decoded.rows.values():
            before = found.get(key := owner_of(row))
            if before is None or _time(row) > _time(before):
                found[key] = row
        return decoded.with_rows(found)

    return newest


def _time(row: HistoryRow) -> int:
    return row.timestamp or 0

"""The state of one table's polling."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from exporter.errors import ForbiddenError, VergeOSError
from exporter.model import TableReport
from exporter.polling.schedule import TableSchedule

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class SkippedValues(NamedTuple):
    """The values of one field that could not be read in one answer."""

    number: int
    problem: str
    """Why the first of them could not be read."""


@dataclass(frozen=True, slots=True)
class TableRows(Generic[T_co]):
    """The decoded rows of one answer, and what could not be decoded."""

    rows: T_co
    count: int
    """Rows decoded."""
    skipped: int = 0
    problem: str | None = None
    """Why the first skipped row was skipped."""
    unknown_words: frozenset[str] = frozenset()
    """Status words that are not in `exporter.model.StatusWord`."""
    skipped_values: Mapping[str, SkippedValues] = field(default_factory=dict)
    """By field: what could not be read of rows that were decoded."""

    @property
    def unreadable(self) -> int:
        """How many rows, and values of other rows, could not be read."""
        return self.skipped + sum(one.number for one in self.skipped_values.values())

    def with_rows(self, rows: T) -> "TableRows[T]":
        """Return the same result with other *rows*."""
        return replace(self, rows=rows)  # type: ignore[arg-type,return-value]


class LastGood(NamedTuple):
    """The rows of a table's last successful poll."""

    rows: TableRows[Any]
    at: float
    """When they were asked for: seconds since polling began."""
    at_time: datetime


class TableState(msgspec.Struct, frozen=True):
    """The state of one table's polling."""

    due: float
    """Seconds since polling began."""
    good: LastGood | None = None
    failures: int = 0
    """In a row."""
    error: VergeOSError | None = None
    duration_seconds: float | None = None
    failures_total: int = 0
    rows_skipped_total: int = 0

    def report(self, schedule: TableSchedule, *, fresh: bool) -> TableReport:
        """Return the state for the console and the metrics."""
        good = self.good
        return TableReport(
            table=schedule.table,
            every_seconds=schedule.every_seconds,
            success=self.error is None if good or self.error else None,
            fresh=fresh,
            last_success_at=good.at_time if good else None,
            duration_seconds=self.duration_seconds,
            rows=good.rows.count if good else None,
            rows_skipped=good.rows.skipped if good else None,
            unreadable=good.rows.unreadable if good and fresh else None,
            failures_total=self.failures_total,
            rows_skipped_total=self.rows_skipped_total,
            error=str(self.error) if self.error else None,
            awaited=good is None and not isinstance(self.error, ForbiddenError),
        )

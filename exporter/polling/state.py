"""The state of one table's polling."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from exporter.errors import VergeOSError
from exporter.model import TableReport
from exporter.polling.schedule import TableSchedule


class TableRows(Protocol):
    """The decoded rows of one answer."""

    @property
    def rows(self) -> Any: ...
    @property
    def count(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def unknown_words(self) -> frozenset[str]: ...


class LastGood(NamedTuple):
    """The rows of a table's last successful poll."""

    rows: TableRows
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
    tried: bool = False
    duration_seconds: float | None = None
    failures_total: int = 0
    rows_skipped_total: int = 0

    def report(self, schedule: TableSchedule, *, fresh: bool) -> TableReport:
        """Return the state for the status page and the metrics."""
        good = self.good
        return TableReport(
            table=schedule.table,
            every_seconds=schedule.every_seconds,
            success=self.error is None if self.tried else None,
            fresh=fresh,
            last_success_at=good.at_time if good else None,
            duration_seconds=self.duration_seconds,
            rows=good.rows.count if good else None,
            rows_skipped=good.rows.skipped if good else None,
            failures_total=self.failures_total,
            rows_skipped_total=self.rows_skipped_total,
            error=str(self.error) if self.error else None,
        )

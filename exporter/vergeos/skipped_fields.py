"""Counts the values of rows that could not be read, and logs the first of each field."""

from typing import Any

import structlog

from exporter.polling.state import TableRows
from exporter.vergeos.transport import Meter

log = structlog.get_logger()


class SkippedFields:
    """The values that could not be read of the tables of one system."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._logged: set[tuple[str, str]] = set()

    def count(self, table: str, rows: TableRows[Any]) -> None:
        """Count the values that could not be read in one answer of *table*."""
        for field, (number, problem) in rows.skipped_values.items():
            self._meter.fields_skipped(table, field, number)
            if (table, field) not in self._logged:
                self._logged.add((table, field))
                log.warning(
                    "table.fields_skipped", table=table, field=field, skipped=number, first=problem
                )

"""The values of rows that could not be read: counted at each read, logged once for each field."""

from typing import Any

import structlog

from exporter.polling.state import TableRows
from exporter.vergeos.transport import Meter

log = structlog.get_logger()


def count_skipped_fields(meter: Meter, table: str, rows: TableRows[Any]) -> None:
    """Count the values that could not be read in one answer of *table*."""
    for field, (number, _) in rows.skipped_values.items():
        meter.fields_skipped(table, field, number)


class SkippedFields:
    """Counts the values that could not be read of tables that are not polled, and logs them."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._logged: set[tuple[str, str]] = set()

    def count(self, table: str, rows: TableRows[Any]) -> None:
        """Count the values that could not be read in one answer of *table*; log new fields."""
        count_skipped_fields(self._meter, table, rows)
        for field, (number, problem) in rows.skipped_values.items():
            if (table, field) not in self._logged:
                self._logged.add((table, field))
                log.warning(
                    "table.fields_skipped",
                    system=self._meter.system_name,
                    table=table,
                    field=field,
                    skipped=number,
                    first=problem,
                )

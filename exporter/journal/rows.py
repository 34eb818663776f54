"""Conversions between the values of recovery and rows of the journal's tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import RowMapping

from exporter.journal.tables import DIAGNOSIS_COLUMNS
from exporter.recovery.model.cases import Case, Intent
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.history import RecordedPoll
from exporter.recovery.model.platform_log import LogPosition, LogRow, PositionRead
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord

T = TypeVar("T")

_CASE = msgspec.json.Decoder(Case)
_LOG_ROW = msgspec.json.Decoder(LogRow)


def to_row(value: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of *value* as columns: enums as text, times unchanged."""
    fields: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return fields


def from_row(row: Mapping[Any, Any], kind: type[T]) -> T:
    """Return the *kind* whose fields are columns of *row*; other columns are ignored."""
    # SQLAlchemy names some columns with a subclass of str, which msgspec refuses as a key.
    return msgspec.convert({str(name): value for name, value in row.items()}, kind)


def case_to_row(case: Case) -> dict[str, Any]:
    """Return *case* as JSON."""
    return {"uuid": case.uuid, "case_json": msgspec.json.encode(case).decode()}


def case_from_json(text: str) -> Case:
    """Return the case of the column ``case_json``."""
    return _CASE.decode(text)


def diagnosed_to_row(value: Change | Decision) -> dict[str, Any]:
    """Return *value* with its diagnosis in columns."""
    row = to_row(value)
    return row | (row.pop("diagnosis") or dict.fromkeys(DIAGNOSIS_COLUMNS))


def change_from_row(row: RowMapping) -> Change:
    """Return the change of `diagnosed_to_row`."""
    return from_row({**row, "diagnosis": _diagnosis(row)}, Change)


def poll_to_row(poll: RecordedPoll) -> dict[str, Any]:
    """Return *poll* with its positions as short JSON, if it has any."""
    row = to_row(poll)
    positions = [
        (one.read_at, one.position.machine_logs, one.position.logs) for one in poll.log_positions
    ]
    lists = {"log_positions": positions, "random_numbers": row["random_numbers"]}
    return row | {name: value or None for name, value in lists.items()}


def poll_from_row(row: RowMapping) -> RecordedPoll:
    """Return the poll of `poll_to_row`."""
    positions = [
        PositionRead(read_at, LogPosition(machine_logs, logs))
        for read_at, machine_logs, logs in row["log_positions"] or ()
    ]
    numbers = row["random_numbers"] or ()
    return from_row({**row, "log_positions": positions, "random_numbers": numbers}, RecordedPoll)


def log_row_to_json(row: LogRow) -> str:
    """Return *row* as JSON."""
    return msgspec.json.encode(row).decode()


def log_row_from_json(text: str) -> LogRow:
    """Return the row of `log_row_to_json`."""
    return _LOG_ROW.decode(text)


def positions_from_json(value: object) -> Sequence[PositionRead]:
    """Return the positions of the column ``log_positions``."""
    return msgspec.convert(value, tuple[PositionRead, ...])


def decision_to_row(decision: Decision) -> dict[str, Any]:
    """Return *decision* with its diagnosis in columns and its guard results as JSON."""
    guard_results = msgspec.json.encode(decision.guard_results).decode()
    return {**diagnosed_to_row(decision), "guard_results": guard_results}


def decision_from_row(row: RowMapping) -> DecisionRecord:
    """Return the decision of `decision_to_row` with its number."""
    guard_results = msgspec.json.decode(row["guard_results"])
    fields = {**row, "diagnosis": _diagnosis(row), "guard_results": guard_results}
    return DecisionRecord(row["id"], from_row(fields, Decision))


def intent_from_row(row: RowMapping) -> ActionRecord:
    """Return the intent with the columns that only the journal has."""
    intent = from_row(row, Intent)
    return ActionRecord(
        intent,
        row["decision"],
        row["prepared_time"],
        row["closed_time"],
        row["time_to_service_seconds"],
    )


def _diagnosis(row: RowMapping) -> dict[str, Any] | None:
    return {name: row[name] for name in DIAGNOSIS_COLUMNS} if row["cause"] is not None else None

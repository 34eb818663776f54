"""Nouns to rows, and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import RowMapping

from exporter.recovery.model.cases import Case, Intent
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.records import ActionRecord, DecisionRecord

T = TypeVar("T")

_CASE = msgspec.json.Decoder(Case)


def plain(noun: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of *noun* with its words as plain text; times stay what they are."""
    fields: dict[str, Any] = msgspec.to_builtins(noun, builtin_types=(datetime,))
    return fields


def noun(row: Mapping[Any, Any], kind: type[T]) -> T:
    """Return the noun of that *kind* whose fields are columns of *row*; others are passed over."""
    # SQLAlchemy names some columns with a kind of string of its own.
    return msgspec.convert({str(name): value for name, value in row.items()}, kind)


def from_case(case: Case) -> dict[str, Any]:
    """Return the row of *case*, whole, and what people look for in columns of their own."""
    return {
        "uuid": case.uuid,
        "vm_key": case.key,
        "name": case.name,
        "state": case.state.value,
        "since": case.since,
        "whole": msgspec.json.encode(case).decode(),
    }


def to_case(whole: str) -> Case:
    """Return the case that was stored as *whole*."""
    return _CASE.decode(whole)


def from_decision(decision: Decision) -> dict[str, Any]:
    """Return the row of *decision*, its diagnosis in columns and its guard_results as JSON."""
    row = plain(decision)
    diagnosis = row.pop("diagnosis")
    guard_results = msgspec.json.encode(decision.guard_results).decode()
    return {**row, **diagnosis, "guard_results": guard_results}


def to_decided(row: RowMapping) -> DecisionRecord:
    """Return the decision of *row*, with its number."""
    diagnosis = {name: row[name] for name in ("kind", "cause", "detail")}
    guard_results = msgspec.json.decode(row["guard_results"])
    return DecisionRecord(
        row["id"], noun({**row, "diagnosis": diagnosis, "guard_results": guard_results}, Decision)
    )


def to_attempt(row: RowMapping) -> ActionRecord:
    """Return the intent of *row*, with what is around it."""
    return ActionRecord(
        noun(row, Intent), row["decision"], row["prepared_time"], row["closed_time"]
    )

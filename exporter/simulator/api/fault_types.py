"""What a kind of fault is: its parameters, and the rows that it changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

API_ROOT = "/api/v4/"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a fault."""

    default: float | str | bool
    about: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultType:
    """A kind of fault."""

    about: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    path: str | None = None
    """The default path."""
    method: str | None = None
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """
    The values that it gives to columns, by table. A value that is a function is called with the
    row's object and the `RequestView`.
    """


def row_fault(about: str, *, default: str = "", **rows: Mapping[str, Any]) -> FaultType:
    """
    Return a fault that gives other values to columns of one row, or of every row.

    Args:
        default: The row that is changed if none is named.
        rows: By table, the values by column; see `FaultType.rows`. An object that is a row of
            several tables, such as a tenant and its status, has them changed in each.

    """
    row = Parameter(
        default,
        "the name of the row, of a part of a machine also MACHINE/NAME; empty: the first; *: every "
        "row",
    )
    return FaultType(about, {"row": row}, path=API_ROOT + next(iter(rows)), rows=rows)

"""
What a table of the VergeOS API is: one bulk list request, and how its rows are decoded.

Each collector declares its own tables. VergeOS ignores field names that it does not know, so a
field that an older release lacks is absent from its rows.
"""

from collections.abc import Callable
from enum import Enum, IntEnum
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from exporter.polling.state import TableRows
from exporter.vergeos.rows import Lost, Reference, Row, decode, unchanged


class Pace(Enum):
    """How often a table is polled; the settings give the seconds."""

    FAST = "fast"
    SLOW = "slow"
    INVENTORY = "inventory"
    RARE = "rare"
    HOURLY = "hourly"


class Importance(IntEnum):
    """Which tables keep their cadence when the request budget is short; the lowest yields first."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    ESSENTIAL = 3
    """Without it there is no inventory of VMs. Its cadence is never stretched."""


class Table(NamedTuple):
    """One bulk list request, and the rows that are decoded from its answer."""

    name: str
    """The ``table`` label of the metrics."""
    endpoint: str
    """The table's name in VergeOS."""
    pace: Pace
    row: type[Row]
    """The struct that a row is decoded into; its fields are the fields asked for."""
    convert: Callable[[Any, int, Lost], Any] = unchanged
    """Returns the value to keep of a row and its key; see `exporter.vergeos.rows.decode`."""
    collect: Callable[[TableRows[dict[int, Any]]], TableRows[Any]] = lambda decoded: decoded
    """Returns the table's rows, made of the converted rows by key."""
    key: Callable[[Any], Reference] = attrgetter("key")
    where: str = ""
    """The ``filter`` expression; empty for every row."""
    turn: int = 0
    """
    In which of the fast tables' polls it is polled, counted from 0. Slow tables take turns,
    because the work after an answer grows with the number of VMs.
    """
    importance: Importance = Importance.NORMAL
    keeps_stale_rows: bool = False
    """Whether its last good rows stay in use however old: names that other tables refer to."""
    recent_seconds: int = 0
    """Of a table with a history: how old the ``timestamp`` of a row may be; 0 for any age."""
    may_be_hidden: bool = False
    """
    Whether some releases lack it, or some users, such as those of tenants, may not read it. It
    then has no rows, which is no failure.
    """

    @property
    def path(self) -> str:
        return f"/api/v4/{self.endpoint}"

    @property
    def fields(self) -> tuple[str, ...]:
        return fields_of(self.row)

    def condition(self, *, now: float) -> str:
        """Return the filter expression at the time *now*, in Unix seconds; empty for every row."""
        recent = f"timestamp ge {int(now) - self.recent_seconds}" if self.recent_seconds else ""
        if self.where and recent:
            return f"({self.where}) and ({recent})"
        return self.where or recent

    @property
    def request(self) -> tuple[str, str, Pace]:
        """What the request asks for and how often: tables with the same request share it."""
        return self.endpoint, self.where, self.pace

    def decode(self, body: bytes) -> TableRows[Any]:
        """
        Return the rows of an answer's body.

        Raises:
            BadReplyError: The answer is not a list, or none of its rows can be used.

        """
        return self.collect(decode(body, self.path, self.row, self.convert, self.key))


@cache  # inspecting a struct leaves reference cycles, and each request needs its fields
def fields_of(row: type[Row]) -> tuple[str, ...]:
    """Return the fields to ask for, to decode rows of the struct *row*."""
    return tuple(map(_query, msgspec.inspect.type_info(row).fields))  # type: ignore[attr-defined]


def _query(field: msgspec.inspect.Field) -> str:
    kinds = (field.type, *getattr(field.type, "types", ()))
    extras = (kind.extra for kind in kinds if isinstance(kind, msgspec.inspect.Metadata))
    return next((extra["query"] for extra in extras if extra), field.encode_name)

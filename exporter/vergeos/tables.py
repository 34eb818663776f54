"""
What a table of the VergeOS API is: one bulk list request, and how its rows are decoded.

Each collector declares its own tables. VergeOS ignores field names that it does not know, so a
field that an older release lacks is absent from its rows.
"""

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any, NamedTuple

import msgspec

from exporter.vergeos.rows import Row, TableRows, decode


class Pace(Enum):
    """How often a table is polled; the settings give the seconds."""

    FAST = "fast"
    SLOW = "slow"
    INVENTORY = "inventory"


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
    decode: Callable[[bytes, str], TableRows[Any]]
    """Returns the rows of an answer's body; the path is for error messages."""
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

    @property
    def path(self) -> str:
        return f"/api/v4/{self.endpoint}"

    @property
    def fields(self) -> tuple[str, ...]:
        return requested_fields(self.row)

    @property
    def request(self) -> tuple[str, str, Pace]:
        """What the request asks for and how often: tables with the same request share it."""
        return self.endpoint, self.where, self.pace


def requested_fields(row: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the field names of a list request whose rows are decoded into *row*."""
    return tuple(_query(field) for field in msgspec.inspect.type_info(row).fields)  # type: ignore[attr-defined]


def _query(field: msgspec.inspect.Field) -> str:
    kinds = (field.type, *getattr(field.type, "types", ()))
    extras = (kind.extra for kind in kinds if isinstance(kind, msgspec.inspect.Metadata))
    return next((extra["query"] for extra in extras if extra), field.encode_name)


def plain_rows(row: type[Row]) -> Callable[[bytes, str], TableRows[Any]]:
    """Return a decoder whose result is the rows themselves, by key."""
    decoder = msgspec.json.Decoder(row, strict=False)

    def decode_plain(body: bytes, path: str) -> TableRows[dict[int, Any]]:
        return decode(body, path, decoder, lambda row, _: row)

    return decode_plain

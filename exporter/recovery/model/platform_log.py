"""
Rows of VergeOS's two logs, and positions in them.

Rows of one log are ordered by their key. Their times are shown to people and decide nothing: no
clock of VergeOS need agree with another.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

MAX_TEXT = 16_384
"""Characters of a row that are kept: one order may name hundreds of VMs."""
CUT = f" … [cut after {MAX_TEXT} characters]"


def cut(text: str) -> str:
    """Return *text*, cut with a mark if it is very long: no complete pattern fits it then."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + CUT


def is_cut(text: str) -> bool:
    """Return whether the end of *text* is missing, which may name any VM."""
    return text.endswith(CUT)


class LogTable(StrEnum):
    """A log of VergeOS."""

    MACHINE_LOGS = "machine_logs"
    """Rows about one machine each: a VM or a node."""
    LOGS = "logs"
    """Rows of the system log: about any object, named by its type and name."""


class LogRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A row of a log."""

    table: LogTable
    key: int
    at: float
    """VergeOS's time, in Unix seconds; for display."""
    text: str
    user: str = ""
    level: str = ""
    machine: int | None = None
    """In ``machine_logs``: the machine."""
    object_type: str = ""
    """In ``logs``: the type of the object, such as ``vm``; empty if none is named."""
    object_name: str = ""
    unreadable: frozenset[str] = frozenset()
    """The fields of the row that could not be read: what it is about, or says, is not known."""
    read_at: float = 0.0
    """When it was first read, in seconds of watch."""


class LogPosition(msgspec.Struct, frozen=True, gc=False):
    """The newest key of each log at one moment."""

    machine_logs: int
    logs: int

    def key_of(self, table: LogTable) -> int:
        """Return the newest key of *table*."""
        return self.machine_logs if table is LogTable.MACHINE_LOGS else self.logs

    def includes(self, row: LogRow) -> bool:
        """Return whether *row* had been written at that moment."""
        return row.key <= self.key_of(row.table)


class PositionRead(msgspec.Struct, frozen=True, gc=False):
    """A position in the logs, and when it was read."""

    read_at: float
    """In seconds of watch."""
    position: LogPosition


class LogReading(NamedTuple):
    """The rows of one log from a key on."""

    rows: Sequence[LogRow]
    """Oldest first."""
    complete: bool
    """Whether the row with that key came too, every row could be read and they were in order."""
    is_gapless: bool = False
    """Whether every row from the oldest of these on was read: only earlier ones may be missing."""

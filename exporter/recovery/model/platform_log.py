"""Rows of VergeOS' machine logs, and what one read of them returned."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec


class LogRow(msgspec.Struct, frozen=True, gc=False):
    """A row of ``machine_logs``."""

    key: int
    machine: int
    at: float
    """VergeOS' time, in Unix seconds."""
    level: str
    text: str
    user: str


class LogMark(NamedTuple):
    """A row that has to come with an answer, as a sign that the log goes back as far as to it."""

    key: int
    at: float
    """VergeOS' time, in Unix seconds."""


class LogReading(NamedTuple):
    """What the log says of some machines."""

    rows: Sequence[LogRow]
    """Oldest first."""
    complete: bool
    """Whether every row could be read, and the mark came with them."""

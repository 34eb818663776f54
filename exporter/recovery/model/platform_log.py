"""Rows of VergeOS's machine logs, and the result of one read."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec


class LogRow(msgspec.Struct, frozen=True, gc=False):
    """A row of ``machine_logs``."""

    key: int
    machine: int
    at: float
    """VergeOS's time, in Unix seconds."""
    level: str
    text: str
    user: str


class LogMark(NamedTuple):
    """A row that a response must contain, as proof that the log goes back that far."""

    key: int
    at: float
    """VergeOS's time, in Unix seconds."""


class LogReading(NamedTuple):
    """Log rows of some machines."""

    rows: Sequence[LogRow]
    """Oldest first."""
    complete: bool
    """Whether every row could be decoded, and the mark was among them."""

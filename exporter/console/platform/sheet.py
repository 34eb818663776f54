"""A table of the platform: rows of values, or why there are none."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from exporter.console.tones import CRITICAL, OK, WARNING
from exporter.vergeos.rows import timestamp

Value = str | float | bool | datetime | None


class Kind(StrEnum):
    """What a value is, and so how it is written."""

    TEXT = "text"
    NUMBER = "number"
    RATIO = "ratio"
    BYTES = "bytes"
    CELSIUS = "celsius"
    YES_NO = "yes_no"
    DAY = "day"
    """A moment of which the day counts."""
    AGE = "age"
    """A moment that was a while ago."""


class Column(NamedTuple):
    """A column of a table."""

    title: str
    kind: Kind = Kind.TEXT


class SheetRow(NamedTuple):
    """A row of a table."""

    values: tuple[Value, ...]
    """One for each column; None is unknown."""
    tone: str = OK
    problem: str = ""
    """What is wrong; empty if nothing is."""

    def has(self, words: Iterable[str]) -> bool:
        """Return whether each of *words* is in one of its texts."""
        texts = [
            value.casefold() for value in (*self.values, self.problem) if isinstance(value, str)
        ]
        return all(any(word in text for text in texts) for word in words)


class Sheet(NamedTuple):
    """One table of the platform."""

    name: str
    """In addresses."""
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[SheetRow]
    """Those with a problem first."""
    absent: str = ""
    """Why nothing is known; empty if something is."""

    def cut(self, most: int) -> "Sheet":
        """Return it with at most so many rows."""
        return self._replace(rows=self.rows[:most])

    def search(self, text: str) -> "Sheet":
        """Return it with the rows that have each word of *text*."""
        words = text.casefold().split()
        return self._replace(rows=[row for row in self.rows if row.has(words)])


_ORDER = (CRITICAL, WARNING)


def worst_first(rows: Iterable[SheetRow]) -> Sequence[SheetRow]:
    """Return *rows* in their order, but those with a problem first."""

    def rank(row: SheetRow) -> int:
        return _ORDER.index(row.tone) if row.tone in _ORDER else len(_ORDER)

    return sorted(rows, key=rank)


def judged(values: tuple[Value, ...], *problems: tuple[str, str]) -> SheetRow:
    """Return a row with *problems*: of each its tone, and its text, empty if it is none."""
    found = [(tone, text) for tone, text in problems if text]
    tone = min((tone for tone, _ in found), key=_ORDER.index, default=OK)
    return SheetRow(values, tone, ", ".join(text for _, text in found))


def moment(unix_seconds: float | None) -> datetime | None:
    """Return a moment; None if there is none, or no calendar has it."""
    seconds = timestamp(unix_seconds)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None

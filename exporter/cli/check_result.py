"""What a check found, as values: `check --json` prints them."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from rich import markup
from rich.text import Text

from exporter.formatting import plain

Write = Callable[[Any], None]
"""Prints Rich markup or a Rich table."""


class TableCheck(msgspec.Struct, frozen=True):
    """The result of one table."""

    table: str
    every_seconds: float
    rows: int | None
    """None if it could not be read."""
    problem: str
    """Why it, or some of it, cannot be read; empty if all of it can."""


class SystemCheck(msgspec.Struct):
    """The result of one system."""

    url: str
    passed: bool = True
    name: str = ""
    version: str = ""
    problem: str = ""
    """Why the daemon would have no inventory, and what to do; empty if it would have one."""
    tables: list[TableCheck] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    """Everything else that the check says about it, a line each."""


class ServerCheck(msgspec.Struct, frozen=True):
    """The result of an Alertmanager, of the Prometheus that recovery asks, or of the journal."""

    url: str
    problem: str = ""
    """Empty if it answers as it must."""


class CheckResult(msgspec.Struct, frozen=True):
    """The result of `vergewatch check`."""

    passed: bool
    offline: bool
    """Whether only the configuration was checked, without a request."""
    systems: Sequence[SystemCheck]
    alertmanagers: Sequence[ServerCheck] = ()
    confirmation: ServerCheck | None = None
    """None if recovery asks no Prometheus."""
    journal: ServerCheck | None = None
    """None if the journal is a SQLite file, or recovery is off."""
    prometheus: ServerCheck | None = None
    """None if the console asks no Prometheus."""


def escape(text: str) -> str:
    """Return *text* as it is, whatever it contains: it may be a name that others chose."""
    return markup.escape(plain(text))


def noting(write: Write, notes: list[str]) -> Write:
    """Return what prints with *write*, and adds each line of text to *notes*."""

    def written(text: Any) -> None:
        if isinstance(text, str):
            for line in text.splitlines():
                bare = Text.from_markup(line, emoji=False).plain
                notes.append(re.sub(r"\s+", " ", bare).strip())
        write(text)

    return written

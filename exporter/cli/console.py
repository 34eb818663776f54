"""The console that commands print on, in a terminal or into a pipe."""

import codecs
import io
import os
import re
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.cli.times import shown

PIPE_WIDTH = 400
"""Output that is not read in a terminal is practically not wrapped, so that it can be searched."""
_ASCII = {"→": "->", "“": '"', "”": '"', "…": "..."}


def new_console() -> Console:
    """Return a console for standard output, whatever characters that can show."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("vergewatch", _replace)
        sys.stdout.reconfigure(errors="vergewatch")
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        return console
    width = None if "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(highlight=False, markup=False, emoji=False, width=width, file=_Unpadded())


def entry(mark: str, text: str | Text) -> Table:
    """Return *text* after *mark*, its wrapped lines indented like its first."""
    table = Table.grid()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(mark, Text(shown(text)) if isinstance(text, str) else text)
    return table


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - standard output only encodes
    lost = error.object[error.start : error.end]
    return "".join(_ASCII.get(char, "?") for char in lost), error.end


class _Unpadded(io.StringIO):
    """Standard output without the spaces that fill up the cells of a table."""

    def write(self, text: str) -> int:
        return sys.stdout.write(re.sub(r" +$", "", text, flags=re.MULTILINE))

    def flush(self) -> None:
        sys.stdout.flush()

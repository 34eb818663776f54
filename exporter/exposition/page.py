"""Whole pages, put together from the samples of each system."""

import zlib
from collections.abc import Sequence
from struct import pack
from typing import NamedTuple

from exporter.exposition import checksum
from exporter.exposition.collector import Family
from exporter.exposition.formats import Format
from exporter.exposition.renderer import Rendered, Segment, deflate, segment

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LAST_BLOCK = b"\x03\x00"
"""An empty deflate block with the mark of the last one."""


class Page(NamedTuple):
    """A page without the daemon's own metrics, which are added to each response."""

    pieces: tuple[Segment, ...]
    checksum: int
    size: int

    def plain(self, rest: bytes) -> bytes:
        """Return the page, with *rest* at its end."""
        return b"".join((*(piece.text for piece in self.pieces), rest))

    def gzipped(self, rest: bytes) -> bytes:
        """Return the same as one gzip member; only *rest* is compressed now."""
        total = zlib.crc32(rest, self.checksum)
        size = (self.size + len(rest)) % 2**32
        deflated = (piece.deflated for piece in self.pieces)
        return b"".join(
            (GZIP_HEADER, *deflated, deflate(rest), LAST_BLOCK, pack("<II", total, size))
        )


class PageBuilder:
    """
    Puts pages together from what the renderers of all systems wrote.

    Args:
        families: In the order of the page.

    """

    def __init__(self, families: Sequence[Family]) -> None:
        self._headers = {
            form: {family.name: segment(header(family, form)) for family in families}
            for form in Format
        }

    def page(self, systems: Sequence[Rendered], form: Format) -> Page:
        """Return the page: each family's header, then its samples system by system."""
        pieces: list[Segment] = []
        for name, head in self._headers[form].items():
            samples = [system.segments[name] for system in systems if name in system.segments]
            if samples or not systems:
                pieces += [head, *samples]
        total = 0
        for piece in pieces:
            total = checksum.combine(total, piece.checksum, piece.shift)
        return Page(tuple(pieces), total, sum(piece.size for piece in pieces))


def header(family: Family, form: Format) -> str:
    """Return the lines that introduce *family*."""
    name, unit = family.name, ""
    if form is Format.OPENMETRICS:
        name = name.removesuffix("_total")  # which only the samples have
        unit = f"# UNIT {name} {family.unit}\n" if family.unit else ""
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind.value}\n{unit}"

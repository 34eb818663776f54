"""Whole pages, put together from what each cloud's renderer wrote."""

import zlib
from collections.abc import Iterable, Sequence
from struct import pack
from typing import NamedTuple

from exporter.exposition import checksum
from exporter.exposition.catalog import FAMILIES, Family, Kind
from exporter.exposition.formats import Format
from exporter.exposition.renderer import Rendered, Segment, deflate, segment

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LAST_BLOCK = b"\x03\x00"
"""An empty deflate block that says it is the last."""


class Page(NamedTuple):
    """The fleet's part of a page, to which our own metrics are added when it is asked for."""

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


def bind(systems: Sequence[Rendered], form: Format, families: Iterable[Family] = FAMILIES) -> Page:
    """Return the page of all *clouds*: each family's header, then its samples cloud by cloud."""
    pieces: list[Segment] = []
    for family in families:
        pieces.append(_HEADERS[form][family.name])
        pieces += [system.segments[family.name] for system in systems]
    total = 0
    for piece in pieces:
        total = checksum.combine(total, piece.checksum, piece.shift)
    return Page(tuple(pieces), total, sum(piece.size for piece in pieces))


def header(family: Family, form: Format) -> str:
    """Return the lines that introduce *family*."""
    name = family.name
    if form is Format.CLASSIC:
        return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind.value}\n"
    if family.kind is Kind.COUNTER:  # OpenMetrics names the family without its samples' suffix
        name = name.removesuffix("_total")
    unit = f"# UNIT {name} {family.unit}\n" if family.unit else ""
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind.value}\n{unit}"


_HEADERS = {
    form: {family.name: segment(header(family, form)) for family in FAMILIES} for form in Format
}

"""Whole pages, put together from the samples of each system."""

import zlib
from collections.abc import Iterator, Sequence
from struct import pack
from typing import NamedTuple

from exporter.exposition import checksum
from exporter.exposition.collector import Family
from exporter.exposition.formats import Format
from exporter.exposition.renderer import Rendered, Segment, deflate, segment

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LAST_BLOCK = b"\x03\x00"
"""An empty deflate block with the mark of the last one."""
CHUNK_BYTES = 128 * 1024
"""A body is written in chunks of about this size: more is never held for one client."""


class Body(NamedTuple):
    """
    The body of a response, which all clients share.

    The text of a page of 10,000 VMs is 60 MB. It is never held whole: each client's chunks are
    decompressed as the client reads them.
    """

    size: int
    parts: tuple[Segment | bytes, ...]

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the body in order, in chunks of at most twice `CHUNK_BYTES`."""
        small: list[bytes | memoryview] = []
        length = 0
        for piece in self._pieces():
            small.append(piece)
            length += len(piece)
            if length >= CHUNK_BYTES:
                yield b"".join(small) if len(small) > 1 else piece
                small, length = [], 0
        if small:
            yield b"".join(small)

    def read(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.chunks())

    def _pieces(self) -> Iterator[bytes | memoryview]:
        for part in self.parts:
            if isinstance(part, Segment):
                yield from part.texts(CHUNK_BYTES)
            else:
                view = memoryview(part)
                for start in range(0, len(part), CHUNK_BYTES):
                    yield view[start : start + CHUNK_BYTES]


class Page(NamedTuple):
    """A page without the daemon's own metrics, which are added to each response."""

    pieces: tuple[Segment, ...]
    checksum: int
    size: int

    def plain(self, rest: bytes) -> Body:
        """Return the page, with *rest* at its end."""
        return Body(self.size + len(rest), (*self.pieces, rest))

    def deflated(self) -> bytes:
        """Return the page as the beginning of a gzip member."""
        return b"".join((GZIP_HEADER, *(piece.deflated for piece in self.pieces)))

    def gzipped(self, rest: bytes, deflated: bytes) -> Body:
        """
        Return the same as `plain` as one gzip member; only *rest* is compressed now.

        Args:
            rest: What is added to the end.
            deflated: What `deflated` returns, one copy for every response.

        """
        total = zlib.crc32(rest, self.checksum)
        size = (self.size + len(rest)) % 2**32
        end = b"".join((deflate(rest), LAST_BLOCK, pack("<II", total, size)))
        return Body(len(deflated) + len(end), (deflated, end))


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

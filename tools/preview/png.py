"""Reduce screenshots to 256 colors, which makes them small."""

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOUR = (8, 2, 0, 0, 0)
_INDEXED = (8, 3, 0, 0, 0)
_CHANNELS = 3
_MOST = 256

Colour = tuple[int, int, int]


def with_few_colours(inventory: bytes) -> bytes:
    """Return a PNG of true colour, as browsers write it, as one with a palette."""
    chunks = list(_chunks(inventory))
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    if tuple(kind) != _TRUE_COLOUR:
        return inventory
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    rows = [_pixels(row) for row in _rows(zlib.decompress(packed), width * _CHANNELS)]
    counted = Counter(colour for row in rows for colour in row)
    palette = [colour for colour, _ in counted.most_common(_MOST)]
    index = {colour: _nearest(colour, palette) for colour in counted}
    # Without a filter: neighbouring numbers of a palette have nothing to do with each other.
    lines = b"".join(b"\0" + bytes(index[colour] for colour in row) for row in rows)
    return _SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *_INDEXED)),
            _chunk(b"PLTE", bytes(channel for colour in palette for channel in colour)),
            _chunk(b"IDAT", zlib.compress(lines, level=9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunks(inventory: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(inventory):
        (size,) = struct.unpack_from(">I", inventory, at)
        yield inventory[at + 4 : at + 8], inventory[at + 8 : at + 8 + size]
        at += size + 12


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _rows(data: bytes, size: int) -> Iterator[bytearray]:
    """Undo the filter of each row, which is a guess from its neighbours: left, above, both."""
    above = bytearray(size)
    for start in range(0, len(data), size + 1):
        guess = _GUESSES[data[start]]
        row = bytearray(data[start + 1 : start + 1 + size])
        for at in range(size):
            left, corner = (
                (row[at - _CHANNELS], above[at - _CHANNELS]) if at >= _CHANNELS else (0, 0)
            )
            row[at] = (row[at] + guess(left, above[at], corner)) & 0xFF
        yield row
        above = row


def _paeth(left: int, above: int, corner: int) -> int:
    estimate = left + above - corner
    return min((left, above, corner), key=lambda one: abs(estimate - one))


_GUESSES: tuple[Callable[[int, int, int], int], ...] = (
    lambda _left, _above, _corner: 0,
    lambda left, _above, _corner: left,
    lambda _left, above, _corner: above,
    lambda left, above, _corner: (left + above) // 2,
    _paeth,
)


def _pixels(row: bytearray) -> list[Colour]:
    return list(zip(row[0::3], row[1::3], row[2::3], strict=True))


def _nearest(colour: Colour, palette: list[Colour]) -> int:
    return min(
        range(len(palette)),
        key=lambda at: sum(
            (one - other) ** 2 for one, other in zip(colour, palette[at], strict=True)
        ),
    )

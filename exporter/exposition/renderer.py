"""
Render the metric families of a view as bytes; render again only what changed.

Most of half a million samples a minute are the same as before. So three checks are made, from
cheap to expensive: do the group's tables consist of the very same rows, are its items equal, does
the family read the same values? Only if all fail is text formatted.

Text is formatted and compressed family by family. Deflate streams can be concatenated, so a
system's samples are formatted and compressed once for every page.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from exporter.exposition import checksum
from exporter.exposition.collector import Family, ItemGroup
from exporter.exposition.numbers import Numbers
from exporter.exposition.view import Items, RenderView, escape, identical
from exporter.model import Inventory, SystemReport

try:  # four times as fast as zlib, on the platforms that it supports
    from isal import isal_zlib as deflater
except ImportError:
    import zlib as deflater  # type: ignore[no-redef]

COMPRESSION_LEVEL = 1
"""Repetitive text compresses well at the fastest level, and hardly better at higher ones."""
LINES_AT_ONCE = 500
"""Compressed while they are in the processor's cache; malloc has the memory for them already."""


class Segment(NamedTuple):
    """
    A piece of a page, as deflate blocks that end on a byte boundary.

    Compressed it is a tenth as long; the text is seldom needed, because Prometheus accepts gzip.
    """

    deflated: bytes
    size: int
    """Length of the text."""
    checksum: int
    """CRC-32 of the text."""
    shift: int
    """The factor of this piece's length for the checksum of what precedes it."""

    def texts(self, most: int) -> Iterator[bytes]:
        """Yield the text in pieces of at most *most* bytes."""
        stream, rest, left = deflater.decompressobj(-zlib.MAX_WBITS), self.deflated, self.size
        while left > 0:
            text = stream.decompress(rest, most)
            rest = stream.unconsumed_tail
            left -= len(text)
            yield text


class Rendered(NamedTuple):
    """One system's samples, by family name."""

    segments: Mapping[str, Segment]
    duplicates: tuple[str, ...]
    """Label sets that two items of a group share; the second was dropped."""


class _Samples(NamedTuple):
    values: list[Any]
    segment: Segment


class _RenderedGroup(NamedTuple):
    """A group as it was last rendered, and its inputs."""

    sources: tuple[object, ...]
    items: Items
    labels: list[str]
    """Of the items shown: the first of those that share an identity."""
    duplicates: tuple[str, ...]
    samples: dict[str, _Samples]


class Renderer:
    """Renders the inventories of one system, one after the other."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._by_group: dict[ItemGroup, list[Family]] = {}
        for family in families:
            self._by_group.setdefault(family.group, []).append(family)
        self._groups: dict[ItemGroup, _RenderedGroup] = {}
        self._view: RenderView | None = None
        self._numbers = Numbers()

    def render(self, inventory: Inventory | None, report: SystemReport) -> Rendered:
        """Return the samples of every family."""
        self._view = view = RenderView(inventory, report, before=self._view)
        for group, families in self._by_group.items():
            self._groups[group] = self._render_group(group, families, view, self._groups.get(group))
        groups = self._groups.values()
        return Rendered(
            {name: samples.segment for each in groups for name, samples in each.samples.items()},
            tuple(label for each in groups for label in each.duplicates),
        )

    def _render_group(
        self,
        group: ItemGroup,
        families: Sequence[Family],
        view: RenderView,
        before: _RenderedGroup | None,
    ) -> _RenderedGroup:
        sources = view.sources(*group.tables)
        if before is not None and identical(sources, before.sources):
            return before
        items = group.items(view)
        if before is not None and items.identities != before.items.identities:
            before = None  # its lines have other labels
        if before is not None and items.objects == before.items.objects:
            return before._replace(sources=sources)

        if before is not None and not before.duplicates:
            shown, labels, duplicates = items, before.labels, before.duplicates
        else:
            shown, labels, duplicates = _first_of_each(items, self._labels(group, items))
        samples = {}
        for family in families:
            values = _read(family, shown.objects)
            known = before.samples[family.name] if before is not None else None
            if known is None or known.values != values:
                lines = self._lines(family, shown, labels, values)
                known = _Samples(values, segment(lines))
            samples[family.name] = known
        return _RenderedGroup(sources, items, labels, duplicates, samples)

    def _labels(self, group: ItemGroup, items: Items) -> list[str]:
        """Return the label text of each identity; groups with equal ones share one list."""
        for other, rendered in self._groups.items():
            alike = other.labels == group.labels and (rendered.items.identities == items.identities)
            if alike and not rendered.duplicates:
                return rendered.labels
        template, order = _template(group.labels)
        return [template % order(identity) for identity in items.identities]

    def _lines(
        self, family: Family, items: Items, labels: Sequence[str], values: Sequence[Any]
    ) -> Iterator[str]:
        name = family.name
        if family.info_labels:
            template, order = _template(family.labels)
            line = f"{name}{{{template}}} 1.0\n"
            return (
                line % order((*identity, *map(escape, words)))
                for identity, words in zip(items.identities, values, strict=True)
            )
        return (
            f"{name}{{{label}}} {number}\n"
            for label, number in zip(labels, self._numbers.spell(values), strict=True)
            if number
        )


def segment(lines: Iterable[str]) -> Segment:
    """Return the text of *lines* as a piece of a page."""
    stream, lines = _compressor(), iter(lines)
    deflated, size, crc = [], 0, 0
    while text := "".join(islice(lines, LINES_AT_ONCE)).encode():
        deflated.append(stream.compress(text))
        size += len(text)
        crc = deflater.crc32(text, crc)
    if size:
        deflated.append(stream.flush(zlib.Z_FULL_FLUSH))
    return Segment(b"".join(deflated), size, crc, checksum.shift(size))


def deflate(data: bytes) -> bytes:
    """Return *data* as deflate blocks that end on a byte boundary and are not the last."""
    stream = _compressor()
    deflated: bytes = stream.compress(data) + stream.flush(zlib.Z_FULL_FLUSH)
    return deflated


def _compressor() -> Any:
    return deflater.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)


def _read(family: Family, objects: Sequence[Any]) -> list[Any]:
    """Return the value of each item: a number or None, or the values of its info labels."""
    if not family.info_labels:
        return list(family.read(objects))
    columns = [label.read(objects) for label in family.info_labels]
    return list(zip(*columns, strict=True))


def _template(names: tuple[str, ...]) -> tuple[str, Any]:
    """Return a %-template of labels in alphabetical order, and a getter that orders values."""
    order = sorted(range(len(names)), key=names.__getitem__)
    template = ",".join(f'{names[position]}="%s"' for position in order)
    return template, itemgetter(*order)


def _first_of_each(items: Items, labels: list[str]) -> tuple[Items, list[str], tuple[str, ...]]:
    """Return the items with unique labels, those labels, and the repeated ones."""
    if len(set(labels)) == len(labels):
        return items, labels, ()
    first: dict[str, int] = {}
    again = []
    for position, label in enumerate(labels):
        if first.setdefault(label, position) != position:
            again.append(label)
    kept = Items(
        [items.identities[position] for position in first.values()],
        [items.objects[position] for position in first.values()],
    )
    return kept, list(first), tuple(again)

"""
The catalogue over a view, as bytes; what has not changed is not written again.

Half a million samples a minute are too many to format each time, and most of them say what they
said before. So three questions are asked, from cheap to dear: is a part drawn from the very same
rows, are its items equal, does a family read the same values? Only then is text made.

It is made and compressed family by family. Deflate streams can be laid end to end, so a cloud's
samples are formatted and compressed once, whatever the page they end up on.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from exporter.exposition import checksum
from exporter.exposition.collector import Family, ItemGroup
from exporter.exposition.numbers import Numbers
from exporter.exposition.view import Items, RenderView, escape, identical
from exporter.model import Inventory, SystemReport

try:  # four times as fast as zlib, where there is a build of it
    from isal import isal_zlib as deflater
except ImportError:
    import zlib as deflater  # type: ignore[no-redef]

COMPRESSION_LEVEL = 1
"""Text this repetitive shrinks manyfold at zlib's fastest level, and hardly more beyond."""


class Segment(NamedTuple):
    """
    A piece of a page, kept as deflate blocks that end on a byte's border.

    Its text is a tenth as long that way, and hardly anybody asks for it: Prometheus takes gzip.
    """

    deflated: bytes
    size: int
    """Length of the text."""
    checksum: int
    """CRC-32 of the text."""
    shift: int
    """What this piece's length does to the checksum of what comes before it."""

    @property
    def text(self) -> bytes:
        return deflater.decompressobj(-zlib.MAX_WBITS).decompress(self.deflated)


class Rendered(NamedTuple):
    """One cloud's samples, by family name."""

    segments: Mapping[str, Segment]
    duplicates: tuple[str, ...]
    """Label sets that two items of a part share; the second was left out."""


class _Samples(NamedTuple):
    values: list[Any]
    segment: Segment


class _Drawing(NamedTuple):
    """A part as it was last drawn, and from what."""

    sources: tuple[object, ...]
    items: Items
    labels: list[str]
    """Of the items shown; of those that share an identity, only the first is."""
    duplicates: tuple[str, ...]
    samples: dict[str, _Samples]


class Renderer:
    """Renders the pictures of one cloud, one after the other."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._by_group: dict[ItemGroup, list[Family]] = {}
        for family in families:
            self._by_group.setdefault(family.group, []).append(family)
        self._drawings: dict[ItemGroup, _Drawing] = {}
        self._view: RenderView | None = None
        self._numbers = Numbers()

    def render(self, inventory: Inventory | None, report: SystemReport) -> Rendered:
        """Return the samples of every family."""
        self._view = view = RenderView(inventory, report, before=self._view)
        for group, families in self._by_group.items():
            self._drawings[group] = self._draw(group, families, view, self._drawings.get(group))
        drawings = self._drawings.values()
        return Rendered(
            {name: samples.segment for each in drawings for name, samples in each.samples.items()},
            tuple(label for each in drawings for label in each.duplicates),
        )

    def _draw(
        self,
        group: ItemGroup,
        families: Sequence[Family],
        view: RenderView,
        before: _Drawing | None,
    ) -> _Drawing:
        sources = view.sources(*group.tables)
        if before is not None and identical(sources, before.sources):
            return before
        items = group.items(view)
        if before is not None and items.identities != before.items.identities:
            before = None  # lines on which other labels stand
        if before is not None and items.things == before.items.things:
            return before._replace(sources=sources)

        if before is not None and not before.duplicates:
            shown, labels, duplicates = items, before.labels, before.duplicates
        else:
            shown, labels, duplicates = _first_of_each(items, self._labels(group, items))
        samples = {}
        for family in families:
            values = _read(family, shown.things)
            known = before.samples[family.name] if before is not None else None
            if known is None or known.values != values:
                text = self._lines(family, shown, labels, values)
                known = _Samples(values, segment(text))
            samples[family.name] = known
        return _Drawing(sources, items, labels, duplicates, samples)

    def _labels(self, group: ItemGroup, items: Items) -> list[str]:
        """Return the text of each identity; parts with the same ones share one list of it."""
        for other, drawing in self._drawings.items():
            alike = other.labels == group.labels and (drawing.items.identities == items.identities)
            if alike and not drawing.duplicates:
                return drawing.labels
        template, order = _template(group.labels)
        return [template % order(identity) for identity in items.identities]

    def _lines(
        self, family: Family, items: Items, labels: Sequence[str], values: Sequence[Any]
    ) -> str:
        name = family.name
        if family.info_labels:
            template, order = _template(family.labels)
            line = f"{name}{{{template}}} 1.0\n"
            return "".join(
                [
                    line % order((*identity, *map(escape, words)))
                    for identity, words in zip(items.identities, values, strict=True)
                ]
            )
        return "".join(
            [
                f"{name}{{{label}}} {number}\n"
                for label, number in zip(labels, self._numbers.spell(values), strict=True)
                if number
            ]
        )


def segment(text: str) -> Segment:
    """Return *text* as a piece of a page."""
    encoded = text.encode()
    deflated = deflate(encoded) if encoded else b""
    return Segment(deflated, len(encoded), deflater.crc32(encoded), checksum.shift(len(encoded)))


def deflate(data: bytes) -> bytes:
    """Return *data* as deflate blocks that end on a byte's border and are not the last."""
    stream = deflater.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush(zlib.Z_FULL_FLUSH)


def _read(family: Family, things: Sequence[Any]) -> list[Any]:
    """Return what *family* shows of each thing: a number or None, or its words."""
    if not family.info_labels:
        return list(map(family.read, things))
    columns = [map(label.read, things) for label in family.info_labels]
    return list(zip(*columns, strict=True))


def _template(names: tuple[str, ...]) -> tuple[str, Any]:
    """Return a %-template of labels in alphabetical order, and what puts values in that order."""
    order = sorted(range(len(names)), key=names.__getitem__)
    template = ",".join(f'{names[position]}="%s"' for position in order)
    return template, itemgetter(*order)


def _first_of_each(items: Items, labels: list[str]) -> tuple[Items, list[str], tuple[str, ...]]:
    """Return items with labels of their own, those labels, and the labels that came again."""
    if len(set(labels)) == len(labels):
        return items, labels, ()
    first: dict[str, int] = {}
    again = []
    for position, label in enumerate(labels):
        if first.setdefault(label, position) != position:
            again.append(label)
    kept = Items(
        [items.identities[position] for position in first.values()],
        [items.things[position] for position in first.values()],
    )
    return kept, list(first), tuple(again)

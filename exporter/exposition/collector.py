"""
The declaration of metric families: item groups, families and info labels, as data.

An `ItemGroup` is one kind of object in an inventory (a VM, one of its disks, ...). It gives its
families their identity labels, which are few and constant for the life of the object. What
changes is a value, or a label of an info metric.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from itertools import repeat
from math import isfinite
from operator import attrgetter
from typing import Any, NamedTuple

from exporter.exposition.view import Items, RenderView

VM = "system_name vm_id vm_name"
"""The identity labels of everything that belongs to a VM."""
UNITS = ("bytes_per_second", "bytes", "seconds", "ratio", "celsius")

Read = Callable[[Sequence[Any]], Iterable[Any]]
"""Reads the value of each item: of all at once, in half the time of a call for each."""


class Kind(Enum):
    """How the values of a family behave."""

    GAUGE = "gauge"
    COUNTER = "counter"


class InfoLabel(NamedTuple):
    """A label of an info family: something that may change during the object's life."""

    label: str
    read: Read


class ItemGroup(NamedTuple):
    """One kind of object in an inventory."""

    name: str
    labels: tuple[str, ...]
    items: Callable[[RenderView], Items]
    tables: frozenset[str]
    """The tables it depends on; while none of them changes, its samples do not either."""


class Family(NamedTuple):
    """A metric family."""

    name: str
    """As in the classic text format: counters end in ``_total``."""
    kind: Kind
    group: ItemGroup
    help: str
    source: str
    """The field of the VergeOS API, as ``table.field``."""
    read: Read
    info_labels: tuple[InfoLabel, ...] = ()
    unit: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.group.labels, *(label.label for label in self.info_labels))


def group(name: str, labels: str, tables: str, items: Callable[[RenderView], Items]) -> ItemGroup:
    """Declare an item group; *labels* and *tables* are separated by spaces."""
    return ItemGroup(name, tuple(labels.split()), items, frozenset(tables.split()))


def gauge(name: str, group: ItemGroup, source: str, help_: str, read: Read | str) -> Family:
    """Declare a gauge; its unit is the end of its name."""
    return _family(Kind.GAUGE, name, group, source, help_, read)


def counter(name: str, group: ItemGroup, source: str, help_: str, read: Read | str) -> Family:
    """Declare a counter; its name ends in ``_total``."""
    return _family(Kind.COUNTER, name, group, source, help_, read)


def info(
    name: str,
    group: ItemGroup,
    source: str,
    help_: str,
    labels: Mapping[str, Read | str],
) -> Family:
    """Declare an info family: its value is always 1, its labels carry the information."""
    family = _family(Kind.GAUGE, name, group, source, help_, one)
    return family._replace(
        info_labels=tuple(InfoLabel(label, _reader(read)) for label, read in labels.items()),
        unit="",
    )


def each(read: Callable[[Any], Any]) -> Read:
    """Return a reader that calls *read* for each item."""
    return lambda items: map(read, items)


def time(attribute: str) -> Read:
    """Return a reader of a datetime attribute as Unix seconds."""
    get = attrgetter(attribute)
    return lambda items: [
        None if moment is None else float(moment.timestamp()) for moment in map(get, items)
    ]


def at(attribute: str) -> Read:
    """Return a reader of Unix seconds; VergeOS has 0 for a point in time that there is not."""
    get = attrgetter(attribute)
    return lambda items: [moment or None for moment in map(get, items)]


def scale(attribute: str, factor: float) -> Read:
    """Return a reader of a numeric attribute times *factor*."""
    get = attrgetter(attribute)
    return lambda items: [None if value is None else value * factor for value in map(get, items)]


def divide(attribute: str, divisor: float) -> Read:
    """Return a reader of a numeric attribute divided by *divisor*."""
    get = attrgetter(attribute)
    return lambda items: map(quotient, map(get, items), repeat(divisor))


def or_unknown(attribute: str) -> Read:
    """Return a reader of a text attribute, ``unknown`` where it has none."""
    get = attrgetter(attribute)
    return lambda items: [text or "unknown" for text in map(get, items)]


@lru_cache(maxsize=2**14)  # rounding is slow, and many rows have the same values
def quotient(value: float | None, divisor: float) -> float | None:
    """Divide, and round away the error of binary fractions: 1.12 % is 0.0112."""
    result = None if value is None else value / divisor
    return None if result is None or not isfinite(result) else round(result, 9)


def one(items: Sequence[Any]) -> Iterable[float]:
    """Read an info family."""
    return repeat(1.0, len(items))


def _family(
    kind: Kind, name: str, group: ItemGroup, source: str, help_: str, read: Read | str
) -> Family:
    return Family(
        name=f"vergewatch_{name}",
        kind=kind,
        group=group,
        help=f"{help_} ({source})." if source else f"{help_}.",
        source=source,
        read=_reader(read),
        unit=unit_of(name),
    )


def _reader(read: Read | str) -> Read:
    return each(attrgetter(read)) if isinstance(read, str) else read


def unit_of(name: str) -> str:
    """Return the unit that the family *name* ends in; empty if it has none."""
    stem = name.removesuffix("_total")
    return next((unit for unit in UNITS if stem.endswith(f"_{unit}")), "")

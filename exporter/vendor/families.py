"""How a metric family of the vendor is declared."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from exporter.exposition.collector import Family, ItemGroup, Kind, Read, each
from exporter.exposition.view import Items, RenderView


def vendor_group(
    name: str, labels: str, tables: str, items: Callable[[RenderView], Items]
) -> ItemGroup:
    """Declare an item group of the vendor's page; *labels* and *tables* as in `collector.group`."""
    return ItemGroup(f"vendor {name}", tuple(labels.split()), items, frozenset(tables.split()))


def vendor_gauge(name: str, group: ItemGroup, help_: str, read: Read | str) -> Family:
    """Declare a gauge; *help_* is the vendor's meaning in our words."""
    return _family(Kind.GAUGE, name, group, help_, read)


def vendor_counter(name: str, group: ItemGroup, help_: str, read: Read | str) -> Family:
    """Declare a counter; unlike ours, its name may lack ``_total``."""
    return _family(Kind.COUNTER, name, group, help_, read)


def flag(read: Callable[[Any], bool | None]) -> Read:
    """Return a reader of what is 1 or 0, and 0 also where it is unknown, as the vendor has it."""
    return lambda items: [1.0 if read(item) else 0.0 for item in items]


def or_zero(attribute: str) -> Read:
    """Return a reader of a number, 0 where there is none, as the vendor has it."""
    get = attrgetter(attribute)
    return lambda items: [float(get(item) or 0) for item in items]


def ones(items: Sequence[Any]) -> list[float]:
    """Read a family whose labels carry the information."""
    return [1.0] * len(items)


def _family(kind: Kind, name: str, group: ItemGroup, help_: str, read: Read | str) -> Family:
    return Family(
        name=f"vergeos_{name}",
        kind=kind,
        group=group,
        help=help_,
        source="",
        read=each(attrgetter(read)) if isinstance(read, str) else read,
    )

"""
An inventory as the renderer reads it: items, each with the label values that identify it.

Which items there are is declared by the collectors. What several of them need, or what is
expensive to compute and seldom changes, is kept here from one inventory to the next.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, compress, repeat
from operator import eq, is_
from typing import Any, NamedTuple, TypeVar

from exporter.model import IDENTITY, Cluster, Inventory, Node, SystemReport

Identity = tuple[str, ...]
T = TypeVar("T")

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@lru_cache(maxsize=4096)  # label values repeat: statuses, names of disks
def escape(value: str) -> str:
    """Return *value* as it stands between the quotes of a label."""
    return value.translate(_ESCAPES)


@dataclass(frozen=True, slots=True)
class Items:
    """
    Objects of one kind, and in the same order the label values that identify each.

    Two lists and not one of pairs: the identities of 10,000 VMs are the same list from one view
    to the next, and lists are compared and read fast.
    """

    identities: list[Identity]
    objects: list[Any]

    def known(self) -> "Items":
        """Return the items that are not None."""
        if None not in self.objects:
            return self
        known = [item is not None for item in self.objects]
        return Items(list(compress(self.identities, known)), list(compress(self.objects, known)))


class _Parts(NamedTuple):
    """Parts of items, and what their identities are made of."""

    items: Items
    owners: list[Identity]
    counts: list[int]
    """How many parts each owner has."""
    labels: list[str]


class Names(dict[int | None, str]):
    """Names by key. A key without a name gets one made of the key; no key has no name."""

    def __init__(self, kind: str, objects: Mapping[int, Cluster] | Mapping[int, Node]) -> None:
        super().__init__({None: ""})
        self._kind = kind
        for key, item in objects.items():
            self[key] = item.name

    def __missing__(self, key: int | None) -> str:
        return f"{self._kind}_{key}"


FROZEN = "frozen"
"""Stands for what VergeOS no longer updates, where a group lists the tables it depends on."""
UPDATED = "status_updated_at"
"""Stands for the times of the newest status updates."""
DOCTOR = "doctor"
"""Stands for the results of the doctor's checks."""
REPORT = "report"
"""Stands for the polling report where a group lists the tables that it depends on."""
EMPTY = Inventory("", None, datetime.min.replace(tzinfo=UTC), {}, (), {}, {}, None)
"""Takes the place of an inventory while there is none."""


class RenderView:
    """
    An inventory and the report of its polling.

    Args:
        before: The previous view; results whose inputs are unchanged are taken from it.

    """

    def __init__(
        self,
        inventory: Inventory | None,
        report: SystemReport,
        *,
        before: "RenderView | None" = None,
    ) -> None:
        self.inventory = inventory if inventory is not None else EMPTY
        self.report = report
        self.system = escape(report.system_name)
        if before is not None and before.system == self.system:
            self.system = before.system  # the very same object, so that it compares as a source
        self._kept_before = before.kept if before is not None else {}
        self.kept: dict[str, tuple[Any, Any]] = {}
        """By name, the inputs of a result and the result."""
        self.newest_parts: dict[str, _Parts] = {}
        """By name, also those that this view has not asked for."""
        if before is not None:
            self.newest_parts |= before.newest_parts
        self.clusters = Names("cluster", self.inventory.clusters)
        self.nodes = Names("node", self.inventory.nodes)
        identities = self.keep("vm identities", self.sources("vms"), self._identities)
        self.vms = Items(identities, list(self.inventory.vms))

    def of_vms(self, objects: Iterable[Any]) -> Items:
        """Return *objects*, one for each VM, where they are known."""
        return Items(self.vms.identities, list(objects)).known()

    def keyed(self, rows: Mapping[int, Any], name: Callable[[Any], str | None]) -> Items:
        """Return *rows*, each identified by its key and by its *name*, which need not be unique."""
        return Items(
            [(self.system, str(key), escape(name(row) or "")) for key, row in rows.items()],
            list(rows.values()),
        )

    def machines(self) -> list[int]:
        """Return the key of each VM's machine."""
        return self.keep(
            "machines",
            self.sources("vms"),
            lambda: [vm.config.machine for vm in self.vms.objects],
        )

    def running_machines(self) -> list[int]:
        """
        Return the key of each VM's machine, 0 if the VM is off: no row has that key.

        VergeOS keeps the rows of load and guest of VMs that are off.
        """
        return self.keep(
            "running machines",
            self.sources("vms", "machine_status"),
            lambda: [
                machine if (status := vm.status) and status.running is not False else 0
                for machine, vm in zip(self.machines(), self.vms.objects, strict=True)
            ],
        )

    def rows(self, table: str) -> Mapping[int, Any]:
        """Return the rows of *table* by key; none if it is stale or was never polled."""
        found: Any = self.inventory.sources.get(table)
        return found or {}

    def awaits(self, table: str) -> bool:
        """
        Return whether *table* is polled and may yet be read for the first time.

        What its names identify is not shown before: its series would soon have other labels.
        """
        return any(one.table == table and one.awaited for one in self.report.tables)

    def sources(self, *tables: str) -> tuple[object, ...]:
        """Return the objects that *tables* are now, and the name that is on every series."""
        # The identity stays in use however old it is, unlike a table.
        known = {
            **self.inventory.sources,
            IDENTITY: self.inventory.identity,
            FROZEN: self.inventory.frozen,
            UPDATED: self.inventory.status_updated_at,
            DOCTOR: self.report.doctor,
            REPORT: self.report,
        }
        return (self.system, *(known.get(table) for table in sorted(tables)))

    def parts(
        self,
        name: str,
        owners: list[Identity],
        parts: Sequence[Sequence[Any]],
        label: Callable[[Any], str],
    ) -> Items:
        """
        Return the *parts* of each owner, identified by the owner's labels and *label*.

        Their identities are made again only when a part comes or goes.
        """
        objects = list(chain.from_iterable(parts))
        made_of = owners, list(map(len, parts)), list(map(label, objects))
        before = self.newest_parts.get(name)
        if before is not None and before[1:] == made_of:
            identities = before.items.identities
        else:
            counts, labels = made_of[1:]
            repeated = chain.from_iterable(map(repeat, owners, counts))
            identities = [
                (*owner, escape(text)) for owner, text in zip(repeated, labels, strict=True)
            ]
        self.newest_parts[name] = found = _Parts(Items(identities, objects), *made_of)
        return found.items

    def keep(self, name: str, inputs: Any, compute: Callable[[], T]) -> T:
        """Return what *compute* returns, or the previous result if *inputs* are unchanged."""
        for kept in (self.kept, self._kept_before):
            if name in kept and _unchanged(inputs, kept[name][0]):
                self.kept[name] = kept[name]
                return kept[name][1]  # type: ignore[no-any-return]
        result = compute()
        self.kept[name] = inputs, result
        return result

    def _identities(self) -> list[Identity]:
        return [
            (self.system, str(vm.config.key), escape(vm.config.name)) for vm in self.inventory.vms
        ]


def _unchanged(inputs: Any, before: Any) -> bool:
    return identical(inputs, before) if isinstance(inputs, tuple) else eq(inputs, before)


def identical(ours: tuple[object, ...], theirs: tuple[object, ...]) -> bool:
    """Return whether these are the very same objects, without comparing their contents."""
    return len(ours) == len(theirs) and all(map(is_, ours, theirs))

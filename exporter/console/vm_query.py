"""What a list of VMs asks for: words, filters, an order and a page; and the VMs that fit."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_address
from operator import attrgetter
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec

from exporter.console.fleet import VMEntry
from exporter.console.newest import Entries, OfNewest
from exporter.console.vm_condition import Condition
from exporter.formatting import nearest
from exporter.recovery.model.cases import Cause
from exporter.recovery.model.states import State
from exporter.recovery.report.presentation import URGENCY

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MAX_TEXT = 200
"""Characters of a value: the work for a request must stay small."""
MAX_PAGE = 10_000


class Enrolment(StrEnum):
    """Whether recovery may act on a VM, or only reports it."""

    ENROLLED = "enrolled"
    MONITORED = "monitored"
    NOT_MONITORED = "not_monitored"
    """Recovery is off, or the VM is disabled, of a VergeOS service, ignored or not seen yet."""


class ListFormat(StrEnum):
    """How the API answers."""

    JSON = "json"
    CSV = "csv"


class VMQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The query of a list of VMs: all of it must fit.

    Case does not matter in values that are not listed.
    """

    q: str = ""
    """Words; each must be part of the name, a tag, the node, the cluster, an address, the operating
    system, the system or the UUID."""
    system: str = ""
    condition: Condition | None = None
    status: str = ""
    """As VergeOS spells it."""
    state: State | None = None
    """The recovery state."""
    cause: Cause | None = None
    """The cause of the diagnosis."""
    guard: str = ""
    """The guard that forbids an action."""
    enrolment: Enrolment | None = None
    tag: str = ""
    """``category/name``, or a category."""
    node: str = ""
    cluster: str = ""
    sort: str = "condition"
    """A column, with ``-`` before it in descending order. VMs of which it is unknown are last."""
    page: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)] = 1
    per_page: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE_SIZE)] = PAGE_SIZE
    format: ListFormat = ListFormat.JSON
    """CSV has every VM that fits, not one page of them."""


NO_QUERY = VMQuery()


class InvalidQueryError(ValueError):
    """A parameter is unknown or has an invalid value; the message says which are valid."""


def _known(value: str) -> str | None:
    return value.casefold() or None


def _address(entry: VMEntry) -> tuple[int, int, str] | None:
    if not entry.addresses:
        return None
    try:
        address = ip_address(entry.addresses[0])
    except ValueError:
        return 9, 0, entry.addresses[0]
    return address.version, int(address), ""


ORDER = {condition: number for number, condition in enumerate(Condition)}
COLUMNS: Mapping[str, Callable[[VMEntry], Any]] = {
    "condition": lambda one: ORDER[one.condition],
    "name": lambda one: _known(one.name),
    "system": lambda one: _known(one.system),
    "status": lambda one: _known(one.status),
    "node": lambda one: _known(one.node),
    "cluster": lambda one: _known(one.cluster),
    "cores": lambda one: one.cores,
    "cpu": lambda one: one.cpu_ratio,
    "memory": lambda one: one.memory_bytes,
    "memory_used": lambda one: one.memory_used_ratio,
    "address": _address,
    "tags": lambda one: one.tags or None,
    "os": lambda one: _known(one.os),
    "recovery": lambda one: URGENCY.get(one.recovery_state),
    "down_since": lambda one: one.down_since,
}
"""The value that each column is sorted by; ``None`` if it is unknown."""
SORTS = tuple(f"{sign}{column}" for column in COLUMNS for sign in ("", "-"))
CHOICES: Mapping[str, tuple[str, ...]] = {
    "condition": tuple(Condition),
    "state": tuple(State),
    "cause": tuple(Cause),
    "enrolment": tuple(Enrolment),
    "sort": SORTS,
    "format": tuple(ListFormat),
}
"""The parameters with a fixed list of values."""
RANGES: Mapping[str, int] = {"page": MAX_PAGE, "per_page": MAX_PAGE_SIZE}
"""The greatest value of each parameter that is a number; the least is 1."""
VALUES: Mapping[str, Callable[[VMEntry], str]] = {
    "system": attrgetter("system"),
    "condition": attrgetter("condition"),
    "status": attrgetter("status"),
    "state": attrgetter("recovery_state"),
    "cause": attrgetter("cause"),
    "guard": attrgetter("failed_guard"),
    "node": attrgetter("node"),
    "cluster": attrgetter("cluster"),
}
"""The filters of one value of a VM, which is empty if it has none."""
FILTERS = tuple(
    name for name in VMQuery.__struct_fields__ if name not in ("q", "sort", "format", *RANGES)
)
"""The parameters that VMs must have."""


def parse_query(parameters: Iterable[tuple[str, str]], *, ignore_unknown: bool = False) -> VMQuery:
    """
    Return the query with these *parameters*; one that is empty counts as not given.

    Raises:
        InvalidQueryError: One is unknown, is given twice, or has an invalid value.

    """
    values: dict[str, Any] = {}
    for name, value in parameters:
        if name not in VMQuery.__struct_fields__:
            if ignore_unknown:
                continue
            near = nearest(name, VMQuery.__struct_fields__)
            known = ", ".join(VMQuery.__struct_fields__)
            raise InvalidQueryError(f"the parameter {name!r} is unknown{near}; known are {known}")
        if name in values:
            raise InvalidQueryError(f"the parameter {name} is given twice")
        if value := value.strip():
            values[name] = _checked(name, value)
    return msgspec.convert(values, VMQuery)


def _checked(name: str, value: str) -> str | int:
    if len(value) > MAX_TEXT:
        raise InvalidQueryError(f"the parameter {name} is longer than {MAX_TEXT} characters")
    if name in RANGES:
        most = RANGES[name]
        is_number = value.isascii() and value.isdigit() and len(value) <= len(str(most))
        if not is_number or not 1 <= int(value) <= most:
            raise InvalidQueryError(f"the parameter {name} is {value!r}; it is 1 to {most}")
        return int(value)
    if name in CHOICES and value not in CHOICES[name]:
        raise InvalidQueryError(
            f"the parameter {name} is {value!r}; it is one of {', '.join(CHOICES[name])}"
        )
    return value


def query_string(query: VMQuery) -> str:
    """Return *query* as the parameters of a URL, without those that have their default."""
    values = ((name, getattr(query, name)) for name in VMQuery.__struct_fields__)
    return urlencode([(name, value) for name, value in values if value != getattr(NO_QUERY, name)])


class FoundVMs(msgspec.Struct, frozen=True):
    """The VMs that fit a query."""

    vms: Sequence[VMEntry]
    """All of them, in its order."""
    page: int
    per_page: int
    conditions: Mapping[Condition, int]
    """How many would fit with each condition, the worst first; none with 0."""

    @property
    def pages(self) -> int:
        """How many pages there are; at least one."""
        return max(1, -(-len(self.vms) // self.per_page))

    @property
    def shown(self) -> Sequence[VMEntry]:
        """Those of the page that was asked for; none if it is after the last."""
        first = (self.page - 1) * self.per_page
        return self.vms[first : first + self.per_page]


class VMSearch:
    """Finds VMs. What it searches in is kept until there are newer entries."""

    def __init__(self) -> None:
        self._by_name = OfNewest(_by_name)
        self._texts = OfNewest(_texts)

    def find(self, entries: Entries, query: VMQuery) -> FoundVMs:
        """Return those of *entries* that fit; the same in the order count by their names."""
        by_name = self._by_name(entries)
        fitting: Sequence[VMEntry] = by_name
        if words := query.q.casefold().split():
            texts = zip(self._texts(by_name), by_name, strict=True)
            fitting = [entry for text, entry in texts if all(word in text for word in words)]
        for fits in _filters(query):
            fitting = [entry for entry in fitting if fits(entry)]
        counts = Counter(map(VALUES["condition"], fitting))
        if query.condition is not None:
            fitting = [entry for entry in fitting if entry.condition is query.condition]
        conditions = {condition: counts[condition] for condition in Condition if counts[condition]}
        return FoundVMs(_sorted(fitting, query.sort), query.page, query.per_page, conditions)


def _by_name(entries: Entries) -> Entries:
    return tuple(
        sorted(entries, key=lambda one: (one.name.casefold(), one.name, one.system, one.key))
    )


def _texts(entries: Entries) -> Sequence[str]:
    """Return the text of each VM that words are searched in."""
    return ["\n".join(_searched(one)).casefold() for one in entries]


def _searched(one: VMEntry) -> tuple[str, ...]:
    return (
        *(one.name, one.node, one.cluster, one.os, one.system, one.uuid),
        *one.tags,
        *one.addresses,
    )


def _filters(query: VMQuery) -> Iterable[Callable[[VMEntry], bool]]:
    """Return what each filter of *query* asks of a VM, but for its condition."""
    for name, read in VALUES.items():
        if name != "condition" and (value := getattr(query, name)):
            yield _is(value.casefold(), read)
    if query.enrolment is not None:
        yield _is(query.enrolment, enrolment_of)
    if query.tag:
        yield _has_tag(query.tag.casefold())


def _is(value: str, read: Callable[[VMEntry], str]) -> Callable[[VMEntry], bool]:
    return lambda one: read(one).casefold() == value


def enrolment_of(vm: VMEntry) -> Enrolment:
    """Return whether recovery may act on a VM, only monitors it, or does not monitor it."""
    if vm.is_enrolled:
        return Enrolment.ENROLLED
    return Enrolment.MONITORED if vm.recovery_state else Enrolment.NOT_MONITORED


def _has_tag(tag: str) -> Callable[[VMEntry], bool]:
    category = f"{tag}/"
    return lambda one: any(
        own == tag or own.startswith(category) for own in map(str.casefold, one.tags)
    )


def _sorted(entries: Iterable[VMEntry], sort: str) -> Sequence[VMEntry]:
    read = COLUMNS[sort.removeprefix("-")]
    known, unknown = [], []
    for entry in entries:
        value = read(entry)
        if value is None:
            unknown.append(entry)
        else:
            known.append((value, entry))
    known.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
    return [*(entry for _, entry in known), *unknown]

"""What a simulated table is made of: columns, links to other tables and the view of one request."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from exporter.simulator.world.machines import Machine, Status
from exporter.simulator.world.world import World

Getter = Callable[[Any, "RequestView"], Any]


@dataclass(frozen=True, slots=True)
class RequestView:
    """
    The state of the world that one request can see.

    Args:
        now: Unix seconds.
        stamp: The time up to which rows are updated: `now`, unless the platform's clock is frozen.
        statuses: Statuses by machine key of the time when the writer froze; else None.
        logs_until: Unix seconds up to which log rows are visible; None: all of them.
        logs_lost: Share of log rows that never appear, 0 to 1.

    """

    world: World
    now: float
    stamp: float
    statuses: Mapping[int, Status] | None = None
    logs_until: float | None = None
    logs_lost: float = 0.0

    @property
    def age(self) -> float:
        """The seconds since the world began."""
        return self.now - self.world.started_at

    def status(self, machine: Machine) -> Status:
        if self.statuses is None:
            return machine.status
        return self.statuses.get(machine.key, machine.status)

    def is_idle(self, machine: Machine) -> bool:
        """Return whether the guest does nothing: the machine is off or hangs."""
        if machine.idle_since is None:
            return False
        if self.statuses is not None:
            return machine.idle_since < self.stamp  # changes after the freeze are invisible
        return machine.idle_since <= self.stamp

    def last_update(self, machine: Machine) -> int:
        """Return when the platform last wrote the rows of *machine*, in Unix seconds."""
        status = self.status(machine)
        since = min(status.since, self.stamp)
        if not status.running or self.is_idle(machine):
            return int(since)
        interval = self.world.context.timings.heartbeat
        age = (self.stamp + machine.key * 0.618) % interval
        return int(max(since, self.stamp - age))

    def active_seconds(self, machine: Machine) -> float:
        """Return the seconds of mean activity of *machine* since its start."""
        end = self.stamp if machine.idle_since is None else min(machine.idle_since, self.stamp)
        return machine.load.active_seconds(machine.status.started, end)

    def rate(self, machine: Machine) -> float:
        """Return how fast the counters of *machine* rise, 1 being their mean."""
        return 0.0 if machine.idle_since is not None else machine.load.rate(self.now)


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column of a table.

    Args:
        get: Returns the value for a row's object in a view.
        fixed: Returns the same from the object alone, where the view does not matter.
        leads_to: The table that this foreign key refers to.
        blob: Whether it is a JSON object, which PHP writes as ``[]`` when it is empty.

    """

    get: Getter
    fixed: Callable[[Any], Any] | None = None
    leads_to: str | None = None
    blob: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """How to get from a row's object to the object of a row in another table."""

    table: str
    follow: Getter


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table of the API.

    Args:
        default: Columns of a request without ``fields``; all when empty.
        hidden_from_all: Columns that ``fields=all`` leaves out.
        find: Returns the object of a key, where a search through all rows would be slow.
        ordered: Whether the rows come in the order of their keys.

    """

    name: str
    rows: Callable[[RequestView], Iterable[Any]]
    columns: Mapping[str, Column]
    links: Mapping[str, Link] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    hidden_from_all: tuple[str, ...] = ()
    find: Callable[[RequestView, str], Any] | None = None
    ordered: bool = False


def attribute(path: str, *, leads_to: str | None = None) -> Column:
    """Return a column that shows an attribute of the row's object, such as ``machine.key``."""
    getter = attrgetter(path)
    return Column(lambda thing, _view: getter(thing), fixed=getter, leads_to=leads_to)


def constant(value: Any, *, blob: bool = False) -> Column:
    """Return a column with the same value in every row."""
    return Column(lambda _thing, _view: value, fixed=lambda _thing: value, blob=blob)


def written(name: str, *, default: Any, leads_to: str | None = None) -> Column:
    """Return a column that shows what a request wrote into it, at first *default*."""
    return computed(lambda thing: thing.columns.get(name, default), leads_to=leads_to)


def computed(function: Callable[[Any], Any], *, leads_to: str | None = None) -> Column:
    """Return a column computed from the row's object."""
    return Column(lambda thing, _view: function(thing), fixed=function, leads_to=leads_to)


def live(get: Getter, *, leads_to: str | None = None, blob: bool = False) -> Column:
    """Return a column that depends on the time or on faults."""
    return Column(get, leads_to=leads_to, blob=blob)


def status_attribute(name: str) -> Column:
    """Return a column that shows an attribute of a machine's status."""
    getter = attrgetter(name)
    return Column(lambda machine, view: getter(view.status(machine)))


def counter(name: str) -> Getter:
    """Return a counter that rises by attribute *name* per active second of the part's machine."""
    getter = attrgetter(name)
    return lambda part, view: int(getter(part) * view.active_seconds(part.machine))


def current_rate(name: str, factor: float = 1.0) -> Getter:
    """Return the current rate per second of what `counter` counts."""
    getter = attrgetter(name)
    return lambda part, view: int(getter(part) * factor * view.rate(part.machine))


def by_key(
    rows: Callable[[RequestView], Mapping[int, Any]],
) -> Callable[[RequestView, str], Any]:
    """Return a `Table.find` for rows that the world keeps by key."""
    return lambda view, key: rows(view).get(int(key)) if key.isdecimal() else None

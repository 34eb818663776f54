"""The schedule of a scenario: events and faults by time or rate, and the VMs or nodes they hit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from exporter.simulator.world.context import PlannedEvent
from exporter.simulator.world.events import EVENTS, NODE_EVENTS, Event
from exporter.simulator.world.machines import VM
from exporter.simulator.world.rng import Rng
from exporter.simulator.world.world import World

HOUR = 3600.0
HANGS_FOR = 900.0
"""Seconds after which a guest that hung by rate is woken."""

RATES: Mapping[str, str] = {
    "crashes_per_hour": "crash",
    "hangs_per_hour": "hang",
    "guest_shutdowns_per_hour": "guest_shuts_down",
    "guest_reboots_per_hour": "guest_reboots",
    "operator_stops_per_hour": "operator_stops",
    "operator_starts_per_hour": "operator_starts",
    "task_stops_per_hour": "task_stops",
    "migrations_per_hour": "migrate",
}
"""Rates per hour over all VMs, and the event of each."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The objects that an event applies to; all given conditions must hold."""

    vm: str | None = None
    """A name pattern, such as ``web-*``."""
    role: str | None = None
    tag: str | None = None
    """Such as ``environment/test``."""
    node: str | None = None
    """A pattern for the node's name; for a VM, of the node it runs on."""
    count: int | None = 1
    """How many of them, chosen at random; None: all."""


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """A line of a schedule; times are seconds since the scenario's start."""

    at: float
    every: float | None = None
    jitter: float = 0.0
    event: str | None = None
    fault: str | None = None
    subject: Subject = field(default_factory=Subject)
    lasting: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the event, or settings of the fault."""


def add_schedule(
    world: World, events: Iterable[ScheduledEvent], rates: Mapping[str, float]
) -> None:
    """Add scheduled events, and random events by rate, to *world*."""
    _Scheduler(world).add(events, rates)


class _Scheduler:
    """Runs the schedule of one scenario, with random numbers apart from the world's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = Rng(world.seed + 1)
        self._named: frozenset[str | None] = frozenset()
        """What the schedule says of a VM by its name is all that happens to it."""

    def add(self, events: Iterable[ScheduledEvent], rates: Mapping[str, float]) -> None:
        events = tuple(events)
        self._named = frozenset(entry.subject.vm for entry in events)
        for entry in events:
            self._schedule(entry, self._world.started_at + entry.at)
        for name, per_hour in rates.items():
            if per_hour > 0:
                self._repeat(EVENTS[RATES[name]], per_hour)

    def _schedule(self, entry: ScheduledEvent, moment: float) -> None:
        """Schedule one occurrence, which schedules the next."""
        world = self._world
        at = moment + self._rng.uniform(0, entry.jitter)
        planned = _planned(entry, at)
        world.planned.append(planned)

        def run() -> None:
            world.planned.remove(planned)
            self._run(entry)
            if entry.every is not None:
                self._schedule(entry, moment + entry.every)

        schedule = world.alarm_at if entry.fault is not None else world.at
        schedule(at, run)

    def _repeat(self, event: Event, per_hour: float) -> None:
        world = self._world
        lasting = HANGS_FOR if event is EVENTS["hang"] else None

        def run() -> None:
            for vm in self._choose(event, Subject()):
                self._apply(event, vm, ScheduledEvent(at=0.0, lasting=lasting))
            self._repeat(event, per_hour)

        world.at(world.now + self._rng.expovariate(per_hour / HOUR), run)

    def _run(self, entry: ScheduledEvent) -> None:
        if entry.fault is not None:
            settings = {"lasting": entry.lasting, **entry.parameters}
            self._world.faults.turn_on(entry.fault, **settings)
        elif entry.event is not None:
            event = EVENTS[entry.event]
            for subject in self._choose(event, entry.subject):
                self._apply(event, subject, entry)

    def _apply(self, event: Event, subject: object, entry: ScheduledEvent) -> None:
        world = self._world
        event.happen(world, subject, **entry.parameters)
        if entry.lasting is None or event.undone_by is None:
            return
        undoing = EVENTS[event.undone_by]

        def undo() -> None:
            if not isinstance(subject, VM) or (subject.key in world.vms and undoing.suits(subject)):
                undoing.happen(world, subject)

        world.at(world.now + entry.lasting, undo)

    def _choose(self, event: Event, subject: Subject) -> Sequence[object]:
        """Return a random choice of the objects that *event* applies to."""
        world = self._world
        found: list[object]
        if event.subject == "node":
            pattern = subject.node or "*"
            found = [one for one in world.nodes.values() if fnmatchcase(one.name, pattern)]
        else:
            suits = self._condition(subject)
            found = [vm for vm in world.live_vms() if event.suits(vm) and suits(vm)]
        if subject.count is None:
            return found
        return self._rng.sample(found, min(subject.count, len(found)))

    def _condition(self, subject: Subject) -> Callable[[VM], bool]:
        world = self._world

        def suits(vm: VM) -> bool:
            # VMs of a service, and those that the schedule names, are only chosen by name.
            if subject.vm is None and (vm.service is not None or vm.name in self._named):
                return False
            if subject.vm is not None and not fnmatchcase(vm.name, subject.vm):
                return False
            if subject.role is not None and vm.role != subject.role:
                return False
            if subject.tag is not None and subject.tag not in world.tags_of(vm):
                return False
            node = world.nodes.get(vm.machine.status.node or 0)
            return subject.node is None or (
                node is not None and fnmatchcase(node.name, subject.node)
            )

        return suits


def _planned(entry: ScheduledEvent, at: float) -> PlannedEvent:
    """Return what *entry* will cause at *at*."""
    subject = entry.subject.node if entry.event in NODE_EVENTS else entry.subject.vm
    by = entry.parameters.get("user", "") if entry.event is not None else ""
    return PlannedEvent(at, entry.event or entry.fault or "", subject or "", by)

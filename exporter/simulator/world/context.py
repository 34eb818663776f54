"""State shared by the parts of one world: time, event queue, platform log and random numbers."""

from collections import deque
from dataclasses import dataclass, field

from exporter.simulator.world.event_queue import EventQueue
from exporter.simulator.world.platform_log import PlatformLog
from exporter.simulator.world.rng import Rng

KEPT_EVENTS = 50_000


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations in seconds; the first three were measured on a real system."""

    initializing: float = 0.01
    running: float = 0.52
    kill: float = 0.75
    stopping: float = 0.2
    hibernating: float = 8.0
    power_cycle_gap: float = 3.0
    migration_per_gb: float = 0.5
    migration_at_most: float = 60.0
    heartbeat: float = 15.0
    """Between updates of a running machine's status row."""
    node_noticed: float = 10.0
    """From a node's failure until its machines are reported unresponsive."""
    ha_after: float = 120.0
    """From a node's failure until HA starts its machines elsewhere."""
    ha_between: float = 1.0


@dataclass(frozen=True, slots=True)
class WorldEvent:
    """An event of the world, also one without a log row: the ground truth of tests."""

    at: float
    what: str
    name: str
    machine: int
    by: str


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """An event or fault that the scenario will cause."""

    at: float
    what: str
    """The event or the fault, as scenarios name it."""
    name: str
    """Of the VM or node, or a pattern of such names; empty: chosen when it happens."""
    by: str
    """The user who will cause it; empty if there is none."""


@dataclass(slots=True)
class Context:
    """State shared by the parts of one world."""

    now: float
    rng: Rng
    timings: Timings
    platform_log: PlatformLog
    event_queue: EventQueue = field(default_factory=EventQueue)
    history: deque[WorldEvent] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))

"""What every actor in the world shares: the time, the event_queue, the log books and the dice."""

from collections import deque
from dataclasses import dataclass, field

from exporter.simulator.world.event_queue import EventQueue
from exporter.simulator.world.platform_log import PlatformLog
from exporter.simulator.world.rng import Rng

KEPT_HAPPENINGS = 50_000


@dataclass(frozen=True, slots=True)
class Timings:
    """How long things take, in seconds; the first three were measured on a real system."""

    initializing: float = 0.01
    running: float = 0.52
    kill: float = 0.75
    stopping: float = 0.2
    hibernating: float = 8.0
    power_cycle_gap: float = 3.0
    migration_per_gb: float = 0.5
    migration_at_most: float = 60.0
    heartbeat: float = 15.0
    """How often the platform touches the row of a machine that runs."""
    node_noticed: float = 10.0
    """From the death of a node until its machines are called unresponsive."""
    ha_after: float = 120.0
    """From the death of a node until its machines are started elsewhere."""
    ha_between: float = 1.0


@dataclass(frozen=True, slots=True)
class WorldEvent:
    """What truly happened, whatever the logs say: for tests that diagnose a recovery."""

    at: float
    what: str
    name: str
    machine: int
    by: str


@dataclass(slots=True)
class Context:
    """Shared by the actors of one world."""

    now: float
    rng: Rng
    timings: Timings
    platform_log: PlatformLog
    event_queue: EventQueue = field(default_factory=EventQueue)
    history: deque[WorldEvent] = field(default_factory=lambda: deque(maxlen=KEPT_HAPPENINGS))

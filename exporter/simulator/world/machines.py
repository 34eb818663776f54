"""What a cloud consists of: clusters, nodes, machines with their parts, VMs and their tags."""

from dataclasses import dataclass, field
from typing import Literal

from exporter.simulator.world.load import Load

Kind = Literal["vm", "node", "tenant_node", "vnet"]
HA_TIES = "+"
"""A leading plus in an HA group's name keeps its VMs together; otherwise they are kept apart."""


@dataclass(frozen=True, slots=True)
class Status:
    """The live state of a machine; a change of state is a new value."""

    word: str
    running: bool
    state: str
    since: float
    """Unix seconds at which the row last changed."""
    started: float
    """Unix seconds of the last start, kept after a stop; 0 when it never ran."""
    node: int | None = None
    wanted: bool = False
    """Whether somebody, last time, asked for the machine to be on."""
    info: str = ""
    destination: int | None = None
    came_from: int | None = None


STATES = {
    "running": "online",
    "stopped": "offline",
    "hibernated": "offline",
    "unresponsive": "warning",
    "waitingforresources": "warning",
    "error": "error",
}
"""The coarse colour of a status word; anything in between is a warning on a real system too."""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A mounted filesystem inside a guest."""

    name: str
    kind: str
    mountpoint: str
    total_bytes: int
    used_share: float


@dataclass(slots=True)
class Guest:
    """The operating system inside a VM, as its agent tells of it."""

    agent_version: str
    pretty_name: str
    name: str
    version: str
    identifier: str
    kernel: str
    hostname: str
    address: str
    filesystems: tuple[Filesystem, ...]
    lists_as_maps: bool
    """Some agents answer with maps where others answer with lists."""
    connects_after: float = 12.0
    """Seconds from the start of the machine until the agent is heard."""


@dataclass(slots=True)
class Nic:
    """A network card; its counters are functions of how long its machine has been at work."""

    key: int
    machine: "Machine"
    name: str
    mac: str
    speed_mbps: int
    interface: str
    received_per_second: float
    sent_per_second: float
    packet_bytes: float
    physical: bool = False


@dataclass(slots=True)
class Drive:
    """A drive; a physical one belongs to a node."""

    key: int
    machine: "Machine"
    name: str
    order: int
    media: str
    interface: str
    tier: str
    size_bytes: int
    used_bytes: int
    serial: str
    reads_per_second: float
    writes_per_second: float
    physical: bool = False


@dataclass(slots=True, eq=False)
class Machine:
    """What runs: a VM, a node, a tenant's node or a network's router."""

    key: int
    kind: Kind
    name: str
    cluster: int | None
    cores: int
    memory_mb: int
    load: Load
    status: Status
    nics: list[Nic] = field(default_factory=list)
    drives: list[Drive] = field(default_factory=list)
    guest: Guest | None = None
    cluster_failover: int | None = None
    preferred_node: int | None = None
    ha_group: str = ""
    migratable: bool = True
    migration_method: str = "auto"
    """``auto``: maintenance may power it off when it cannot migrate; ``live``: it may not."""
    shutdown_seconds: float | None = 20.0
    """How long the guest takes to obey a graceful power-off; ``None``: it never does."""
    idle_since: float | None = None
    """When the counters stopped moving: at a stop, or when the guest hung."""
    plan: int = 0
    """Grows with every new course of events, so that steps of an older one are skipped."""
    restart_with_node: int | None = None
    """The node whose return starts this machine again."""


@dataclass(slots=True, eq=False)
class VM:
    """A row of ``vms``: what a VM is meant to be, and the machine that it is."""

    key: int
    machine: Machine
    name: str
    uuid: str
    role: str
    created: int
    modified: int
    os_family: str
    os_description: str
    description: str = ""
    enabled: bool = True
    is_snapshot: bool = False
    snapshot_of: int | None = None
    owner: str | None = None
    service: int | None = None
    creator: str = "admin"
    created_from: str = "custom"
    on_power_loss: str = "last_state"
    machine_type: str = "pc-q35-9.0"
    uefi: bool = True
    guest_agent: bool = False
    disable_powercycle: bool = False
    need_restart: bool = False


@dataclass(slots=True, eq=False)
class Node:
    """A physical host."""

    key: int
    name: str
    machine: Machine
    cluster: int
    cores: int
    memory_mb: int
    usable_mb: int
    """What its machines may share."""
    model: str
    serial: str
    maintenance: bool = False
    alive: bool = True
    hosted: dict[int, Machine] = field(default_factory=dict)
    """Machines that occupy memory here."""
    used_mb: int = 0

    @property
    def takes_machines(self) -> bool:
        return self.alive and not self.maintenance

    def has_room_for(self, machine: Machine) -> bool:
        return machine.key in self.hosted or self.used_mb + machine.memory_mb <= self.usable_mb

    def host(self, machine: Machine) -> None:
        if machine.key not in self.hosted:
            self.hosted[machine.key] = machine
            self.used_mb += machine.memory_mb

    def release(self, machine: Machine) -> None:
        if self.hosted.pop(machine.key, None) is not None:
            self.used_mb -= machine.memory_mb


@dataclass(slots=True, eq=False)
class Cluster:
    """A cluster of nodes."""

    key: int
    name: str
    description: str
    nodes: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Category:
    """A tag category."""

    key: int
    name: str
    description: str
    created: int


@dataclass(slots=True, eq=False)
class Tag:
    """A tag; its name is unique within its category only."""

    key: int
    name: str
    category: Category
    created: int


@dataclass(slots=True, eq=False)
class Member:
    """A tag on a thing."""

    key: int
    tag: Tag
    member: str
    """Such as ``vms/41``."""


@dataclass(slots=True, eq=False)
class Task:
    """Something that the task engine does to a VM."""

    key: int
    name: str
    owner: str
    action: str
    creator: str
    created: int
    enabled: bool = True
    last_run: int = 0


@dataclass(slots=True, eq=False)
class Alarm:
    """Something that VergeOS complains about."""

    key: int
    owner: str
    owner_name: str
    owner_type: str
    alarm_type: str
    type_name: str
    level: str
    text: str
    created: int
    snooze: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may appear in the logs."""

    key: int
    name: str
    kind: str = "normal"

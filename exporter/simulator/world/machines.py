"""Objects of a simulated system: clusters, nodes, machines and their parts, VMs, tags."""

from dataclasses import dataclass, field
from typing import Any, Literal

from exporter.simulator.world.load import Load
from exporter.simulator.world.storage import Hardware, StorageTier

Kind = Literal["vm", "node", "tenant_node", "vnet"]
HA_TIES = "+"
"""VMs of an HA group run on one node if its name starts with this; else on different nodes."""


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a machine; every change is a new object."""

    word: str
    running: bool
    state: str
    since: float
    """Unix seconds at which the row last changed."""
    started: float
    """Unix seconds of the last start, kept after a stop; 0 if the machine never ran."""
    node: int | None = None
    wanted: bool = False
    """The last requested power state."""
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
"""The ``state`` of a status word; ``warning`` for all others."""


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
    """The operating system of a VM, as its guest agent reports it."""

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
    """Some agents report maps where others report lists."""
    connects_after: float = 12.0
    """Seconds from the machine's start to the agent's first report."""


@dataclass(slots=True)
class Nic:
    """A NIC; its counters are functions of its machine's active seconds."""

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
    vnet: int | None = None
    attached: bool = True
    """Whether the running machine has it; if it was added meanwhile, the next start attaches it."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Columns that were written, and that nothing in the world depends on."""


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
    hardware: Hardware | None = None
    """Of a physical drive."""
    attached: bool = True
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Device:
    """A device passed through to a machine."""

    key: int
    machine: "Machine"
    name: str
    kind: str
    """A value of ``machine_devices.type``."""
    optional: bool = False
    status: str = "online"
    resource_group: str | None = None
    attached: bool = True
    columns: dict[str, Any] = field(default_factory=dict)


Part = Nic | Drive | Device


@dataclass(slots=True, eq=False)
class Machine:
    """A row of ``machines``: a VM, a node, a tenant node or a network's router."""

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
    devices: list[Device] = field(default_factory=list)
    guest: Guest | None = None
    cluster_failover: int | None = None
    preferred_node: int | None = None
    ha_group: str = ""
    migratable: bool = True
    migration_method: str = "auto"
    """``auto``: maintenance powers it off if it cannot migrate; ``live``: it keeps running."""
    shutdown_seconds: float | None = 20.0
    """Duration of a graceful power-off; None: the guest ignores it."""
    idle_since: float | None = None
    """When the counters stopped: at a stop, or when the guest hung; None while it works."""
    plan: int = 0
    """Increases with every new action, so that pending steps of older ones are skipped."""
    restart_with_node: int | None = None
    """The node whose return starts this machine."""
    new_cores: int | None = None
    """The configured cores, where the running machine has others; its next start takes them."""
    new_memory_mb: int | None = None
    need_restart: bool = False

    @property
    def configured_cores(self) -> int:
        return self.cores if self.new_cores is None else self.new_cores

    @property
    def configured_memory_mb(self) -> int:
        return self.memory_mb if self.new_memory_mb is None else self.new_memory_mb

    @property
    def parts(self) -> "list[Part]":
        return [*self.drives, *self.nics, *self.devices]


@dataclass(slots=True, eq=False)
class VM:
    """A row of ``vms``: the configuration of a VM, and its machine."""

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
    snapshot_profile: int | None = 1
    columns: dict[str, Any] = field(default_factory=dict)
    """Columns that were written, and that nothing in the world depends on."""


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
    """Memory available to machines."""
    model: str
    serial: str
    maintenance: bool = False
    alive: bool = True
    hosted: dict[int, Machine] = field(default_factory=dict)
    """Machines that occupy memory here, by key."""
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
    tiers: list[StorageTier] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ResourceGroup:
    """A row of ``resource_groups``: a pool of devices of nodes that machines may use."""

    uuid: str
    name: str
    kind: str
    """A value of ``resource_groups.type``."""
    created: int
    modified: int
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.uuid


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
    """A row of ``tag_members``: a tag on an object."""

    key: int
    tag: Tag
    member: str
    """Such as ``vms/41``."""


@dataclass(slots=True, eq=False)
class Task:
    """A row of ``tasks``: an action of the task engine on a VM."""

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
    """A row of ``alarms``."""

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
    """A row of ``users``."""

    key: int
    name: str
    kind: str = "normal"

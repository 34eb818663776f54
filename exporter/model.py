"""
The nouns: what VergeOS clouds look like at one moment.

Everything here is frozen. A poll creates a new `Inventory`.
``None`` means that the platform did not say, and is never turned into a zero.
Field comments name the source as ``table.field``; see docs/metrics.md for the units on the wire.
The classes opt out of garbage collection (``gc=False``): they can form no cycles,
and a fleet of 10,000 VMs is 60,000 objects that the collector need not walk.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec


class StatusWord(StrEnum):
    """The status words of ``machine_status.status`` that VergeOS 26 is known to use."""

    INITIALIZING = "initializing"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    UNRESPONSIVE = "unresponsive"
    STOPPED = "stopped"
    HIBERNATED = "hibernated"
    HIBERNATING = "hibernating"
    INITMIGRATE = "initmigrate"
    STARTMIGRATE = "startmigrate"
    MIGRATING = "migrating"
    MIGRATECOMPLETE = "migratecomplete"
    IMPORTING = "importing"
    MAINTENANCE = "maintenance"
    LEAVINGMAINTENANCE = "leavingmaintenance"
    UNLICENSED = "unlicensed"
    NEEDSREFRESH = "needsrefresh"
    NEEDSRESTART = "needsrestart"
    WAITINGFORRESOURCES = "waitingforresources"
    ERROR = "error"
    DRIVERSRELOADING = "driversreloading"


KNOWN_STATUS_WORDS = frozenset(str(word) for word in StatusWord)


class Filesystem(msgspec.Struct, frozen=True, gc=False):
    """A mounted filesystem, as the guest agent reports it."""

    mountpoint: str
    kind: str
    size_bytes: int | None
    used_bytes: int | None


class Guest(msgspec.Struct, frozen=True, gc=False):
    """What the guest agent says of the inside of a VM."""

    os_name: str
    os_version: str
    kernel: str
    hostname: str
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    filesystems: tuple[Filesystem, ...]
    refreshed_at: float | None
    """Unix seconds."""


class MachineStatus(msgspec.Struct, frozen=True, gc=False):
    """The live state of a machine: a VM's, a node's, a tenant node's or a router's."""

    machine: int
    running: bool | None
    powered_on: bool | None
    word: str
    """``machine_status.status`` as VergeOS spells it; a word outside `KNOWN_STATUS_WORDS` stays itself."""
    word_info: str
    state: str
    migratable: bool | None
    node: int | None
    started_at: float | None
    """Unix seconds of the last start; kept by the platform after a stop."""
    updated_at: float | None
    """Unix seconds at which the platform last touched the row."""
    running_cpu_cores: int | None
    running_memory_bytes: int | None
    agent_version: str
    """Empty while no guest agent is connected."""


class MachineStats(msgspec.Struct, frozen=True, gc=False):
    """How busy a machine is."""

    machine: int
    cpu_ratio: float | None
    memory_used_bytes: int | None


class Nic(msgspec.Struct, frozen=True, gc=False):
    """A network card with its counters; ``name`` is unique within its machine."""

    key: int
    machine: int
    name: str
    status: str | None
    speed_bytes_per_second: float | None
    received_bytes: int | None
    transmitted_bytes: int | None
    received_packets: int | None
    transmitted_packets: int | None


class DiskStats(msgspec.Struct, frozen=True, gc=False):
    """What a disk did since its counters began."""

    disk: int
    reads: int | None
    writes: int | None
    read_bytes: int | None
    written_bytes: int | None
    utilization_ratio: float | None
    service_time_seconds: float | None


class Disk(msgspec.Struct, frozen=True, gc=False):
    """A drive; ``name`` is unique within its machine."""

    key: int
    machine: int
    name: str
    media: str
    interface: str
    tier: str
    size_bytes: int | None
    used_bytes: int | None


class VMConfig(msgspec.Struct, frozen=True, gc=False):
    """What a VM is meant to be: its row in ``vms``."""

    key: int
    machine: int
    name: str
    uuid: str
    enabled: bool | None
    need_restart: bool | None
    cpu_cores: int | None
    memory_bytes: int | None
    cluster: int | None
    os_family: str
    machine_type: str
    ha_group: str
    on_power_loss: str
    created_from: str
    guest_agent: bool | None
    """Whether the agent is enabled, not whether it is connected."""
    service: bool
    """Whether it belongs to a service of the platform, such as a NAS."""
    disable_powercycle: bool | None
    """Whether a reboot from inside is a reset, and no full power cycle."""


class VM(msgspec.Struct, frozen=True, gc=False):
    """A VM and everything that belongs to it; what could not be read is ``None`` or empty."""

    config: VMConfig
    status: MachineStatus | None
    guest: Guest | None
    """What the guest last said; a VM that is off has forgotten it, its row has not."""
    stats: MachineStats | None
    nics: tuple[Nic, ...]
    disks: tuple[Disk, ...]


class Cluster(msgspec.Struct, frozen=True, gc=False):
    """A cluster of nodes."""

    key: int
    name: str


class Node(msgspec.Struct, frozen=True, gc=False):
    """A physical host."""

    key: int
    name: str
    cluster: int | None
    machine: int | None
    maintenance: bool | None
    status: MachineStatus | None


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Which VergeOS this is, in its own words."""

    cloud_name: str
    version: str


class Inventory(msgspec.Struct, frozen=True, gc=False):
    """
    One cloud at one moment, joined and consistent.

    It is built from each table's last good answer; a table that is too old to be believed
    is missing from ``sources``, and what it would have said is ``None`` or empty here.
    """

    system_name: str
    identity: Identity | None
    taken_at: datetime
    """When the older of the two tables that a VM is made of (vms, machine_status) was read."""
    sources: Mapping[str, object]
    """The tables that this picture rests on, by name; too old a table is not among them."""
    vms: tuple[VM, ...]
    """Sorted by key; snapshots of VMs are not among them."""
    disk_stats: Mapping[int, DiskStats]
    """By the key of the disk."""
    vm_snapshot_count: int | None
    clusters: Mapping[int, Cluster]
    nodes: Mapping[int, Node]
    tags: Mapping[int, frozenset[str]] | None
    """By the key of the VM, as ``category/name``; a VM without tags is not among them."""


class TableReport(msgspec.Struct, frozen=True, gc=False):
    """How the polling of one table is going."""

    table: str
    every_seconds: float
    success: bool | None
    """Whether the last reading worked; ``None`` before the first."""
    fresh: bool
    """Whether the last good reading is young enough to be shown."""
    last_success_at: datetime | None
    duration_seconds: float | None
    rows: int | None
    rows_skipped: int | None
    failures_total: int
    rows_skipped_total: int
    error: str | None
    """What went wrong last, while it is wrong."""


class RecentError(msgspec.Struct, frozen=True, gc=False):
    """Something that went wrong, kept for the status page after it is over."""

    at: datetime
    what: str


class RecoveryVM(msgspec.Struct, frozen=True, gc=False):
    """A VM as recovery sees it, whether it looks after it or only looks at it."""

    key: int
    name: str
    policy: str
    """The enrolment policy; ``no`` for a VM that is only monitored."""
    state: str
    """As recovery's table of states has it."""
    since: datetime
    """When it came into that state, as far as Vergewatch was running since."""


class LastAction(msgspec.Struct, frozen=True, gc=False):
    """The last thing that recovery did to a VM, once its outcome is known."""

    vm_key: int
    vm_name: str
    action: str
    outcome: str
    at: datetime
    """When the outcome was known."""


class BudgetRemaining(msgspec.Struct, frozen=True, gc=False):
    """What a VM that was acted upon has left of a budget."""

    vm_key: int
    vm_name: str
    window_seconds: float
    left: int


class RecoveryReport(msgspec.Struct, frozen=True, gc=False):
    """How recovery stands in one cloud."""

    mode: str
    readiness: str
    """What it is ready for, in one word."""
    because: str
    ready: bool
    """Whether it would act, were a VM to crash."""
    vms: tuple[RecoveryVM, ...]
    budgets_remaining: tuple[BudgetRemaining, ...]
    last_actions: tuple[LastAction, ...]
    open_actions: int
    journal_problem: str
    """Why the journal takes nothing; empty while it does."""
    inventory_at: datetime | None
    """When the last picture was taken that it believed."""

    @property
    def journal_up(self) -> bool:
        return not self.journal_problem


class SystemReport(msgspec.Struct, frozen=True, gc=False):
    """How the watching of one cloud is going: what the status page and ``/-/ready`` show."""

    system_name: str
    url: str
    """Without credentials."""
    identity: Identity | None
    up: bool
    """Whether the picture is young enough to be shown."""
    authenticated: bool
    """False while VergeOS refuses our credentials, and we therefore ask nothing."""
    taken_at: datetime | None
    tables: tuple[TableReport, ...]
    vms_by_status: Mapping[str, int]
    """Status word to number of VMs; a VM without a status counts under ``unknown``."""
    requests_remaining: int
    requests_per_hour: int
    recent_errors: tuple[RecentError, ...]
    """The last few, newest first."""
    recovery: RecoveryReport | None = None
    """``None`` where it is off."""

"""
The inventory of a VergeOS system, and the reports of its polling and of recovery: values only.

All of them are frozen; each poll makes a new `Inventory`. ``None`` means unknown, and never becomes
zero. Field docstrings name the source as ``table.field``. The classes opt out of garbage
collection (``gc=False``): they form no cycles, and 10,000 VMs are 60,000 objects.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

StatusWord = StrEnum(
    "StatusWord",
    "INITIALIZING STARTING RUNNING STOPPING UNRESPONSIVE STOPPED HIBERNATED HIBERNATING "
    "INITMIGRATE STARTMIGRATE MIGRATING MIGRATECOMPLETE IMPORTING MAINTENANCE LEAVINGMAINTENANCE "
    "UNLICENSED NEEDSREFRESH NEEDSRESTART WAITINGFORRESOURCES ERROR DRIVERSRELOADING",
)
"""The values of ``machine_status.status``, in lower case, that VergeOS 26 is known to use."""
KNOWN_STATUS_WORDS = frozenset(str(word) for word in StatusWord)


IDENTITY = "identity"
"""The system's name and version: not a table of VergeOS, and polled like one."""


class MachineStatus(msgspec.Struct, frozen=True, gc=False):
    """The live state of a machine: a VM, a node, a tenant node or a router."""

    machine: int
    running: bool | None
    powered_on: bool | None
    word: str
    """``machine_status.status`` as VergeOS spells it, also if it is not in `KNOWN_STATUS_WORDS`."""
    state: str
    migratable: bool | None
    node: int | None
    started_at: float | None
    """Unix seconds of the last start; VergeOS keeps it after a stop."""
    updated_at: float | None
    """Unix seconds of VergeOS' last update of the row."""
    running_cpu_cores: int | None
    running_memory_bytes: int | None
    agent_version: str
    """Empty while no guest agent is connected."""
    unreadable: frozenset[str] = frozenset()
    """The fields of the row that could not be read; they are unknown here."""


class VMConfig(msgspec.Struct, frozen=True, gc=False):
    """The configuration of a VM: its row in ``vms``."""

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
    """Whether it belongs to a VergeOS service, such as a NAS."""
    disable_powercycle: bool | None
    """Whether a reboot by the guest is a reset instead of a power cycle."""
    failover_cluster: int | None = None
    """The cluster that VergeOS starts it in if its own has no room."""
    snapshot_profile: int | None = None
    """The profile by which VergeOS takes its snapshots."""
    modified_at: float | None = None
    """Unix seconds of the last change of the configuration."""
    unreadable: frozenset[str] = frozenset()
    """The fields of the row that could not be read; they are unknown here."""


class VM(msgspec.Struct, frozen=True, gc=False):
    """A VM with the status of its machine, where that is known."""

    config: VMConfig
    status: MachineStatus | None


class Cluster(msgspec.Struct, frozen=True, gc=False):
    """A cluster of nodes."""

    key: int
    name: str
    unreadable: frozenset[str] = frozenset()


class Node(msgspec.Struct, frozen=True, gc=False):
    """A physical host."""

    key: int
    name: str
    cluster: int | None
    machine: int | None
    maintenance: bool | None
    status: MachineStatus | None
    unreadable: frozenset[str] = frozenset()


class StorageTier(msgspec.Struct, frozen=True, gc=False):
    """A storage tier of one cluster, if it has storage."""

    cluster: int
    tier: int | None
    status: str
    """As VergeOS spells it, such as ``online``, ``noredundant`` or ``outofspace``."""
    repairs: int | None


class PlatformStatus(msgspec.Struct, frozen=True, gc=False):
    """
    What of the platform may prevent that VMs start.

    A table that cannot be read is not known to prevent anything.
    """

    update: str = ""
    """What VergeOS does to update itself; empty while no update is known."""
    tiers: tuple[StorageTier, ...] = ()
    free_memory_bytes: Mapping[int, int] = {}
    """By the key of the cluster; without clusters that overcommit their memory."""
    missing_devices: Mapping[int, tuple[str, ...]] = {}
    """Names of the devices that a machine requires and that are missing, by machine."""


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The system's own name and version."""

    cloud_name: str
    version: str
    version_hash: str = ""
    """Of the source that this version was built from."""


class FrozenStatus(msgspec.Struct, frozen=True, gc=False):
    """Which status rows VergeOS no longer updates, although the machines are said to run."""

    system: bool | None = None
    """Whether those of every node; ``None`` as long as that is not known."""
    nodes: frozenset[int | None] = frozenset()
    """Keys of the nodes whose rows are frozen."""
    machines: frozenset[int] = frozenset()
    """The machines of these rows; of a frozen system all, also those that are said to be off."""


class Level(StrEnum):
    """How bad a finding of the doctor is."""

    WARNING = "warning"
    CRITICAL = "critical"


class Finding(msgspec.Struct, frozen=True, gc=False):
    """Something that a check of the doctor found."""

    level: Level
    subject: str
    """The object that it is about, such as ``node2``: a name that stays while the finding does."""
    evidence: str
    """The values that show it, such as ``97 % used``."""
    since: datetime | None = None
    """When it was first found; ``None`` until the doctor dates it."""


class CheckResult(msgspec.Struct, frozen=True, gc=False):
    """The result of one check of the doctor."""

    check: str
    findings: tuple[Finding, ...] = ()
    """Empty: all is well, unless it was skipped."""
    skipped: str = ""
    """Why nothing could be checked; empty if something was."""


class Inventory(msgspec.Struct, frozen=True, gc=False):
    """
    What one system reported: its tables, and its VMs joined with their machines.

    It is built from each table's last good answer; a stale table is missing from ``sources``, and
    what depends on it is ``None`` or empty.
    """

    system_name: str
    identity: Identity | None
    taken_at: datetime
    """When the older of the two tables that a VM is made of (vms, machine_status) was read."""
    sources: Mapping[str, object]
    """The rows of each fresh table, by its name."""
    vms: tuple[VM, ...]
    """Sorted by key; snapshots of VMs are not among them."""
    clusters: Mapping[int, Cluster]
    nodes: Mapping[int, Node]
    tags: Mapping[int, frozenset[str]] | None
    """By the key of the VM, as ``category/name``; a VM without tags is not among them."""
    platform: PlatformStatus = PlatformStatus()
    status_updated_at: Mapping[int | None, float] = {}
    """By the key of each node with VMs that run, the newest update of their status, in Unix seconds
    of VergeOS."""
    frozen: FrozenStatus = FrozenStatus()


class PollResult(NamedTuple):
    """What one poll of the essential tables returned."""

    asked_at: float
    """When the first table was requested, in monotonic seconds; recovery uses seconds of watch."""
    time: datetime
    took_seconds: float
    every_seconds: float
    """The configured poll interval."""
    inventory: Inventory | None
    """``None`` if an essential table could not be read."""
    rows_skipped: int = 0
    problem: str = ""
    """Why there is no inventory."""


class TableReport(msgspec.Struct, frozen=True, gc=False):
    """The state of one table's polling."""

    table: str
    every_seconds: float
    success: bool | None
    """Whether the last poll succeeded; ``None`` before the first."""
    fresh: bool
    """Whether the last good rows are recent enough to be exported."""
    last_success_at: datetime | None
    duration_seconds: float | None
    rows: int | None
    rows_skipped: int | None
    failures_total: int
    rows_skipped_total: int
    error: str | None
    """The last error, until a poll succeeds."""
    awaited: bool = False
    """Whether it was never read and may yet be: series that its names identify wait for it."""
    unreadable: int | None = None
    """Rows of the last good poll, and values in its other rows, that could not be decoded; None
    once its rows are stale."""


class RecentError(msgspec.Struct, frozen=True, gc=False):
    """An error, kept for the console after it is over."""

    at: datetime
    what: str


class RecoveryVM(msgspec.Struct, frozen=True, gc=False):
    """A VM in recovery, enrolled or only monitored."""

    key: int
    name: str
    policy: str
    """The policy of an enrolled VM; ``no`` if the VM is only monitored."""
    state: str
    """One of recovery's states."""
    since: datetime
    """When it entered that state, as far as the daemon observed it."""
    down_since: datetime | None = None
    """If it does not run, when it was first seen so."""
    cause: str = ""
    """The cause of its diagnosis; empty without one."""
    detail: str = ""
    """The evidence for that cause, such as a log row."""
    failed_guard: str = ""
    """The guard that forbids an action on a VM that crashed."""
    blocking_row: str = ""
    """The log row that makes the cause unknown, and how to teach its meaning; else empty."""
    blocking_template: str = ""
    """The template of that row."""


class LastAction(msgspec.Struct, frozen=True, gc=False):
    """The last action of recovery on a VM, once its outcome is known."""

    vm_key: int
    vm_name: str
    action: str
    outcome: str
    at: datetime
    """When the outcome was known."""
    ran_since: bool = False
    """Whether the VM was seen running after that; what it does later is not the outcome."""


class OpenQuestion(msgspec.Struct, frozen=True, gc=False):
    """A question of recovery that waits for the answer of an operator."""

    number: int
    vm_key: int
    vm_name: str
    action: str
    diagnosis: str
    """The cause of the crash: a word."""
    evidence: str
    """What proves it: a sentence."""
    since: datetime
    """Since when the VM is down."""
    expires: datetime


class BudgetRemaining(msgspec.Struct, frozen=True, gc=False):
    """What remains of a restart budget of a VM that had an action."""

    vm_key: int
    vm_name: str
    window_seconds: float
    left: int


class RecoveryInput(msgspec.Struct, frozen=True, gc=False):
    """Something that recovery needs to read or write."""

    name: str
    problem: str
    """Why it is missing; empty while it is there."""


class RecoveryReport(msgspec.Struct, frozen=True, gc=False):
    """The state of recovery in one system."""

    mode: str
    readiness: str
    """One of recovery's readiness states."""
    because: str
    ready: bool
    """Whether it would act on a crash now."""
    vms: tuple[RecoveryVM, ...]
    budgets_remaining: tuple[BudgetRemaining, ...]
    last_actions: tuple[LastAction, ...]
    open_actions: int
    journal_problem: str
    """Why the journal cannot be written; empty while it can."""
    inventory_at: datetime | None
    """When the last inventory was read that passed its checks."""
    questions: tuple[OpenQuestion, ...] = ()
    """The questions that wait for an answer; only in mode ``ask``."""
    fell_back: str = ""
    """Why it fell back from mode ``enforce`` to ``ask``; empty if it did not."""
    inputs: tuple[RecoveryInput, ...] = ()
    """What it needs to read or write."""
    breaker: str | None = None
    """State of the circuit breaker; None if it is not known: in the warm-up, and on a standby."""
    leads: bool = True
    """Whether this replica decides and acts; always with a journal that replicas do not share."""
    leader: str = ""
    """The replica that leads; empty if none does, or with a journal that replicas do not share."""
    lease_epoch: int | None = None
    """The number of the newest lease; None with a journal that replicas do not share."""
    lease_age_seconds: float | None = None
    """How long ago the lease was renewed last; None with a journal that replicas do not share."""

    @property
    def journal_up(self) -> bool:
        return not self.journal_problem

    @property
    def stands_by(self) -> bool:
        """Whether another replica decides, acts and posts alerts."""
        return not self.leads and self.journal_up


class SystemReport(msgspec.Struct, frozen=True, gc=False):
    """The state of one system's polling, for the console and ``/-/ready``."""

    system_name: str
    url: str
    """Without credentials."""
    identity: Identity | None
    up: bool
    """Whether the essential tables are fresh."""
    authenticated: bool
    """False while VergeOS rejects the credentials; the daemon then sends no requests."""
    taken_at: datetime | None
    tables: tuple[TableReport, ...]
    requests_remaining: int
    requests_per_hour: int
    recent_errors: tuple[RecentError, ...]
    """The last few, newest first."""
    recovery: RecoveryReport | None = None
    """``None`` if it is off."""
    throttled: str = ""
    """Why no request is sent, if VergeOS asked to wait; else empty."""
    named: bool = True
    """Whether its name is known: configured, reported or remembered. Until then `system_name` is
    the host, and the system is not up."""
    frozen: bool | None = False
    """Whether VergeOS updates the status of no VM that runs; ``None`` if that is not known."""
    doctor: tuple[CheckResult, ...] = ()
    """The results of the doctor's checks, in the order of its list; none if it is off."""
    stands_by: bool = False
    """Whether another replica with the same key polls everything, and this one only what shows that
    a VM runs."""


class SystemState(NamedTuple):
    """What is known of one system."""

    inventory: Inventory | None
    report: SystemReport


class RetryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /api/v1/systems/SYSTEM/retry``: the system is in the path."""


class Retried(msgspec.Struct, frozen=True, gc=False):
    """Response of ``POST /api/v1/systems/SYSTEM/retry``."""

    system: str
    refused: bool
    """Whether VergeOS refused the credentials; else there is nothing to try again."""
    in_seconds: float | None
    """When they are tried again; None if they were not refused."""


RELOAD_PATH = "/-/reload"


class ReloadResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``POST /-/reload``, in JSON where the request accepts it: names of settings."""

    applied: tuple[str, ...]
    """They have changed and are in force."""
    needs_restart: tuple[str, ...]
    """They have changed since the start and are not in force."""
    problem: str
    """What of the configuration is not in force, in sentences; empty if all of it is."""

    @property
    def text(self) -> str:
        """Return the response in lines."""
        applied = f"applied {', '.join(self.applied)}" if self.applied else ""
        return "\n".join(filter(None, ("reloaded", applied, self.problem)))


LISTEN_FILE = "listen.json"
"""In the state directory: a `DaemonAddress`."""


class DaemonAddress(msgspec.Struct, frozen=True, gc=False):
    """Where the running daemon listens, for commands on the same machine."""

    host: str
    """Empty for all addresses."""
    port: int
    tls: bool
    pid: int

    @property
    def url(self) -> str:
        """Return the URL by which this machine reaches it."""
        host = "127.0.0.1" if self.host in EVERY_ADDRESS else self.host
        name = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}"


EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on

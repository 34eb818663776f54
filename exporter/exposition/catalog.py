"""
Every family of the fleet, declared once, as data.

The renderer, docs/metrics.md, the dashboards and the tests all read this table. A family belongs
to a `Part` of the picture (a VM, one of its disks, ...), which gives it its identity labels:
few, and stable for the life of the thing. What changes is a value, or a label of an ``_info``.
"""

from collections.abc import Callable
from enum import Enum
from operator import attrgetter
from typing import Any, NamedTuple

from exporter.exposition import view
from exporter.exposition.view import Items, RenderView


class Kind(Enum):
    """How a family's numbers behave."""

    GAUGE = "gauge"
    COUNTER = "counter"


class Word(NamedTuple):
    """A label of an info family: something that may change during the thing's life."""

    label: str
    read: Callable[[Any], str]


class Part(NamedTuple):
    """A kind of thing in the picture."""

    name: str
    labels: tuple[str, ...]
    items: Callable[[RenderView], Items]
    tables: frozenset[str]
    """The tables it rests on; while none of them brings news, neither does it."""


class Family(NamedTuple):
    """A metric."""

    name: str
    """As the classic text format has it: counters end in ``_total``."""
    kind: Kind
    part: Part
    help: str
    source: str
    """The field of the VergeOS API, as ``table.field``."""
    read: Callable[[Any], float | None]
    words: tuple[Word, ...] = ()
    unit: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.part.labels, *(word.label for word in self.words))


def _part(
    name: str,
    labels: str,
    items: Callable[[RenderView], Items],
    tables: str,
) -> Part:
    return Part(name, tuple(labels.split()), items, frozenset(tables.split()))


VM = "system_name vm_id vm_name"

SYSTEM = _part("system", "system_name", view.systems, "report")
TABLE = _part("table", "system_name table", view.readings, "report")
VERSION = _part("version", "system_name", view.versions, "identity")
SNAPSHOTS = _part("VM snapshots", "system_name", view.snapshots, "vm_snapshots")
NODE = _part("node", "system_name node", view.nodes, "nodes clusters")
NODE_STATE = _part("node state", "system_name node", view.node_states, "nodes machine_status")
CLUSTER_WORD = _part(
    "status in a cluster",
    "system_name cluster status",
    view.cluster_words,
    "vms machine_status clusters",
)
CONFIG = _part("VM", VM, view.configs, "vms")
PLACE = _part("VM's place", VM, view.places, "vms machine_status clusters nodes")
STATE = _part("VM's state", VM, view.states, "vms machine_status")
GUEST = _part("guest", VM, view.guests, "vms machine_status guests")
FILESYSTEM = _part("filesystem", f"{VM} mountpoint", view.filesystems, "vms machine_status guests")
LOAD = _part("VM's load", VM, view.loads, "vms machine_status machine_stats")
NIC = _part("NIC", f"{VM} nic", view.nics, "vms machine_nics")
DISK = _part("disk", f"{VM} disk", view.disks, "vms machine_drives")
DISK_LOAD = _part(
    "disk's load", f"{VM} disk", view.disk_loads, "vms machine_drives machine_drive_stats"
)

RECOVERY = _part("recovery", "system_name", view.recoveries, "report")
RECOVERY_VM = _part("VM in recovery", VM, view.recovery_vms, "report")
RECOVERY_STATE = _part("state in recovery", "system_name state", view.recovery_states, "report")
LAST_ACTION = _part("last action", VM, view.last_actions, "report")
ALLOWANCE = _part("budget", f"{VM} window_seconds", view.budgets_remaining, "report")


def _gauge(
    name: str, part: Part, source: str, help_: str, read: Callable[[Any], float | None] | str
) -> Family:
    """Declare a gauge; its unit is what its name ends in."""
    return _family(Kind.GAUGE, name, part, source, help_, read)


def _counter(name: str, part: Part, source: str, help_: str, read: str) -> Family:
    return _family(Kind.COUNTER, name, part, source, help_, read)


def _family(
    kind: Kind,
    name: str,
    part: Part,
    source: str,
    help_: str,
    read: Callable[[Any], float | None] | str,
) -> Family:
    return Family(
        name=f"vergewatch_{name}",
        kind=kind,
        part=part,
        help=f"{help_} ({source})." if source else f"{help_}.",
        source=source,
        read=attrgetter(read) if isinstance(read, str) else read,
        unit=_unit(name.removesuffix("_total")),
    )


def _info(name: str, part: Part, source: str, help_: str, words: dict[str, Any]) -> Family:
    """Declare a family that is always 1 and speaks through its labels."""
    return Family(
        name=f"vergewatch_{name}",
        kind=Kind.GAUGE,
        part=part,
        help=f"{help_} ({source})." if source else f"{help_}.",
        source=source,
        read=_one,
        words=tuple(
            Word(label, attrgetter(read) if isinstance(read, str) else read)
            for label, read in words.items()
        ),
    )


UNITS = ("bytes_per_second", "bytes", "seconds", "ratio")


def _unit(name: str) -> str:
    return next((unit for unit in UNITS if name.endswith(f"_{unit}")), "")


def _one(_: Any) -> float:
    return 1.0


def _itself(count: Any) -> float | None:
    return None if count is None else float(count)


def _stamp(read: str) -> Callable[[Any], float | None]:
    """Return a reader of a point in time as Unix seconds."""
    get = attrgetter(read)

    def seconds(thing: Any) -> float | None:
        moment = get(thing)
        return None if moment is None else float(moment.timestamp())

    return seconds


FAMILIES: tuple[Family, ...] = (
    # The watching itself.
    _gauge(
        "up",
        SYSTEM,
        "",
        "1 while both halves of this cloud's picture, vms and machine_status, are young enough to "
        "be shown; else 0, and what is too old is gone from this page",
        "up",
    ),
    _gauge(
        "authenticated",
        SYSTEM,
        "",
        "0 while VergeOS refuses our credentials and we ask nothing, so as not to lock the "
        "account; else 1",
        "authenticated",
    ),
    _gauge(
        "inventory_timestamp_seconds",
        SYSTEM,
        "",
        "When the picture was taken: the older of the readings of vms and machine_status",
        _stamp("taken_at"),
    ),
    _gauge(
        "api_requests_remaining",
        SYSTEM,
        "",
        "Requests that polling may still make in this rolling hour; the reserve for recovery is "
        "not among them",
        "requests_remaining",
    ),
    _gauge(
        "api_requests_planned",
        SYSTEM,
        "",
        "Requests an hour that the schedule makes while all is well",
        "requests_per_hour",
    ),
    _gauge("table_success", TABLE, "", "1 if the last reading of this table worked", "success"),
    _gauge(
        "table_fresh",
        TABLE,
        "",
        "1 while the last good reading of this table is young enough to be shown",
        "fresh",
    ),
    _gauge(
        "table_last_success_timestamp_seconds",
        TABLE,
        "",
        "When the last good reading of this table was asked for",
        _stamp("last_success_at"),
    ),
    _gauge(
        "table_duration_seconds",
        TABLE,
        "",
        "How long the last reading of this table took, decoding included",
        "duration_seconds",
    ),
    _gauge(
        "table_interval_seconds",
        TABLE,
        "",
        "How often this table is read",
        "every_seconds",
    ),
    _gauge("table_rows", TABLE, "", "Rows understood in the last good reading", "rows"),
    _counter(
        "table_failures_total",
        TABLE,
        "",
        "Readings of this table that brought nothing usable",
        "failures_total",
    ),
    _counter(
        "table_rows_skipped_total",
        TABLE,
        "",
        "Rows that could not be understood and were left out, added up over all readings",
        "rows_skipped_total",
    ),
    # The cloud.
    _info(
        "system_info",
        VERSION,
        "version.json, settings.cloud_name",
        "Which VergeOS this is",
        {"cloud_name": "cloud_name", "version": "version"},
    ),
    _gauge(
        "vm_snapshots",
        SNAPSHOTS,
        "vms.is_snapshot",
        "Snapshots of VMs in this cloud",
        _itself,
    ),
    _gauge(
        "cluster_vms",
        CLUSTER_WORD,
        "machine_status.status",
        "VMs of this cluster by status; unknown counts those without one, other those with a "
        "word that is new to this version",
        float,
    ),
    _info(
        "node_info",
        NODE,
        "nodes.cluster",
        "Where a physical node belongs",
        {"cluster": "cluster"},
    ),
    _gauge(
        "node_maintenance",
        NODE,
        "nodes.maintenance",
        "1 while the node is in maintenance mode",
        "node.maintenance",
    ),
    _gauge(
        "node_running",
        NODE_STATE,
        "machine_status.running",
        "1 while the node is running",
        "running",
    ),
    _info(
        "node_status_info",
        NODE_STATE,
        "machine_status.status",
        "The node's current status word",
        {"status": "word"},
    ),
    # The VM as it is meant to be.
    _gauge(
        "vm_enabled",
        CONFIG,
        "vms.enabled",
        "1 if the VM may be powered on",
        "enabled",
    ),
    _gauge(
        "vm_need_restart",
        CONFIG,
        "vms.need_restart",
        "1 if a change of configuration waits for a restart",
        "need_restart",
    ),
    _gauge(
        "vm_configured_cpu_cores",
        CONFIG,
        "vms.cpu_cores",
        "CPU cores the VM is configured with",
        "cpu_cores",
    ),
    _gauge(
        "vm_configured_memory_bytes",
        CONFIG,
        "vms.ram",
        "Memory the VM is configured with",
        "memory_bytes",
    ),
    _gauge(
        "vm_guest_agent_enabled",
        CONFIG,
        "vms.guest_agent",
        "1 if the VM is meant to have a guest agent",
        "guest_agent",
    ),
    _info(
        "vm_info",
        PLACE,
        "vms, machine_status.node",
        "What may change in a VM's life, to be joined on system_name and vm_id; node is empty "
        "while it is off",
        {
            "uuid": "config.uuid",
            "cluster": "cluster",
            "node": "node",
            "agent_version": "agent_version",
            "os_family": "config.os_family",
            "machine_type": "config.machine_type",
            "ha_group": "config.ha_group",
            "on_power_loss": "config.on_power_loss",
            "created_from": "config.created_from",
        },
    ),
    # The VM as it is.
    _gauge(
        "vm_running",
        STATE,
        "machine_status.running",
        "1 while the VM's process runs",
        "running",
    ),
    _gauge(
        "vm_powered_on",
        STATE,
        "machine_status.powerstate",
        "1 while the platform has the VM powered on",
        "powered_on",
    ),
    _info(
        "vm_status_info",
        STATE,
        "machine_status.status",
        "The VM's current status word",
        {"status": "word"},
    ),
    _gauge(
        "vm_migratable",
        STATE,
        "machine_status.migratable",
        "1 if the VM can be migrated live",
        "migratable",
    ),
    _gauge(
        "vm_start_timestamp_seconds",
        STATE,
        "machine_status.started",
        "When the VM last started; the platform keeps it after a stop",
        "started_at",
    ),
    _gauge(
        "vm_status_update_timestamp_seconds",
        STATE,
        "machine_status.last_update",
        "When the platform last updated the VM's status",
        "updated_at",
    ),
    _gauge(
        "vm_running_cpu_cores",
        STATE,
        "machine_status.running_cores",
        "CPU cores the VM runs with; absent while it is off",
        lambda status: status.running_cpu_cores if status.running else None,
    ),
    _gauge(
        "vm_running_memory_bytes",
        STATE,
        "machine_status.running_ram",
        "Memory the VM runs with; absent while it is off",
        lambda status: status.running_memory_bytes if status.running else None,
    ),
    _gauge(
        "vm_guest_agent_connected",
        STATE,
        "machine_status.agent_version",
        "1 while a guest agent answers; absent while the VM is off",
        lambda status: bool(status.agent_version) if status.running else None,
    ),
    _gauge(
        "vm_cpu_usage_ratio",
        LOAD,
        "machine_stats.total_cpu",
        "Share of the VM's CPU time in use, 0 to 1; absent while it is off",
        "cpu_ratio",
    ),
    _gauge(
        "vm_memory_used_bytes",
        LOAD,
        "machine_stats.ram_used",
        "Memory of the host that the VM holds, which is not what its guest uses; absent while it "
        "is off",
        "memory_used_bytes",
    ),
    # The guest inside.
    _info(
        "vm_guest_info",
        GUEST,
        "machine_status.agent_guest_info",
        "The operating system in the VM, as the guest agent reports it",
        {
            "hostname": "hostname",
            "os_name": "os_name",
            "os_version": "os_version",
            "kernel": "kernel",
        },
    ),
    _gauge(
        "vm_guest_memory_total_bytes",
        GUEST,
        "machine_status.agent_guest_info.meminfo.ram_total",
        "Memory that the guest has",
        "memory_total_bytes",
    ),
    _gauge(
        "vm_guest_memory_used_bytes",
        GUEST,
        "machine_status.agent_guest_info.meminfo.ram_used",
        "Memory that the guest uses",
        "memory_used_bytes",
    ),
    _gauge(
        "vm_guest_update_timestamp_seconds",
        GUEST,
        "machine_status.agent_guest_info.last_refresh",
        "When the guest agent last reported",
        "refreshed_at",
    ),
    _gauge(
        "vm_guest_filesystem_size_bytes",
        FILESYSTEM,
        "machine_status.agent_guest_info.fsinfo.total-bytes",
        "Size of a filesystem in the guest",
        "size_bytes",
    ),
    _gauge(
        "vm_guest_filesystem_used_bytes",
        FILESYSTEM,
        "machine_status.agent_guest_info.fsinfo.used-bytes",
        "Used space of a filesystem in the guest",
        "used_bytes",
    ),
    # Network cards.
    _info(
        "vm_nic_status_info",
        NIC,
        "machine_nics.status.status",
        "The network card's current status word",
        {"status": lambda nic: nic.status or "unknown"},
    ),
    _gauge(
        "vm_nic_speed_bytes_per_second",
        NIC,
        "machine_nics.status.speed",
        "Speed of the network card",
        "speed_bytes_per_second",
    ),
    _counter(
        "vm_nic_receive_bytes_total",
        NIC,
        "machine_nics.stats.rx_bytes",
        "Bytes the VM received",
        "received_bytes",
    ),
    _counter(
        "vm_nic_transmit_bytes_total",
        NIC,
        "machine_nics.stats.tx_bytes",
        "Bytes the VM sent",
        "transmitted_bytes",
    ),
    _counter(
        "vm_nic_receive_packets_total",
        NIC,
        "machine_nics.stats.rx_pckts",
        "Packets the VM received",
        "received_packets",
    ),
    _counter(
        "vm_nic_transmit_packets_total",
        NIC,
        "machine_nics.stats.tx_pckts",
        "Packets the VM sent",
        "transmitted_packets",
    ),
    # Disks.
    _info(
        "vm_disk_info",
        DISK,
        "machine_drives",
        "What may change in a disk's life",
        {"tier": "tier", "media": "media", "interface": "interface"},
    ),
    _gauge(
        "vm_disk_size_bytes",
        DISK,
        "machine_drives.disksize",
        "Size of the disk",
        "size_bytes",
    ),
    _gauge(
        "vm_disk_used_bytes",
        DISK,
        "machine_drives.used_bytes",
        "Space that the disk takes on its tier",
        "used_bytes",
    ),
    _counter(
        "vm_disk_reads_total",
        DISK_LOAD,
        "machine_drive_stats.reads",
        "Read operations of the disk",
        "reads",
    ),
    _counter(
        "vm_disk_writes_total",
        DISK_LOAD,
        "machine_drive_stats.writes",
        "Write operations of the disk",
        "writes",
    ),
    _counter(
        "vm_disk_read_bytes_total",
        DISK_LOAD,
        "machine_drive_stats.read_bytes",
        "Bytes read from the disk",
        "read_bytes",
    ),
    _counter(
        "vm_disk_written_bytes_total",
        DISK_LOAD,
        "machine_drive_stats.write_bytes",
        "Bytes written to the disk",
        "written_bytes",
    ),
    _gauge(
        "vm_disk_utilization_ratio",
        DISK_LOAD,
        "machine_drive_stats.util",
        "Share of time in which the disk was busy, 0 to 1",
        "utilization_ratio",
    ),
    _gauge(
        "vm_disk_service_time_seconds",
        DISK_LOAD,
        "machine_drive_stats.service_time",
        "Average time an operation of the disk takes",
        "service_time_seconds",
    ),
    # Recovery.
    _info(
        "recovery_info",
        RECOVERY,
        "",
        "How recovery stands: its mode, and its posture, which is what it is ready for",
        {"mode": "mode", "readiness": "readiness"},
    ),
    _gauge(
        "recovery_ready",
        RECOVERY,
        "",
        "1 if recovery would act, were a VM to crash now; 0 in shadow mode, too",
        "ready",
    ),
    _gauge(
        "recovery_open_actions",
        RECOVERY,
        "",
        "Actions whose outcome is not known yet",
        "open_actions",
    ),
    _gauge(
        "recovery_journal_up",
        RECOVERY,
        "",
        "1 if the journal takes what is written; without it recovery does nothing",
        "journal_up",
    ),
    _gauge(
        "recovery_inventory_timestamp_seconds",
        RECOVERY,
        "",
        "When the last picture was taken that recovery believed",
        _stamp("inventory_at"),
    ),
    _gauge(
        "recovery_vms",
        RECOVERY_STATE,
        "",
        "VMs that a tag or a rule enrols for recovery, by its state for them",
        _itself,
    ),
    _info(
        "recovery_vm_state_info",
        RECOVERY_VM,
        "",
        "What recovery thinks of a VM; with the policy no it only looks at it",
        {"policy": "policy", "state": "state"},
    ),
    _gauge(
        "recovery_vm_state_since_timestamp_seconds",
        RECOVERY_VM,
        "",
        "When a VM came into the state that recovery_vm_state_info names",
        _stamp("since"),
    ),
    _info(
        "recovery_vm_last_action_info",
        LAST_ACTION,
        "",
        "The last action of recovery on a VM, and its outcome",
        {"action": "action", "outcome": "outcome"},
    ),
    _gauge(
        "recovery_vm_last_action_timestamp_seconds",
        LAST_ACTION,
        "",
        "When the outcome of the last action on a VM was known",
        _stamp("at"),
    ),
    _gauge(
        "recovery_vm_budget_remaining",
        ALLOWANCE,
        "",
        "Actions that a VM's budget still allows within the window; only of VMs acted upon lately",
        _itself,
    ),
)

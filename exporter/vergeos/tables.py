"""
What we ask VergeOS for: one bulk list per table, whatever the number of VMs.

Field names are those of the official SDKs' type lists. VergeOS drops names it does not know
without a word, so a field that an older release lacks is merely absent from its rows.
"""

from enum import Enum
from typing import NamedTuple


class Pace(Enum):
    """How often a table is worth reading."""

    FAST = "fast"
    SLOW = "slow"
    INVENTORY = "inventory"
    IDENTITY = "identity"


class Table(NamedTuple):
    """One bulk list."""

    name: str
    """Our name for it: the ``table`` label of the metrics."""
    endpoint: str
    """The table's name in VergeOS."""
    pace: Pace
    fields: tuple[str, ...]
    where: str = ""
    """The ``filter`` expression; empty for every row."""
    turn: int = 0
    """
    In which of the fast tables' cycles it is read, counted from 0. The slow tables take turns,
    because the work after an answer grows with the fleet and a cycle should not carry all of it.
    """

    @property
    def path(self) -> str:
        return f"/api/v4/{self.endpoint}"


VMS = Table(
    "vms",
    "vms",
    Pace.FAST,
    fields=(
        "$key",
        "machine",
        "name",
        "uuid",
        "is_snapshot",
        "enabled",
        "need_restart",
        "cpu_cores",
        "ram",
        "cluster",
        "os_family",
        "machine_type",
        "ha_group",
        "on_power_loss",
        "created_from",
        "guest_agent",
        "service",
        "disable_powercycle",
    ),
    where="is_snapshot eq false",
)
MACHINE_STATUS = Table(
    "machine_status",
    "machine_status",
    Pace.FAST,
    fields=(
        "$key",
        "machine",
        "running",
        "powerstate",
        "status",
        "status_info",
        "state",
        "migratable",
        "node",
        "started",
        "last_update",
        "running_cores",
        "running_ram",
        "agent_version",
    ),
)
GUESTS = Table(
    "guests",
    "machine_status",
    Pace.SLOW,
    # By itself, because it is more than half of the row and seldom news.
    fields=("$key", "machine", "agent_guest_info"),
    turn=1,
)
MACHINE_STATS = Table(
    "machine_stats",
    "machine_stats",
    Pace.SLOW,
    fields=("$key", "machine", "total_cpu", "ram_used"),
    turn=2,
)
MACHINE_NICS = Table(
    "machine_nics",
    "machine_nics",
    Pace.SLOW,
    fields=("$key", "machine", "name", "stats[all]", "status[all]"),
    turn=2,
)
MACHINE_DRIVES = Table(
    "machine_drives",
    "machine_drives",
    Pace.SLOW,
    fields=(
        "$key",
        "machine",
        "name",
        "media",
        "interface",
        "preferred_tier",
        "disksize",
        "used_bytes",
    ),
    turn=1,
)
MACHINE_DRIVE_STATS = Table(
    "machine_drive_stats",
    "machine_drive_stats",
    Pace.SLOW,
    fields=(
        "$key",
        "parent_drive",
        "reads",
        "writes",
        "read_bytes",
        "write_bytes",
        "util",
        "service_time",
    ),
    where="physical eq false",
    turn=0,
)
CLUSTERS = Table("clusters", "clusters", Pace.INVENTORY, fields=("$key", "name"))
NODES = Table(
    "nodes",
    "nodes",
    Pace.INVENTORY,
    # A node's key is its `id`; `$key` is asked for too, for releases that spell it so.
    fields=("id", "$key", "name", "cluster", "machine", "maintenance"),
    where="physical eq true",
)
VM_SNAPSHOTS = Table(
    "vm_snapshots",
    "vms",
    Pace.INVENTORY,
    fields=("$key", "is_snapshot"),
    where="is_snapshot eq true",
)
TAG_MEMBERS = Table(
    "tags",
    "tag_members",
    Pace.SLOW,
    fields=("$key", "member", "tag#name as tag_name", "tag#category#name as category_name"),
    where="member bw 'vms/'",
    turn=2,
)
"""Which VMs have which tags: nothing to show, so it is read only where recovery goes by them."""

TABLES: tuple[Table, ...] = (
    VMS,
    MACHINE_STATUS,
    GUESTS,
    MACHINE_STATS,
    MACHINE_NICS,
    MACHINE_DRIVES,
    MACHINE_DRIVE_STATS,
    CLUSTERS,
    NODES,
    VM_SNAPSHOTS,
)
ESSENTIAL = frozenset({VMS.name, MACHINE_STATUS.name})
"""Without these there is no picture of a VM."""

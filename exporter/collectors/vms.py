"""
VMs: configuration, status and load.

Tables ``vms``, ``machine_status`` (also of nodes and tenant nodes) and ``machine_stats``. Recovery
reads the first two, so their rows become values of `exporter.model`.
"""

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import VM, Read, divide, each, gauge, group, info, scale
from exporter.exposition.view import FROZEN, Items, RenderView
from exporter.model import KNOWN_STATUS_WORDS, MachineStatus, VMConfig
from exporter.polling.state import TableRows
from exporter.vergeos.rows import (
    EVERYTHING_READ,
    MIB,
    UNKNOWN_WORD,
    Lost,
    Name,
    Reference,
    Row,
    Whole,
    key_number,
    lower_case,
    mebibytes,
    names_a_row,
    optional_key,
    required_key,
    shared,
    status_word,
    timestamp,
    unreadable,
)
from exporter.vergeos.tables import Importance, Pace, Table


class VMRow(Row, gc=False):
    """A row of ``vms``; snapshots of VMs are among them."""

    machine: Reference = None
    name: Name | None = None
    uuid: Name | None = None
    is_snapshot: bool | None = None
    enabled: bool | None = None
    need_restart: bool | None = None
    cpu_cores: Whole | None = None
    ram: Whole | None = None
    cluster: Reference = None
    cluster_failover: Reference = None
    os_family: Name | None = None
    machine_type: Name | None = None
    ha_group: Name | None = None
    on_power_loss: Name | None = None
    created_from: Name | None = None
    guest_agent: bool | None = None
    service: Any = None
    """A foreign key; in no shape worth losing the row for."""
    disable_powercycle: bool | None = None
    snapshot_profile: Reference = None
    modified: Whole | float | None = None


class StatusRow(Row, gc=False):
    """A row of ``machine_status``."""

    machine: Reference = None
    running: bool | None = None
    powerstate: bool | None = None
    status: Name | None = None
    state: Name | None = None
    migratable: bool | None = None
    node: Reference = None
    started: Whole | float | None = None
    last_update: Whole | float | None = None
    running_cores: Whole | None = None
    running_ram: Whole | None = None
    agent_version: Name | None = None


Percent = Whole | float
"""Most are small integers, which cost no memory."""


class StatsRow(Row, gc=False):
    """A row of ``machine_stats``; percent, MB, and degrees Celsius of nodes."""

    machine: Reference = None
    total_cpu: float | None = None
    ram_used: Whole | None = None
    ram_pct: Percent | None = None
    user_cpu: Percent | None = None
    system_cpu: Percent | None = None
    iowait_cpu: Percent | None = None
    core_temp: Whole | None = None
    core_temp_top: Whole | None = None
    core_usagelist: Any = None
    """The use of each core in percent, ``None`` where it is not known; after conversion a tuple."""


def _vm_config(row: VMRow, key: int, lost: Lost) -> VMConfig | None:
    if row.is_snapshot:  # VergeOS may ignore the filter
        return None
    return VMConfig(
        key=key,
        machine=required_key(row.machine, "machine", key),
        name=row.name or "",
        uuid=row.uuid or "",
        enabled=row.enabled,
        need_restart=row.need_restart,
        cpu_cores=row.cpu_cores,
        memory_bytes=mebibytes(row.ram),
        cluster=key_number(row.cluster) or optional_key(row.cluster, "cluster", lost),
        os_family=shared(row.os_family),
        machine_type=shared(row.machine_type),
        ha_group=shared(row.ha_group),
        on_power_loss=shared(row.on_power_loss),
        created_from=shared(row.created_from),
        guest_agent=row.guest_agent,
        service=names_a_row(row.service),
        disable_powercycle=row.disable_powercycle,
        failover_cluster=key_number(row.cluster_failover),
        snapshot_profile=key_number(row.snapshot_profile),
        modified_at=timestamp(row.modified),
        unreadable=unreadable(lost) if lost else EVERYTHING_READ,
    )


def _machine_status(row: StatusRow, machine: int, lost: Lost) -> MachineStatus:
    word = shared(row.status)
    if word not in KNOWN_STATUS_WORDS:
        word = status_word(row.status, "status", lost, of=f"machine {machine}")
    node = key_number(row.node) or optional_key(row.node, "node", lost)
    return MachineStatus(
        machine=machine,
        running=row.running,
        powered_on=row.powerstate,
        word=word,
        state=lower_case(row.state),
        migratable=row.migratable,
        node=node,
        started_at=timestamp(row.started),
        updated_at=timestamp(row.last_update),
        running_cpu_cores=row.running_cores,
        running_memory_bytes=mebibytes(row.running_ram),
        agent_version=shared(row.agent_version),
        unreadable=unreadable(lost) if lost else EVERYTHING_READ,
    )


def _stats(row: StatsRow, _: int, __: Lost) -> StatsRow:
    if row.core_usagelist:  # of nodes; of VMs it is empty
        row.core_usagelist = _cores(row.core_usagelist)
    else:
        row.core_usagelist = ()
    return row


def _cores(usages: Any) -> tuple[float | None, ...]:
    if not isinstance(usages, list):
        return ()
    return tuple(one if type(one) in (int, float) else None for one in usages)


def _sorted_by_key(decoded: TableRows[dict[int, VMConfig]]) -> TableRows[tuple[VMConfig, ...]]:
    return decoded.with_rows(tuple(config for _, config in sorted(decoded.rows.items())))


def _with_unknown_words(decoded: TableRows[Any]) -> TableRows[Any]:
    words = {status.word for status in decoded.rows.values()}
    return replace(decoded, unknown_words=frozenset(words - KNOWN_STATUS_WORDS - {UNKNOWN_WORD}))


VMS = Table(
    "vms",
    "vms",
    Pace.FAST,
    VMRow,
    _vm_config,
    _sorted_by_key,
    where="is_snapshot eq false",
    importance=Importance.ESSENTIAL,
)
MACHINE_STATUS = Table(
    "machine_status",
    "machine_status",
    Pace.FAST,
    StatusRow,
    _machine_status,
    _with_unknown_words,
    key=attrgetter("machine"),
    importance=Importance.ESSENTIAL,
)
MACHINE_STATS = Table(
    "machine_stats", "machine_stats", Pace.SLOW, StatsRow, _stats, key=attrgetter("machine"), turn=2
)


class PlacedVM(msgspec.Struct, frozen=True, gc=False):
    """A VM with the names of its cluster and node."""

    config: VMConfig
    cluster: str
    node: str
    agent_version: str


def configs(view: RenderView) -> Items:
    """Return the configuration of each VM."""
    return view.of_vms([vm.config for vm in view.vms.objects])


def places(view: RenderView) -> Items:
    """Return each VM with the names of its cluster and node."""
    clusters, nodes = view.clusters, view.nodes
    return view.of_vms(
        [
            PlacedVM(vm.config, clusters[vm.config.cluster], "", "")
            if vm.status is None
            else PlacedVM(
                vm.config,
                clusters[vm.config.cluster],
                nodes[vm.status.node],
                vm.status.agent_version,
            )
            for vm in view.vms.objects
        ]
    )


def frozen_states(view: RenderView) -> Items:
    """Return for each VM whether its status is frozen."""
    if MACHINE_STATUS.name not in view.inventory.sources:
        return Items([], [])
    return view.of_vms(map(view.inventory.frozen.machines.__contains__, view.machines()))


def states(view: RenderView) -> Items:
    """Return the live state of each VM that has one."""
    return view.of_vms([vm.status for vm in view.vms.objects])


def loads(view: RenderView) -> Items:
    """Return the load of each VM that may run."""
    return view.of_vms(map(view.rows(MACHINE_STATS.name).get, view.running_machines()))


def while_running(read: Callable[[MachineStatus], Any]) -> Read:
    """Return a reader of what a machine that is off does not have."""
    return lambda states: [read(status) if status.running else None for status in states]


CONFIG = group("VM", VM, "vms", configs)
PLACE = group("VM place", VM, "vms machine_status clusters nodes", places)
STATE = group("VM state", VM, "vms machine_status", states)
FROZEN_STATE = group("VM frozen state", VM, f"vms machine_status {FROZEN}", frozen_states)
LOAD = group("VM load", VM, "vms machine_status machine_stats", loads)

FAMILIES = (
    gauge("vm_enabled", CONFIG, "vms.enabled", "1 if the VM may be powered on", "enabled"),
    gauge("vm_need_restart", CONFIG, "vms.need_restart",
          "1 if a configuration change is waiting for a restart", "need_restart"),
    gauge("vm_configured_cpu_cores", CONFIG, "vms.cpu_cores",
          "CPU cores in the VM's configuration", "cpu_cores"),
    gauge("vm_configured_memory_bytes", CONFIG, "vms.ram",
          "Memory in the VM's configuration", "memory_bytes"),
    gauge("vm_guest_agent_enabled", CONFIG, "vms.guest_agent",
          "1 if the guest agent is enabled in the VM's configuration", "guest_agent"),
    info("vm_info", PLACE, "vms, machine_status.node",
         "Attributes that may change during a VM's life, to be joined on system_name and vm_id; "
         "node_name is empty while the VM is off",
         {"uuid": "config.uuid", "cluster_name": "cluster", "node_name": "node", "agent_version":
          "agent_version", "os_family": "config.os_family", "machine_type": "config.machine_type",
          "ha_group": "config.ha_group", "on_power_loss": "config.on_power_loss", "created_from":
          "config.created_from"}),
    gauge("vm_running", STATE, "machine_status.running",
          "1 while the VM's process runs", "running"),
    gauge("vm_powered_on", STATE, "machine_status.powerstate",
          "1 while the platform has the VM powered on", "powered_on"),
    info("vm_status_info", STATE, "machine_status.status", "Status of the VM", {"status": "word"}),
    gauge("vm_migratable", STATE, "machine_status.migratable",
          "1 if the VM can be migrated live", "migratable"),
    gauge("vm_start_timestamp_seconds", STATE, "machine_status.started",
          "When the VM last started; VergeOS keeps it after a stop", "started_at"),
    gauge("vm_status_update_timestamp_seconds", STATE, "machine_status.last_update",
          "When the platform last updated the VM's status", "updated_at"),
    gauge("vm_status_frozen", FROZEN_STATE, "machine_status.last_update",
          "1 while VergeOS updates no status of the VMs that run on its node: its series show an "
          "old state, or are withdrawn, as poll.frozen_status sets", each(int)),
    gauge("vm_running_cpu_cores", STATE, "machine_status.running_cores",
          "CPU cores of the running VM; absent while the VM is off",
          while_running(attrgetter("running_cpu_cores"))),
    gauge("vm_running_memory_bytes", STATE, "machine_status.running_ram",
          "Memory of the running VM; absent while the VM is off",
          while_running(attrgetter("running_memory_bytes"))),
    gauge("vm_guest_agent_connected", STATE, "machine_status.agent_version",
          "1 while a guest agent is connected; absent while the VM is off",
          while_running(lambda status: bool(status.agent_version))),
    gauge("vm_cpu_usage_ratio", LOAD, "machine_stats.total_cpu",
          "Share of the VM's CPU time in use, 0 to 1; absent while the VM is off",
          divide("total_cpu", 100)),
    gauge("vm_memory_used_bytes", LOAD, "machine_stats.ram_used",
          "Host memory that the VM holds, which is not what its guest uses; absent while the VM "
          "is off", scale("ram_used", MIB)),
)  # fmt: skip

COLLECTOR = Collector("vms", (VMS, MACHINE_STATUS, MACHINE_STATS), FAMILIES, required=True)

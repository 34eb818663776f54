"""The world as tables on the wire: names of columns, units, and which row leads to which."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any

from exporter.simulator.world.machines import VM, Cluster, Drive, Machine, Nic, Node, Status
from exporter.simulator.world.rng import Dice
from exporter.simulator.world.world import World

Get = Callable[[Any, "Moment"], Any]
MIB = 1024**2
STATUS_KEYS_FROM = 3
"""By how much the keys of ``machine_status`` differ from those of ``machines``."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What one request sees of the world."""

    world: World
    now: float
    stamp: float
    """The moment up to which rows are touched: `now`, unless the platform's clock is frozen."""
    statuses: Mapping[int, Status] | None = None
    """Statuses by machine, of the time when the writer froze."""
    logs_until: float | None = None
    """The end of what the log tables show already."""
    logs_lost: float = 0.0
    """The share of log rows that never appear."""

    def status(self, machine: Machine) -> Status:
        if self.statuses is None:
            return machine.status
        return self.statuses.get(machine.key, machine.status)

    def idle(self, machine: Machine) -> bool:
        """Return whether nothing happens inside *machine*."""
        if machine.idle_since is None:
            return False
        if self.statuses is not None:
            return machine.idle_since < self.stamp  # what came after the freeze is not seen
        return machine.idle_since <= self.stamp

    def beat(self, machine: Machine) -> int:
        """Return when the platform last touched what it knows of *machine*, in seconds."""
        status = self.status(machine)
        since = min(status.since, self.stamp)
        if not status.running or self.idle(machine):
            return int(since)
        every = self.world.stage.timings.heartbeat
        late = (self.stamp + machine.key * 0.618) % every
        return int(max(since, self.stamp - late))

    def work(self, machine: Machine) -> float:
        """Return the seconds of activity that *machine* has behind it since its start."""
        end = self.stamp if machine.idle_since is None else min(machine.idle_since, self.stamp)
        return machine.load.work(machine.status.started, end)

    def pace(self, machine: Machine) -> float:
        return 0.0 if machine.idle_since is not None else machine.load.pace(self.now)


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``get`` is asked with the thing and the moment, ``fixed`` with the thing alone."""

    get: Get
    fixed: Callable[[Any], Any] | None = None
    leads_to: str | None = None
    """The table that this foreign key leads to."""
    blob: bool = False
    """Whether it is an object that PHP would write as ``[]`` when it is empty."""


@dataclass(frozen=True, slots=True)
class Link:
    """A way from a row to a row of another table."""

    table: str
    follow: Get


@dataclass(frozen=True, slots=True)
class Table:
    """A table on the wire."""

    name: str
    rows: Callable[[Moment], Iterable[Any]]
    columns: Mapping[str, Column]
    links: Mapping[str, Link] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    """What is shown when nobody says; everything, when this is empty."""
    hidden_from_all: tuple[str, ...] = ()
    """Columns that ``fields=all`` leaves out."""
    find: Callable[[Moment, str], Any] | None = None
    """Finds the row of a key, for tables where looking at every row would be slow."""


def _own(path: str, *, leads_to: str | None = None) -> Column:
    getter = attrgetter(path)
    return Column(lambda thing, _moment: getter(thing), fixed=getter, leads_to=leads_to)


def _always(value: Any, *, blob: bool = False) -> Column:
    return Column(lambda _thing, _moment: value, fixed=lambda _thing: value, blob=blob)


def _plain(function: Callable[[Any], Any], *, leads_to: str | None = None) -> Column:
    return Column(lambda thing, _moment: function(thing), fixed=function, leads_to=leads_to)


def _live(get: Get, *, leads_to: str | None = None, blob: bool = False) -> Column:
    return Column(get, leads_to=leads_to, blob=blob)


def _status(name: str) -> Column:
    getter = attrgetter(name)
    return Column(lambda machine, moment: getter(moment.status(machine)))


def _whole(number: float) -> int:
    return int(number)


def _finder(rows: Callable[[Moment], Mapping[int, Any]]) -> Callable[[Moment, str], Any]:
    return lambda moment, key: rows(moment).get(int(key)) if key.isdecimal() else None


# vms.

_VMS = Table(
    name="vms",
    rows=lambda moment: moment.world.vms.values(),
    find=_finder(lambda moment: moment.world.vms),
    columns={
        "$key": _own("key"),
        "machine": _own("machine.key", leads_to="machines"),
        "name": _own("name"),
        "description": _own("description"),
        "enabled": _own("enabled"),
        "created": _own("created"),
        "modified": _own("modified"),
        "is_snapshot": _own("is_snapshot"),
        "uuid": _own("uuid"),
        "owner": _own("owner"),
        "owner_user": _always(None),
        "creator": _own("creator"),
        "cluster": _own("machine.cluster", leads_to="clusters"),
        "cluster_failover": _own("machine.cluster_failover", leads_to="clusters"),
        "cpu_cores": _own("machine.cores"),
        "cpu_type": _always("host"),
        "ram": _own("machine.memory_mb"),
        "machine_type": _own("machine_type"),
        "iommu": _always(value=False),
        "usb_legacy": _always(value=False),
        "uefi": _own("uefi"),
        "secure_boot": _always(value=False),
        "boot_order": _always("cd"),
        "boot_delay": _always(5),
        "console": _always("vnc"),
        "video": _always("std"),
        "sound": _always("none"),
        "serial_port": _always(value=False),
        "os_family": _own("os_family"),
        "os_description": _own("os_description"),
        "rtc_base": _always("utc"),
        "allow_hotplug": _always(value=True),
        "guest_agent": _own("guest_agent"),
        "nested_virtualization": _always(value=False),
        "disable_hypervisor": _always(value=False),
        "allow_export": _always(value=True),
        "cloudinit_datasource": _always("none"),
        "preferred_node": _own("machine.preferred_node", leads_to="nodes"),
        "ha_group": _own("machine.ha_group"),
        "snapshot_profile": _always(None),
        "on_power_loss": _own("on_power_loss"),
        "migration_method": _own("machine.migration_method"),
        "power_cycle_timeout": _always(0),
        "disable_powercycle": _own("disable_powercycle"),
        "need_restart": _own("need_restart"),
        "created_from": _own("created_from"),
        "imported": _plain(lambda vm: str(vm.created_from).startswith("import")),
        "service": _own("service"),
        "recipe_instance": _always(None),
        "note": _always(""),
        "advanced": _always(""),
        "meta": _always([], blob=True),
        "console_status": _always(None),
    },
    links={
        "machine": Link("machines", lambda vm, _moment: vm.machine),
        "cluster": Link("clusters", lambda vm, m: m.world.clusters.get(vm.machine.cluster)),
        "cluster_failover": Link(
            "clusters", lambda vm, m: m.world.clusters.get(vm.machine.cluster_failover)
        ),
        "preferred_node": Link("nodes", lambda vm, m: m.world.nodes.get(vm.machine.preferred_node)),
    },
    default=("$key", "name", "description", "enabled", "machine", "cluster", "cpu_cores", "ram"),
    hidden_from_all=("snapshot_profile", "console_status", "recipe_instance"),
)

# machines and what belongs to them.


def _machine_row(machine: Machine, moment: Moment) -> Machine | None:
    """Return the machine as a row of the tables that hang on it."""
    return machine if machine.key in moment.world.machines else None


_MACHINE_LINK = Link("machines", lambda thing, _moment: thing)

_MACHINES = Table(
    name="machines",
    rows=lambda moment: moment.world.machines.values(),
    find=_finder(lambda moment: moment.world.machines),
    columns={
        "$key": _own("key"),
        "name": _own("name"),
        "type": _own("kind"),
        "cluster": _own("cluster", leads_to="clusters"),
        "cpu_cores": _own("cores"),
        "ram": _own("memory_mb"),
        "status": _plain(lambda machine: machine.key + STATUS_KEYS_FROM, leads_to="machine_status"),
        "stats": _own("key", leads_to="machine_stats"),
    },
    links={
        "status": Link("machine_status", _machine_row),
        "stats": Link("machine_stats", _machine_row),
        "cluster": Link("clusters", lambda machine, m: m.world.clusters.get(machine.cluster)),
    },
)


def _agent(machine: Machine, moment: Moment) -> bool:
    """Return whether the guest's agent is heard."""
    guest, status = machine.guest, moment.status(machine)
    if guest is None or not status.running or moment.idle(machine):
        return False
    return moment.now - status.started >= guest.connects_after


def _agent_version(machine: Machine, moment: Moment) -> str:
    guest = machine.guest
    return guest.agent_version if guest is not None and _agent(machine, moment) else ""


FEATURES = {"guest-ping": True, "guest-shutdown": True, "guest-get-fsinfo": True}


def _agent_features(machine: Machine, moment: Moment) -> Any:
    return FEATURES if _agent(machine, moment) else []


def _guest_info(machine: Machine, moment: Moment) -> Any:
    guest = machine.guest
    if guest is None or not _agent(machine, moment):
        return []
    network = [
        {
            "name": "Ethernet" if guest.identifier == "mswindows" else f"ens{18 + number}",
            "hardware-address": nic.mac,
            "ip-addresses": (
                [{"ip-address-type": "ipv4", "ip-address": guest.address, "prefix": 24}]
                if number == 0
                else []
            ),
        }
        for number, nic in enumerate(machine.nics)
    ]
    filesystems = [
        {
            "name": one.name,
            "type": one.kind,
            "total-bytes": one.total_bytes,
            "used-bytes": int(one.total_bytes * one.used_share),
            "mountpoint": one.mountpoint,
        }
        for one in guest.filesystems
    ]
    return {
        "osinfo": {
            "name": guest.name,
            "pretty-name": guest.pretty_name,
            "version": guest.version,
            "id": guest.identifier,
            "kernel-release": guest.kernel,
            "kernel-version": guest.kernel,
            "machine": "x86_64",
        },
        "hostname": guest.hostname,
        "network": _listed(network, guest.lists_as_maps),
        "fsinfo": _listed(filesystems, guest.lists_as_maps),
        "meminfo": {
            "ram_total": int(machine.memory_mb * 0.97),
            "ram_used": int(machine.memory_mb * 0.97 * machine.load.memory(moment.stamp)),
            "vram_total": 0,
            "vram_used": 0,
        },
        "last_refresh": moment.beat(machine),
    }


def _listed(rows: list[dict[str, Any]], as_map: bool) -> Any:
    return {str(number): row for number, row in enumerate(rows)} if as_map else rows


def _status_key(machine: Machine) -> int:
    """Return the key of a status row, which must not be taken for the machine's."""
    return machine.key + STATUS_KEYS_FROM


_MACHINE_STATUS = Table(
    name="machine_status",
    rows=lambda moment: moment.world.machines.values(),
    columns={
        "$key": _plain(_status_key),
        "machine": _own("key", leads_to="machines"),
        "running": _status("running"),
        "migratable": _own("migratable"),
        "status": _status("word"),
        "status_info": _status("info"),
        "state": _status("state"),
        "powerstate": _live(
            lambda machine, m: (
                m.status(machine).wanted
                if m.world.powerstate == "desired"
                else m.status(machine).running
            )
        ),
        "node": _live(lambda machine, m: m.status(machine).node, leads_to="nodes"),
        "migrated_node": _live(lambda machine, m: m.status(machine).came_from, leads_to="nodes"),
        "migration_destination": _live(
            lambda machine, m: m.status(machine).destination, leads_to="nodes"
        ),
        "started": _live(lambda machine, m: int(m.status(machine).started)),
        "local_time": _live(lambda machine, m: int(m.stamp) if _agent(machine, m) else 0),
        "last_update": _live(lambda machine, m: m.beat(machine)),
        "running_cores": _own("cores"),
        "running_ram": _own("memory_mb"),
        "agent_version": _live(_agent_version),
        "agent_features": _live(_agent_features, blob=True),
        "agent_guest_info": _live(_guest_info, blob=True),
    },
    links={
        "machine": _MACHINE_LINK,
        "node": Link("nodes", lambda machine, m: m.world.nodes.get(m.status(machine).node or 0)),
    },
    default=(
        "$key",
        "machine",
        "running",
        "migratable",
        "status",
        "status_info",
        "state",
        "powerstate",
        "node",
        "started",
        "last_update",
    ),
)


def _percent(share: float) -> Get:
    return lambda machine, m: (
        round(100 * share * machine.load.cpu(m.now)) if _working(machine, m) else 0
    )


def _working(machine: Machine, moment: Moment) -> bool:
    return machine.idle_since is None and moment.status(machine).running


def _memory_used(machine: Machine, moment: Moment) -> int:
    if not moment.status(machine).running:
        return 0
    return int(machine.memory_mb * machine.load.memory(moment.stamp))


def _temperature(machine: Machine, moment: Moment) -> int:
    return round(42 + 30 * machine.load.cpu(moment.now)) if machine.kind == "node" else 0


_MACHINE_STATS = Table(
    name="machine_stats",
    # Machines that never ran have no row here.
    rows=lambda moment: [m for m in moment.world.machines.values() if m.status.started > 0],
    find=_finder(lambda moment: moment.world.machines),
    columns={
        "$key": _own("key"),
        "machine": _own("key", leads_to="machines"),
        "total_cpu": _live(_percent(1.0)),
        "user_cpu": _live(_percent(0.7)),
        "system_cpu": _live(_percent(0.25)),
        "iowait_cpu": _live(_percent(0.05)),
        "irq_cpu": _always(0),
        "vmusage_cpu": _live(_percent(0.6)),
        "ram_used": _live(_memory_used),
        "ram_pct": _live(lambda x, m: round(100 * _memory_used(x, m) / max(1, x.memory_mb))),
        "vram_used": _always(0),
        "core_usagelist": _live(
            lambda x, m: (
                [round(100 * x.load.cpu(m.now + 7 * core)) for core in range(min(8, x.cores))]
                if x.kind == "node" and _working(x, m)
                else []
            ),
        ),
        "core_temp": _live(_temperature),
        "core_temp_top": _live(lambda x, m: _temperature(x, m) and _temperature(x, m) + 4),
        "modified": _live(lambda x, m: m.beat(x)),
    },
    links={"machine": _MACHINE_LINK},
)


def _nics(moment: Moment) -> Iterable[Nic]:
    return (nic for machine in moment.world.machines.values() for nic in machine.nics)


def _drives(moment: Moment) -> Iterable[Drive]:
    return (drive for machine in moment.world.machines.values() for drive in machine.drives)


def _rate(name: str, factor: float = 1.0) -> Get:
    getter = attrgetter(name)
    return lambda part, m: int(getter(part) * factor * m.pace(part.machine))


def _counter(name: str) -> Get:
    getter = attrgetter(name)
    return lambda part, m: int(getter(part) * m.work(part.machine))


def _packets(name: str) -> Get:
    getter = attrgetter(name)
    return lambda nic, m: int(getter(nic) * m.work(nic.machine) / nic.packet_bytes)


_NIC_STATS = Table(
    name="machine_nic_stats",
    # A card of a machine that never ran has not counted anything yet.
    rows=lambda moment: [nic for nic in _nics(moment) if nic.machine.status.started > 0],
    columns={
        "$key": _own("key"),
        "parent_nic": _own("key", leads_to="machine_nics"),
        "txpps": _live(lambda x, m: int(x.sent_per_second / x.packet_bytes * m.pace(x.machine))),
        "rxpps": _live(
            lambda x, m: int(x.received_per_second / x.packet_bytes * m.pace(x.machine))
        ),
        "txbps": _live(_rate("sent_per_second")),
        "rxbps": _live(_rate("received_per_second")),
        "totalxbps": _live(
            lambda x, m: int((x.sent_per_second + x.received_per_second) * m.pace(x.machine))
        ),
        "tx_pckts": _live(_packets("sent_per_second")),
        "rx_pckts": _live(_packets("received_per_second")),
        "tx_bytes": _live(_counter("sent_per_second")),
        "rx_bytes": _live(_counter("received_per_second")),
        "tx_pckts_cur": _always(0),
        "rx_pckts_cur": _always(0),
        "tx_bytes_cur": _always(0),
        "rx_bytes_cur": _always(0),
        "last_update": _live(lambda x, m: m.beat(x.machine)),
    },
    links={"parent_nic": Link("machine_nics", lambda nic, _moment: nic)},
)

_NIC_STATUS = Table(
    name="machine_nic_status",
    rows=_nics,
    columns={
        "$key": _own("key"),
        "parent_nic": _own("key", leads_to="machine_nics"),
        "status": _live(lambda x, m: "up" if m.status(x.machine).running else "down"),
        "state": _live(lambda x, m: "online" if m.status(x.machine).running else "offline"),
        "speed": _own("speed_mbps"),
        "last_update": _live(lambda x, m: m.beat(x.machine)),
    },
)

_MACHINE_NICS = Table(
    name="machine_nics",
    rows=_nics,
    columns={
        "$key": _own("key"),
        "machine": _own("machine.key", leads_to="machines"),
        "name": _own("name"),
        "description": _always(""),
        "enabled": _always(value=True),
        "interface": _own("interface"),
        "macaddress": _own("mac"),
        "stats": _own("key", leads_to="machine_nic_stats"),
        "status": _own("key", leads_to="machine_nic_status"),
    },
    links={
        "machine": Link("machines", lambda nic, _moment: nic.machine),
        "stats": Link(
            "machine_nic_stats",
            lambda nic, _moment: nic if nic.machine.status.started > 0 else None,
        ),
        "status": Link("machine_nic_status", lambda nic, _moment: nic),
    },
    default=("$key", "machine", "name"),
)

_MACHINE_DRIVES = Table(
    name="machine_drives",
    rows=_drives,
    columns={
        "$key": _own("key"),
        "machine": _own("machine.key", leads_to="machines"),
        "orderid": _own("order"),
        "name": _own("name"),
        "description": _always(""),
        "disksize": _own("size_bytes"),
        "used_bytes": _plain(lambda drive: None if drive.media == "cdrom" else drive.used_bytes),
        "interface": _own("interface"),
        "media": _own("media"),
        "media_source": _always(None),
        "preferred_tier": _own("tier"),
        "enabled": _always(value=True),
        "readonly": _plain(lambda drive: drive.media == "cdrom"),
        "optimize": _always(value=False),
        "serial": _own("serial"),
        "fsync": _always(value=True),
        "discard": _always(value=True),
        "advanced": _always(""),
        "preserve_drive_format": _always(value=False),
        "asset": _always(""),
        "stats": _own("key", leads_to="machine_drive_stats"),
    },
    links={
        "machine": Link("machines", lambda drive, _moment: drive.machine),
        "stats": Link("machine_drive_stats", lambda drive, _moment: _counted(drive)),
    },
    default=("$key", "machine", "name", "disksize", "media"),
)


def _counted(drive: Drive) -> Drive | None:
    return drive if drive.machine.status.started > 0 else None


BYTES_PER_READ, BYTES_PER_WRITE = 16_384, 12_288

_DRIVE_STATS = Table(
    name="machine_drive_stats",
    rows=lambda moment: [drive for drive in _drives(moment) if _counted(drive)],
    columns={
        "$key": _own("key"),
        "parent_drive": _own("key", leads_to="machine_drives"),
        "reads": _live(_counter("reads_per_second")),
        "writes": _live(_counter("writes_per_second")),
        "read_bytes": _live(
            lambda x, m: int(x.reads_per_second * m.work(x.machine)) * BYTES_PER_READ
        ),
        "write_bytes": _live(
            lambda x, m: int(x.writes_per_second * m.work(x.machine)) * BYTES_PER_WRITE
        ),
        "rops": _live(_rate("reads_per_second")),
        "wops": _live(_rate("writes_per_second")),
        "rbps": _live(_rate("reads_per_second", BYTES_PER_READ)),
        "wbps": _live(_rate("writes_per_second", BYTES_PER_WRITE)),
        "totalbps": _live(_rate("reads_per_second", BYTES_PER_READ)),
        "service_time": _live(lambda x, m: round(0.2 + 0.9 * m.pace(x.machine), 3)),
        "util": _live(
            lambda x, m: round(min(100.0, x.writes_per_second * m.pace(x.machine) / 8), 2)
        ),
        "physical": _own("physical"),
        "used_bytes": _own("used_bytes"),
        "max_bytes": _own("size_bytes"),
        "last_update": _live(lambda x, m: m.beat(x.machine)),
        "up_since": _plain(lambda drive: int(drive.machine.status.started)),
        "bulk_update": _always(value=False),
    },
    links={"parent_drive": Link("machine_drives", lambda drive, _moment: drive)},
)

# clusters and nodes.


def _online(cluster: Cluster) -> list[Node]:
    return [node for node in cluster.nodes if node.alive]


def _running_on(cluster: Cluster) -> list[Machine]:
    """Return the machines that run on the online nodes; one that migrates is counted once."""
    return [
        machine
        for node in _online(cluster)
        for machine in node.hosted.values()
        if machine.status.running and machine.status.node == node.key
    ]


def _cluster_status(cluster: Cluster) -> str:
    online = len(_online(cluster))
    if online == len(cluster.nodes):
        return "online"
    return "reduced" if online else "offline"


def _physical_memory(cluster: Cluster, moment: Moment) -> int:
    """Return the memory that running machines have touched, in MB."""
    return sum(_memory_used(machine, moment) for machine in _running_on(cluster))


def _physical_cpu(cluster: Cluster, moment: Moment) -> int:
    """Return the CPU use of the online nodes, in percent."""
    online = _online(cluster)
    used = sum(100 * node.machine.load.cpu(moment.now) for node in online)
    return round(used / max(1, len(online)))


_CLUSTER_STATUS = Table(
    name="cluster_status",
    rows=lambda moment: moment.world.clusters.values(),
    find=_finder(lambda moment: moment.world.clusters),
    columns={
        "$key": _own("key"),
        "cluster": _own("key", leads_to="clusters"),
        "status": _plain(_cluster_status),
        "status_info": _always(""),
        "state": _plain(
            lambda x: {"online": "online", "reduced": "warning"}.get(_cluster_status(x), "offline")
        ),
        "last_update": _live(lambda _cluster, m: int(m.stamp)),
        "total_nodes": _plain(lambda x: len(x.nodes)),
        "online_nodes": _plain(lambda x: len(_online(x))),
        "running_machines": _plain(lambda x: len(_running_on(x))),
        # In MB.
        "total_ram": _plain(lambda x: sum(node.memory_mb for node in x.nodes)),
        "online_ram": _plain(lambda x: sum(node.memory_mb for node in _online(x))),
        "used_ram": _plain(lambda x: sum(machine.memory_mb for machine in _running_on(x))),
        "total_cores": _plain(lambda x: sum(node.cores for node in x.nodes)),
        "online_cores": _plain(lambda x: sum(node.cores for node in _online(x))),
        "used_cores": _plain(lambda x: sum(machine.cores for machine in _running_on(x))),
        # In bytes, as the vendor's SDK and its HELP text have it; its metrics.md has MB.
        "phys_ram_used": _live(lambda x, m: _physical_memory(x, m) * MIB),
        "phys_vram_used": _always(0),
        "phys_total_cpu": _live(_physical_cpu),
    },
    links={"cluster": Link("clusters", lambda cluster, _moment: cluster)},
)

_CLUSTERS = Table(
    name="clusters",
    rows=lambda moment: moment.world.clusters.values(),
    find=_finder(lambda moment: moment.world.clusters),
    columns={
        "$key": _own("key"),
        "id": _plain(lambda cluster: f"{cluster.key:040x}"),
        "system": _always("self"),
        "name": _own("name"),
        "description": _own("description"),
        "enabled": _always(value=True),
        "created": _live(lambda _cluster, m: int(m.world.started_at) - 80_000_000),
        "storage": _always(value=True),
        "compute": _always(value=True),
        "kvm_nested": _always(value=False),
        "allow_nested_virt_migration": _always(value=False),
        "allow_vgpu_migration": _always(value=False),
        "enable_split_lock_detection": _always(value=False),
        "recommended_cpu_type": _always("EPYC-Genoa"),
        "default_cpu": _always("host"),
        "disable_cpu_security_mitigations": _always(value=False),
        "spec_store_bypass_disable": _always(""),
        "disable_smt": _always(value=False),
        "disable_sleep": _always(value=True),
        "enable_nvme_power_management": _always(value=False),
        "x86_energy_perf_policy": _always("performance"),
        "scaling_governor": _always("performance"),
        "ram_per_unit": _always(4096),
        "cores_per_unit": _always(1),
        "cost_per_unit": _always(0.0),
        "price_per_unit": _always(0.0),
        "max_ram_per_vm": _always(262_144),
        "max_cores_per_vm": _always(32),
        "storage_cachesize": _always(8192),
        "storage_buffersize": _always(2048),
        "storage_hugepages": _always(value=False),
        "target_ram_pct": _always(80.0),
        "ram_overcommit_pct": _always(0.0),
        "swap_tier": _always(-1),
        "swap_per_drive": _always(0),
        "log_filter": _always(""),
        "max_core_temp": _always(90),
        "max_core_temp_warn_perc": _always(10),
        "critical_core_temp": _always(100),
        "status": _own("key", leads_to="cluster_status"),
    },
    links={"status": Link("cluster_status", lambda cluster, _moment: cluster)},
)

_NODES = Table(
    name="nodes",
    rows=lambda moment: moment.world.nodes.values(),
    find=_finder(lambda moment: moment.world.nodes),
    columns={
        "$key": _own("key"),
        "id": _own("key"),
        "name": _own("name"),
        "description": _always(""),
        "physical": _always(value=True),
        "cluster": _own("cluster", leads_to="clusters"),
        "machine": _own("machine.key", leads_to="machines"),
        "model": _own("model"),
        "asset_tag": _own("serial"),
        "cpu": _always("AMD EPYC 9354 32-Core Processor"),
        "cpu_speed": _always("3250"),
        "cores": _own("cores"),
        "iommu": _always(value=True),
        "ram": _own("memory_mb"),
        "overcommit": _always(0),
        "vm_ram": _own("used_mb"),
        "failover_ram": _plain(lambda node: node.memory_mb - node.usable_mb),
        "yb_version": _live(lambda _node, m: m.world.version),
        "os_version": _live(lambda _node, m: m.world.version),
        "kernel_version": _always("6.12.34"),
        "appserver_version": _live(lambda _node, m: m.world.version),
        "vsan_version": _live(lambda _node, m: m.world.version),
        "qemu_version": _always("9.2.3"),
        "vsan_nodeid": _own("key"),
        "vsan_connected": _own("alive"),
        "maintenance": _own("maintenance"),
        "need_restart": _always(value=False),
        "restart_reason": _always(""),
        "ipmi_address": _plain(lambda node: f"10.0.9.{node.key % 250 + 1}"),
        "ipmi_status": _always("ready"),
        "ipmi_status_info": _always(""),
        "max_core_temp": _always(90),
        "note": _always(""),
    },
    links={
        "cluster": Link("clusters", lambda node, m: m.world.clusters.get(node.cluster)),
        "machine": Link("machines", lambda node, _moment: node.machine),
    },
    default=("id", "name", "physical", "cluster", "machine", "maintenance"),
    hidden_from_all=("$key",),
)

# The system.


@dataclass(frozen=True, slots=True)
class _Setting:
    key: str
    value: str
    default_value: str
    description: str


def _settings(moment: Moment) -> list[_Setting]:
    return [
        _Setting("cloud_name", moment.world.cloud_name, "verge", "Name of the cloud"),
        _Setting("max_connections", "500", "500", "Webserver max connections"),
    ]


_SETTINGS = Table(
    name="settings",
    rows=_settings,
    columns={
        "$key": _own("key"),
        "key": _own("key"),
        "value": _own("value"),
        "default_value": _own("default_value"),
        "description": _own("description"),
    },
)

_SYSTEM = Table(
    name="system",
    rows=lambda moment: [moment.world],
    columns={
        "$key": _always(1),
        "cloud_name": _own("cloud_name"),
        "yb_version": _own("version"),
        "os_version": _own("version"),
    },
)

_USERS = Table(
    name="users",
    rows=lambda moment: moment.world.users,
    columns={
        "$key": _own("key"),
        "name": _own("name"),
        "displayname": _own("name"),
        "type": _own("kind"),
        "enabled": _always(value=True),
        "created": _live(lambda _user, m: int(m.world.started_at) - 70_000_000),
    },
)

# Tags.

_CATEGORIES = Table(
    name="tag_categories",
    rows=lambda moment: moment.world.categories.values(),
    columns={
        "$key": _own("key"),
        "name": _own("name"),
        "description": _own("description"),
        "single_tag_selection": _always(value=False),
        "taggable_vms": _always(value=True),
        "created": _own("created"),
        "modified": _own("created"),
    },
)

_TAGS = Table(
    name="tags",
    rows=lambda moment: moment.world.tags.values(),
    columns={
        "$key": _own("key"),
        "name": _own("name"),
        "description": _always(""),
        "category": _own("category.key", leads_to="tag_categories"),
        "created": _own("created"),
        "modified": _own("created"),
    },
    links={"category": Link("tag_categories", lambda tag, _moment: tag.category)},
)

_TAG_MEMBERS = Table(
    name="tag_members",
    rows=lambda moment: moment.world.items.values(),
    find=_finder(lambda moment: moment.world.items),
    columns={
        "$key": _own("key"),
        "tag": _own("tag.key", leads_to="tags"),
        "member": _own("member"),
    },
    links={"tag": Link("tags", lambda row, _moment: row.tag)},
)

# What was written down.


def _visible(moment: Moment, book: str, rows: Iterable[Any]) -> Iterable[Any]:
    if moment.logs_until is not None:
        limit = moment.logs_until * 1_000_000
        rows = [row for row in rows if row.at_us <= limit]
    if moment.logs_lost:
        rows = [row for row in rows if _luck(moment.world.seed, book, row.key) >= moment.logs_lost]
    return rows


@lru_cache(maxsize=2**16)
def _luck(seed: int, book: str, key: int) -> float:
    """Return a number from 0 to 1 that is the same for a row whenever it is asked for."""
    return Dice(f"{seed}/{book}/{key}").random()


_LOGS = Table(
    name="logs",
    rows=lambda moment: _visible(moment, "logs", moment.world.chronicle.logs),
    columns={
        "$key": _own("key"),
        "level": _own("level"),
        "text": _own("text"),
        "timestamp": _own("at_us"),
        "dbtime": _own("at_us"),
        "user": _own("user"),
        "object_type": _own("object_type"),
        "object_name": _own("object_name"),
    },
)

_MACHINE_LOGS = Table(
    name="machine_logs",
    rows=lambda moment: _visible(moment, "machine_logs", moment.world.chronicle.machine_logs),
    columns={
        "$key": _own("key"),
        "machine": _own("machine", leads_to="machines"),
        "level": _own("level"),
        "text": _own("text"),
        "timestamp": _own("at_us"),
        "user": _own("user"),
    },
    links={"machine": Link("machines", lambda row, m: m.world.machines.get(row.machine))},
)

_TASKS = Table(
    name="tasks",
    rows=lambda moment: moment.world.tasks.values(),
    columns={
        "$key": _own("key"),
        "id": _plain(lambda task: f"{task.key:08x}"),
        "owner": _own("owner"),
        "table": _always("vms"),
        "action": _own("action"),
        "action_display": _plain(lambda task: str(task.action).capitalize()),
        "name": _own("name"),
        "enabled": _own("enabled"),
        "created": _own("created"),
        "modified": _own("created"),
        "last_run": _own("last_run"),
        "delete_after_run": _always(value=False),
        "status": _always("idle"),
        "system_created": _always(value=False),
        "creator": _own("creator"),
    },
)


def _alarm_owner(alarm: Any, moment: Moment) -> VM | None:
    return moment.world.vms.get(int(str(alarm.owner).rpartition("/")[2]))


_ALARMS = Table(
    name="alarms",
    rows=lambda moment: moment.world.alarms.values(),
    columns={
        "$key": _own("key"),
        "owner": _own("owner"),
        "owner_type": _own("owner_type"),
        "sub_owner": _always(None),
        "sub_owner_type": _always(""),
        "alarm_type": _own("alarm_type"),
        "level": _own("level"),
        "status": _own("text"),
        "alarm_id": _plain(lambda alarm: f"{alarm.key:08d}"),
        "resolvable": _always(value=False),
        "resolve_text": _always(""),
        "created": _own("created"),
        "modified": _own("created"),
        "snooze": _own("snooze"),
        "snoozed_by": _always(""),
        "expires": _always(0),
    },
    links={
        "owner": Link("vms", _alarm_owner),
        "alarm_type": Link("alarm_types", lambda alarm, _moment: alarm),
    },
)

_ALARM_TYPES = Table(
    name="alarm_types",
    rows=lambda _moment: (),
    columns={
        "key": _own("alarm_type"),
        "name": _own("type_name"),
        "description": _own("type_name"),
        "level": _own("level"),
    },
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        _VMS,
        _MACHINES,
        _MACHINE_STATUS,
        _MACHINE_STATS,
        _MACHINE_NICS,
        _NIC_STATS,
        _NIC_STATUS,
        _MACHINE_DRIVES,
        _DRIVE_STATS,
        _CLUSTERS,
        _CLUSTER_STATUS,
        _NODES,
        _SETTINGS,
        _SYSTEM,
        _USERS,
        _CATEGORIES,
        _TAGS,
        _TAG_MEMBERS,
        _LOGS,
        _MACHINE_LOGS,
        _TASKS,
        _ALARMS,
        _ALARM_TYPES,
    )
}

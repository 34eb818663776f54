"""
Polls without the wire: a simulated system as recovery's inventories, straight from the world.

What the simulated API would write as JSON and the decoders would read again is made here at
once, and only where something has changed: an untouched VM is the same object in the next
inventory. A test holds the two ways against each other.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.nodes import NODES
from exporter.collectors.vms import MACHINE_STATUS, VMS
from exporter.model import VM, Cluster, Inventory, MachineStatus, Node, PollResult, VMConfig
from exporter.simulator.api.response_faults import chosen
from exporter.simulator.world import machines
from exporter.simulator.world.machines import Machine, Status
from exporter.simulator.world.world import World
from exporter.vergeos.recovery_rows import TAG_MEMBERS

MIB = 2**20
ABSENT = Status(word="", running=False, state="", since=0.0, started=0.0)


class Row:
    """A machine's status row as it was last read."""

    __slots__ = ("due", "idle_since", "machine", "of", "position", "seen")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.of: VM | None = None
        """The VM that the row belongs to, as the newest inventory has it."""
        self.position = 0
        """Its place among the VMs."""
        self.seen = ABSENT
        self.idle_since: float | None = None
        self.due = 0.0
        """When the platform touches the row next, if nothing happens before."""


class Shortcut:
    """
    Reads one world.

    Of what can go wrong between a system and its readers it knows ``outage``, ``frozen_writer``
    and ``short_list``.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._every = world.context.timings.heartbeat
        self._rows: list[Row] = []
        self._statuses: dict[int, MachineStatus] = {}
        self._vms: list[VM] = []
        self._configs: tuple[VMConfig, ...] = ()
        self._known: tuple[object, ...] = ()
        self._tags: Mapping[int, frozenset[str]] = {}
        self._tagged: tuple[int, ...] = ()
        self._clusters: Mapping[int, Cluster] = {}
        self._frozen: Inventory | None = None

    def poll(self, *, asked_at: float, time: datetime, every: float) -> PollResult:
        """Return what a poll shows."""
        self._world.catch_up()
        faults = {fault.name: fault for fault in self._world.faults.active()}
        inventory = problem = None
        if "outage" in faults:
            problem = "/api/v4/vms: the connection broke"
        elif "frozen_writer" in faults:
            self._frozen = inventory = self._frozen or self._read(time)
        else:
            self._frozen = None
            inventory = self._read(time)
        if inventory is not None and "short_list" in faults:
            inventory = _shortened(inventory, faults["short_list"]["keep"])
        return PollResult(asked_at, time, 0.0, every, inventory, problem=problem or "")

    def _read(self, time: datetime) -> Inventory:
        world = self._world
        known = tuple(
            [(vm, vm.modified, vm.name) for vm in world.vms.values() if not vm.is_snapshot]
        )
        if known != self._known:
            self._known = known
            self._read_configs([vm for vm, _, _ in known])
        items = tuple(world.tag_members)
        if items != self._tagged:
            self._tagged = items
            self._tags = _tags(world)
        self._read_statuses()
        statuses = dict(self._statuses)
        rows: dict[str, Any] = {
            VMS.name: self._configs,
            MACHINE_STATUS.name: statuses,
            TAG_MEMBERS.name: self._tags,
            NODES.name: {},
            CLUSTERS.name: self._clusters,
        }
        return Inventory(
            system_name="stage",
            identity=None,
            taken_at=time,
            sources=rows,
            vms=tuple(self._vms),
            clusters=self._clusters,
            nodes={node.key: _node(node, statuses) for node in world.nodes.values()},
            tags=self._tags,
        )

    def _read_configs(self, shown: list[machines.VM]) -> None:
        world = self._world
        before = {vm.config.key: vm.config for vm in self._vms}
        found = {vm.key: _config(vm) for vm in shown}
        configs = [
            before[key] if before.get(key) == config else config for key, config in found.items()
        ]
        configs.sort(key=lambda config: config.key)
        self._configs = tuple(configs)
        self._clusters = {key: Cluster(key, one.name) for key, one in world.clusters.items()}
        self._vms = [VM(config, None) for config in configs]
        places = {config.machine: place for place, config in enumerate(configs)}
        self._rows = [Row(machine) for machine in world.machines.values()]
        self._statuses = {}
        for row in self._rows:
            place = places.get(row.machine.key)
            if place is not None:
                row.of, row.position = self._vms[place], place

    def _read_statuses(self) -> None:
        now, every = self._world.now, self._every
        for row in self._rows:
            machine = row.machine
            status = machine.status
            idle_since = machine.idle_since
            if status is row.seen and now < row.due and idle_since is row.idle_since:
                continue
            idle = idle_since is not None and idle_since <= now
            table_schedules = status.running and not idle
            late = (now + machine.key * 0.618) % every
            stamp = max(status.since, now - late) if table_schedules else status.since
            # What is idle may go on without a new status; hardly anything is idle.
            row.seen, row.idle_since = status, idle_since
            row.due = now - late + every if table_schedules else now
            seen = self._statuses[machine.key] = _status(machine, status, stamp)
            if row.of is not None:
                config = row.of.config
                row.of = self._vms[row.position] = VM(config, seen)


def _status(machine: Machine, status: Status, stamp: float) -> MachineStatus:
    return MachineStatus(
        machine.key,
        status.running,
        status.running,
        status.word,
        status.state,
        machine.migratable,
        status.node,
        float(int(status.started)) or None,
        float(int(min(stamp, 1e12))) or None,
        machine.cores,
        machine.memory_mb * MIB,
        "",
    )


def _config(vm: machines.VM) -> VMConfig:
    machine = vm.machine
    return VMConfig(
        key=vm.key,
        machine=machine.key,
        name=vm.name,
        uuid=vm.uuid,
        enabled=vm.enabled,
        need_restart=vm.machine.need_restart,
        cpu_cores=machine.configured_cores,
        memory_bytes=machine.configured_memory_mb * MIB,
        cluster=machine.cluster,
        os_family=vm.os_family,
        machine_type=vm.machine_type,
        ha_group=machine.ha_group,
        on_power_loss=vm.on_power_loss,
        created_from=vm.created_from,
        guest_agent=vm.guest_agent,
        service=vm.service is not None,
        disable_powercycle=vm.disable_powercycle,
        failover_cluster=machine.cluster_failover,
        snapshot_profile=vm.snapshot_profile,
        modified_at=float(vm.modified),
    )


def _node(node: machines.Node, statuses: Mapping[int, MachineStatus]) -> Node:
    status = statuses.get(node.machine.key)
    return Node(node.key, node.name, node.cluster, node.machine.key, node.maintenance, status)


def _tags(world: World) -> dict[int, frozenset[str]]:
    found: dict[int, set[str]] = {}
    for row in world.tag_members.values():
        table, _, key = row.member.rpartition("/")
        if table == "vms":
            found.setdefault(int(key), set()).add(f"{row.tag.category.name}/{row.tag.name}")
    return {key: frozenset(tags) for key, tags in found.items()}


def _shortened(inventory: Inventory, keep: float) -> Inventory:
    """Return the inventory with some of its VMs missing."""
    vms = tuple(vm for number, vm in enumerate(inventory.vms) if chosen(number, keep))
    sources = {**inventory.sources, VMS.name: tuple(vm.config for vm in vms)}
    return Inventory(
        system_name=inventory.system_name,
        identity=None,
        taken_at=inventory.taken_at,
        sources=sources,
        vms=vms,
        clusters=inventory.clusters,
        nodes=inventory.nodes,
        tags=inventory.tags,
    )

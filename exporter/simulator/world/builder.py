"""Builds VMs, nodes and their parts at random, the same for the same seed."""

import math
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.simulator.world.guests import SYSTEMS, guest
from exporter.simulator.world.load import Load
from exporter.simulator.world.machines import VM, Cluster, Drive, Kind, Machine, Nic, Node, Status
from exporter.simulator.world.rng import Rng
from exporter.simulator.world.storage import DRIVE_BYTES, hardware, tier_of_drive

GIB = 1024**3
DAY = 86_400
OLDEST_DAYS = 900
VMS_PER_NODE = 45
SMALL, MEDIUM = 15, 400
NEW_NIC_TRAFFIC = 50_000
"""Mean bytes per second of a NIC that is added to a VM."""
CLUSTER_NAMES = ("production", "edge", "lab", "archive", "analytics", "desktop", "partner", "dr")


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Name and number of nodes of a cluster."""

    name: str
    nodes: int


@dataclass(frozen=True, slots=True)
class Role:
    """The purpose of a VM, which determines its size, disks and load."""

    name: str
    weight: int
    systems: tuple[str, ...]
    cores: tuple[int, ...]
    memory_gb: tuple[float, ...]
    disks_gb: tuple[tuple[int, ...], ...]
    cpu: float
    traffic: float
    """Mean bytes per second, in and out, of the first NIC."""
    numbered: bool = True


ROLES = (
    Role("web", 18, ("ubuntu", "debian"), (2, 4), (2, 4, 8), ((20,), (40,)), 0.16, 900_000),
    Role("app", 16, ("rocky", "ubuntu"), (4, 8), (8, 16), ((40,), (40, 80)), 0.24, 400_000),
    Role("db", 10, ("rocky", "debian"), (4, 8, 16), (16, 32, 64), ((40, 200, 100),), 0.31, 700_000),
    Role("cache", 5, ("debian",), (2,), (8, 16), ((20,),), 0.12, 1_500_000),
    Role("queue", 4, ("ubuntu",), (2, 4), (4, 8), ((20, 60),), 0.15, 500_000),
    Role("files", 4, ("windows", "debian"), (4,), (8,), ((60, 1000),), 0.08, 1_200_000),
    Role("mail", 3, ("debian",), (4,), (8, 16), ((40, 300),), 0.14, 200_000),
    Role("dc", 3, ("windows",), (2, 4), (4, 8), ((80,),), 0.07, 60_000),
    Role("erp", 3, ("windows",), (8,), (32,), ((100, 400),), 0.28, 300_000),
    Role("desktop", 12, ("windows",), (2, 4), (4, 8), ((80,),), 0.09, 90_000),
    Role("build", 5, ("ubuntu", "rocky"), (8, 16), (16, 32), ((120,),), 0.45, 250_000),
    Role("git", 2, ("debian",), (4,), (8,), ((40, 200),), 0.11, 150_000),
    Role("wiki", 2, ("debian",), (2,), (4,), ((40,),), 0.05, 40_000),
    Role("monitor", 2, ("ubuntu",), (4,), (8,), ((40, 200),), 0.22, 350_000),
    Role("vpn", 2, ("freebsd", "debian"), (2,), (1, 2), ((16,),), 0.06, 2_000_000),
    Role("firewall", 2, ("freebsd", "appliance"), (2,), (2, 4), ((16,),), 0.1, 3_000_000),
    Role("phone", 1, ("appliance",), (2,), (2,), ((20,),), 0.04, 80_000),
    Role("test", 6, ("ubuntu", "rocky"), (1, 2), (0.5, 1, 2), ((16,),), 0.05, 10_000),
)
_BY_ROLE = {role.name: role for role in ROLES}


def default_clusters(vms: int) -> tuple[ClusterPlan, ...]:
    """Return one to eight clusters for a number of VMs."""
    count = 1 if vms <= SMALL else 2 if vms <= MEDIUM else min(len(CLUSTER_NAMES), 2 + vms // 2000)
    nodes = max(2 * count + (count > 1), math.ceil(vms / VMS_PER_NODE))
    shares = [nodes // count + (number < nodes % count) for number in range(count)]
    return tuple(map(ClusterPlan, CLUSTER_NAMES, shares))


class Keys:
    """Row keys, one sequence per table."""

    def __init__(self) -> None:
        self._last: Counter[str] = Counter()

    def next(self, table: str) -> int:
        self._last[table] += 1
        return self._last[table]

    def skip(self, table: str, rows: int) -> None:
        """Leave out *rows* keys, so that keys of different tables differ."""
        self._last[table] += rows


class Builder:
    """Makes machines with all their parts."""

    def __init__(self, *, rng: Rng, keys: Keys, start: float) -> None:
        self.rng = rng
        self.keys = keys
        self.start = start
        self._named: Counter[str] = Counter()

    def machine(
        self, kind: Kind, name: str, *, cluster: int | None, cores: int, memory_mb: int, cpu: float
    ) -> Machine:
        """Make a machine that never ran."""
        rng = self.rng
        return Machine(
            key=self.keys.next("machines"),
            kind=kind,
            name=name,
            cluster=cluster,
            cores=cores,
            memory_mb=memory_mb,
            load=Load(
                level=cpu * rng.uniform(0.6, 1.4),
                phase=rng.uniform(0, 2 * math.pi),
                memory_share=rng.uniform(0.35, 0.92),
            ),
            status=Status(word="stopped", running=False, state="offline", since=0.0, started=0.0),
            idle_since=0.0,
        )

    def vm(
        self, *, role: Role, cluster: int, name: str | None = None, created: float | None = None
    ) -> VM:
        """Make a VM for *role*; it is off and on no node."""
        rng = self.rng
        system = SYSTEMS[rng.choice(role.systems)]
        name = name or self._name(role)
        machine = self.machine(
            "vm",
            name,
            cluster=cluster,
            cores=rng.choice(role.cores),
            memory_mb=int(rng.choice(role.memory_gb) * 1024),
            cpu=role.cpu,
        )
        born = int(created or self.start - rng.uniform(2, OLDEST_DAYS) * DAY)
        vm = VM(
            key=self.keys.next("vms"),
            machine=machine,
            name=name,
            uuid=self.uuid(),
            role=role.name,
            created=born,
            modified=born,
            os_family=system.family,
            os_description=system.description,
            description=f"{role.name} server" if rng.chance(0.4) else "",
            creator=rng.choice(("admin", "anna", "jonas", "terraform")),
            created_from=rng.choice(("custom", "clone", "recipe", "terraform", "import_vmware")),
            on_power_loss=rng.choices(("last_state", "power_on", "leave_off"), (85, 12, 3))[0],
            machine_type=rng.choice(("pc-q35-9.0", "pc-q35-8.2", "pc-i440fx-9.0")),
            uefi=rng.chance(0.7),
            disable_powercycle=rng.chance(0.1),
        )
        machine.need_restart = rng.chance(0.03)
        machine.shutdown_seconds = None if rng.chance(0.04) else round(rng.uniform(4, 70), 1)
        machine.migratable = rng.chance(0.97)
        machine.migration_method = "live" if rng.chance(0.05) else "auto"
        disks = rng.choice(role.disks_gb)
        self._drives(machine, disks)
        self._nics(machine, role.traffic)
        if system.family != "other" and rng.chance(0.75):
            vm.guest_agent = True
            if rng.chance(0.92):
                sizes = [size * GIB for size in disks]
                machine.guest = guest(system, hostname=name, sizes=sizes, rng=rng)
        return vm

    def empty_vm(self, *, role: Role, cluster: int, name: str, created: float, creator: str) -> VM:
        """Make a VM without drives, NICs and operating system, as a request creates it."""
        machine = self.machine("vm", name, cluster=cluster, cores=1, memory_mb=1024, cpu=role.cpu)
        return VM(
            key=self.keys.next("vms"),
            machine=machine,
            name=name,
            uuid=self.uuid(),
            role=role.name,
            created=int(created),
            modified=int(created),
            os_family="linux",
            os_description="",
            creator=creator,
            snapshot_profile=None,
        )

    def empty_drive(self, machine: Machine, name: str, order: int, size: int) -> Drive:
        drive = self._drive(machine, name, order, size)
        drive.interface, drive.tier, drive.used_bytes = "virtio-scsi", "1", 0
        return drive

    def new_nic(self, machine: Machine, name: str) -> Nic:
        nic = self._nic(machine, name, NEW_NIC_TRAFFIC)
        nic.interface = "virtio"
        return nic

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def mac(self) -> str:
        octets = [0xF0, 0xDB, 0x30] + [self.rng.randrange(256) for _ in range(3)]
        return ":".join(f"{octet:02x}" for octet in octets)

    def serial(self) -> str:
        return f"{self.rng.getrandbits(40):010x}"

    def snapshot_of(self, vm: VM, *, at: float) -> VM:
        """Make a snapshot of *vm*: a row of ``vms`` too, sometimes with the same name."""
        rng = self.rng
        name = vm.name if rng.chance(0.5) else f"{vm.name}-daily"
        machine = self.machine(
            "vm",
            name,
            cluster=vm.machine.cluster,
            cores=vm.machine.cores,
            memory_mb=vm.machine.memory_mb,
            cpu=0.0,
        )
        for drive in vm.machine.drives:
            machine.drives.append(self._drive(machine, drive.name, drive.order, drive.size_bytes))
        return VM(
            key=self.keys.next("vms"),
            machine=machine,
            name=name,
            uuid=vm.uuid,
            role=vm.role,
            created=int(at),
            modified=int(at),
            os_family=vm.os_family,
            os_description=vm.os_description,
            is_snapshot=True,
            snapshot_of=vm.key,
            owner=f"vms/{vm.key}",
            guest_agent=vm.guest_agent,
        )

    def node(self, number: int, cluster: Cluster, *, memory_mb: int, drives: int) -> Node:
        """Make a node with two NICs and *drives* drives."""
        rng = self.rng
        cores = rng.choice((32, 48, 64))
        name = f"node{number}"
        machine = self.machine(
            "node", name, cluster=cluster.key, cores=cores, memory_mb=memory_mb, cpu=0.3
        )
        for port in range(2):
            nic = self._nic(machine, f"eno{port + 1}", 30_000_000)
            nic.physical, nic.interface, nic.speed_mbps = True, "direct", 25_000
            machine.nics.append(nic)
        for order in range(drives):
            drive = self._drive(machine, f"drive{order}", order, DRIVE_BYTES)
            drive.physical, drive.interface = True, "nvme"
            drive.tier = str(tier_of_drive(order, drives))
            drive.hardware = hardware(drive.serial, order)
            machine.drives.append(drive)
        return Node(
            key=self.keys.next("nodes"),
            name=name,
            machine=machine,
            cluster=cluster.key,
            cores=cores,
            memory_mb=memory_mb,
            usable_mb=int(memory_mb * 0.9),
            model=rng.choice(("PowerEdge R760", "ProLiant DL380 Gen11", "SYS-221H-TNR")),
            serial=f"SN{rng.randrange(10**8):08d}",
        )

    def router(self, kind: Kind, name: str, *, cluster: int) -> Machine:
        """Make a router or a tenant node."""
        big = kind == "tenant_node"
        machine = self.machine(
            kind,
            name,
            cluster=cluster,
            cores=8 if big else 1,
            memory_mb=16_384 if big else 256,
            cpu=0.2 if big else 0.02,
        )
        machine.nics.append(self._nic(machine, "router", 2_000_000))
        return machine

    def _name(self, role: Role) -> str:
        self._named[role.name] += 1
        return f"{role.name}-{self._named[role.name]:02d}"

    def _nics(self, machine: Machine, traffic: float) -> None:
        rng = self.rng
        count = rng.choices((1, 2, 3), (82, 16, 2))[0]
        rng.random()  # not used, so that a seed gives the same world as before
        for number in range(count):
            share = 1.0 if number == 0 else 0.1
            machine.nics.append(self._nic(machine, f"nic_{number}", traffic * share))

    def _nic(self, machine: Machine, name: str, traffic: float) -> Nic:
        rng = self.rng
        mac = self.mac()
        return Nic(
            key=self.keys.next("machine_nics"),
            machine=machine,
            name=name,
            mac=mac,
            speed_mbps=rng.choice((1000, 10_000)),
            interface="virtio" if rng.chance(0.9) else "e1000",
            received_per_second=traffic * rng.uniform(0.3, 1.7),
            sent_per_second=traffic * rng.uniform(0.3, 1.7),
            packet_bytes=rng.uniform(180, 1200),
        )

    def _drives(self, machine: Machine, sizes_gb: Sequence[int]) -> None:
        rng = self.rng
        for number, size in enumerate(sizes_gb):
            machine.drives.append(self._drive(machine, f"drive_{number}", number, size * GIB))
        if rng.chance(0.12):
            drive = self._drive(machine, "cdrom", len(sizes_gb), 0)
            drive.media, drive.interface, drive.used_bytes = "cdrom", "ahci", 0
            drive.reads_per_second = drive.writes_per_second = 0.0
            machine.drives.append(drive)

    def _drive(self, machine: Machine, name: str, order: int, size: int) -> Drive:
        rng = self.rng
        return Drive(
            key=self.keys.next("machine_drives"),
            machine=machine,
            name=name,
            order=order,
            media="disk",
            interface="virtio-scsi" if rng.chance(0.85) else "ide",
            tier=rng.choices(("1", "3", "4"), (60, 30, 10))[0],
            size_bytes=size,
            used_bytes=int(size * rng.triangular(0.05, 0.95, 0.4)),
            serial=self.serial(),
            reads_per_second=rng.lognormvariate(2.0, 1.2),
            writes_per_second=rng.lognormvariate(2.5, 1.0),
        )


def pick_role(rng: Rng) -> Role:
    """Return a random role by weight."""
    return rng.choices(ROLES, [role.weight for role in ROLES])[0]


def role_of(name: str) -> Role:
    """Return the role named by a VM's name prefix; ``app`` if there is none."""
    stem = name.split("-", maxsplit=1)[0].rstrip("0123456789")
    return _BY_ROLE.get(stem, _BY_ROLE["app"])


def memory_per_node(vms: Sequence[VM], nodes: int) -> int:
    """Return the MB per node with which a cluster runs all of *vms* with one node lost."""
    needed = sum(vm.machine.memory_mb for vm in vms) * 1.12 + 24_576
    largest = max((vm.machine.memory_mb for vm in vms), default=4096)
    return math.ceil((needed / max(1, nodes - 1) + largest) / 0.9 / 65_536) * 65_536

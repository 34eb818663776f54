"""Tenants of a simulated system: their nodes, storage and load."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.simulator.world.builder import DAY, GIB, Builder
from exporter.simulator.world.machines import Machine
from exporter.simulator.world.networks import Network

SAMPLE_SECONDS = 300
"""How often the load of a tenant is summed up."""
SAMPLES_KEPT = 6
TIERS = (1,)
"""The numbers of the storage tiers that a tenant has space in."""
GPUS_EACH = 4
"""One tenant of so many has GPUs."""
NAMES = ("meadow", "orchard", "harbor", "quarry", "glacier", "prairie", "canyon", "lagoon")


@dataclass(slots=True, eq=False)
class TenantNode:
    """A row of ``tenant_nodes``."""

    key: int
    tenant: "Tenant"
    number: int
    machine: Machine

    @property
    def name(self) -> str:
        return f"node{self.number}"


@dataclass(slots=True, eq=False)
class TenantStorage:
    """A row of ``tenant_storage``: space of a tenant in one storage tier."""

    key: int
    tenant: "Tenant"
    tier: int
    """The number of the tier."""
    provisioned_bytes: int
    used_share: float

    @property
    def name(self) -> str:
        return self.tenant.name

    @property
    def used_bytes(self) -> int:
        return int(self.provisioned_bytes * self.used_share)


@dataclass(slots=True, eq=False)
class Layer2Network:
    """A row of ``tenant_layer2_vnets``: a network that a tenant may use directly."""

    key: int
    tenant: "Tenant"
    network: Network


@dataclass(slots=True, eq=False)
class Tenant:
    """A row of ``tenants`` and of ``tenant_status``."""

    key: int
    name: str
    uuid: str
    created: int
    network: Network
    is_snapshot: bool = False
    gpus: int = 0
    vgpus: int = 0
    nodes: list[TenantNode] = field(default_factory=list)
    storage: list[TenantStorage] = field(default_factory=list)
    layer2: list[Layer2Network] = field(default_factory=list)

    @property
    def cores(self) -> int:
        return sum(node.machine.cores for node in self.nodes)

    @property
    def memory_mb(self) -> int:
        return sum(node.machine.memory_mb for node in self.nodes)


@dataclass(frozen=True, slots=True)
class TenantSample:
    """A row of ``tenant_stats_history_short``."""

    tenant: Tenant
    number: int
    """Counts the samples of all time."""

    @property
    def key(self) -> int:
        return self.number * 100_000 + self.tenant.key

    @property
    def name(self) -> str:
        return self.tenant.name

    @property
    def at(self) -> int:
        """When it was taken, in Unix seconds."""
        return self.number * SAMPLE_SECONDS

    @property
    def cpu_percent(self) -> int:
        nodes = self.tenant.nodes
        return round(100 * sum(node.machine.load.cpu(self.at) for node in nodes) / len(nodes))

    @property
    def memory_mb(self) -> int:
        machines = [node.machine for node in self.tenant.nodes]
        return int(sum(one.memory_mb * one.load.memory(self.at) for one in machines))


def samples(tenants: Iterable[Tenant], now: float) -> Iterable[TenantSample]:
    """Return the samples that VergeOS has at the time *now*, the newest first; of what runs."""
    newest = int(now) // SAMPLE_SECONDS
    running = [
        tenant for tenant in tenants if any(node.machine.status.running for node in tenant.nodes)
    ]
    for number in range(newest, newest - SAMPLES_KEPT, -1):
        for tenant in running:
            yield TenantSample(tenant, number)


def make_tenants(
    builder: Builder,
    machines: Mapping[int, Machine],
    networks: Sequence[Network],
    clusters: Sequence[int],
    *,
    count: int,
) -> list[Tenant]:
    """
    Return *count* tenants and a snapshot of the first one; the second one never ran.

    Args:
        machines: Those of the system; the first tenant has the tenant nodes among them.

    """
    internal = next(one for one in networks if one.kind == "internal")
    layer2 = [one for one in networks if one.kind in ("internal", "external")]
    found = []
    for number in range(count):
        name = NAMES[number] if number < len(NAMES) else f"tenant-{number + 1:03d}"
        tenant = _tenant(builder, name, internal, number)
        found.append(tenant)
        if number == 0:
            own = [one for one in machines.values() if one.kind == "tenant_node"]
        else:
            cluster = clusters[number % len(clusters)]
            own = [_machine(builder, f"{name}-node1", cluster)]
        tenant.nodes += [
            TenantNode(builder.keys.next("tenant_nodes"), tenant, place, machine)
            for place, machine in enumerate(own, start=1)
        ]
        tenant.layer2.append(
            Layer2Network(
                builder.keys.next("tenant_layer2_vnets"), tenant, layer2[number % len(layer2)]
            )
        )
    snapshot = _tenant(builder, found[0].name, internal, number=0)
    snapshot.is_snapshot = True
    return [*found, snapshot]


def _tenant(builder: Builder, name: str, network: Network, number: int) -> Tenant:
    rng = builder.rng
    has_gpus = number % GPUS_EACH == 0
    tenant = Tenant(
        key=builder.keys.next("tenants"),
        name=name,
        uuid=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        created=int(builder.start - rng.uniform(50, 700) * DAY),
        network=network,
        gpus=has_gpus * 2,
        vgpus=has_gpus * 4,
    )
    tenant.storage += [
        TenantStorage(
            builder.keys.next("tenant_storage"),
            tenant,
            tier,
            rng.choice((500, 1000, 2000)) * GIB,
            rng.uniform(0.2, 0.75),
        )
        for tier in TIERS
    ]
    return tenant


def _machine(builder: Builder, name: str, cluster: int) -> Machine:
    machine = builder.router("tenant_node", name, cluster=cluster)
    machine.cores, machine.memory_mb = 4, 4096
    return machine

"""Creates a world with clusters, nodes, VMs, tags and a short history."""

from collections.abc import Mapping, Sequence

from exporter.simulator.world.builder import (
    DAY,
    Builder,
    ClusterPlan,
    default_clusters,
    memory_per_node,
    pick_role,
    role_of,
)
from exporter.simulator.world.context import Timings
from exporter.simulator.world.machines import (
    VM,
    Cluster,
    Device,
    Machine,
    Member,
    Node,
    ResourceGroup,
    Status,
)
from exporter.simulator.world.networks import make_networks
from exporter.simulator.world.platform_log import LogTemplate
from exporter.simulator.world.protection import profile_for
from exporter.simulator.world.rng import Rng
from exporter.simulator.world.storage import (
    DRIVES_PER_NODE,
    TIER_SHARES,
    StorageTier,
    tier_bytes,
)
from exporter.simulator.world.tenants import make_tenants
from exporter.simulator.world.world import PowerState, World

DEFAULT_START = 1_767_225_600.0
"""The first second of 2026."""

MIN_VMS_WITH_SERVICE = 10
"""Systems of at least this many VMs have one that belongs to a NAS service."""

VMS_PER_DEVICE = 12
GPU_POOL = "6f1e4c52-7c39-4b0e-9f0a-3d5f8f1d2a90"
SPARE_NETWORK, SPARE_TENANT = "lab", "orchard-node1"
"""Machines of a network and of a tenant that are off on purpose."""

TAGS: Mapping[str, tuple[str, ...]] = {
    "environment": ("production", "staging", "test"),
    "recovery": ("auto", "never"),
    "team": ("web", "data", "office"),
}


def create_world(
    *,
    seed: int = 1,
    vms: int = 40,
    start: float = DEFAULT_START,
    system_name: str = "northwind",
    clusters: Sequence[ClusterPlan] | None = None,
    names: Sequence[str] = (),
    timings: Timings | None = None,
    log_templates: Mapping[str, LogTemplate | None] | None = None,
    stopped_share: float = 0.06,
    powerstate: PowerState = "observed",
    gpus: int = 0,
    drives_per_node: int = DRIVES_PER_NODE,
    vnets: int = 6,
    tenants: int = 2,
) -> World:
    """
    Return a system that has been running for a while.

    Args:
        start: Unix seconds; VMs were started before it.
        names: For the first VMs; the others are named after their roles.
        stopped_share: Share of VMs that are off, 0 to 1.
        powerstate: Whether ``machine_status.powerstate`` shows what runs, or what was
            requested; no source documents it.
        gpus: How many GPUs the nodes have together.
        drives_per_node: Physical drives, at most about 20.
        vnets: Networks, at least 5.
        tenants: Tenants, at least 1.

    """
    world = World(
        seed=seed,
        start=start,
        system_name=system_name,
        timings=timings or Timings(),
        log_templates=log_templates,
        powerstate=powerstate,
    )
    world.gpus = gpus
    _Factory(world, drives_per_node).fill(
        clusters or default_clusters(vms), vms=vms, names=names, stopped_share=stopped_share
    )
    _add_networks_and_tenants(world, vnets=vnets, tenants=tenants)
    return world


def _add_networks_and_tenants(world: World, *, vnets: int, tenants: int) -> None:
    """
    Add networks and tenants; a network and a tenant are off on purpose, all others run.

    They have a random generator of their own: the VMs of a seed stay what they are.
    """
    world.keys.skip("vnets", 20)
    world.keys.skip("tenants", 6)
    world.keys.skip("tenant_nodes", 40)
    rng = Rng(world.seed * 7919 + 17)
    builder = Builder(rng=rng, keys=world.keys, start=world.started_at)
    clusters = list(world.clusters)
    networks = make_networks(builder, world.machines, clusters, count=vnets)
    made = make_tenants(builder, world.machines, networks, clusters, count=tenants)
    world.networks = {network.key: network for network in networks}
    world.tenants = {tenant.key: tenant for tenant in made}
    internal = next(network.key for network in networks if network.name == "Internal")
    for vm in world.vms.values():
        for nic in vm.machine.nics:
            nic.vnet = internal
    routers = [one.router for one in networks if one.router is not None]
    nodes = [node.machine for tenant in made for node in tenant.nodes]
    for machine in (*routers, *nodes):
        if machine.key not in world.machines:
            world.machines[machine.key] = machine
            if machine.name not in (SPARE_NETWORK, SPARE_TENANT):
                _run(world, machine, started=world.now - rng.uniform(0.05, 120) * DAY)


def _run(world: World, machine: Machine, *, started: float) -> None:
    """Run *machine*, on any node: the many of a large system may need more memory than it has."""
    node = world.platform.place(machine)
    if node is not None:
        node.host(machine)
    else:
        node = list(world.nodes.values())[machine.key % len(world.nodes)]
    _set_running(machine, node, started=started)


def _set_running(machine: Machine, node: Node, *, started: float) -> None:
    machine.idle_since = None
    machine.status = Status(
        word="running",
        running=True,
        state="online",
        since=started,
        started=started,
        node=node.key,
        wanted=True,
    )


class _Factory:
    def __init__(self, world: World, drives_per_node: int) -> None:
        self._world = world
        self._drives_per_node = drives_per_node
        self._builder = world.builder
        self._rng = world.context.rng

    def fill(
        self,
        plans: Sequence[ClusterPlan],
        *,
        vms: int,
        names: Sequence[str],
        stopped_share: float,
    ) -> None:
        world = self._world
        # With equal keys in different tables, a wrong join could pass a test.
        world.keys.skip("machines", 100)
        world.keys.skip("tag_members", 500)
        world.keys.skip("machine_nics", 30)
        for plan in plans:
            key = world.keys.next("clusters")
            cluster = Cluster(key, plan.name, f"The {plan.name} cluster")
            world.clusters[key] = cluster
            self._tiers(cluster, plan.nodes)
        with_service = vms >= MIN_VMS_WITH_SERVICE
        created = self._make_vms(vms - with_service, names, plans)
        self._nodes(plans, created)
        self._platform_machines()
        if with_service:
            self._service_vm()
        self._run(created, stopped_share)
        self._snapshots(created)
        self._tags(created)
        self._groups(created)
        self._history(created)
        self._devices(created)

    def _tiers(self, cluster: Cluster, nodes: int) -> None:
        for number, share_used in TIER_SHARES.items():
            size = tier_bytes(number, nodes=nodes, drives_per_node=self._drives_per_node)
            cluster.tiers.append(
                StorageTier(
                    key=self._world.keys.next("cluster_tiers"),
                    number=number,
                    cluster=cluster.key,
                    capacity_bytes=size,
                    used_bytes=int(size * share_used),
                    status="online" if size else "offline",
                )
            )

    def _devices(self, created: Sequence[VM]) -> None:
        """Give every Windows VM a TPM, and some VMs a device of a node, out of a pool."""
        created_at = int(self._world.now - 80 * DAY)
        pool = ResourceGroup(GPU_POOL, "gpu-pool", "node_pci_devices", created_at, created_at)
        pool.columns["class"] = "gpu"
        self._world.resource_groups[pool.uuid] = pool
        for number, vm in enumerate(created):
            if vm.os_family == "windows":
                self._device(vm, "tpm", "tpm")
            if number % VMS_PER_DEVICE == 0:
                self._device(vm, "gpu", "node_pci_devices", pool)

    def _device(self, vm: VM, name: str, kind: str, pool: ResourceGroup | None = None) -> None:
        key = self._world.keys.next("machine_devices")
        group = None if pool is None else pool.uuid
        vm.machine.devices.append(Device(key, vm.machine, name, kind, resource_group=group))

    def _make_vms(self, vms: int, names: Sequence[str], plans: Sequence[ClusterPlan]) -> list[VM]:
        clusters = list(self._world.clusters)
        weights = [plan.nodes for plan in plans]
        created = []
        for number in range(vms):
            given = names[number] if number < len(names) else None
            role = pick_role(self._rng) if given is None else role_of(given)
            cluster = self._rng.choices(clusters, weights)[0]
            vm = self._builder.vm(role=role, cluster=cluster, name=given)
            if len(clusters) > 1 and self._rng.chance(0.2):
                vm.machine.cluster_failover = self._rng.choice(
                    [c for c in clusters if c != cluster]
                )
            created.append(vm)
            self._adopt(vm)
        return created

    def _nodes(self, plans: Sequence[ClusterPlan], created: Sequence[VM]) -> None:
        world = self._world
        for cluster, plan in zip(world.clusters.values(), plans, strict=True):
            members = [vm for vm in created if vm.machine.cluster == cluster.key]
            memory = memory_per_node(members, plan.nodes)
            for _ in range(plan.nodes):
                node = self._builder.node(
                    len(world.nodes) + 1, cluster, memory_mb=memory, drives=self._drives_per_node
                )
                world.nodes[node.key] = node
                world.machines[node.machine.key] = node.machine
                cluster.nodes.append(node)
                self._set_running(node.machine, node)

    def _platform_machines(self) -> None:
        world = self._world
        first = next(iter(world.clusters))
        for kind, name in (
            ("vnet", "External"),
            ("vnet", "Internal"),
            ("vnet", "DMZ"),
            ("tenant_node", "meadow-node1"),
            ("tenant_node", "meadow-node2"),
        ):
            machine = self._builder.router(kind, name, cluster=first)  # type: ignore[arg-type]
            world.machines[machine.key] = machine
            self._place(machine)

    def _service_vm(self) -> None:
        """Add the VM of a NAS service, which the platform owns."""
        cluster = next(iter(self._world.clusters))
        vm = self._builder.vm(role=role_of("files"), cluster=cluster, name="nas-service")
        vm.service, vm.creator, vm.created_from = 1, "system", "recipe"
        self._adopt(vm)
        self._place(vm.machine)

    def _run(self, created: Sequence[VM], stopped_share: float) -> None:
        rng = self._rng
        for vm in created:
            if not rng.chance(stopped_share):
                self._place(vm.machine)
                continue
            word = "hibernated" if rng.chance(0.1) else "stopped"
            stopped = self._world.now - rng.uniform(0.1, 60) * DAY
            vm.enabled = rng.chance(0.75)
            vm.machine.idle_since = stopped
            vm.machine.status = Status(
                word=word,
                running=False,
                state="offline",
                since=stopped,
                started=stopped - rng.uniform(1, 100) * DAY,
            )

    def _place(self, machine: Machine) -> None:
        node = self._world.platform.place(machine)
        if node is not None:
            node.host(machine)
            self._set_running(machine, node)

    def _set_running(self, machine: Machine, node: Node) -> None:
        started = self._world.now - self._rng.uniform(0.05, 120) * DAY
        _set_running(machine, node, started=started)

    def _snapshots(self, created: Sequence[VM]) -> None:
        for vm in created:
            vm.snapshot_profile = profile_for(vm)
            if self._rng.chance(0.12):
                taken = self._world.now - self._rng.uniform(0.1, 14) * DAY
                self._adopt(self._builder.snapshot_of(vm, at=taken))

    def _tags(self, created: Sequence[VM]) -> None:
        world, rng = self._world, self._rng
        for category, names in TAGS.items():
            for name in names:
                world.tag_named(category, name)
        for vm in created:
            environment = rng.choices(TAGS["environment"], (70, 18, 12))[0]
            self._tag(vm, "environment", environment)
            if rng.chance(0.6):
                self._tag(vm, "recovery", "auto")
            elif rng.chance(0.1):
                self._tag(vm, "recovery", "never")

    def _tag(self, vm: VM, category: str, name: str) -> None:
        world = self._world
        row = Member(
            world.keys.next("tag_members"), world.tag_named(category, name), f"vms/{vm.key}"
        )
        world.tag_members[row.key] = row

    def _groups(self, created: Sequence[VM]) -> None:
        """Put some VMs of redundant roles into HA groups."""
        for vm in created:
            if vm.role in ("db", "dc", "queue") and self._rng.chance(0.6):
                vm.machine.ha_group = f"{vm.role}-{vm.machine.cluster}"

    def _history(self, created: Sequence[VM]) -> None:
        """Write log rows of the past week."""
        world, rng = self._world, self._rng
        moments = sorted(
            world.now - rng.uniform(0.02, 7) * DAY for _ in range(min(60, len(created)))
        )
        for moment in moments:
            vm = rng.choice(created)
            event = rng.choice(("changed", "logged_in", "guest_rebooted"))
            name = rng.choice(("anna", "jonas")) if event == "logged_in" else vm.name
            world.platform_log.record(
                event,
                at=moment,
                name=name,
                object_type="user" if event == "logged_in" else "vm",
                machine=vm.machine.key,
                user="system" if event == "guest_rebooted" else rng.choice(("anna", "jonas")),
            )

    def _adopt(self, vm: VM) -> None:
        self._world.vms[vm.key] = vm
        self._world.machines[vm.machine.key] = vm.machine

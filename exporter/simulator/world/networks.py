"""Virtual networks of a simulated system: what there is, and what their gateways answer."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.simulator.world.builder import DAY, Builder
from exporter.simulator.world.machines import Machine, Nic

SAMPLE_SECONDS = 60
"""How often the answers of a monitored gateway are summed up."""
SAMPLES_KEPT = 20
PINGS = 60
"""Packets of one sample."""
MULTICAST = "239.71.0.1"
WITHOUT_ROUTER = {"Core": "core", "Physical": "physical"}
WITH_ROUTER = {"External": "external", "Internal": "internal", "DMZ": "dmz"}
FEWEST = len(WITHOUT_ROUTER) + len(WITH_ROUTER)
"""Every system has these networks."""
EXTERNAL_EACH = 10
"""Of the networks that a large system has besides, one of so many is external."""


@dataclass(slots=True, eq=False)
class Network:
    """A row of ``vnets``."""

    key: int
    name: str
    kind: str
    """``vnets.type``."""
    cluster: int
    layer2_type: str
    layer2_id: int
    mtu: int
    created: int
    router: Machine | None = None
    address: str = ""
    multicast: str = ""
    """The group that carries the traffic between nodes."""
    uplink: int | None = None
    """The key of the network that it is connected to."""
    latency_usec: int = 0
    """The mean latency of its gateway; 0 if that is not monitored."""

    @property
    def nic(self) -> Nic | None:
        """The NIC of its router."""
        return self.router.nics[0] if self.router is not None else None

    @property
    def monitored(self) -> bool:
        return self.latency_usec > 0


@dataclass(frozen=True, slots=True)
class GatewaySample:
    """A row of ``vnet_monitor_stats_history_short``."""

    network: Network
    number: int
    """Counts the samples of all time."""

    @property
    def key(self) -> int:
        return self.number * 100_000 + self.network.key

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def at(self) -> int:
        """When it was taken, in Unix seconds."""
        return self.number * SAMPLE_SECONDS

    @property
    def latency_usec(self) -> int:
        wave = math.sin(self.number / 7 + self.network.key)
        return int(self.network.latency_usec * (1 + 0.3 * wave))

    @property
    def peak_usec(self) -> int:
        return self.latency_usec * 3 + 400 * (self.number % 5)


def samples(networks: Iterable[Network], now: float) -> Iterable[GatewaySample]:
    """Return the samples that VergeOS has at the time *now*, the newest first."""
    newest = int(now) // SAMPLE_SECONDS
    for number in range(newest, newest - SAMPLES_KEPT, -1):
        for network in networks:
            router = network.router
            if network.monitored and router is not None and router.status.running:
                yield GatewaySample(network, number)


def make_networks(
    builder: Builder, machines: Mapping[int, Machine], clusters: Sequence[int], *, count: int
) -> list[Network]:
    """
    Return *count* networks: those of every system, one that was stopped on purpose, and more.

    Args:
        machines: Those of the system; networks have the routers among them.

    """
    routers = {one.name: one for one in machines.values() if one.kind == "vnet"}
    makers = _Maker(builder, clusters)
    found = [makers.network(name, kind, routers[name]) for name, kind in WITH_ROUTER.items()]
    found += [makers.network(name, kind) for name, kind in WITHOUT_ROUTER.items()]
    found += [makers.further(number) for number in range(FEWEST + 1, count + 1)]
    physical = next(one for one in found if one.kind == "physical")
    for network in found:
        if network.kind == "external":
            network.uplink = physical.key
    return found


class _Maker:
    def __init__(self, builder: Builder, clusters: Sequence[int]) -> None:
        self._builder = builder
        self._clusters = clusters

    def further(self, number: int) -> Network:
        """Return a network with a router that never ran."""
        kind = "internal" if number % EXTERNAL_EACH else "external"
        name = "lab" if number == FEWEST + 1 else f"net-{number:03d}"
        cluster = self._clusters[number % len(self._clusters)]
        return self.network(name, kind, self._builder.router("vnet", name, cluster=cluster))

    def network(self, name: str, kind: str, router: Machine | None = None) -> Network:
        builder, key = self._builder, self._builder.keys.next("vnets")
        is_underlay = kind in WITHOUT_ROUTER.values()
        layer2 = {"core": "vxlan", "internal": "vxlan", "physical": "none"}.get(kind, "vlan")
        return Network(
            key=key,
            name=name,
            kind=kind,
            cluster=self._clusters[0] if router is None else router.cluster or self._clusters[0],
            layer2_type=layer2,
            layer2_id=0 if kind == "physical" else 100 + key,
            mtu={"core": 9000, "physical": 9216}.get(kind, 1500),
            created=int(builder.start - builder.rng.uniform(100, 900) * DAY),
            router=router,
            address="" if is_underlay else f"10.{key // 250}.{key % 250}.1",
            multicast=MULTICAST if is_underlay else "",
            latency_usec=builder.rng.randrange(800, 9000) if kind == "external" else 0,
        )

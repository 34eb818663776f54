"""The simulated systems that are measured: VMs, and a platform of the size that goes with them."""

from exporter.simulator import create_world
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.world import World
from tests.fakes import START

VMS_PER_NODE = 100
DRIVES_PER_NODE = 20
VMS_PER_VNET = 20
VMS_PER_TENANT = 50
"""With 10,000 VMs: 100 nodes, 2,000 drives, 500 networks and 200 tenants."""
CLUSTERS = ("production", "staging")


def world_of(vms: int) -> World:
    """Return a system with *vms* VMs, and nodes, drives, networks and tenants in proportion."""
    nodes = max(2, vms // VMS_PER_NODE // len(CLUSTERS))
    return create_world(
        seed=1,
        vms=vms,
        start=START.timestamp(),
        clusters=[ClusterPlan(name, nodes) for name in CLUSTERS],
        drives_per_node=DRIVES_PER_NODE,
        vnets=max(6, vms // VMS_PER_VNET),
        tenants=max(2, vms // VMS_PER_TENANT),
    )

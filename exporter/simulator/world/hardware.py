"""Parts of the physical nodes that have no life of their own: memory modules, GPUs and switches."""

from collections.abc import Iterator
from typing import NamedTuple

from exporter.simulator.world.machines import Machine, Nic, Node
from exporter.simulator.world.world import World

DIMMS_PER_NODE = 8
MB_PER_GB = 1024
GPU_INSTANCES = 4
SWITCHES = ("sw-rack1-a", "sw-rack1-b")


class Dimm(NamedTuple):
    """A memory module of a node."""

    key: int
    node: Node
    slot: int
    size: str
    serial: str


class Gpu(NamedTuple):
    """A GPU of a node that is shared by VMs."""

    key: int
    node: Node
    name: str
    instances: tuple[Machine, ...]


def dimms(world: World) -> Iterator[Dimm]:
    """Yield the memory modules of each node, which make up its memory."""
    for node in world.nodes.values():
        size = f"{node.memory_mb // DIMMS_PER_NODE // MB_PER_GB} GB"
        for slot in range(DIMMS_PER_NODE):
            key = (node.key - 1) * DIMMS_PER_NODE + slot + 1
            yield Dimm(key, node, slot, size, f"{node.serial[2:]}{slot:02d}")


def gpus(world: World) -> Iterator[Gpu]:
    """Yield the GPUs of the system, which its nodes have in turn."""
    nodes = list(world.nodes.values())
    for number in range(world.gpus):
        node = nodes[number % len(nodes)]
        users = [vm for vm in node.hosted.values() if vm.kind == "vm"]
        share = users[number // len(nodes) * GPU_INSTANCES :][: number % GPU_INSTANCES]
        yield Gpu(number + 1, node, "NVIDIA L40S", tuple(share))


def node_nics(world: World) -> Iterator[tuple[Node, int, Nic]]:
    """Yield the NICs of each node, with their number in it."""
    for node in world.nodes.values():
        for number, nic in enumerate(node.machine.nics):
            yield node, number, nic

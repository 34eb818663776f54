"""
The tables ``node_gpus`` and ``node_gpu_stats``: the GPUs of the nodes that VMs share.

Fields: what pyvergeos requests.
"""

from exporter.simulator.api.tables.columns import Link, Table, attribute, computed, constant, live
from exporter.simulator.world.hardware import GPU_INSTANCES, gpus

_NODE_GPUS = Table(
    name="node_gpus",
    rows=lambda view: gpus(view.world),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "node": attribute("node.key", leads_to="nodes"),
        "pci_device": attribute("key"),
        "mode": constant("nvidia_vgpu"),
        "nvidia_vgpu_profile": constant(1),
        "max_instances": constant(GPU_INSTANCES),
        "instances": computed(lambda gpu: [machine.key for machine in gpu.instances]),
        "modified": live(lambda _gpu, view: int(view.world.started_at)),
    },
    links={"node": Link("nodes", lambda gpu, _view: gpu.node)},
)

_NODE_GPU_STATS = Table(
    name="node_gpu_stats",
    rows=lambda view: gpus(view.world),
    columns={
        "$key": attribute("key"),
        "node_gpu": attribute("key", leads_to="node_gpus"),
        "gpus_total": constant(0),
        "gpus": constant(0),
        "gpus_idle": constant(0),
        "vgpus_total": constant(GPU_INSTANCES),
        "vgpus": computed(lambda gpu: len(gpu.instances)),
        "vgpus_idle": computed(lambda gpu: GPU_INSTANCES - len(gpu.instances)),
        "timestamp": live(lambda _gpu, view: int(view.stamp)),
    },
    links={"node_gpu": Link("node_gpus", lambda gpu, _view: gpu)},
)


TABLES = (_NODE_GPUS, _NODE_GPU_STATS)

"""GPUs of the physical nodes that VMs may get, from ``node_gpus``."""

from typing import Annotated

from exporter.collectors.collector import Collector
from exporter.exposition.collector import gauge, group, info
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import (
    Count,
    Lost,
    Name,
    Reference,
    Row,
    joined,
    key_number,
    label_word,
    required_key,
)
from exporter.vergeos.tables import Importance, Pace, Table


class GpuRow(Row, gc=False):
    """A row of ``node_gpus``."""

    node: Reference = None
    name: Name | None = None
    mode: Name | None = None
    max_instances: Count | None = None
    instances_count: Annotated[Count | None, joined("count(instances) as instances_count")] = None


def _gpu(row: GpuRow, key: int, _: Lost) -> GpuRow:
    row.node = required_key(row.node, "node", key)
    row.mode = label_word(row.mode)
    return row


NODE_GPUS = Table(
    "node_gpus", "node_gpus", Pace.HOURLY, GpuRow, _gpu,
    importance=Importance.LOW, may_be_hidden=True,
)  # fmt: skip


def gpus(view: RenderView) -> Items:
    """Return the GPUs of each node. Their names are those of models, so the key is beside."""
    nodes = view.inventory.nodes
    rows = [row for row in view.rows(NODE_GPUS.name).values() if row.node in nodes]
    return Items(
        [
            (
                view.system,
                escape(nodes[row.node].name),
                escape(f"{row.name or ''}#{key_number(row.key)}"),
            )
            for row in rows
        ],
        rows,
    )


GPU = group("GPU", "system_name node_name gpu", "nodes node_gpus", gpus)

FAMILIES = (
    info("node_gpu_info", GPU, "node_gpus.mode",
         "How VMs may use the GPU: gpu passes it through, nvidia_vgpu shares it, none neither",
         {"mode": "mode"}),
    gauge("node_gpu_instances", GPU, "node_gpus.count(instances)",
          "Machines that the GPU, or a share of it, is assigned to", "instances_count"),
    gauge("node_gpu_max_instances", GPU, "node_gpus.max_instances",
          "Machines that the GPU can be assigned to at most", "max_instances"),
)  # fmt: skip

COLLECTOR = Collector("node_gpus", (NODE_GPUS,), FAMILIES)

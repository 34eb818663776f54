"""Memory modules (DIMMs) of the physical nodes, from ``node_memory``."""

from collections import Counter

from exporter.collectors.collector import Collector
from exporter.exposition.collector import group, info, or_unknown
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import (
    Lost,
    Name,
    Reference,
    Row,
    key_number,
    label_word,
    required_key,
)
from exporter.vergeos.tables import Importance, Pace, Table


class DimmRow(Row, gc=False):
    """A row of ``node_memory``. The size is a text, such as ``48 GB``."""

    node: Reference = None
    status: Name | None = None
    status_info: Name | None = None
    label: Name | None = None
    locator: Name | None = None
    size: Name | None = None
    serial_number: Name | None = None

    @property
    def place(self) -> str:
        """The slot of the node that it is in."""
        return self.locator or self.label or f"#{key_number(self.key)}"


def _dimm(row: DimmRow, key: int, _: Lost) -> DimmRow:
    row.node = required_key(row.node, "node", key)
    row.status = label_word(row.status)
    return row


NODE_MEMORY = Table(
    "node_memory", "node_memory", Pace.HOURLY, DimmRow, _dimm,
    importance=Importance.LOW, may_be_hidden=True,
)  # fmt: skip


def dimms(view: RenderView) -> Items:
    """Return the DIMMs of each node; of two with one place each has its key beside."""
    nodes = view.inventory.nodes
    rows = [row for row in view.rows(NODE_MEMORY.name).values() if row.node in nodes]
    counts = Counter((row.node, row.place) for row in rows)
    return Items(
        [
            (
                view.system,
                escape(nodes[row.node].name),
                escape(row.place if counts[row.node, row.place] == 1 else _with_key(row)),
            )
            for row in rows
        ],
        rows,
    )


def _with_key(row: DimmRow) -> str:
    return f"{row.place}#{key_number(row.key)}"


DIMM = group("DIMM", "system_name node_name dimm", "nodes node_memory", dimms)

FAMILIES = (
    info("node_dimm_info", DIMM, "node_memory.status",
         "Status, size and serial number of a memory module of the node; its status should be "
         "online",
         {
             "status": "status",
             "size": or_unknown("size"),
             "serial_number": or_unknown("serial_number"),
         }),
)  # fmt: skip

COLLECTOR = Collector("node_memory", (NODE_MEMORY,), FAMILIES)

"""The table ``node_memory``: the memory modules of the nodes. Fields: what pyvergeos requests."""

from exporter.simulator.api.tables.columns import Link, Table, attribute, computed, constant, live
from exporter.simulator.world.hardware import dimms

_NODE_MEMORY = Table(
    name="node_memory",
    rows=lambda view: dimms(view.world),
    columns={
        "$key": attribute("key"),
        "node": attribute("node.key", leads_to="nodes"),
        "status": constant("online"),
        "status_info": constant(""),
        "label": computed(lambda dimm: f"DIMM {dimm.slot + 1}"),
        "locator": computed(lambda dimm: f"DIMM_{'AB'[dimm.slot // 4]}{dimm.slot % 4 + 1}"),
        "bank_locator": computed(lambda dimm: f"P{dimm.slot // 4} CHANNEL {'ABCD'[dimm.slot % 4]}"),
        "type": constant("DDR5"),
        "type_detail": constant("Synchronous Registered (Buffered)"),
        "size": attribute("size"),
        "speed": constant("4800 MT/s"),
        "configured_memory_speed": constant("4800 MT/s"),
        "form_factor": constant("DIMM"),
        "manufacturer": constant("Micron"),
        "serial_number": attribute("serial"),
        "part_number": constant("MTC40F2046S1RC48BA1"),
        "asset_tag": constant(""),
        "rank": constant("2"),
        "data_width": constant("64 bits"),
        "total_width": constant("80 bits"),
        "memory_technology": constant("DRAM"),
        "modified": live(lambda _dimm, view: int(view.world.started_at)),
    },
    links={"node": Link("nodes", lambda dimm, _view: dimm.node)},
    ordered=True,
)


TABLES = (_NODE_MEMORY,)

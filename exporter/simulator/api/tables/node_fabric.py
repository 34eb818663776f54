"""
The table ``machine_nic_fabric_status``: the core fabric at each NIC of the nodes.

Fields: what pyvergeos requests. The score is twice the speed in Gbit/s.
"""

from collections.abc import Iterator

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
    live,
)
from exporter.simulator.world.hardware import node_nics
from exporter.simulator.world.machines import Nic


def _nics(view: RequestView) -> Iterator[Nic]:
    """Yield the NICs that run; those of a node that is down have no path, and no row."""
    for node, _, nic in node_nics(view.world):
        if node.alive:
            yield nic


def _score(nic: Nic) -> float:
    return 2 * nic.speed_mbps / 1000


_FABRIC = Table(
    name="machine_nic_fabric_status",
    rows=_nics,
    columns={
        "$key": attribute("key"),
        "parent_nic": attribute("key", leads_to="machine_nics"),
        "status": constant("confirmed"),
        "state": constant("online"),
        "max_score": computed(_score),
        "min_score": computed(_score),
        "paths": constant({}, blob=True),
        "created": live(lambda _nic, view: int(view.world.started_at)),
        "modified": live(lambda _nic, view: int(view.stamp)),
    },
    links={"parent_nic": Link("machine_nics", lambda nic, _view: nic)},
)


TABLES = (_FABRIC,)

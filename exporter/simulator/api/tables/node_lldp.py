"""
The table ``node_lldp_neighbors``: the switch at each NIC of the nodes.

Fields: what pyvergeos requests; ``chassis``, ``port``, ``vlan`` and ``other`` are objects.
"""

from collections.abc import Iterator
from typing import NamedTuple

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
)
from exporter.simulator.world.hardware import SWITCHES, node_nics
from exporter.simulator.world.machines import Machine, Nic, Node


class _Neighbor(NamedTuple):
    node: Node
    nic: Nic
    switch: str

    @property
    def key(self) -> int:
        return self.nic.key

    @property
    def name(self) -> str:
        return self.nic.name

    @property
    def machine(self) -> Machine:
        return self.node.machine


def _neighbors(view: RequestView) -> Iterator[_Neighbor]:
    for node, number, nic in node_nics(view.world):
        if node.alive:
            yield _Neighbor(node, nic, SWITCHES[number % len(SWITCHES)])


_LLDP = Table(
    name="node_lldp_neighbors",
    rows=_neighbors,
    columns={
        "$key": attribute("key"),
        "node": attribute("node.key", leads_to="nodes"),
        "nic": attribute("nic.key", leads_to="machine_nics"),
        "rid": computed(lambda one: str(SWITCHES.index(one.switch) + 1)),
        "via": constant("LLDP"),
        "age": constant("12 days, 04:21:07"),
        "chassis": computed(
            lambda one: {"name": one.switch, "ChassisID": f"mac {SWITCHES.index(one.switch):02x}"}
        ),
        "port": computed(lambda one: {"PortID": f"Ethernet1/{one.node.key}"}),
        "vlan": constant({}, blob=True),
        "other": constant({}, blob=True),
    },
    links={
        "node": Link("nodes", lambda one, _view: one.node),
        "nic": Link("machine_nics", lambda one, _view: one.nic),
    },
)


TABLES = (_LLDP,)

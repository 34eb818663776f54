"""Writes to ``machine_nics``."""

from exporter.simulator.api.writes.parts import PartTable
from exporter.simulator.api.writes.write import FLAG, NUMBER, TEXT, reference, words

NICS = PartTable(
    name="machine_nics",
    parts=lambda machine: machine.nics,
    stem="nic",
    attributes={"name": "name", "interface": "interface", "macaddress": "mac", "vnet": "vnet"},
    columns={
        "name": TEXT,
        "interface": words(
            "virtio", "e1000", "e1000e", "rtl8139", "pcnet", "igb", "vmxnet3", "direct"
        ),
        "macaddress": TEXT,
        "vnet": reference("vnets"),
        "orderid": NUMBER,
        "ipaddress": TEXT,
        "description": TEXT,
        "enabled": FLAG,
    },
    make=lambda world, machine, name: world.builder.new_nic(machine, name),
    needed=lambda _body: (),
)

WRITES = NICS.writes()

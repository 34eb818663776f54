"""Writes to ``machine_devices``."""

from exporter.simulator.api.writes.parts import PartTable
from exporter.simulator.api.writes.write import BLOB, FLAG, NUMBER, TEXT, reference, words
from exporter.simulator.world.machines import Device, Machine
from exporter.simulator.world.world import World

DEVICE_TYPES = (
    "gpu",
    "nvidia_vgpu",
    "tpm",
    "node_usb_devices",
    "node_sriov_nic_devices",
    "node_pci_devices",
    "node_host_gpu_devices",
    "node_nvidia_vgpu_devices",
)


def _make(world: World, machine: Machine, name: str) -> Device:
    now = int(world.now)
    key = world.keys.next("machine_devices")
    return Device(key, machine, name, "tpm", columns={"created": now, "modified": now})


DEVICES = PartTable(
    name="machine_devices",
    parts=lambda machine: machine.devices,
    stem="device",
    attributes={
        "name": "name",
        "type": "kind",
        "optional": "optional",
        "resource_group": "resource_group",
    },
    columns={
        "name": TEXT,
        "type": words(*DEVICE_TYPES),
        "optional": FLAG,
        "resource_group": reference("resource_groups", str),
        "orderid": NUMBER,
        "description": TEXT,
        "enabled": FLAG,
        "settings_args": BLOB,
    },
    make=_make,
    needed=lambda _body: ("type",),
)

WRITES = DEVICES.writes()

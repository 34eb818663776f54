"""Writes to ``machine_drives``."""

from collections.abc import Mapping
from typing import Any

from exporter.simulator.api.writes.parts import PartTable
from exporter.simulator.api.writes.write import FLAG, NUMBER, TEXT, Column, words
from exporter.simulator.world.machines import Drive, Machine
from exporter.simulator.world.world import World

HOT_PLUGGABLE = ("virtio", "virtio-scsi")
"""Interfaces of the drives that a running VM accepts."""


def _make(world: World, machine: Machine, name: str) -> Drive:
    return world.builder.empty_drive(machine, name, len(machine.drives), 0)


def _needed(body: Mapping[str, Any]) -> tuple[str, ...]:
    return ("disksize",) if body.get("media", "disk") == "disk" else ()


DRIVES = PartTable(
    name="machine_drives",
    parts=lambda machine: machine.drives,
    stem="drive",
    attributes={
        "name": "name",
        "orderid": "order",
        "media": "media",
        "interface": "interface",
        "preferred_tier": "tier",
        "disksize": "size_bytes",
        "serial": "serial",
    },
    columns={
        "name": TEXT,
        "orderid": NUMBER,
        "media": words("disk", "cdrom", "efidisk", "import", "9p", "dir", "clone", "nonpersistent"),
        "interface": words(
            "virtio-scsi",
            "virtio-scsi-dedicated",
            "virtio",
            "ide",
            "ahci",
            "nvme",
            "lsi53c895a",
            "megasas",
            "megasas-gen2",
            "mptsas1068",
            "usb",
        ),
        "preferred_tier": words("1", "2", "3", "4", "5"),
        "disksize": NUMBER,
        "serial": TEXT,
        "description": TEXT,
        "enabled": FLAG,
        "readonly": FLAG,
        "media_source": Column(int),
        "optimize": TEXT,
        "fsync": TEXT,
        "discard": FLAG,
        "advanced": TEXT,
        "preserve_drive_format": FLAG,
        "asset": TEXT,
    },
    make=_make,
    needed=_needed,
)

WRITES = DRIVES.writes()

"""Devices of machines, NICs and disks: their rows, names that are unique, and the items of VMs."""

from collections import Counter
from itertools import repeat
from operator import attrgetter
from typing import Any

from exporter.exposition.view import Items, RenderView
from exporter.polling.state import TableRows
from exporter.vergeos.rows import Name, Reference, Row, required_key, shared


class DeviceRow(Row, gc=False):
    """A row of a device."""

    machine: Reference = None
    name: Name | None = None


def clean_device(row: DeviceRow, key: int) -> None:
    """Make the keys of *row* integers and its name a text; skip the row if it has no machine."""
    row.key, row.machine = key, required_key(row.machine, "machine", key)
    row.name = shared(row.name)


def by_machine(decoded: TableRows[dict[int, Any]]) -> TableRows[dict[int, tuple[Any, ...]]]:
    """
    Group devices by machine, sorted by key, under names that are unique within the machine.

    Where two share a name, or have none, each gets its key: their identity must not
    depend on the order in which VergeOS lists them.
    """
    machines: dict[int, list[Any]] = {}
    for device in decoded.rows.values():
        machines.setdefault(device.machine, []).append(device)
    for devices in machines.values():
        _name_uniquely(devices)
    return decoded.with_rows({machine: tuple(devices) for machine, devices in machines.items()})


def _name_uniquely(devices: list[Any]) -> None:
    if len(devices) == 1 and devices[0].name:
        return
    devices.sort(key=attrgetter("key"))
    counts = Counter(device.name for device in devices)
    taken = {name for name, count in counts.items() if name and count == 1}
    for device in devices:
        if device.name and counts[device.name] == 1:
            continue
        name = f"{device.name}#{device.key}"
        while name in taken:
            name = f"{name}#{device.key}"
        taken.add(name)
        device.name = name


def devices_of_vms(view: RenderView, table: str) -> Items:
    """Return the devices of each VM in *table*."""
    devices = list(map(view.rows(table).get, view.machines(), repeat(())))
    return view.parts(table, view.vms.identities, devices, attrgetter("name"))

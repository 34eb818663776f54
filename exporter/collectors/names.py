"""Give devices of a machine names that are unique within it."""

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from typing import TypeVar

import msgspec

from exporter.model import Disk, Nic

Device = TypeVar("Device", Nic, Disk)


def by_machine(devices: Iterable[Device]) -> dict[int, tuple[Device, ...]]:
    """
    Group *devices* by machine, sorted by key, under names that are unique within the machine.

    Where two share a name, or have none, each gets its key: their identity must not
    depend on the order in which VergeOS lists them.
    """
    machines: dict[int, list[Device]] = {}
    for device in devices:
        machines.setdefault(device.machine, []).append(device)
    return {machine: _uniquely_named(group) for machine, group in machines.items()}


def _uniquely_named(devices: list[Device]) -> tuple[Device, ...]:
    if len(devices) == 1 and devices[0].name:
        return tuple(devices)
    devices.sort(key=attrgetter("key"))
    names = [device.name for device in devices]
    if all(names) and len(set(names)) == len(names):
        return tuple(devices)
    counts = Counter(names)
    taken = {name for name, count in counts.items() if name and count == 1}
    named = []
    for device in devices:
        name = device.name
        while name not in taken or counts[device.name] > 1 or not device.name:
            name = f"{name}#{device.key}"
            if name not in taken:
                taken.add(name)
                break
        named.append(device if name == device.name else msgspec.structs.replace(device, name=name))
    return tuple(named)

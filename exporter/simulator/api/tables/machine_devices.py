"""
The tables ``machine_devices`` and ``machine_device_status``: devices passed through to machines.

Fields: what pyvergeos requests.
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
    written,
)
from exporter.simulator.world.machines import Device


def _devices(view: RequestView) -> Iterator[Device]:
    for machine in view.world.machines.values():
        yield from machine.devices


def _status(device: Device, view: RequestView) -> str:
    for fault in view.world.faults.active("missing_devices"):
        if fault["vm"] in ("", device.machine.name) and device.kind != "tpm":
            return "missing"
    return device.status if device.attached else "offline"


def _old(view: RequestView) -> int:
    return int(view.world.started_at) - 80_000_000


_MACHINE_DEVICES = Table(
    name="machine_devices",
    rows=_devices,
    columns={
        "$key": attribute("key"),
        "machine": attribute("machine.key", leads_to="machines"),
        "machine_type": attribute("machine.kind"),
        "name": attribute("name"),
        "description": written("description", default=""),
        "type": attribute("kind"),
        "orderid": written("orderid", default=0),
        "uuid": computed(lambda device: f"{device.key:032x}"),
        "enabled": written("enabled", default=True),
        "optional": attribute("optional"),
        "resource_group": attribute("resource_group", leads_to="resource_groups"),
        "created": live(lambda device, view: device.columns.get("created", _old(view))),
        "modified": live(lambda device, view: device.columns.get("modified", _old(view))),
        "status": attribute("key", leads_to="machine_device_status"),
    },
    links={
        "machine": Link("machines", lambda device, _view: device.machine),
        "resource_group": Link(
            "resource_groups",
            lambda device, view: view.world.resource_groups.get(device.resource_group),
        ),
        "status": Link("machine_device_status", lambda device, _view: device),
    },
)

_MACHINE_DEVICE_STATUS = Table(
    name="machine_device_status",
    rows=_devices,
    columns={
        "$key": attribute("key"),
        "device": attribute("key", leads_to="machine_devices"),
        "status": live(_status),
        "status_info": constant(""),
    },
    links={"device": Link("machine_devices", lambda device, _view: device)},
)


TABLES = (_MACHINE_DEVICES, _MACHINE_DEVICE_STATUS)

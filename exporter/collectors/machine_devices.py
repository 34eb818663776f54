"""
Devices passed through to VMs, from ``machine_devices``: GPUs, PCI and USB devices, SR-IOV NICs.

TPMs are left out: nearly every Windows VM has one, and no hardware of a node backs it.
"""

from typing import Annotated

from exporter.collectors.collector import Collector
from exporter.collectors.devices import DeviceRow, by_machine, clean_device, devices_of_vms
from exporter.exposition.collector import VM, each, group, info, or_unknown
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Lost, Name, joined, lower_case
from exporter.vergeos.tables import Importance, Pace, Table

MISSING = "missing"


class MachineDeviceRow(DeviceRow, gc=False):
    """A row of ``machine_devices`` with its status."""

    type: Name | None = None
    enabled: bool | None = None
    optional: bool | None = None
    device_status: Annotated[Name | None, joined("status#status as device_status")] = None

    @property
    def is_lacking(self) -> bool:
        """Whether the machine requires it and it is missing."""
        required = self.optional is False and self.enabled is not False
        return required and lower_case(self.device_status) == MISSING


_OPTIONAL = {True: "true", False: "false", None: "unknown"}


def _device(row: MachineDeviceRow, key: int, _: Lost) -> MachineDeviceRow:
    clean_device(row, key)
    return row


MACHINE_DEVICES = Table(
    "machine_devices",
    "machine_devices",
    Pace.RARE,
    MachineDeviceRow,
    _device,
    by_machine,
    where="type ne 'tpm'",
    importance=Importance.LOW,
    may_be_hidden=True,
)


def vm_devices(view: RenderView) -> Items:
    """Return the devices of each VM."""
    return devices_of_vms(view, MACHINE_DEVICES.name)


DEVICE = group("device", f"{VM} device", "vms machine_devices", vm_devices)

FAMILIES = (
    info("vm_device_info", DEVICE, "machine_devices.status#status",
         "Type and status of a device passed through to the VM; the VM cannot start without a "
         "device that is not optional",
         {
             "type": or_unknown("type"),
             "status": or_unknown("device_status"),
             "optional": each(lambda row: _OPTIONAL[row.optional]),
         }),
)  # fmt: skip

COLLECTOR = Collector("machine_devices", (MACHINE_DEVICES,), FAMILIES)

"""
VMs, as the vendor's exporter shows them.

A VM that is off keeps what its rows hold, and what is unknown is 0. The node is one of the labels,
so that new series begin with a migration. All families are missing while one of the tables that the
vendor's exporter cannot do without is stale, as they are there.
"""

from operator import attrgetter
from typing import Any

import msgspec

from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.disks import MACHINE_DRIVE_STATS, MACHINE_DRIVES
from exporter.collectors.nics import MACHINE_NICS, NicStats
from exporter.collectors.nodes import NODES
from exporter.collectors.vms import MACHINE_STATS, MACHINE_STATUS, VMS, StatsRow
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import MachineStatus, VMConfig
from exporter.vendor.families import flag, or_zero, vendor_counter, vendor_gauge, vendor_group
from exporter.vergeos.rows import MIB

NEEDED = (VMS, MACHINE_STATUS, MACHINE_STATS, CLUSTERS, NODES)
VM = "system_name cluster node vm_name vm_id"
DISK = f"{VM} disk_name interface media"
NO_STATS = NicStats()


class _VM(msgspec.Struct, frozen=True, gc=False):
    config: VMConfig
    status: MachineStatus | None
    stats: StatsRow | None

    @property
    def ram_used_bytes(self) -> int:
        return ((self.stats.ram_used if self.stats else 0) or 0) * MIB

    @property
    def total_cpu(self) -> float:
        return (self.stats.total_cpu if self.stats else 0) or 0.0


def _vms(view: RenderView) -> Items:
    sources = view.sources(*(table.name for table in NEEDED))
    return view.keep("vendor vms", sources, lambda: _labeled(view))


def _labeled(view: RenderView) -> Items:
    if any(table.name not in view.inventory.sources for table in NEEDED):
        return Items([], [])
    stats = view.rows(MACHINE_STATS.name)
    found = [_VM(vm.config, vm.status, stats.get(vm.config.machine)) for vm in view.vms.objects]
    return Items(
        [
            (
                view.system,
                escape(view.clusters[vm.config.cluster]),
                escape(view.nodes[vm.status.node] if vm.status else ""),
                escape(vm.config.name),
                str(vm.config.key),
            )
            for vm in found
        ],
        found,
    )


def _parts(view: RenderView, table: str) -> list[Any]:
    """Return the devices of each VM."""
    rows = view.rows(table)
    return [rows.get(vm.config.machine, ()) for vm in _vms(view).objects]


def _nics(view: RenderView) -> Items:
    with_stats = [
        [nic for nic in nics if nic.stats != NO_STATS] for nics in _parts(view, MACHINE_NICS.name)
    ]
    owners = _vms(view).identities
    return view.parts("vendor nics", owners, with_stats, attrgetter("name"))


def _disks(view: RenderView) -> Items:
    sources = view.sources(*(table.name for table in NEEDED), MACHINE_DRIVES.name)
    return view.keep("vendor disks", sources, lambda: _labeled_disks(view))


def _labeled_disks(view: RenderView) -> Items:
    owners = zip(_vms(view).identities, _parts(view, MACHINE_DRIVES.name), strict=True)
    found = [(owner, disk) for owner, disks in owners for disk in disks]
    return Items(
        [
            (*owner, escape(disk.name), escape(disk.interface), escape(disk.media))
            for owner, disk in found
        ],
        [disk for _, disk in found],
    )


def _disk_loads(view: RenderView) -> Items:
    stats, disks = view.rows(MACHINE_DRIVE_STATS.name), _disks(view)
    found = list(map(stats.get, map(attrgetter("key"), disks.objects)))
    return Items(disks.identities, found).known()


_TABLES = " ".join(table.name for table in NEEDED)
_OF_VM = vendor_group("VM", VM, _TABLES, _vms)
_OF_NIC = vendor_group("VM NIC", f"{VM} nic_name", f"{_TABLES} {MACHINE_NICS.name}", _nics)
_OF_DISK = vendor_group("VM disk", DISK, f"{_TABLES} {MACHINE_DRIVES.name}", _disks)
_OF_LOAD = vendor_group(
    "VM disk load",
    DISK,
    f"{_TABLES} {MACHINE_DRIVES.name} {MACHINE_DRIVE_STATS.name}",
    _disk_loads,
)

FAMILIES = (
    vendor_gauge("vm_cpu_total", _OF_VM, "CPU usage in percent", or_zero("total_cpu")),
    vendor_gauge("vm_ram_used_bytes", _OF_VM, "Host memory that the VM holds, in bytes",
                 or_zero("ram_used_bytes")),
    vendor_gauge("vm_running", _OF_VM, "1 if the VM is running",
                 flag(lambda vm: vm.status is not None and vm.status.running)),
    vendor_gauge("vm_enabled", _OF_VM, "1 if the VM is enabled",
                 flag(attrgetter("config.enabled"))),
    vendor_gauge("vm_cpu_cores", _OF_VM, "Configured CPU cores", or_zero("config.cpu_cores")),
    vendor_gauge("vm_ram_bytes", _OF_VM, "Configured memory in bytes",
                 or_zero("config.memory_bytes")),
    vendor_counter("vm_nic_tx_bytes_total", _OF_NIC, "Bytes sent", or_zero("stats.tx_bytes")),
    vendor_counter("vm_nic_rx_bytes_total", _OF_NIC, "Bytes received", or_zero("stats.rx_bytes")),
    vendor_counter("vm_nic_tx_packets_total", _OF_NIC, "Packets sent", or_zero("stats.tx_pckts")),
    vendor_counter("vm_nic_rx_packets_total", _OF_NIC, "Packets received",
                   or_zero("stats.rx_pckts")),
    vendor_gauge("vm_disk_size_bytes", _OF_DISK, "Size of the disk in bytes", or_zero("disksize")),
    vendor_gauge("vm_disk_used_bytes", _OF_DISK, "Used space of the disk in bytes",
                 or_zero("used_bytes")),
    vendor_counter("vm_disk_read_ops_total", _OF_LOAD, "Read operations", or_zero("reads")),
    vendor_counter("vm_disk_write_ops_total", _OF_LOAD, "Write operations", or_zero("writes")),
    vendor_counter("vm_disk_read_bytes_total", _OF_LOAD, "Bytes read", or_zero("read_bytes")),
    vendor_counter("vm_disk_write_bytes_total", _OF_LOAD, "Bytes written", or_zero("write_bytes")),
    vendor_gauge("vm_disk_util", _OF_LOAD, "Share of time in which the disk was busy, in percent",
                 or_zero("util")),
    vendor_gauge("vm_disk_service_time", _OF_LOAD, "Average service time in milliseconds",
                 or_zero("service_time")),
)  # fmt: skip

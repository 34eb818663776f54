"""NICs of VMs: link status and counters, from ``machine_nics``."""

from typing import Annotated, Any

import msgspec

from exporter.collectors.collector import Collector
from exporter.collectors.devices import DeviceRow, by_machine, clean_device, devices_of_vms
from exporter.exposition.collector import VM, counter, divide, gauge, group, info
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Count, Lost, joined, label_word
from exporter.vergeos.tables import Pace, Table

MEGABITS_PER_BYTE = 8 / 1_000_000


class NicStats(msgspec.Struct, gc=False):
    """``stats`` of a row of ``machine_nics``."""

    rx_bytes: Count | None = None
    tx_bytes: Count | None = None
    rx_pckts: Count | None = None
    tx_pckts: Count | None = None


class NicStatus(msgspec.Struct, gc=False):
    """``status`` of a row of ``machine_nics``; the speed in Mbps."""

    status: str | None = None
    speed: float | None = None


class NicRow(DeviceRow, gc=False):
    """A row of ``machine_nics``."""

    stats: Annotated[NicStats | list[Any] | None, joined("stats[all]")] = None
    status: Annotated[NicStatus | list[Any] | None, joined("status[all]")] = None


def _nic(row: NicRow, key: int, _: Lost) -> NicRow:
    clean_device(row, key)
    row.stats = row.stats if isinstance(row.stats, NicStats) else NicStats()
    row.status = status = row.status if isinstance(row.status, NicStatus) else NicStatus()
    status.status = label_word(status.status)
    return row


MACHINE_NICS = Table("machine_nics", "machine_nics", Pace.SLOW, NicRow, _nic, by_machine, turn=2)


def vm_nics(view: RenderView) -> Items:
    """Return the NICs of each VM."""
    return devices_of_vms(view, MACHINE_NICS.name)


NIC = group("NIC", f"{VM} nic", "vms machine_nics", vm_nics)

FAMILIES = (
    info("vm_nic_status_info", NIC, "machine_nics.status.status",
         "Link status of the NIC", {"status": "status.status"}),
    gauge("vm_nic_speed_bytes_per_second", NIC, "machine_nics.status.speed",
          "Speed of the NIC", divide("status.speed", MEGABITS_PER_BYTE)),
    counter("vm_nic_receive_bytes_total", NIC, "machine_nics.stats.rx_bytes",
            "Bytes the VM received", "stats.rx_bytes"),
    counter("vm_nic_transmit_bytes_total", NIC, "machine_nics.stats.tx_bytes",
            "Bytes the VM sent", "stats.tx_bytes"),
    counter("vm_nic_receive_packets_total", NIC, "machine_nics.stats.rx_pckts",
            "Packets the VM received", "stats.rx_pckts"),
    counter("vm_nic_transmit_packets_total", NIC, "machine_nics.stats.tx_pckts",
            "Packets the VM sent", "stats.tx_pckts"),
)  # fmt: skip

COLLECTOR = Collector("nics", (MACHINE_NICS,), FAMILIES)

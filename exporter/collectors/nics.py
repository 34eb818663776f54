"""NICs of VMs: link status and counters, from ``machine_nics``."""

from sys import intern
from typing import Annotated, Any

import msgspec

from exporter.collectors.collector import Collector
from exporter.collectors.names import by_machine
from exporter.exposition.collector import VM, counter, gauge, group, info
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import Nic
from exporter.vergeos.rows import (
    BYTES_PER_MEGABIT,
    WORD_SHAPE,
    Count,
    Name,
    Reference,
    Row,
    TableRows,
    decode,
    joined,
    required_key,
    scaled,
    shared,
)
from exporter.vergeos.tables import Pace, Table


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


class NicRow(Row, gc=False):
    """A row of ``machine_nics``."""

    machine: Reference = None
    name: Name | None = None
    stats: Annotated[NicStats | list[Any] | None, joined("stats[all]")] = None
    status: Annotated[NicStatus | list[Any] | None, joined("status[all]")] = None


_NIC = msgspec.json.Decoder(NicRow, strict=False)
LINK_WORDS = frozenset({"up", "down", "unknown", "lowerlayerdown"})


def nics(body: bytes, path: str) -> TableRows[dict[int, tuple[Nic, ...]]]:
    """Return NICs by machine, each with a name that is unique within its machine."""
    decoded = decode(body, path, _NIC, _nic)
    return decoded.with_rows(by_machine(decoded.rows.values()), decoded.count)


def _nic(row: NicRow, key: int) -> Nic:
    stats = row.stats if isinstance(row.stats, NicStats) else NicStats()
    status = row.status if isinstance(row.status, NicStatus) else NicStatus()
    return Nic(
        key=key,
        machine=required_key(row.machine, "machine", key),
        name=shared(row.name),
        status=_link_word(status.status),
        speed_bytes_per_second=scaled(status.speed, 1 / BYTES_PER_MEGABIT),
        received_bytes=stats.rx_bytes,
        transmitted_bytes=stats.tx_bytes,
        received_packets=stats.rx_pckts,
        transmitted_packets=stats.tx_pckts,
    )


def _link_word(text: str | None) -> str | None:
    if text in LINK_WORDS or (text and WORD_SHAPE.fullmatch(text)):
        return intern(text)
    return None


MACHINE_NICS = Table("machine_nics", "machine_nics", Pace.SLOW, NicRow, nics, turn=2)


def vm_nics(view: RenderView) -> Items:
    """Return the NICs of each VM."""
    return Items(
        [(*identity, escape(nic.name)) for identity, vm in view.vms for nic in vm.nics],
        [nic for vm in view.vms.things for nic in vm.nics],
    )


NIC = group("NIC", f"{VM} nic", "vms machine_nics", vm_nics)

FAMILIES = (
    info("vm_nic_status_info", NIC, "machine_nics.status.status",
         "Link status of the NIC", {"status": lambda nic: nic.status or "unknown"}),
    gauge("vm_nic_speed_bytes_per_second", NIC, "machine_nics.status.speed",
          "Speed of the NIC", "speed_bytes_per_second"),
    counter("vm_nic_receive_bytes_total", NIC, "machine_nics.stats.rx_bytes",
            "Bytes the VM received", "received_bytes"),
    counter("vm_nic_transmit_bytes_total", NIC, "machine_nics.stats.tx_bytes",
            "Bytes the VM sent", "transmitted_bytes"),
    counter("vm_nic_receive_packets_total", NIC, "machine_nics.stats.rx_pckts",
            "Packets the VM received", "received_packets"),
    counter("vm_nic_transmit_packets_total", NIC, "machine_nics.stats.tx_pckts",
            "Packets the VM sent", "transmitted_packets"),
)  # fmt: skip

COLLECTOR = Collector("nics", (MACHINE_NICS,), FAMILIES)

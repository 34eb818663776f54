"""
Guests: operating system, memory and filesystems, as the guest agent reports them.

From ``machine_status.agent_guest_info``, polled apart from the status because it is more than half
of the row and seldom changes.
"""

from operator import attrgetter
from typing import Any

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import VM, gauge, group, info
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import Filesystem, Guest
from exporter.vergeos.rows import (
    Name,
    Reference,
    Row,
    TableRows,
    Whole,
    decode,
    mebibytes,
    shared,
    timestamp,
)
from exporter.vergeos.tables import Pace, Table


class OSInfo(msgspec.Struct, gc=False):
    """``osinfo`` of a guest."""

    name: Name | None = None
    pretty_name: str | None = msgspec.field(name="pretty-name", default=None)
    version: Name | None = None
    kernel_release: str | None = msgspec.field(name="kernel-release", default=None)


class MemInfo(msgspec.Struct, gc=False):
    """``meminfo`` of a guest, in MB."""

    ram_total: Whole | None = None
    ram_used: Whole | None = None


class FsInfo(msgspec.Struct, gc=False):
    """One of ``fsinfo`` of a guest."""

    name: Name | None = None
    type: str | None = None
    mountpoint: Name | None = None
    total_bytes: Whole | None = msgspec.field(name="total-bytes", default=None)
    used_bytes: Whole | None = msgspec.field(name="used-bytes", default=None)


class GuestInfo(msgspec.Struct, gc=False):
    """``agent_guest_info`` of a row of ``machine_status``; ``[]`` without an agent."""

    osinfo: OSInfo | list[Any] | None = None
    meminfo: MemInfo | list[Any] | None = None
    fsinfo: list[FsInfo] | dict[str, FsInfo] | None = None
    hostname: Name | None = None
    last_refresh: Whole | float | None = None


class GuestRow(Row, gc=False):
    """The guest part of a row of ``machine_status``."""

    machine: Reference = None
    agent_guest_info: GuestInfo | list[Any] | None = None


_GUEST = msgspec.json.Decoder(GuestRow, strict=False)


def guests(body: bytes, path: str) -> TableRows[dict[int, Guest]]:
    """Return what guest agents report, by machine; machines without an agent are left out."""
    decoded = decode(body, path, _GUEST, _guest, key=attrgetter("machine"))
    found = {machine: guest for machine, guest in decoded.rows.items() if guest is not None}
    return decoded.with_rows(found, decoded.count)


def _guest(row: GuestRow, _: int) -> Guest | None:
    info = row.agent_guest_info
    if not isinstance(info, GuestInfo):
        return None
    os_info = info.osinfo if isinstance(info.osinfo, OSInfo) else OSInfo()
    memory = info.meminfo if isinstance(info.meminfo, MemInfo) else MemInfo()
    return Guest(
        os_name=shared(os_info.pretty_name or os_info.name),
        os_version=shared(os_info.version),
        kernel=shared(os_info.kernel_release),
        hostname=info.hostname or "",
        memory_total_bytes=mebibytes(memory.ram_total),
        memory_used_bytes=mebibytes(memory.ram_used),
        filesystems=_filesystems(info.fsinfo),
        refreshed_at=timestamp(info.last_refresh),
    )


def _filesystems(given: list[FsInfo] | dict[str, FsInfo] | None) -> tuple[Filesystem, ...]:
    """Return filesystems by mount point; of two on one mount point, the first."""
    rows = given.values() if isinstance(given, dict) else given or ()
    found: dict[str, Filesystem] = {}
    for row in rows:
        mountpoint = row.mountpoint or row.name or ""
        found.setdefault(
            mountpoint, Filesystem(mountpoint, row.type or "", row.total_bytes, row.used_bytes)
        )
    return tuple(found.values())


GUESTS = Table("guests", "machine_status", Pace.SLOW, GuestRow, guests, turn=1)


def running_guests(view: RenderView) -> Items:
    """Return the guest of each VM that may run."""
    sources = view.sources("vms", "machine_status", "guests")
    return view.keep(
        "guests",
        sources,
        lambda: view.of_vms([vm.guest if vm.may_run else None for vm in view.vms.things]),
    )


def filesystems(view: RenderView) -> Items:
    """Return the filesystems of each guest."""
    guests = running_guests(view)

    def compute() -> Items:
        return Items(
            [
                (*identity, escape(filesystem.mountpoint))
                for identity, guest in guests
                for filesystem in guest.filesystems
            ],
            [filesystem for guest in guests.things for filesystem in guest.filesystems],
        )

    return view.keep("filesystems", guests, compute)


GUEST = group("guest", VM, "vms machine_status guests", running_guests)
FILESYSTEM = group("filesystem", f"{VM} mountpoint", "vms machine_status guests", filesystems)

FAMILIES = (
    info("vm_guest_info", GUEST, "machine_status.agent_guest_info",
         "Operating system in the VM",
         {"hostname": "hostname", "os_name": "os_name", "os_version": "os_version", "kernel":
          "kernel"}),
    gauge("vm_guest_memory_total_bytes", GUEST, "machine_status.agent_guest_info.meminfo.ram_total",
          "Memory that the guest has", "memory_total_bytes"),
    gauge("vm_guest_memory_used_bytes", GUEST, "machine_status.agent_guest_info.meminfo.ram_used",
          "Memory that the guest uses", "memory_used_bytes"),
    gauge("vm_guest_update_timestamp_seconds", GUEST,
          "machine_status.agent_guest_info.last_refresh",
          "When the guest agent last reported", "refreshed_at"),
    gauge("vm_guest_filesystem_size_bytes", FILESYSTEM,
          "machine_status.agent_guest_info.fsinfo.total-bytes",
          "Size of a filesystem in the guest", "size_bytes"),
    gauge("vm_guest_filesystem_used_bytes", FILESYSTEM,
          "machine_status.agent_guest_info.fsinfo.used-bytes",
          "Used space of a filesystem in the guest", "used_bytes"),
)  # fmt: skip

COLLECTOR = Collector("guests", (GUESTS,), FAMILIES)

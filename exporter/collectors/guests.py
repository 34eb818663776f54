"""
Guests: operating system, memory and filesystems, as the guest agent reports them.

From ``machine_status.agent_guest_info``, polled apart from the status because it is more than half
of the row and seldom changes.
"""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, ClassVar, TypeVar

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import VM, gauge, group, info, scale
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import MIB, Lost, Name, Reference, Row, Whole, shared, timestamp
from exporter.vergeos.tables import Pace, Table

T = TypeVar("T")


class OSInfo(msgspec.Struct, gc=False):
    """``osinfo`` of a guest."""

    name: Name | None = None
    pretty_name: Name | None = msgspec.field(name="pretty-name", default=None)
    version: Name | None = None
    kernel_release: Name | None = msgspec.field(name="kernel-release", default=None)


class MemInfo(msgspec.Struct, gc=False):
    """``meminfo`` of a guest, in MB."""

    ram_total: Whole | None = None
    ram_used: Whole | None = None


class FsInfo(msgspec.Struct, gc=False):
    """One of ``fsinfo`` of a guest."""

    IDENTITY: ClassVar = ("mountpoint",)

    name: Name | None = None
    mountpoint: Name | None = None
    total_bytes: Whole | None = msgspec.field(name="total-bytes", default=None)
    used_bytes: Whole | None = msgspec.field(name="used-bytes", default=None)


class Address(msgspec.Struct, gc=False):
    """One of the addresses of a guest's interface."""

    IDENTITY: ClassVar = ("address",)

    address: Name | None = msgspec.field(name="ip-address", default=None)


class Interface(msgspec.Struct, gc=False):
    """One of ``network`` of a guest."""

    addresses: list[Address] | dict[str, Address] | None = msgspec.field(
        name="ip-addresses", default=None
    )


class GuestInfo(msgspec.Struct, gc=False):
    """``agent_guest_info`` of a row of ``machine_status``; ``[]`` without an agent."""

    osinfo: OSInfo | list[Any] | None = None
    meminfo: MemInfo | list[Any] | None = None
    fsinfo: list[FsInfo] | dict[str, FsInfo] | None = None
    hostname: Name | None = None
    last_refresh: Whole | float | None = None
    network: list[Interface] | dict[str, Interface] | None = None


class GuestRow(Row, gc=False):
    """The guest part of a row of ``machine_status``."""

    machine: Reference = None
    agent_guest_info: GuestInfo | list[Any] | None = None


class Guest(msgspec.Struct, gc=False):
    """What is kept of ``agent_guest_info``."""

    osinfo: OSInfo
    meminfo: MemInfo
    fsinfo: list[FsInfo] = []
    hostname: str = ""
    last_refresh: float | None = None
    addresses: tuple[str, ...] = ()
    """Of all interfaces, in their order; for service discovery."""


class MachineGuest(msgspec.Struct, gc=False):
    """The guest of a machine, if an agent has reported one."""

    agent_guest_info: Guest | None = None


def _guest(row: GuestRow, _: int, __: Lost) -> MachineGuest:
    info = row.agent_guest_info
    if not isinstance(info, GuestInfo):
        return MachineGuest()
    os_info = info.osinfo if isinstance(info.osinfo, OSInfo) else OSInfo()
    os_info.pretty_name = shared(os_info.pretty_name or os_info.name)
    os_info.version = shared(os_info.version)
    os_info.kernel_release = shared(os_info.kernel_release)
    return MachineGuest(
        Guest(
            os_info,
            info.meminfo if isinstance(info.meminfo, MemInfo) else MemInfo(),
            _unique(info.fsinfo),
            info.hostname or "",
            timestamp(info.last_refresh),
            tuple(_addresses(info.network)),
        )
    )


def _addresses(given: list[Interface] | dict[str, Interface] | None) -> Iterator[str]:
    for interface in _listed(given):
        for one in _listed(interface.addresses):
            if one.address:
                yield one.address


def _listed(given: list[T] | dict[str, T] | None) -> Iterable[T]:
    """Return the items of what VergeOS sends as a list or as a map."""
    return given.values() if isinstance(given, dict) else given or ()


def _unique(given: list[FsInfo] | dict[str, FsInfo] | None) -> list[FsInfo]:
    """Return filesystems by mount point; of two on one mount point, the first."""
    found: dict[str, FsInfo] = {}
    for row in _listed(given):
        row.mountpoint = shared(row.mountpoint or row.name)
        found.setdefault(row.mountpoint, row)
    return list(found.values())


GUESTS = Table(
    "guests", "machine_status", Pace.SLOW, GuestRow, _guest, key=attrgetter("machine"), turn=1
)


def running_guests(view: RenderView) -> Items:
    """Return the guest of each VM that may run."""
    rows = map(view.rows(GUESTS.name).get, view.running_machines())
    return view.keep(
        "guests",
        view.sources("vms", "machine_status", GUESTS.name),
        lambda: view.of_vms(row and row.agent_guest_info for row in rows),
    )


def filesystems(view: RenderView) -> Items:
    """Return the filesystems of each guest."""
    guests = running_guests(view)
    return view.keep(
        "filesystems",
        guests,
        lambda: view.parts(
            "filesystems",
            guests.identities,
            list(map(attrgetter("fsinfo"), guests.objects)),
            attrgetter("mountpoint"),
        ),
    )


GUEST = group("guest", VM, "vms machine_status guests", running_guests)
FILESYSTEM = group("filesystem", f"{VM} mountpoint", "vms machine_status guests", filesystems)

FAMILIES = (
    info("vm_guest_info", GUEST, "machine_status.agent_guest_info",
         "Operating system in the VM",
         {"guest_hostname": "hostname", "os_name": "osinfo.pretty_name", "os_version":
          "osinfo.version", "kernel": "osinfo.kernel_release"}),
    gauge("vm_guest_memory_total_bytes", GUEST, "machine_status.agent_guest_info.meminfo.ram_total",
          "Memory that the guest has", scale("meminfo.ram_total", MIB)),
    gauge("vm_guest_memory_used_bytes", GUEST, "machine_status.agent_guest_info.meminfo.ram_used",
          "Memory that the guest uses", scale("meminfo.ram_used", MIB)),
    gauge("vm_guest_update_timestamp_seconds", GUEST,
          "machine_status.agent_guest_info.last_refresh",
          "When the guest agent last reported", "last_refresh"),
    gauge("vm_guest_filesystem_size_bytes", FILESYSTEM,
          "machine_status.agent_guest_info.fsinfo.total-bytes",
          "Size of a filesystem in the guest", "total_bytes"),
    gauge("vm_guest_filesystem_used_bytes", FILESYSTEM,
          "machine_status.agent_guest_info.fsinfo.used-bytes",
          "Used space of a filesystem in the guest", "used_bytes"),
)  # fmt: skip

COLLECTOR = Collector("guests", (GUESTS,), FAMILIES)

"""Builders of inventory objects: complete, with ordinary values unless a test changes them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from exporter.collectors.disks import DriveRow, DriveStatsRow
from exporter.collectors.guests import FsInfo, Guest, MachineGuest, MemInfo, OSInfo
from exporter.collectors.inventory import join
from exporter.collectors.nics import NicRow, NicStats, NicStatus
from exporter.collectors.vms import StatsRow
from exporter.model import (
    Identity,
    Inventory,
    MachineStatus,
    SystemReport,
    TableReport,
    VMConfig,
)

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
RenderInput = tuple[Inventory | None, SystemReport]
"""The arguments of `Renderer.render`."""


def config(key: int, name: str, **changes: Any) -> VMConfig:
    """Return a VM; the key of its machine is its own plus ten."""
    default = VMConfig(
        key=key,
        machine=key + 10,
        name=name,
        uuid=f"00000000-0000-4000-8000-{key:012}",
        enabled=True,
        need_restart=False,
        cpu_cores=4,
        memory_bytes=8 * 2**30,
        cluster=1,
        os_family="linux",
        machine_type="pc-q35-9.0",
        ha_group="",
        on_power_loss="last_state",
        created_from="custom",
        guest_agent=True,
        service=False,
        disable_powercycle=None,
    )
    return msgspec.structs.replace(default, **changes)


def filesystem(mountpoint: str, size: int | None, used: int | None) -> FsInfo:
    return FsInfo(mountpoint=mountpoint, total_bytes=size, used_bytes=used)


def guest(
    *,
    pretty_name: str = "Debian GNU/Linux 13 (trixie)",
    version: str = "13 (trixie)",
    kernel_release: str = "6.12.1",
    memory: MemInfo = MemInfo(7940, 1210),  # noqa: B008 - never changed
    **changes: Any,
) -> MachineGuest:
    """Return the row of a guest; *changes* are fields of `Guest`."""
    default = Guest(
        osinfo=OSInfo(pretty_name=pretty_name, version=version, kernel_release=kernel_release),
        meminfo=memory,
        fsinfo=[filesystem("/", 21_003_583_488, 4_321_000_000)],
        hostname="web-1.example",
        last_refresh=1_772_366_390,
    )
    return MachineGuest(agent_guest_info=msgspec.structs.replace(default, **changes))


GUEST = guest()


def load(total_cpu: float | None, ram_used: int | None, **changes: Any) -> StatsRow:
    """Return the load of a machine, in percent and MB; *changes* are what nodes have."""
    return StatsRow(total_cpu=total_cpu, ram_used=ram_used, **changes)


def status(machine: int, **changes: Any) -> MachineStatus:
    default = MachineStatus(
        machine=machine,
        running=True,
        powered_on=True,
        word="running",
        state="online",
        migratable=True,
        node=1,
        started_at=1_772_000_000,
        updated_at=1_772_366_395,
        running_cpu_cores=4,
        running_memory_bytes=8 * 2**30,
        agent_version="9.2.0",
    )
    return msgspec.structs.replace(default, **changes)


def stopped(machine: int, **changes: Any) -> MachineStatus:
    """Return the status of a machine that is off; VergeOS still reports its cores and memory."""
    off = {"running": False, "powered_on": False, "word": "stopped", "state": "offline"}
    rest = {"node": None, "agent_version": ""}
    return status(machine, **(off | rest | changes))


def nic(
    key: int,
    machine: int,
    name: str,
    *,
    status: str = "up",
    speed: float | None = 10_000.0,
    **changes: Any,
) -> NicRow:
    """Return the row of a NIC; *changes* are fields of `NicStats`."""
    stats = NicStats(rx_bytes=1_234_567, tx_bytes=890, rx_pckts=1000, tx_pckts=12)
    return NicRow(
        key=key,
        machine=machine,
        name=name,
        stats=msgspec.structs.replace(stats, **changes),
        status=NicStatus(status, speed),
    )


def disk(key: int, machine: int, name: str, **changes: Any) -> DriveRow:
    default = DriveRow(
        key=key,
        machine=machine,
        name=name,
        media="disk",
        interface="virtio-scsi",
        preferred_tier="1",
        disksize=53_687_091_200,
        used_bytes=12_000_000_001,
    )
    return msgspec.structs.replace(default, **changes)


def disk_stats(**changes: Any) -> DriveStatsRow:
    default = DriveStatsRow(
        reads=100,
        writes=2_000_000,
        read_bytes=300,
        write_bytes=1_000_000,
        util=12.5,
        service_time=3.5,
    )
    return msgspec.structs.replace(default, **changes)


def table(name: str, **changes: Any) -> TableReport:
    default = TableReport(
        table=name,
        every_seconds=20.0,
        success=True,
        fresh=True,
        last_success_at=AT,
        duration_seconds=0.042,
        rows=412,
        rows_skipped=0,
        unreadable=0,
        failures_total=0,
        rows_skipped_total=0,
        error=None,
    )
    return msgspec.structs.replace(default, **changes)


def report(system_name: str = "prod", **changes: Any) -> SystemReport:
    default = SystemReport(
        system_name=system_name,
        url="https://verge.example.net",
        identity=None,
        up=True,
        authenticated=True,
        taken_at=AT,
        tables=(table("vms"),),
        requests_remaining=612,
        requests_per_hour=742,
        recent_errors=(),
    )
    return msgspec.structs.replace(default, **changes)


def inventory(
    rows: Mapping[str, Any], system_name: str = "prod", identity: Identity | None = None
) -> Inventory:
    """Return the inventory of *rows*; *identity* is None until the system's name is known."""
    return join(rows, system_name=system_name, identity=identity, taken_at=AT)


def system(rows: Mapping[str, Any], system_name: str = "prod") -> RenderInput:
    """Return the inventory and the report of a system; without rows it has no inventory."""
    joined = inventory(rows, system_name, rows.get("identity")) if rows else None
    return joined, report(system_name, up=joined is not None)

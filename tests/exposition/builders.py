"""Small pieces of a fleet, complete and unremarkable until a test says otherwise."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from exporter.collectors.inventory import join
from exporter.model import (
    Disk,
    DiskStats,
    Filesystem,
    Guest,
    Identity,
    Inventory,
    MachineStatus,
    Nic,
    SystemReport,
    TableReport,
    VMConfig,
)

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
Cloud = tuple[Inventory | None, SystemReport]
"""What a renderer is given."""


def config(key: int, name: str, **changes: Any) -> VMConfig:
    """Return a VM whose machine is its key and ten."""
    plain = VMConfig(
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
    return msgspec.structs.replace(plain, **changes)


GUEST = Guest(
    os_name="Debian GNU/Linux 13 (trixie)",
    os_version="13 (trixie)",
    kernel="6.12.1",
    hostname="web-1.example",
    memory_total_bytes=8_325_693_440,
    memory_used_bytes=1_268_776_960,
    filesystems=(Filesystem("/", "ext4", 21_003_583_488, 4_321_000_000),),
    refreshed_at=1_772_366_390,
)


def status(machine: int, **changes: Any) -> MachineStatus:
    plain = MachineStatus(
        machine=machine,
        running=True,
        powered_on=True,
        word="running",
        word_info="",
        state="online",
        migratable=True,
        node=1,
        started_at=1_772_000_000,
        updated_at=1_772_366_395,
        running_cpu_cores=4,
        running_memory_bytes=8 * 2**30,
        agent_version="9.2.0",
    )
    return msgspec.structs.replace(plain, **changes)


def stopped(machine: int, **changes: Any) -> MachineStatus:
    """Return the state of a machine that is off; cores and memory the platform keeps."""
    off = {"running": False, "powered_on": False, "word": "stopped", "state": "offline"}
    rest = {"node": None, "agent_version": ""}
    return status(machine, **(off | rest | changes))


def nic(key: int, machine: int, name: str, **changes: Any) -> Nic:
    plain = Nic(key, machine, name, "up", 1_250_000_000.0, 1_234_567, 890, 1000, 12)
    return msgspec.structs.replace(plain, **changes)


def disk(key: int, machine: int, name: str, **changes: Any) -> Disk:
    plain = Disk(key, machine, name, "disk", "virtio-scsi", "1", 53_687_091_200, 12_000_000_001)
    return msgspec.structs.replace(plain, **changes)


def disk_stats(key: int, **changes: Any) -> DiskStats:
    plain = DiskStats(key, 100, 2_000_000, 300, 1_000_000, 0.125, 0.0035)
    return msgspec.structs.replace(plain, **changes)


def table(name: str, **changes: Any) -> TableReport:
    plain = TableReport(
        table=name,
        every_seconds=20.0,
        success=True,
        fresh=True,
        last_success_at=AT,
        duration_seconds=0.042,
        rows=412,
        rows_skipped=0,
        failures_total=0,
        rows_skipped_total=0,
        error=None,
    )
    return msgspec.structs.replace(plain, **changes)


def report(system_name: str = "prod", **changes: Any) -> SystemReport:
    plain = SystemReport(
        system_name=system_name,
        url="https://verge.example.net",
        identity=None,
        up=True,
        authenticated=True,
        taken_at=AT,
        tables=(table("vms"),),
        vms_by_status={},
        requests_remaining=612,
        requests_per_hour=742,
        recent_errors=(),
    )
    return msgspec.structs.replace(plain, **changes)


def inventory(
    rows: Mapping[str, Any], system_name: str = "prod", identity: Identity | None = None
) -> Inventory:
    """Return the picture that *rows* draw, of a cloud that may have said who it is."""
    return join(rows, system_name=system_name, identity=identity, taken_at=AT)


def system(rows: Mapping[str, Any], system_name: str = "prod") -> Cloud:
    """Return all that is known of a cloud; without any rows there is no picture of it."""
    joined = inventory(rows, system_name, rows.get("identity")) if rows else None
    return joined, report(system_name, up=joined is not None)

"""Checks of storage tiers and physical drives."""

from collections.abc import Iterator, Mapping
from typing import Any

from exporter.collectors.physical_drives import MACHINE_DRIVE_PHYS, PhysicalDriveRow
from exporter.collectors.storage_tiers import STORAGE_TIERS, StorageTierRow
from exporter.doctor.check import Check
from exporter.model import Finding, Inventory, Level

NEARLY_FULL = 0.80
FULL = 0.95
"""As in ``vrg doctor``; VergeOS delays writes from 0.91 on."""

EVIDENCE = {
    "temperature": ("temp", "a temperature of {} °C"),
    "wear": ("wear_level", "{} % of the rated writes used up"),
    "power_on_time": ("hours", "{} hours of operation"),
    "reallocated_sectors": ("realloc_sectors", "{} reallocated sectors"),
    "pending_sectors": ("current_pending_sector", "{} pending sectors"),
    "uncorrectable_sectors": ("offline_uncorrectable", "{} uncorrectable sectors"),
}
"""By SMART value: the field, and the text with its value."""


def _storage(inventory: Inventory) -> Iterator[Finding]:
    rows: Mapping[int, StorageTierRow] = _rows(inventory, STORAGE_TIERS.name)
    for row in rows.values():
        share = row.used_share
        if share is not None and share >= NEARLY_FULL:
            level = Level.CRITICAL if share >= FULL else Level.WARNING
            yield Finding(level, f"tier {row.number}", f"{share:.0%} used")


def _drive_smart(inventory: Inventory) -> Iterator[Finding]:
    rows: Mapping[int, PhysicalDriveRow] = _rows(inventory, MACHINE_DRIVE_PHYS.name)
    for row in rows.values():
        evidence = [*_exceeded(row), *_errors(row)]
        if evidence:
            yield Finding(Level.WARNING, _name(row), ", ".join(evidence))


def _exceeded(row: PhysicalDriveRow) -> Iterator[str]:
    for name in row.warnings:
        field, text = EVIDENCE[name]
        value = getattr(row, field)
        if value is None:
            yield f"a warning about {name.replace('_', ' ')}"
        else:
            yield text.format(f"{value:.0f}")


def _errors(row: PhysicalDriveRow) -> Iterator[str]:
    if not row.is_in_vsan:
        return
    for count, what in ((row.vsan_read_errors, "read"), (row.vsan_write_errors, "write")):
        if count:
            yield f"{count} vSAN {what} errors"


def _name(row: PhysicalDriveRow) -> str:
    """Return a name that a drive keeps, and that the drive which replaces it does not have."""
    serial = f" ({row.serial})" if row.serial else ""
    return f"{row.node_display or 'unknown node'} {row.drive_name}{serial}"


def _rows(inventory: Inventory, table: str) -> Any:
    return inventory.sources[table]


CHECKS = (
    Check(
        "storage",
        "Every storage tier is less than 80 % full.",
        (STORAGE_TIERS.name,),
        _storage,
        "Delete snapshots and data that are not needed, move disks to another tier, or add drives.",
        "VergeStorageTierFull",
        "A storage tier is almost full.",
        levels=(Level.WARNING, Level.CRITICAL),
        wakes=True,
    ),
    Check(
        "drive_smart",
        "No physical drive exceeds a SMART limit or has vSAN errors.",
        (MACHINE_DRIVE_PHYS.name,),
        _drive_smart,
        "Look at the drive in VergeOS, and replace it.",
        "VergeDriveFailing",
        "A physical drive exceeds a SMART limit or has vSAN errors.",
    ),
)

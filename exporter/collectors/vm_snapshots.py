"""
Snapshots of VMs, from ``machine_snapshots``: how many, how old, and when the next is due.

When one is due follows from the VM's snapshot profile. It is exported as a point in time: a table
that no longer changes is not rendered again, so it could not show that a snapshot is overdue.
"""

from typing import Any

import msgspec

from exporter.collectors.collector import Collector
from exporter.collectors.snapshot_profiles import (
    HOUR,
    SNAPSHOT_PERIODS,
    SNAPSHOT_PROFILES,
    intervals,
)
from exporter.exposition.collector import VM, each, gauge, group, info
from exporter.exposition.view import Items, RenderView
from exporter.polling.state import TableRows
from exporter.vergeos.rows import Lost, Reference, Row, Whole, required_key, timestamp
from exporter.vergeos.tables import Importance, Pace, Table


class SnapshotRow(Row, gc=False):
    """A row of ``machine_snapshots``."""

    machine: Reference = None
    created: Whole | float | None = None


class Snapshots(msgspec.Struct, frozen=True, gc=False):
    """The snapshots of one machine."""

    count: int = 0
    newest_at: float | None = None
    oldest_at: float | None = None


NONE = Snapshots()


def _snapshot(row: SnapshotRow, key: int, _: Lost) -> tuple[int, float | None]:
    return required_key(row.machine, "machine", key), timestamp(row.created)


def _by_machine(decoded: TableRows[dict[int, Any]]) -> TableRows[dict[int, Snapshots]]:
    """Return what is exported of each machine: a system may have 100,000 snapshots."""
    counts: dict[int, int] = {}
    newest: dict[int, float] = {}
    oldest: dict[int, float] = {}
    for machine, created in decoded.rows.values():
        counts[machine] = counts.get(machine, 0) + 1
        if created is not None:
            newest[machine] = max(created, newest.get(machine, created))
            oldest[machine] = min(created, oldest.get(machine, created))
    return decoded.with_rows(
        {
            machine: Snapshots(count, newest.get(machine), oldest.get(machine))
            for machine, count in counts.items()
        }
    )


MACHINE_SNAPSHOTS = Table(
    "machine_snapshots",
    "machine_snapshots",
    Pace.RARE,
    SnapshotRow,
    _snapshot,
    _by_machine,
    importance=Importance.LOW,
)


def grace(interval: float) -> float:
    """Return how late a snapshot may be: VergeOS takes them one after the other."""
    return max(interval / 4, HOUR)


def snapshots(view: RenderView) -> Items:
    """Return the snapshots of each VM, also of one that has none."""
    if MACHINE_SNAPSHOTS.name not in view.inventory.sources:
        return Items([], [])
    rows = view.rows(MACHINE_SNAPSHOTS.name)
    return view.of_vms(rows.get(machine, NONE) for machine in view.machines())


def due_times(view: RenderView) -> Items:
    """Return for each VM with a profile when its next snapshot is due at the latest."""
    if MACHINE_SNAPSHOTS.name not in view.inventory.sources:
        return Items([], [])
    rows = view.rows(MACHINE_SNAPSHOTS.name)
    known = intervals(view.rows(SNAPSHOT_PERIODS.name))

    def due(config: Any) -> float | None:
        interval = known.get(config.snapshot_profile)
        # The profile of a VM without a snapshot may be as new as the last change of the VM.
        last = rows.get(config.machine, NONE).newest_at or config.modified_at
        return last + interval + grace(interval) if interval and last else None

    return view.of_vms(due(vm.config) for vm in view.vms.objects)


def profile_names(view: RenderView) -> Items:
    """Return the name of each VM's profile, empty where it has none."""
    if SNAPSHOT_PROFILES.name not in view.inventory.sources:
        return Items([], [])
    names = {None: ""} | {
        key: row.name or f"#{key}" for key, row in view.rows(SNAPSHOT_PROFILES.name).items()
    }

    def name(key: int | None) -> str:
        return names.get(key, f"#{key}")

    return view.of_vms(name(vm.config.snapshot_profile) for vm in view.vms.objects)


OF_VM = group("VM snapshots", VM, "vms machine_snapshots", snapshots)
DUE = group(
    "VM snapshot due", VM, "vms machine_snapshots snapshot_profile_periods", due_times
)  # fmt: skip
OF_PROFILE = group("VM snapshot profile", VM, "vms snapshot_profiles", profile_names)

FAMILIES = (
    gauge("vm_snapshots", OF_VM, "machine_snapshots.machine", "Snapshots of the VM", "count"),
    gauge("vm_snapshot_newest_timestamp_seconds", OF_VM, "machine_snapshots.created",
          "When the newest snapshot of the VM was taken", "newest_at"),
    gauge("vm_snapshot_oldest_timestamp_seconds", OF_VM, "machine_snapshots.created",
          "When the oldest snapshot of the VM was taken", "oldest_at"),
    gauge("vm_snapshot_due_timestamp_seconds", DUE,
          "vms.snapshot_profile, snapshot_profile_periods.frequency",
          "When the next snapshot of the VM is due at the latest: after the shortest interval of "
          "its snapshot profile and a quarter more, at least an hour; absent without a profile",
          each(float)),
    info("vm_snapshot_profile_info", OF_PROFILE, "vms.snapshot_profile",
         "Snapshot profile of the VM, empty if it has none",
         {"snapshot_profile": each(str)}),
)  # fmt: skip

COLLECTOR = Collector("vm_snapshots", (MACHINE_SNAPSHOTS,), FAMILIES)

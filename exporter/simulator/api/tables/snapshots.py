"""
The tables of snapshots: ``machine_snapshots``, ``cloud_snapshots`` and their profiles.

Fields: what pyvergeos requests.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from exporter.simulator.api.tables.columns import (
    Column,
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
    live,
)
from exporter.simulator.world.machines import VM
from exporter.simulator.world.protection import (
    DAY,
    PERIODS,
    PROFILES,
    Period,
    Profile,
    Snapshot,
    of_system,
    of_vm,
)

LATE_DAYS = 40
"""By how much the snapshots of a VM are older while the fault ``snapshot_overdue`` is on."""


def has_profiles(view: RequestView) -> bool:
    """Return whether the system has snapshot profiles."""
    return not view.world.faults.active("no_snapshot_profiles")


def _profiles(view: RequestView) -> tuple[Profile, ...]:
    return PROFILES if has_profiles(view) else ()


def _periods(view: RequestView) -> tuple[Period, ...]:
    return PERIODS if has_profiles(view) else ()


def _of_vms(view: RequestView) -> Iterator[Snapshot]:
    late = _overdue(view)
    for vm in view.world.vms.values():
        if vm.is_snapshot:
            owner = view.world.vms.get(vm.snapshot_of or 0)
            if owner is not None:
                expires = vm.columns.get("expires", 0)
                yield _dated(Snapshot(vm.key, vm.name, vm.created, expires, owner, vm), late)
        elif has_profiles(view):
            for snapshot in of_vm(vm, view.now):
                yield _dated(snapshot, late)


def snapshot_of_key(key: str, view: RequestView) -> Snapshot | None:
    """Return the snapshot of a row's key."""
    return next((one for one in _of_vms(view) if str(one.key) == key), None)


def _written(name: str, default: Any) -> Column:
    """Return a column that a request wrote into a snapshot by hand."""
    return computed(lambda row: row.copy.columns.get(name, default) if row.copy else default)


def _dated(snapshot: Snapshot, late: frozenset[int]) -> Snapshot:
    if snapshot.vm is None or snapshot.vm.key not in late:
        return snapshot
    return replace(snapshot, created=snapshot.created - LATE_DAYS * DAY)


def _overdue(view: RequestView) -> frozenset[int]:
    """Return the keys of the VMs of which VergeOS takes no snapshots."""
    found = set[int]()
    for fault in view.world.faults.active("snapshot_overdue"):
        with_profile = [vm for vm in view.world.live_vms() if vm.snapshot_profile is not None]
        if fault["vm"] == "*":
            found |= {vm.key for vm in with_profile}
        elif fault["vm"]:
            found |= {vm.key for vm in with_profile if vm.name == fault["vm"]}
        else:
            found |= {vm.key for vm in with_profile[:1]}
    return frozenset(found)


def profile_of(vm: VM, view: RequestView) -> int | None:
    """Return the key of the profile of a VM."""
    return vm.snapshot_profile if has_profiles(view) and not vm.is_snapshot else None


def _profile_row(key: int | None) -> Profile | None:
    return next((profile for profile in PROFILES if profile.key == key), None)


_EXPIRY = {
    "expires": attribute("expires"),
    "expires_type": computed(lambda row: "date" if row.expires else "never"),
}

_MACHINE_SNAPSHOTS = Table(
    name="machine_snapshots",
    rows=_of_vms,
    find=lambda view, key: snapshot_of_key(key, view),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": _written("snapshot_description", ""),
        "created": attribute("created"),
        **_EXPIRY,
        "quiesced": _written("quiesced", default=False),
        "created_manually": computed(lambda row: row.period is None),
        "machine": attribute("vm.machine.key", leads_to="machines"),
        "snap_machine": computed(lambda row: row.copy.machine.key if row.copy else None),
        "snapshot_period": computed(lambda row: row.period.key if row.period else None),
    },
    links={
        "machine": Link("machines", lambda row, _view: row.vm.machine),
        "snap_machine": Link("machines", lambda row, _view: row.copy and row.copy.machine),
        "snapshot_period": Link("snapshot_profile_periods", lambda row, _view: row.period),
    },
)

_CLOUD_SNAPSHOTS = Table(
    name="cloud_snapshots",
    rows=lambda view: of_system(view.now),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "created": attribute("created"),
        **_EXPIRY,
        "snapshot_profile": attribute("period.profile", leads_to="snapshot_profiles"),
        "private": constant(value=False),
        "remote_sync": constant(value=False),
        "incoming_sync": constant(None),
        "immutable": computed(lambda row: row.period.frequency == "daily"),
        "immutable_status": computed(
            lambda row: "locked" if row.period.frequency == "daily" else "unlocked"
        ),
        "immutable_lock_expires": attribute("expires"),
        "status": constant("normal"),
        "status_info": constant(""),
    },
    links={
        "snapshot_profile": Link(
            "snapshot_profiles", lambda row, _view: _profile_row(row.period.profile)
        )
    },
)

_SNAPSHOT_PROFILES = Table(
    name="snapshot_profiles",
    rows=_profiles,
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "ignore_warnings": constant(value=False),
    },
)

_SNAPSHOT_PERIODS = Table(
    name="snapshot_profile_periods",
    rows=_periods,
    columns={
        "$key": attribute("key"),
        "profile": attribute("profile", leads_to="snapshot_profiles"),
        "name": attribute("name"),
        "frequency": attribute("frequency"),
        "minute": constant(0),
        "hour": constant(0),
        "day_of_week": constant("any"),
        "day_of_month": constant(0),
        "month": constant(0),
        "retention": attribute("retention"),
        "max_tier": constant("1"),
        "quiesce": constant(value=False),
        "min_snapshots": constant(1),
        "immutable": constant(value=False),
        "estimated_snapshot_count": live(lambda period, _view: period.retention // period.every),
    },
    links={"profile": Link("snapshot_profiles", lambda row, _view: _profile_row(row.profile))},
)


TABLES = (_MACHINE_SNAPSHOTS, _CLOUD_SNAPSHOTS, _SNAPSHOT_PROFILES, _SNAPSHOT_PERIODS)

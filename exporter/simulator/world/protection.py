"""
What protects a system: scheduled snapshots and syncs, which follow from the time alone.

Snapshots are taken and expire, and syncs run, without events: a system of 10,000 VMs has tens of
thousands of snapshots, which are computed when a request reads them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.simulator.world.machines import VM

HOUR, DAY = 3600, 86_400
KEYS_OF_VMS = 10**7
"""More than any key of a VM."""
SPREAD = 600
"""Seconds over which the snapshots of one schedule are spread."""


@dataclass(frozen=True, slots=True)
class Period:
    """A row of ``snapshot_profile_periods``."""

    key: int
    profile: int
    name: str
    frequency: str
    every: int
    retention: int


@dataclass(frozen=True, slots=True)
class Profile:
    """A row of ``snapshot_profiles``."""

    key: int
    name: str


PROFILES = (Profile(1, "Standard"), Profile(2, "Database"), Profile(3, "Archive"))
PERIODS = (
    Period(1, 1, "Daily", "daily", DAY, 3 * DAY),
    Period(2, 2, "Hourly", "hourly", HOUR, 6 * HOUR),
    Period(3, 2, "Daily", "daily", DAY, 3 * DAY),
    Period(4, 3, "Weekly", "weekly", 7 * DAY, 28 * DAY),
)
OF_SYSTEM = (
    Period(5, 1, "Hourly", "hourly", HOUR, 6 * HOUR),
    Period(6, 1, "Daily", "daily", DAY, 3 * DAY),
)
"""By which the whole system is snapshotted."""
WITHOUT_PROFILE = 9
"""Each VM whose key ends in this digit has no profile."""


def profile_for(vm: VM) -> int | None:
    """Return the profile that a VM gets when the system is created."""
    if vm.key % 10 == WITHOUT_PROFILE:
        return None
    if vm.role in ("db", "erp"):
        return 2
    return 3 if vm.role in ("desktop", "test") else 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row of ``machine_snapshots`` or ``cloud_snapshots``."""

    key: int
    name: str
    created: int
    expires: int
    vm: VM | None = None
    """Whose it is; None for the whole system."""
    copy: VM | None = None
    """The row of ``vms`` that it is kept in; scheduled ones have none here."""
    period: Period | None = None
    """By which it was taken; None if by hand."""


def scheduled(period: Period, now: float, vm: VM | None = None) -> Iterator[Snapshot]:
    """Return the snapshots of one period that are kept at *now*, the oldest first."""
    number = 0 if vm is None else vm.key
    after = number * 37 % SPREAD
    last = int(now - after) // period.every
    for slot in range(last - period.retention // period.every, last + 1):
        created = slot * period.every + after
        expires = created + period.retention
        if expires > now and (vm is None or created >= vm.created):
            key = (slot * 10 + period.key) * KEYS_OF_VMS + number
            yield Snapshot(key, f"{period.name}-{created}", created, expires, vm, period=period)


def of_vm(vm: VM, now: float) -> Iterator[Snapshot]:
    """Return the scheduled snapshots of a VM."""
    for period in PERIODS:
        if period.profile == vm.snapshot_profile:
            yield from scheduled(period, now, vm)


def of_system(now: float) -> Iterator[Snapshot]:
    """Return the snapshots of the whole system."""
    for period in OF_SYSTEM:
        yield from scheduled(period, now)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a sync."""

    start: int
    stop: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A sync of snapshots with another site."""

    key: int
    name: str
    every: int = HOUR
    after: int = 300
    """Seconds from the full hour to its start."""

    def run(self, now: float, before: int = 0) -> Run:
        """Return the last run that has started at *now*, or one of those before it."""
        number = int(now - self.after) // self.every - before
        start = number * self.every + self.after
        effort = number * 2_654_435_761 % 97
        return Run(start, start + 240 + 6 * effort, (40 + effort) * 10**8)

    def runs(self, now: float) -> bool:
        """Return whether it is running."""
        return now < self.run(now).stop

    def ended(self, now: float) -> Run:
        """Return the last run that has ended."""
        return self.run(now, before=1) if self.runs(now) else self.run(now)


OUTGOING = (Sync(1, "to-harbor"),)
INCOMING = (Sync(1, "from-harbor", after=1500),)

"""Ordinary activity of a site in VergeOS' log: rows about VMs that mean nothing for recovery."""

from collections.abc import Iterable, Sequence
from heapq import heapify, heapreplace
from itertools import count
from typing import NamedTuple

from exporter.recovery.model.limits import DAY, HOUR
from exporter.simulator.world.machines import VM
from exporter.simulator.world.rng import Rng
from tests.recovery.harness import Harness

MINUTE = 60.0
FIRST_WITHIN = 55 * MINUTE
"""So that a day of experience is complete within 25 hours, with daily rows too."""
AT_CRASH = "qemu[{number}]: exit code {number}"


class Activity(NamedTuple):
    """Rows that appear in the log about a VM."""

    name: str
    texts: Sequence[str] = ()
    every: float = 0.0
    """In seconds; 0 for no rows but those of crashes."""
    user: str = "system"
    at_crash: str = ""
    """A row that is written with each crash."""


ACTIVITIES = (
    Activity("none"),
    Activity("nightly backup rows",
             ("Backup of '{name}' started", "Backup of '{name}' completed in {number} s"), DAY),
    Activity("hourly rows of a snapshot task", ("Task 'Hourly snapshot' ran on '{name}'",), HOUR),
    Activity("a task row every 15 min", ("Task 'Inventory {number}' ran on '{name}'",),
             15 * MINUTE),
    Activity("hourly `VM snapshot taken`", ("VM snapshot taken",), HOUR),
    Activity("an unexplained row every 15 min", ("{name}: flux capacitor at {number} %",),
             15 * MINUTE),
    Activity("the same by a service account", ("{name}: flux capacitor at {number} %",),
             15 * MINUTE, user="svc-flux"),
    Activity("an unexplained row with every crash", at_crash=AT_CRASH),
)  # fmt: skip


class ActivityLog:
    """
    Writes the rows of activities into the log of a system.

    Args:
        activities: Each VM with what goes on about it.

    """

    def __init__(
        self, harness: Harness, activities: Iterable[tuple[VM, Activity]], *, seed: int
    ) -> None:
        self._harness = harness
        self._dice = Rng(seed + 11)
        numbers, start = count(), harness.clock.elapsed
        self._due = [
            (start + self._dice.uniform(0.0, min(one.every, FIRST_WITHIN)), next(numbers), vm, one)
            for vm, one in activities
            if one.every
        ]
        heapify(self._due)

    def write_until(self, moment: float) -> None:
        """Write what is due before *moment* of the run, in its order with what else happens."""
        while self._due and self._due[0][0] <= moment:
            at, number, vm, activity = self._due[0]
            self._harness.clock.elapsed = max(self._harness.clock.elapsed, at)
            self._harness.world.catch_up()
            for text in activity.texts:
                self.write(text, vm, user=activity.user)
            heapreplace(self._due, (at + activity.every, number, vm, activity))

    def write(self, text: str, vm: VM, *, user: str = "system") -> None:
        """Write a row about *vm*."""
        self._harness.world.platform_log.write(
            text.format(name=vm.name, number=self._dice.randrange(1, 10_000)),
            at=self._harness.world.now,
            user=user,
            name=vm.name,
            machine=vm.machine.key,
        )

"""The history of the VMs of one system, without Prometheus: status and resources."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from exporter.collectors.guests import GUESTS
from exporter.collectors.vms import MACHINE_STATS
from exporter.console.fleet import cpu_ratio, memory_ratio, rows_of
from exporter.console.resource_history import ResourceHistory, Resources
from exporter.console.status_history import (
    CODES,
    SLOT_SECONDS,
    SLOTS,
    Segment,
    StatusHistory,
    begin_of,
    slot_of,
    slots_before,
)
from exporter.console.vm_condition import condition_in_state, condition_of, runs
from exporter.console.vm_rows import VMRows
from exporter.model import VM, Inventory, RecoveryReport, RecoveryVM
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import StatusRecords
from exporter.recovery.model.states import State

STATUS_HISTORY = timedelta(seconds=SLOT_SECONDS * SLOTS)


class SystemHistory:
    """
    The history of one system.

    It is written in worker threads, one at a time, and read in others: a row belongs to the same VM
    until what is known of it was forgotten.

    Args:
        hours: How long resources are kept; 0 keeps none.

    """

    def __init__(self, hours: int) -> None:
        self.is_complete = False
        """Whether it has what the journal knew."""
        self._hours = hours
        self._rows = VMRows()
        self._status = StatusHistory()
        self._resources = ResourceHistory(hours)
        self._seen_at: datetime | None = None
        self._seen_stats: object = None
        self._keys: list[int] = []
        self._order: Sequence[int] = ()
        """The rows of the VMs, in their order in the inventory."""

    def record(self, inventory: Inventory, recovery: RecoveryReport | None) -> None:
        """Record an inventory with what recovery knows; one that is not newer adds nothing."""
        at, stats = inventory.taken_at, inventory.sources.get(MACHINE_STATS.name)
        if self._seen_at is not None and at <= self._seen_at:
            return
        self._number([vm.config.key for vm in inventory.vms], at)
        codes = _codes(inventory.vms, recovery.vms if recovery is not None else ())
        self._status.record(zip(self._order, codes, strict=True), self._rows.count, at)
        if stats is not None and stats is not self._seen_stats and self._hours > 0:
            values = _resources(inventory, self._order)
            self._resources.record(values, self._rows.count, at)
        self._seen_at, self._seen_stats = at, stats

    def _number(self, keys: list[int], at: datetime) -> None:
        """Give each VM its row."""
        if keys == self._keys:
            return
        self._keys = keys
        freed = self._rows.update(keys, at)
        if freed:
            self._status.forget(freed)
            self._resources.forget(freed)
        self._order = [self._rows[key] for key in keys]

    def add_saved(self, saved: StatusRecords, monitored: Iterable[RecoveryVM]) -> None:
        """
        Add what the journal knows of the *monitored* VMs.

        One without a change in that time was then as it is now.
        """
        changes = defaultdict[int, list[Change]](list)
        for change in saved.changes:
            changes[change.vm_key].append(change)
        observed = sorted({slot_of(time) for time in saved.polls})
        unchanged: list[tuple[int, int]] = []
        for vm in monitored:
            row, condition = self._rows.get(vm.key), condition_in_state(State(vm.state), "")
            if row is None:
                continue
            if vm.key not in changes:
                unchanged.append((row, CODES[condition]))
                continue
            for number, code in slots_before(changes[vm.key], observed, condition):
                self._status.add(row, number, code)
        for (
            number
        ) in observed:  # nearly all of 10,000 VMs: by half hours, which is ten times faster
            self._status.record(unchanged, self._rows.count, begin_of(number))
        self.is_complete = True

    def status(self, key: int, now: datetime) -> tuple[Segment, ...]:
        """Return the conditions of the VM *key* in the last 24 hours, the oldest first."""
        return self._status.segments(self._rows.get(key), now)

    def resources(self, key: int, now: datetime) -> Resources:
        """Return the resources of the VM *key* in the last hours."""
        return self._resources.resources(self._rows.get(key), now)

    def knows(self, key: int) -> bool:
        """Return whether the VM *key* is there, or was within a day."""
        return self._rows.get(key) is not None

    def last_seen(self, key: int) -> datetime | None:
        """Return when a VM that vanished within a day was seen last; else None."""
        return self._rows.last_seen(key)


def _codes(vms: Sequence[VM], monitored: Iterable[RecoveryVM]) -> Iterator[int]:
    """Return the code of the condition of each VM; few combinations make up all of them."""
    known = {one.key: one for one in monitored}
    codes: dict[object, int] = {}
    for vm in vms:
        status, recovery = vm.status, known.get(vm.config.key)
        seen = (
            (status.running, status.word) if status is not None else None,
            recovery.state if recovery is not None else None,
        )
        code = codes.get(seen)
        if code is None:
            code = codes[seen] = CODES[condition_of(vm, recovery)]
        yield code


def _resources(
    inventory: Inventory, order: Sequence[int]
) -> Iterator[tuple[int, float | None, float | None]]:
    stats, guests = rows_of(inventory, MACHINE_STATS.name), rows_of(inventory, GUESTS.name)
    for row, vm in zip(order, inventory.vms, strict=True):
        if runs(vm.status):
            machine = vm.config.machine
            guest = guests.get(machine)
            memory = memory_ratio(guest.agent_guest_info) if guest is not None else None
            yield row, cpu_ratio(stats.get(machine)), memory

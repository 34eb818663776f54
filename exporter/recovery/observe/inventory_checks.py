"""Whether one poll may be believed, and what it shows of each VM."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import median
from typing import NamedTuple

from exporter.model import VM, Inventory, MachineStatus, Node, PollResult, StatusWord
from exporter.recovery.model.cases import Enrolment, ObservedState, Policy
from exporter.recovery.model.limits import Limits

VMS = "vms"
STATUS = "machine_status"

UP = frozenset(
    {
        StatusWord.RUNNING,
        StatusWord.NEEDSREFRESH,
        StatusWord.NEEDSRESTART,
        StatusWord.DRIVERSRELOADING,
    }
)
BUSY = frozenset(
    {
        StatusWord.INITIALIZING,
        StatusWord.STARTING,
        StatusWord.INITMIGRATE,
        StatusWord.STARTMIGRATE,
        StatusWord.MIGRATING,
        StatusWord.MIGRATECOMPLETE,
        StatusWord.IMPORTING,
        StatusWord.MAINTENANCE,
        StatusWord.LEAVINGMAINTENANCE,
    }
)
STOPPING = frozenset({StatusWord.STOPPING, StatusWord.HIBERNATING})
WAITING = frozenset({StatusWord.WAITINGFORRESOURCES, StatusWord.UNLICENSED})


class CheckedInventory(NamedTuple):
    """A poll that may be believed."""

    at: float
    """Seconds of watch."""
    time: datetime
    clock: float | None
    """VergeOS' newest time, in Unix seconds."""
    clock_moved_at: float
    """When that time was last seen to have moved."""
    vms: Mapping[str, VM]
    """By uuid; a VM without one cannot be told from another and is left out."""
    nodes: Mapping[int, Node]
    vm_count: int
    status_count: int
    reported: Inventory


class RejectedInventory(NamedTuple):
    """A poll that changes nothing that is known of any VM."""

    reason: str
    """One word, for a metric's label."""
    detail: str


def check_inventory(
    poll: PollResult, last: CheckedInventory | None, limits: Limits, *, enrolled: Mapping[str, int]
) -> CheckedInventory | RejectedInventory:
    """
    Return what *poll* shows, if it may be believed.

    Args:
        last: The last poll that was; what comes after must not have shrunk.
        enrolled: The VMs that recovery looks after: uuid to key.

    """
    inventory = poll.inventory
    if inventory is None:
        return RejectedInventory("unread", poll.problem or "a table could not be read")
    if poll.took_seconds > poll.every_seconds:
        return RejectedInventory("slow", f"reading it took {poll.took_seconds:.0f} s")
    statuses: Mapping[int, MachineStatus] = inventory.sources.get(STATUS) or {}  # type: ignore[assignment]
    checked = CheckedInventory(
        at=poll.asked_at,
        time=poll.time,
        clock=_clock(statuses.values()),
        clock_moved_at=poll.asked_at,
        vms={vm.config.uuid: vm for vm in inventory.vms if vm.config.uuid},
        nodes=inventory.nodes,
        vm_count=len(inventory.vms),
        status_count=len(statuses),
        reported=inventory,
    )
    short = _too_short(checked, poll, last, limits, enrolled)
    return short or _on_time(checked, statuses, last, limits)


def _clock(statuses: Iterable[MachineStatus]) -> float | None:
    """
    Return VergeOS' time, by the newest row.

    Of those that run, if some do: the row of one that is off keeps an old stamp, which a clock
    that was set back has yet to reach.
    """
    dated = [row for row in statuses if row.updated_at]
    alive = [row for row in dated if row.running] or dated
    return max((row.updated_at for row in alive if row.updated_at), default=None)


def _too_short(
    checked: CheckedInventory,
    poll: PollResult,
    last: CheckedInventory | None,
    limits: Limits,
    enrolled: Mapping[str, int],
) -> RejectedInventory | None:
    """Return what is missing: an empty or short list is the mark of a broken view."""
    if not checked.vm_count or not checked.status_count:
        return RejectedInventory(
            "empty", f"{checked.vm_count} VMs and {checked.status_count} status rows"
        )
    if last is not None:
        for count, before, what in (
            (checked.vm_count, last.vm_count, "VMs"),
            (checked.status_count, last.status_count, "status rows"),
        ):
            if count < limits.min_rows_share * before:
                return RejectedInventory(
                    "short", f"{count} {what}, after {before} in the last valid inventory"
                )
    if len(checked.vms) < sum(bool(vm.config.uuid) for vm in checked.reported.vms):
        return RejectedInventory("duplicate", "two VMs have one uuid")
    vms = checked.vms
    missing = sum(uuid not in vms or vms[uuid].status is None for uuid in enrolled)
    missing = max(missing, poll.rows_skipped)
    if missing > max(limits.max_missing_rows, limits.max_missing_share * len(enrolled)):
        return RejectedInventory("rows_missing", f"{missing} rows are not there, or cannot be read")
    return None


def _on_time(
    checked: CheckedInventory,
    statuses: Mapping[int, MachineStatus],
    last: CheckedInventory | None,
    limits: Limits,
) -> CheckedInventory | RejectedInventory:
    """Return the inventory if VergeOS' own time moves on in it."""
    clock, before = checked.clock, last.clock if last is not None else None
    if went_back(before, clock, limits):
        return checked
    if last is not None and before is not None and (clock is None or clock <= before):
        still = checked.at - last.clock_moved_at
        if still > limits.frozen_after_seconds:
            return RejectedInventory("frozen", f"no row was touched for {still:.0f} s or more")
        checked = checked._replace(clock=before, clock_moved_at=last.clock_moved_at)
    stamps = [row.updated_at for row in statuses.values() if row.running and row.updated_at]
    if clock is not None and stamps and clock - median(stamps) > limits.max_lag_seconds:
        return RejectedInventory(
            "lagging", f"half of the rows are over {limits.max_lag_seconds:g} s old"
        )
    return checked


def went_back(before: float | None, clock: float | None, limits: Limits) -> bool:
    """
    Return whether VergeOS' clock was set back, so that older times of it mean nothing.

    By so much that the margin of the logs does not make up for it; less is rows that come and go.
    """
    if before is None or clock is None:
        return False
    return clock < before - limits.log_before_seconds / 2


def classify(vm: VM | None, enrolment: Enrolment | None) -> ObservedState:
    """Return what a inventory shows of *vm*; the first condition that fits decides."""
    if vm is None:
        return ObservedState.GONE
    if not is_eligible(vm, enrolment):
        return ObservedState.INELIGIBLE
    if vm.status is None or vm.config.enabled is None:
        return ObservedState.GONE  # it is listed without a usable status
    return observed_state_of(vm.status.word, vm.status.running, vm.status.state)


def is_eligible(vm: VM, enrolment: Enrolment | None) -> bool:
    """Return whether *vm* can crash and is not ignored."""
    config = vm.config
    return (
        enrolment is not None
        and enrolment.policy is not Policy.IGNORE
        and config.enabled is not False
        and not config.service
        and bool(config.uuid)
    )


def observed_state_of(word: str, running: bool | None, state: str = "") -> ObservedState:
    """Return what a status row says; what contradicts itself or is new is INCONSISTENT."""
    if running is True and word in UP:  # first, because it is said of nearly every VM
        return ObservedState.UP
    if word in BUSY:
        return ObservedState.BUSY
    if word in STOPPING:
        return ObservedState.STOPPING
    if word in WAITING:
        return ObservedState.WAITING
    if word == StatusWord.HIBERNATED:
        return ObservedState.HIBERNATED
    if word == StatusWord.ERROR or (
        state == "error" and not running and word != StatusWord.UNRESPONSIVE
    ):
        return ObservedState.ERROR
    if word == StatusWord.UNRESPONSIVE:
        return ObservedState.HUNG
    if word == StatusWord.STOPPED and running is False:
        return ObservedState.DOWN
    return ObservedState.INCONSISTENT


def is_well(node: Node | None) -> bool:
    """Return whether a node runs, and is not about to be emptied."""
    return (
        node is not None
        and node.status is not None
        and node.status.running is True
        and node.status.word in UP
        and not node.maintenance
    )

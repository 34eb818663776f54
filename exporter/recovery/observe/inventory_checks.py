"""Whether one poll may be believed, and what it shows of each VM."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from statistics import median, median_low
from typing import NamedTuple

from exporter.model import VM, Inventory, MachineStatus, Node, PollResult, StatusWord
from exporter.recovery.model.cases import Enrolment, NotMonitored, ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.readable_rows import OF_VM, not_seen, readable_nodes, readable_vms
from exporter.status_updates import (
    newest_by_node,
    statuses_of,
    updated_rows,
    written_by_node,
)

VMS = "vms"

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
RUNNING_NODE = UP | {StatusWord.MAINTENANCE}
STOPPING = frozenset({StatusWord.STOPPING, StatusWord.HIBERNATING})
STOP_SHOWN = STOPPING | {StatusWord.HIBERNATED}
"""Words that prove a stop, whatever the logs show."""
WAITING = frozenset({StatusWord.WAITINGFORRESOURCES, StatusWord.UNLICENSED})


MAX_UNREADABLE_SHARE = 0.5
"""Share of the VMs that may be unreadable; recovery goes on watching the others."""


class CheckedInventory(NamedTuple):
    """A poll that may be believed."""

    at: float
    """Seconds of watch."""
    time: datetime
    clock: float | None
    """VergeOS' time, in Unix seconds: how far the clocks of its nodes have gone together."""
    written_at: float
    """When a status row was last seen to have been written."""
    node_clocks: Mapping[int | None, float]
    """The time of each node, by its rows; they need not agree."""
    vms: Mapping[str, VM]
    """By UUID; a VM without one cannot be told from another and is left out."""
    shared_uuids: AbstractSet[str]
    """UUIDs that several VMs have: only the one that was there before is in *vms*."""
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
    statuses = statuses_of(inventory)
    vms = readable_vms(inventory, lambda: _known_uuids(enrolled, last))
    shared = repeated([vm.config.uuid for vm in vms if vm.config.uuid])
    checked = CheckedInventory(
        at=poll.asked_at,
        time=poll.time,
        clock=None,
        written_at=poll.asked_at,
        node_clocks={},
        vms=_by_uuid(vms, shared, enrolled, last),
        shared_uuids=shared,
        nodes=readable_nodes(inventory),
        vm_count=len(inventory.vms),
        status_count=len(statuses),
        reported=inventory,
    )
    unreadable = not_seen(vms, inventory)
    if len(unreadable) > MAX_UNREADABLE_SHARE * checked.vm_count:
        detail = f"values that decide cannot be read of {len(unreadable)} VMs"
        return RejectedInventory("unreadable", detail)
    watched = {uuid: key for uuid, key in enrolled.items() if key not in unreadable}
    short = _too_short(checked, poll, last, limits, watched)
    return short or _on_time(checked, statuses, last, limits)


def repeated(words: Sequence[str]) -> frozenset[str]:
    """Return those of *words* that occur more than once."""
    if len(set(words)) == len(words):  # usually so, and found out faster than by counting
        return frozenset()
    return frozenset(word for word, count in Counter(words).items() if count > 1)


def _known_uuids(enrolled: Mapping[str, int], last: CheckedInventory | None) -> Mapping[int, str]:
    """Return the UUIDs that VMs had before, by key."""
    known = {vm.config.key: uuid for uuid, vm in last.vms.items()} if last is not None else {}
    return {key: uuid for uuid, key in enrolled.items()} | known


def _by_uuid(
    vms: Iterable[VM],
    shared: AbstractSet[str],
    enrolled: Mapping[str, int],
    last: CheckedInventory | None,
) -> dict[str, VM]:
    """Return the VMs by UUID; of those that share one, the VM that had it before."""
    known = last.vms if last is not None else {}

    def had_it_before(vm: VM) -> bool:
        uuid = vm.config.uuid
        before = enrolled.get(uuid, known[uuid].config.key if uuid in known else None)
        return vm.config.key == before

    return {
        vm.config.uuid: vm
        for vm in vms
        if vm.config.uuid and (vm.config.uuid not in shared or had_it_before(vm))
    }


def _dated(statuses: Iterable[MachineStatus]) -> Sequence[MachineStatus]:
    """
    Return the rows that tell a time.

    Those of machines that run, if some do, and on a node: the row of one that is off keeps an old
    time, which a clock that was set back has yet to reach, and a row that names no node was set
    by hand.
    """
    known = list(statuses)
    return updated_rows(known) or [row for row in known if row.updated_at]


def _node_clocks(
    rows: Sequence[MachineStatus],
    written: Mapping[int | None, float],
    last: CheckedInventory | None,
) -> dict[int | None, float]:
    """Return the time of each node: that of a node of which no row was written stands still."""
    known = {**last.node_clocks, **written} if last is not None else written
    clocks = {**known, **newest_by_node(row for row in rows if row.node not in known)}
    return {node: clocks[node] for node in {row.node for row in rows}}


def _clock(
    checked: CheckedInventory,
    written: Mapping[int | None, float],
    last: CheckedInventory | None,
) -> float | None:
    """
    Return VergeOS' time: that of the last inventory, and how far most nodes' clocks went since.

    So a node whose clock is off moves it neither when it comes nor when it goes.
    """
    if not checked.node_clocks:
        return None
    if last is None or last.clock is None:
        return median_low(checked.node_clocks.values())
    known = last.node_clocks
    moved = [at - known[node] for node, at in written.items() if node in known]
    if moved:
        return last.clock + median_low([seconds for seconds in moved if seconds > 0] or moved)
    # Only nodes that were not there before write, as after a failure of all that were.
    return last.clock + (checked.at - last.at if written else 0.0)


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
    """Return the inventory if VergeOS still writes its rows, and most of them in time."""
    rows = _dated(statuses.values())
    written = written_by_node(rows, statuses_of(last.reported) if last is not None else {})
    checked = checked._replace(node_clocks=_node_clocks(rows, written, last))
    clock = _clock(checked, written, last)
    if last is not None and last.clock is not None:
        if went_back(last.clock, clock, limits):
            return checked._replace(clock=clock)
        clock = max(last.clock, clock) if clock is not None else last.clock
        if not written:
            still = checked.at - last.written_at
            if still > limits.frozen_after_seconds:
                return RejectedInventory("frozen", f"no row was touched for {still:.0f} s or more")
            checked = checked._replace(written_at=last.written_at)
    if _all_nodes_lag(checked.node_clocks, rows, limits):
        return RejectedInventory(
            "lagging", f"half of the rows are over {limits.max_lag_seconds:g} s old on every node"
        )
    return checked._replace(clock=clock)


def _all_nodes_lag(
    clocks: Mapping[int | None, float], rows: Iterable[MachineStatus], limits: Limits
) -> bool:
    """
    Return whether on every node most rows are much older than the time of the node.

    Only of machines that are said to be well: the row of one that hangs may stand still.
    """
    most = limits.max_lag_seconds
    well = [row for row in rows if row.running and row.updated_at and row.word in UP]
    if not any(clocks[row.node] - (row.updated_at or 0.0) > most for row in well):
        return False  # as nearly always
    ages: dict[int | None, list[float]] = defaultdict(list)
    for row in well:
        ages[row.node].append(clocks[row.node] - (row.updated_at or 0.0))
    return all(median(of_node) > most for of_node in ages.values())


def went_back(before: float | None, clock: float | None, limits: Limits) -> bool:
    """
    Return whether VergeOS' clock was set back, so that older times of it mean nothing.

    By so much that the margin of the logs does not make up for it; less is rows that come and go.
    """
    if before is None or clock is None:
        return False
    return clock < before - limits.log_before_seconds / 2


def classify(vm: VM | None, enrolment: Enrolment | None) -> ObservedState:
    """Return what an inventory shows of *vm*; the first condition that fits decides."""
    if vm is None or (vm.status is None and vm.config.unreadable & OF_VM):
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


def not_monitored_because(
    vm: VM, enrolment: Enrolment | None, shared_uuids: AbstractSet[str]
) -> Sequence[NotMonitored]:
    """Return why recovery does not monitor *vm*, at least one reason; see `is_eligible`."""
    config = vm.config
    reasons = {
        NotMonitored.SERVICE: bool(config.service),
        NotMonitored.DISABLED: config.enabled is False,
        NotMonitored.IGNORED: enrolment is not None and enrolment.policy is Policy.IGNORE,
        NotMonitored.NO_UUID: not config.uuid or config.uuid in shared_uuids,
        NotMonitored.NO_STATUS: vm.status is None or config.enabled is None,
        NotMonitored.NO_POLICY: enrolment is None,
    }
    return [reason for reason, holds in reasons.items() if holds] or [NotMonitored.NO_STATUS]


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
    if word == StatusWord.UNRESPONSIVE:
        return ObservedState.HUNG
    if word == StatusWord.ERROR or (state == "error" and not running):
        return ObservedState.ERROR
    if word == StatusWord.STOPPED and running is False:
        return ObservedState.DOWN
    return ObservedState.INCONSISTENT


def is_running(node: Node | None) -> bool:
    """Return whether a node runs, in maintenance or not."""
    return _runs(node, RUNNING_NODE)


def is_well(node: Node | None) -> bool:
    """Return whether a node runs, and is not about to be emptied."""
    return node is not None and not node.maintenance and _runs(node, UP)


def _runs(node: Node | None, words: AbstractSet[str]) -> bool:
    status = node.status if node is not None else None
    return status is not None and status.running is True and status.word in words

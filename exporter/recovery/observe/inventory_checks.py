"""Whether one poll may be believed, and what it shows of each VM."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import median
from typing import NamedTuple

from exporter.model import VM, MachineStatus, Node, Snapshot, Word
from exporter.recovery.model.cases import Enrolment, Policy, Sight
from exporter.recovery.model.limits import Rules

VMS = "vms"
STATUS = "machine_status"

UP = frozenset({Word.RUNNING, Word.NEEDSREFRESH, Word.NEEDSRESTART, Word.DRIVERSRELOADING})
BUSY = frozenset(
    {
        Word.INITIALIZING,
        Word.STARTING,
        Word.INITMIGRATE,
        Word.STARTMIGRATE,
        Word.MIGRATING,
        Word.MIGRATECOMPLETE,
        Word.IMPORTING,
        Word.MAINTENANCE,
        Word.LEAVINGMAINTENANCE,
    }
)
STOPPING = frozenset({Word.STOPPING, Word.HIBERNATING})
WAITING = frozenset({Word.WAITINGFORRESOURCES, Word.UNLICENSED})


class Poll(NamedTuple):
    """One round of reading the tables that a VM is made of."""

    asked_at: float
    """When the first of them was asked for, in seconds of watch."""
    time: datetime
    took_seconds: float
    every_seconds: float
    """The cadence that was meant."""
    snapshot: Snapshot | None
    """``None`` when a table could not be read."""
    rows_skipped: int = 0
    problem: str = ""
    """Why there is no picture."""


class Picture(NamedTuple):
    """A poll that may be believed."""

    at: float
    """Seconds of watch."""
    time: datetime
    clock: float | None
    """The platform's newest time, in Unix seconds."""
    clock_moved_at: float
    """When that time was last seen to have moved."""
    vms: Mapping[str, VM]
    """By uuid; a VM without one cannot be told from another and is left out."""
    nodes: Mapping[int, Node]
    vm_count: int
    status_count: int
    snapshot: Snapshot


class Invalid(NamedTuple):
    """A poll that changes nothing that is known of any VM."""

    reason: str
    """One word, for a metric's label."""
    detail: str


def believe(
    poll: Poll, last: Picture | None, rules: Rules, *, enrolled: Mapping[str, int]
) -> Picture | Invalid:
    """
    Return what *poll* shows, if it may be believed.

    Args:
        last: The last poll that was; what comes after must not have shrunk.
        enrolled: The VMs that recovery looks after: uuid to key.

    """
    snapshot = poll.snapshot
    if snapshot is None:
        return Invalid("unread", poll.problem or "a table could not be read")
    if poll.took_seconds > poll.every_seconds:
        return Invalid("slow", f"reading it took {poll.took_seconds:.0f} s")
    statuses: Mapping[int, MachineStatus] = snapshot.sources.get(STATUS) or {}  # type: ignore[assignment]
    picture = Picture(
        at=poll.asked_at,
        time=poll.time,
        clock=_clock(statuses.values()),
        clock_moved_at=poll.asked_at,
        vms={vm.config.uuid: vm for vm in snapshot.vms if vm.config.uuid},
        nodes=snapshot.nodes,
        vm_count=len(snapshot.vms),
        status_count=len(statuses),
        snapshot=snapshot,
    )
    short = _too_short(picture, poll, last, rules, enrolled)
    return short or _on_time(picture, statuses, last, rules)


def _clock(statuses: Iterable[MachineStatus]) -> float | None:
    """
    Return the platform's time, by the newest row.

    Of those that run, if some do: the row of one that is off keeps an old stamp, which a clock
    that was set back has yet to reach.
    """
    dated = [row for row in statuses if row.updated_at]
    alive = [row for row in dated if row.running] or dated
    return max((row.updated_at for row in alive if row.updated_at), default=None)


def _too_short(
    picture: Picture,
    poll: Poll,
    last: Picture | None,
    rules: Rules,
    enrolled: Mapping[str, int],
) -> Invalid | None:
    """Return what is missing: an empty or short list is the mark of a broken view."""
    if not picture.vm_count or not picture.status_count:
        return Invalid("empty", f"{picture.vm_count} VMs and {picture.status_count} status rows")
    if last is not None:
        for count, before, what in (
            (picture.vm_count, last.vm_count, "VMs"),
            (picture.status_count, last.status_count, "status rows"),
        ):
            if count < rules.least_share * before:
                return Invalid("short", f"{count} {what}, after {before} in the last valid picture")
    if len(picture.vms) < sum(bool(vm.config.uuid) for vm in picture.snapshot.vms):
        return Invalid("duplicate", "two VMs have one uuid")
    vms = picture.vms
    missing = sum(uuid not in vms or vms[uuid].status is None for uuid in enrolled)
    missing = max(missing, poll.rows_skipped)
    if missing > max(rules.missing_most, rules.missing_share * len(enrolled)):
        return Invalid("rows_missing", f"{missing} rows are not there, or cannot be read")
    return None


def _on_time(
    picture: Picture,
    statuses: Mapping[int, MachineStatus],
    last: Picture | None,
    rules: Rules,
) -> Picture | Invalid:
    """Return the picture if the platform's own time moves on in it."""
    clock, before = picture.clock, last.clock if last is not None else None
    if went_back(before, clock, rules):
        return picture
    if last is not None and before is not None and (clock is None or clock <= before):
        still = picture.at - last.clock_moved_at
        if still > rules.heartbeat_seconds:
            return Invalid("frozen", f"no row was touched for {still:.0f} s or more")
        picture = picture._replace(clock=before, clock_moved_at=last.clock_moved_at)
    stamps = [row.updated_at for row in statuses.values() if row.running and row.updated_at]
    if clock is not None and stamps and clock - median(stamps) > rules.lag_seconds:
        return Invalid("lagging", f"half of the rows are over {rules.lag_seconds:g} s old")
    return picture


def went_back(before: float | None, clock: float | None, rules: Rules) -> bool:
    """
    Return whether the platform's clock was set back, so that older times of it mean nothing.

    By so much that the margin of the logs does not make up for it; less is rows that come and go.
    """
    if before is None or clock is None:
        return False
    return clock < before - rules.log_before_seconds / 2


def classify(vm: VM | None, enrolment: Enrolment | None) -> Sight:
    """Return what a picture shows of *vm*; the first condition that fits decides."""
    if vm is None:
        return Sight.GONE
    if not is_eligible(vm, enrolment):
        return Sight.INELIGIBLE
    if vm.status is None or vm.config.enabled is None:
        return Sight.GONE  # it is listed, and not told of
    return sight_of(vm.status.word, vm.status.running, vm.status.state)


def is_eligible(vm: VM, enrolment: Enrolment | None) -> bool:
    """Return whether *vm* is one that can crash, and of which somebody wants to know."""
    config = vm.config
    return (
        enrolment is not None
        and enrolment.policy is not Policy.IGNORE
        and config.enabled is not False
        and not config.service
        and bool(config.uuid)
    )


def sight_of(word: str, running: bool | None, state: str = "") -> Sight:
    """Return what a status row says; what contradicts itself or is new is INCONSISTENT."""
    if running is True and word in UP:  # first, because it is said of nearly every VM
        return Sight.UP
    if word in BUSY:
        return Sight.BUSY
    if word in STOPPING:
        return Sight.STOPPING
    if word in WAITING:
        return Sight.WAITING
    if word == Word.HIBERNATED:
        return Sight.HIBERNATED
    if word == Word.ERROR or (state == "error" and not running and word != Word.UNRESPONSIVE):
        return Sight.ERROR
    if word == Word.UNRESPONSIVE:
        return Sight.HUNG
    if word == Word.STOPPED and running is False:
        return Sight.DOWN
    return Sight.INCONSISTENT


def is_well(node: Node | None) -> bool:
    """Return whether a node runs, and is not about to be emptied."""
    return (
        node is not None
        and node.status is not None
        and node.status.running is True
        and node.status.word in UP
        and not node.maintenance
    )

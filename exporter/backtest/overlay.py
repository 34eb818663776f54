"""
What a replay has in place of the record where the two acted differently on a VM.

Recovery started a VM then and not now: the replay shows it as it was before that action, until
the replay acts too, or the record shows that it went down again. Recovery starts it now and did
not then: the replay shows it up, until the record shows it up.
"""

from dataclasses import dataclass

from exporter.backtest.inventory import RecordedInventory, shows_up
from exporter.recovery.model.cases import Action
from exporter.recovery.model.history import StatusFact
from exporter.recovery.model.platform_log import LogRow, LogTable

UP, STOPPED = "running", "stopped"


@dataclass(slots=True)
class _Held:
    """A VM that only the record started."""

    status: StatusFact
    was_up: bool = False
    """Whether the record has shown it up since."""


@dataclass(slots=True)
class Span:
    """A time in which the rows about a VM tell of what did not happen in the replay."""

    since: float
    until: float = float("inf")


class Overlay:
    """The VMs of which the replay shows another status than the record."""

    def __init__(self, inventory: RecordedInventory) -> None:
        self._inventory = inventory
        self._held: dict[int, _Held] = {}
        self._brought_up: dict[int, StatusFact] = {}
        self._spans: dict[str | int, list[Span]] = {}
        """By the machine and the name of a VM."""

    @property
    def statuses(self) -> dict[int, StatusFact]:
        return {**{key: one.status for key, one in self._held.items()}, **self._brought_up}

    def __contains__(self, vm_key: int) -> bool:
        return vm_key in self._held or vm_key in self._brought_up

    def is_held(self, vm_key: int) -> bool:
        return vm_key in self._held

    def advance(self, *, at: float) -> list[int]:
        """End what the record has overtaken by now; return the VMs no longer held."""
        inventory, released = self._inventory, []
        for key, held in list(self._held.items()):
            is_up = inventory.is_up(key)
            held.was_up = held.was_up or is_up
            if key not in inventory.statuses or (held.was_up and not is_up):
                self.release(key, at=at)
                released.append(key)
        for key in list(self._brought_up):
            if key not in inventory.statuses or inventory.is_up(key):
                del self._brought_up[key]
                self._end_span(key, at)
        return released

    def hold(self, vm_key: int, *, at: float) -> None:
        """Show a VM as it is, although the record has an action on it now."""
        status = self._inventory.status(vm_key)
        if status is None or shows_up(status):
            return
        self._held[vm_key] = _Held(status)
        self._begin_span(vm_key, at)

    def release(self, vm_key: int, *, at: float) -> None:
        """Show a VM as recorded from now on."""
        del self._held[vm_key]
        self._end_span(vm_key, at)

    def act(self, vm_key: int, action: Action, *, clock: float | None, at: float) -> None:
        """Show the effect of an action that the record does not have."""
        before = self._inventory.status(vm_key)
        if vm_key in self._held:
            self.release(vm_key, at=at)
            if action is not Action.KILL and self._inventory.is_up(vm_key):
                return
        if before is None:
            return
        up = action is not Action.KILL
        self._begin_span(vm_key, at)
        self._brought_up[vm_key] = StatusFact(
            running=up,
            powered_on=up,
            word=UP if up else STOPPED,
            state="online" if up else "offline",
            node=before.node,
            started_at=clock if up else before.started_at,
        )

    def _begin_span(self, vm_key: int, at: float) -> None:
        vm = self._inventory.vms.get(vm_key)
        span = Span(at)
        for subject in (vm.machine, vm.name) if vm is not None else ():
            self._spans.setdefault(subject, []).append(span)

    def _end_span(self, vm_key: int, at: float) -> None:
        vm = self._inventory.vms.get(vm_key)
        for span in self._spans.get(vm.machine, ()) if vm is not None else ():
            span.until = min(span.until, at)

    def hides(self, row: LogRow) -> bool:
        """Return whether *row* tells of what did not happen in the replay."""
        about = row.machine if row.table is LogTable.MACHINE_LOGS else row.object_name
        spans = self._spans.get(about, ()) if about is not None else ()
        return any(span.since < row.read_at <= span.until for span in spans)

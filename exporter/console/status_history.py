"""The condition of each VM in the last 24 hours: the worst of each half hour."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from exporter.console.vm_condition import Condition, condition_in_state
from exporter.recovery.model.ports import Change
from exporter.recovery.model.states import State

SLOT_SECONDS = 1800
SLOTS = 48
NOT_OBSERVED = 0
CODES: Mapping[Condition, int] = {
    condition: len(Condition) - place for place, condition in enumerate(Condition)
}
"""One byte for each condition: the worse, the greater."""
CONDITIONS: Mapping[int, Condition] = {code: condition for condition, code in CODES.items()}


class Segment(NamedTuple):
    """Half hours in a row with the same condition."""

    begin: datetime
    slots: int
    """How many half hours."""
    condition: Condition | None
    """The worst in each of them; None if the VM was not observed: no daemon ran, or no VM was."""

    @property
    def end(self) -> datetime:
        """When it ended; for the last of a history, later than now."""
        return self.begin + timedelta(seconds=SLOT_SECONDS * self.slots)


class StatusHistory:
    """
    The half hours of all VMs of a system: one byte for each, 480 kB for 10,000 VMs.

    The VMs are rows, whose numbers come from `VMRows`.
    """

    def __init__(self) -> None:
        self._slots: dict[int, bytearray] = {}

    def record(self, codes: Iterable[tuple[int, int]], rows: int, at: datetime) -> None:
        """
        Record the conditions that were seen at *at*.

        Args:
            codes: Rows with one of `CODES`.
            rows: How many rows there are.

        """
        number = slot_of(at)
        slot = self._slot(number, rows)
        for row, code in codes:
            if code > slot[row]:  # noqa: PLR1730 - twice as fast as max() for 10,000 VMs
                slot[row] = code
        for old in [one for one in self._slots if one <= number - SLOTS]:
            del self._slots[old]

    def add(self, row: int, number: int, code: int) -> None:
        """Add to half hour *number* what was seen before this daemon started."""
        slot = self._slot(number, row + 1)
        slot[row] = max(slot[row], code)

    def forget(self, rows: Iterable[int]) -> None:
        """Forget VMs."""
        for slot in self._slots.values():
            for row in rows:
                if row < len(slot):
                    slot[row] = NOT_OBSERVED

    def segments(self, row: int | None, now: datetime) -> tuple[Segment, ...]:
        """Return the last 24 hours of a VM, the present half hour included, the oldest first."""
        last = slot_of(now)
        found: list[Segment] = []
        for number in range(last - SLOTS + 1, last + 1):
            slot = self._slots.get(number, b"")
            code = slot[row] if row is not None and row < len(slot) else NOT_OBSERVED
            condition = CONDITIONS.get(code)
            if found and found[-1].condition is condition:
                found[-1] = found[-1]._replace(slots=found[-1].slots + 1)
            else:
                found.append(Segment(begin_of(number), 1, condition))
        return tuple(found)

    def _slot(self, number: int, rows: int) -> bytearray:
        slot = self._slots.setdefault(number, bytearray())
        if len(slot) < rows:
            slot += bytes(rows - len(slot))
        return slot


def slot_of(time: datetime) -> int:
    """Return the number of the half hour that *time* is in."""
    return int(time.timestamp() // SLOT_SECONDS)


def begin_of(slot: int) -> datetime:
    """Return when a half hour began."""
    return datetime.fromtimestamp(slot * SLOT_SECONDS, UTC)


def slots_before(
    changes: Sequence[Change], observed: Sequence[int], condition: Condition
) -> Iterator[tuple[int, int]]:
    """
    Return the half hours of one VM before the daemon started, as the journal knows them.

    Args:
        changes: The changes of the VM in that time, the oldest first.
        observed: The half hours in which a daemon polled, in order.
        condition: That of a VM without changes.

    Yields:
        The number of a half hour and a code; a half hour may come several times.

    """
    holds: Condition | None = condition
    if changes:
        holds = _condition(changes[0].before, "")
    waiting = deque(changes)
    for number in observed:
        if holds is not None:  # what held when the half hour began counts in it
            yield number, CODES[holds]
        while waiting and slot_of(waiting[0].time) <= number:
            change = waiting.popleft()
            holds = _condition(change.after, change.word)
            if holds is not None and slot_of(change.time) == number:
                yield number, CODES[holds]


def _condition(state: State | None, word: str) -> Condition | None:
    """Return the condition of a VM; None if it was not monitored."""
    return condition_in_state(state, word) if state is not None else None

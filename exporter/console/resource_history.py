"""CPU and memory of each VM in the last hours: means of five minutes, a byte each."""

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

MEAN_SECONDS = 300
UNKNOWN = 255
STEPS = 250
"""A byte counts steps of 0.4 percent."""


class Resources(NamedTuple):
    """The resources of one VM, in columns of equal length, the oldest first."""

    times: Sequence[datetime]
    """When each five minutes began."""
    cpu_ratios: Sequence[float | None]
    """The use of its cores, 0 to 1; None while it was off, or not observed."""
    memory_ratios: Sequence[float | None]
    """The use of its memory, as the guest agent reports it."""


class ResourceHistory:
    """
    The means of all VMs of a system: 5.8 MB for 10,000 VMs and 24 hours, and 0.2 MB to form them.

    The VMs are rows, whose numbers come from `VMRows`.

    Args:
        hours: How long means are kept; 0 keeps none.

    """

    def __init__(self, hours: int) -> None:
        self._means = hours * 3600 // MEAN_SECONDS
        self._cpu, self._memory = _Series(), _Series()
        self._number: int | None = None
        """Of the five minutes whose means are being formed."""

    def record(
        self,
        values: Iterable[tuple[int, float | None, float | None]],
        rows: int,
        at: datetime,
    ) -> None:
        """Record row, use of the CPU and use of memory of each VM at *at*."""
        if self._means <= 0:
            return
        number = _number(at)
        if self._number != number:
            self._close(number)
        self._cpu.grow(rows)
        self._memory.grow(rows)
        for row, cpu, memory in values:
            if cpu is not None:
                self._cpu.add(row, cpu)
            if memory is not None:
                self._memory.add(row, memory)

    def forget(self, rows: Iterable[int]) -> None:
        """Forget VMs."""
        for row in rows:
            self._cpu.forget(row)
            self._memory.forget(row)

    def resources(self, row: int | None, now: datetime) -> Resources:
        """Return the means of a VM until *now*, those that are being formed included."""
        last = _number(now)
        numbers = range(last - self._means + 1, last + 1) if row is not None else range(0)
        place = row or 0
        return Resources(
            [datetime.fromtimestamp(number * MEAN_SECONDS, UTC) for number in numbers],
            [self._cpu.mean(place, number, self._number) for number in numbers],
            [self._memory.mean(place, number, self._number) for number in numbers],
        )

    def _close(self, number: int) -> None:
        """Keep the means of the five minutes that are over, and begin those of *number*."""
        for series in (self._cpu, self._memory):
            if self._number is not None:
                series.close(self._number)
            series.drop_until(number - self._means)
        self._number = number


class _Series:
    """One value of every VM."""

    def __init__(self) -> None:
        self._closed: dict[int, bytearray] = {}
        """The means, a byte for each row, by the number of their five minutes."""
        self._sums = array("f")
        self._counts = array("H")

    def grow(self, rows: int) -> None:
        missing = rows - len(self._sums)
        if missing > 0:
            self._sums.frombytes(bytes(missing * self._sums.itemsize))
            self._counts.frombytes(bytes(missing * self._counts.itemsize))

    def add(self, row: int, value: float) -> None:
        self._sums[row] += value
        self._counts[row] += 1

    def close(self, number: int) -> None:
        sums, counts = self._sums, self._counts
        self._closed[number] = bytearray(
            _byte(total / count) if count else UNKNOWN
            for total, count in zip(sums, counts, strict=True)
        )
        self._sums = array("f", bytes(len(sums) * sums.itemsize))
        self._counts = array("H", bytes(len(counts) * counts.itemsize))

    def drop_until(self, number: int) -> None:
        for old in [one for one in self._closed if one <= number]:
            del self._closed[old]

    def forget(self, row: int) -> None:
        if row < len(self._sums):
            self._sums[row] = self._counts[row] = 0
        for column in self._closed.values():
            if row < len(column):
                column[row] = UNKNOWN

    def mean(self, row: int, number: int, forming: int | None) -> float | None:
        if number == forming:
            known = row < len(self._counts) and self._counts[row]
            return self._sums[row] / self._counts[row] if known else None
        column = self._closed.get(number, b"")
        byte = column[row] if row < len(column) else UNKNOWN
        return None if byte == UNKNOWN else byte / STEPS


def _number(time: datetime) -> int:
    return int(time.timestamp() // MEAN_SECONDS)


def _byte(ratio: float) -> int:
    """Return *ratio* in steps; a VM may use somewhat more than all of its cores."""
    return min(max(round(ratio * STEPS), 0), UNKNOWN - 1)

"""The timeline of a VM as a strip: its conditions one after another, and marks for events."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from exporter.console.status_history import Segment
from exporter.console.vm_condition import Condition, condition_in_state
from exporter.recovery.model.ports import Change

WIDTH = 1000


class Span(msgspec.Struct, frozen=True, gc=False):
    """A time in which a VM was in one condition."""

    begin: datetime
    end: datetime
    condition: Condition | None
    """``None``: it was not observed."""


class Box(NamedTuple):
    """A span on the strip, of `WIDTH` units."""

    x: float
    width: float
    span: Span


class Window(NamedTuple):
    """The time that a strip shows."""

    since: datetime
    until: datetime

    def place(self, time: datetime) -> float:
        """Return where *time* is, from 0 to `WIDTH`."""
        ratio = (time - self.since) / (self.until - self.since)
        return round(min(max(ratio, 0.0), 1.0) * WIDTH, 1)

    def boxes(self, spans: Iterable[Span]) -> list[Box]:
        """Return those of *spans* that can be seen."""
        found = [(self.place(one.begin), self.place(one.end), one) for one in spans]
        return [Box(x, round(end - x, 1), one) for x, end, one in found if end > x]

    def ticks(self, count: int) -> list[datetime]:
        """Return times at equal distances, the ends included."""
        step = (self.until - self.since) / (count - 1)
        return [self.since + number * step for number in range(count)]


def spans_of_segments(segments: Iterable[Segment], until: datetime) -> list[Span]:
    """Return the half hours of the status history, up to *until*."""
    return [Span(one.begin, min(one.end, until), one.condition) for one in segments]


def spans_of_changes(
    changes: Sequence[Change],
    gaps: Sequence[tuple[datetime, datetime]],
    present: Condition | None,
    window: Window,
) -> list[Span]:
    """
    Return the conditions between *changes*, to the second.

    Args:
        changes: Those in the window, the oldest first.
        gaps: When no daemon polled.
        present: The condition of a VM without changes.

    """
    condition, begin = present, window.since
    if changes:
        condition = _before(changes[0])
    found: list[Span] = []
    for change in changes:
        time = min(max(change.time, begin), window.until)
        found.append(Span(begin, time, condition))
        begin = time
        after = change.after
        condition = condition_in_state(after, change.word) if after is not None else None
    found.append(Span(begin, window.until, condition))
    return _merged(_with_gaps(found, gaps))


def _before(change: Change) -> Condition | None:
    return condition_in_state(change.before, "") if change.before is not None else None


def _with_gaps(spans: Sequence[Span], gaps: Sequence[tuple[datetime, datetime]]) -> list[Span]:
    """Return *spans*, not observed in the *gaps*."""
    found = list(spans)
    for begin, end in gaps:
        cut: list[Span] = []
        for span in found:
            if span.end <= begin or span.begin >= end:
                cut.append(span)
                continue
            inner = max(span.begin, begin), min(span.end, end)
            cut += [
                Span(span.begin, inner[0], span.condition),
                Span(*inner, None),
                Span(inner[1], span.end, span.condition),
            ]
        found = cut
    return found


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return *spans* without empty ones, and with equal neighbors as one."""
    found: list[Span] = []
    for span in spans:
        if span.end - span.begin <= timedelta(0):
            continue
        if found and found[-1].condition is span.condition and found[-1].end == span.begin:
            found[-1] = Span(found[-1].begin, span.end, span.condition)
        else:
            found.append(span)
    return found

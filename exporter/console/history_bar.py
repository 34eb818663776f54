"""The last 24 hours of a VM as a bar: one mark for each half hour, drawn as lines of dashes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from exporter.console.status_history import SLOT_SECONDS, SLOTS, Segment
from exporter.console.vm_condition import Condition
from exporter.formatting import lasting

STEP = 4
"""From one mark to the next; a mark is 3 wide, and 1 is between them. The style has the dashes."""
WIDTH = SLOTS * STEP - 1
HEIGHT = 16
UNOBSERVED = "unobserved"


class HistoryBar(NamedTuple):
    """A bar."""

    lines: Mapping[str, str]
    """An SVG path for each condition, or for the time in which the VM was not observed."""
    text: str
    """How long it was in each condition, the worst first."""


def history_bar(segments: Iterable[Segment]) -> HistoryBar:
    """Return the bar of *segments*, which are a whole history."""
    lines: dict[str, str] = {}
    slots: Counter[str] = Counter()
    for segment in segments:
        name = segment.condition or UNOBSERVED
        first = slots.total() * STEP
        lines[name] = f"{lines.get(name, '')}M{first} {HEIGHT // 2}h{segment.slots * STEP - 1}"
        slots[name] += segment.slots
    told = [
        f"{name} {lasting(slots[name] * SLOT_SECONDS)}"
        for name in (*Condition, UNOBSERVED)
        if slots[name]
    ]
    return HistoryBar(lines, f"Last 24 h: {', '.join(told)}")

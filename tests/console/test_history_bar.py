"""The bar of the last 24 hours: each half hour has one mark, in the color of its condition."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from exporter.console.history_bar import HEIGHT, STEP, WIDTH, history_bar
from exporter.console.status_history import SLOTS, Segment
from exporter.console.vm_condition import Condition

AT = datetime(2026, 3, 1, tzinfo=UTC)


def marks(path: str) -> list[int]:
    """Return the half hours that a path of dashes draws."""
    found: list[int] = []
    for line in path.split("M")[1:]:
        place, length = line.split(f" {HEIGHT // 2}h")
        first, after = int(place) // STEP, (int(place) + int(length) + 1) // STEP
        found += range(first, after)
    return found


@given(st.lists(st.none() | st.sampled_from(Condition), min_size=SLOTS, max_size=SLOTS))
def test_each_half_hour_has_one_mark(conditions: list[Condition | None]) -> None:
    bar = history_bar(Segment(AT, 1, one) for one in conditions)

    for name, path in bar.lines.items():
        assert marks(path) == [
            place for place, one in enumerate(conditions) if (one or "unobserved") == name
        ]
    assert sum(len(marks(path)) for path in bar.lines.values()) == SLOTS


def test_half_hours_in_a_row_are_one_line() -> None:
    bar = history_bar(
        [Segment(AT, 40, None), Segment(AT, 7, Condition.RUNNING), Segment(AT, 1, Condition.DOWN)]
    )

    assert bar.lines == {"unobserved": "M0 8h159", "running": "M160 8h27", "down": "M188 8h3"}
    assert WIDTH == 191
    assert bar.text == "Last 24 h: down 30 min, running 3 h 30 min, unobserved 20 h"

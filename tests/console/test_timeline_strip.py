"""The strip of a VM's timeline: it covers its window once, without a gap."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exporter.console.status_history import Segment
from exporter.console.timeline_strip import (
    WIDTH,
    Span,
    Window,
    spans_of_changes,
    spans_of_segments,
)
from exporter.console.vm_condition import Condition
from exporter.recovery.model.states import State
from tests.console.test_status_history import change
from tests.fakes import START

MINUTE = timedelta(minutes=1)
WINDOW = Window(START, START + 60 * MINUTE)


def at(minute: float) -> datetime:
    return START + minute * MINUTE


def shown(spans: Sequence[Span]) -> list[tuple[float, float, str]]:
    return [
        (
            (span.begin - START) / MINUTE,
            (span.end - START) / MINUTE,
            span.condition.value if span.condition is not None else "",
        )
        for span in spans
    ]


STATES = st.none() | st.sampled_from(State)
CHANGES = st.lists(st.tuples(st.integers(-5, 70), STATES, STATES), max_size=12).map(
    lambda found: [change(*one) for one in sorted(found, key=lambda one: one[0])]
)
GAPS = st.lists(st.tuples(st.integers(-10, 70), st.integers(1, 30)), max_size=4).map(
    lambda found: [(at(begin), at(begin + length)) for begin, length in found]
)


@given(CHANGES, GAPS)
def test_spans_cover_the_window_once(
    changes: list[object], gaps: list[tuple[datetime, datetime]]
) -> None:
    spans = spans_of_changes(changes, gaps, Condition.RUNNING, WINDOW)  # type: ignore[arg-type]

    assert spans[0].begin == WINDOW.since
    assert spans[-1].end == WINDOW.until
    assert all(one.end == other.begin for one, other in pairwise(spans))
    assert all(one.condition is not other.condition for one, other in pairwise(spans))
    for begin, end in gaps:
        for span in spans:
            overlap = min(span.end, end) - max(span.begin, begin)
            assert overlap <= timedelta(0) or span.condition is None
    boxes = WINDOW.boxes(spans)
    assert abs(sum(box.width for box in boxes) - WIDTH) < 0.1 * (len(boxes) + 1)


def test_changes_give_conditions_to_the_second() -> None:
    changes = [
        change(10, State.HEALTHY, State.SUSPECT, "stopped"),
        change(12, State.SUSPECT, State.VERIFYING, "stopped"),
        change(15.5, State.VERIFYING, State.PROBATION, "running"),
        change(20, State.PROBATION, State.HEALTHY, "running"),
    ]

    spans = spans_of_changes(changes, [(at(30), at(40))], Condition.DOWN, WINDOW)

    assert shown(spans) == [
        (0, 10, "running"),
        (10, 15.5, "down"),
        (15.5, 30, "running"),
        (30, 40, ""),
        (40, 60, "running"),
    ]


def test_vm_without_changes_was_as_it_is() -> None:
    assert shown(spans_of_changes([], [], Condition.OFF, WINDOW)) == [(0, 60, "off")]


def test_vm_is_not_observed_before_it_was_new_and_after_it_was_gone() -> None:
    changes = [change(10, None, State.HEALTHY), change(50, State.HEALTHY, None)]

    spans = spans_of_changes(changes, [], None, WINDOW)

    assert shown(spans) == [(0, 10, ""), (10, 50, "running"), (50, 60, "")]


def test_half_hours_end_now() -> None:
    segments = [
        Segment(START, 1, Condition.RUNNING),
        Segment(at(30), 1, None),
        Segment(at(60), 1, Condition.DOWN),
    ]

    assert shown(spans_of_segments(segments, at(70))) == [
        (0, 30, "running"),
        (30, 60, ""),
        (60, 70, "down"),
    ]


def test_what_is_outside_of_the_window_has_its_place_at_the_edge() -> None:
    assert [WINDOW.place(at(minute)) for minute in (-10, 0, 15, 60, 99)] == [
        0, 0, WIDTH / 4, WIDTH, WIDTH,
    ]  # fmt: skip
    assert WINDOW.boxes([Span(at(-20), at(-10), Condition.DOWN)]) == []
    assert WINDOW.ticks(3) == [at(0), at(30), at(60)]

"""The resource history: means of five minutes, and how much memory they take."""

import tracemalloc
from datetime import timedelta
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.vms import MACHINE_STATS
from exporter.console.resource_history import MEAN_SECONDS, STEPS, ResourceHistory
from exporter.console.system_history import SystemHistory
from tests.fakes import START
from tests.recovery.inventory_values import inventory, vm

MINUTE = timedelta(minutes=1)
RATIOS = st.none() | st.floats(0, 1)


class Stats:
    def __init__(self, total_cpu: float | None) -> None:
        self.total_cpu = total_cpu


@given(
    st.lists(st.tuples(st.integers(0, 150), RATIOS, RATIOS), min_size=1, max_size=100).map(
        lambda seen: sorted(seen, key=lambda one: one[0])
    )
)
def test_each_value_is_the_mean_of_its_five_minutes(
    seen: list[tuple[int, float | None, float | None]],
) -> None:
    history = ResourceHistory(1)
    for minute, cpu, memory in seen:
        history.record([(0, cpu, memory)], 1, START + minute * MINUTE)
    now = START + seen[-1][0] * MINUTE

    found = history.resources(0, now)

    assert len(found.times) == len(found.cpu_ratios) == len(found.memory_ratios) == 12
    assert found.times[-1] <= now < found.times[-1] + 5 * MINUTE
    for place, values in ((1, found.cpu_ratios), (2, found.memory_ratios)):
        for begin, shown in zip(found.times, values, strict=True):
            there = [
                value
                for one in seen
                if begin <= START + one[0] * MINUTE < begin + 5 * MINUTE
                and (value := (one[1], one[2])[place - 1]) is not None
            ]
            expected = pytest.approx(fmean(there), abs=0.6 / STEPS) if there else None
            assert shown == expected


def test_without_hours_nothing_is_kept() -> None:
    history = ResourceHistory(0)

    history.record([(0, 0.5, 0.5)], 1, START)

    assert history.resources(0, START).times == []


def test_vm_that_uses_more_than_its_cores_is_shown_at_the_top() -> None:
    history = ResourceHistory(1)
    history.record([(0, 7.0, -1.0)], 1, START)
    history.record([(0, None, None)], 1, START + timedelta(seconds=MEAN_SECONDS))

    found = history.resources(0, START + timedelta(seconds=MEAN_SECONDS))

    assert found.cpu_ratios[-2:] == [254 / STEPS, None]
    assert found.memory_ratios[-2:] == [0, None]


def test_statistics_count_once_and_only_while_the_vm_runs() -> None:
    history, runs, off = SystemHistory(1), vm(1), vm(2, running=False, word="stopped")
    rows = {101: Stats(40.0), 102: Stats(80.0)}
    old = {MACHINE_STATS.name: rows}
    history.record(inventory([runs, off], taken_at=START, sources=old), None)
    # The slow table was not read again: its rows must not count a second time.
    history.record(inventory([runs, off], taken_at=START + MINUTE, sources=old), None)
    new = {MACHINE_STATS.name: {101: Stats(20.0), 102: Stats(80.0)}}
    history.record(inventory([runs, off], taken_at=START + 2 * MINUTE, sources=new), None)

    now = START + 2 * MINUTE
    assert history.resources(1, now).cpu_ratios[-1] == pytest.approx(0.3)
    assert history.resources(2, now).cpu_ratios[-1] is None
    assert history.resources(3, now).times == []


def test_row_that_is_given_to_another_vm_has_no_values() -> None:
    history = SystemHistory(48)
    stats = {MACHINE_STATS.name: {101: Stats(40.0), 102: Stats(10.0)}}
    history.record(inventory([vm(1)], taken_at=START, sources=stats), None)
    history.record(inventory([], taken_at=START + 30 * MINUTE), None)

    later = START + timedelta(hours=23, minutes=58)
    history.record(inventory([vm(2)], taken_at=later), None)
    assert any(history.resources(1, later).cpu_ratios)
    last = START + timedelta(hours=24, minutes=1)
    history.record(inventory([vm(3)], taken_at=last), None)

    assert not any(history.resources(3, last).cpu_ratios)
    assert history.resources(1, last).times == []


def test_vm_takes_less_than_a_kilobyte_for_a_day() -> None:
    vms = [vm(number) for number in range(1, 1001)]
    rows = {one.config.machine: Stats(50.0) for one in vms}
    tracemalloc.start()
    try:
        history = SystemHistory(24)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(24 * 12 + 1):  # one poll in five minutes fills every mean
            at = START + number * 5 * MINUTE
            history.record(inventory(vms, taken_at=at, sources={"machine_stats": dict(rows)}), None)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after - before < 1000 * 1000

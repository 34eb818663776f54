"""Rows of the logs that are very long: linear work, cut with a mark, and never less careful."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import pytest

from exporter.recovery.detect.log_evidence import quoted
from exporter.recovery.detect.log_patterns import compile_log_pattern
from exporter.recovery.detect.templates import has_name, template
from exporter.recovery.model.platform_log import (
    CUT,
    MAX_TEXT,
    LogRow,
    LogTable,
    cut,
    is_cut,
)
from exporter.recovery.report.messages import CAUSES
from exporter.vergeos.recovery_rows import LOGS
from tests.recovery.harness import Harness

SHORT, LONG = 500, 2000


def steps(work: Callable[[], object]) -> int:
    """Return how many calls and lines of Python *work* takes: no time, so no flaw of a machine."""
    count = 0

    def trace(_frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


ROWS: list[tuple[str, list[str]]] = [
    ("a ", ["a"]),
    ("'a' ", ["a"]),
    ("a' ", ["a", "'"]),
    ("\"'", ["a"]),
    ("ab ", ["a", "ab", "b"]),
    ("aa", ["a" * 20]),
    ("action 'kill' ", ["kill"]),
    ("VM 'x' powered off ", ["x", "VM", "off"]),
    ("1 12345678-1234-1234-1234-123456789012 ", ["1"]),
]


@pytest.mark.parametrize(("unit", "names"), ROWS)
def test_template_of_a_row_takes_steps_in_proportion_to_its_length(
    unit: str, names: list[str]
) -> None:
    short = steps(lambda: template(unit * SHORT, names))
    long = steps(lambda: template(unit * LONG, names))

    assert long <= 5 * short


@pytest.mark.parametrize(("unit", "names"), ROWS)
def test_search_for_a_name_takes_steps_in_proportion_to_the_length(
    unit: str, names: list[str]
) -> None:
    short = steps(lambda: has_name(unit * SHORT, names[0] + "z"))
    long = steps(lambda: has_name(unit * LONG, names[0] + "z"))

    assert long <= 5 * short


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "a.*a.*a.*a.*b"])
def test_pattern_of_a_user_is_matched_by_re2(pattern: str) -> None:
    matcher = compile_log_pattern(pattern)

    assert type(matcher).__module__.startswith(("re2", "_re2"))
    assert matcher.fullmatch("a" * MAX_TEXT) is None


def test_quadratic_row_of_40_kb_is_a_template_at_once() -> None:
    assert template("a " * 20_000, ["a"]).startswith("<name> <name>")


@pytest.mark.parametrize("table", LogTable)
@pytest.mark.parametrize(("length", "is_long"), [(MAX_TEXT, False), (MAX_TEXT + 1, True)])
def test_long_row_is_cut_where_it_is_read(table: LogTable, length: int, *, is_long: bool) -> None:
    row = {"$key": 1, "text": "x" * length, "timestamp": 10**15 + 1, "machine": 1}

    found = LOGS[table].decode(msgspec.json.encode([row])).rows[1].text

    assert is_cut(found) is is_long
    assert len(found) <= MAX_TEXT + len(CUT)
    assert cut(found) == found or is_long


@pytest.mark.parametrize(
    ("length", "expected"), [(300, "x" * 300), (301, f"{'x' * 300}…"), (MAX_TEXT, f"{'x' * 300}…")]
)
def test_quoted_row_is_short(length: int, expected: str) -> None:
    text = quoted(LogRow(table=LogTable.LOGS, key=1, at=0.0, text="x" * length))

    assert text.startswith(f"“{expected}” by")


@pytest.mark.parametrize("place", ["within", "beyond"])
def test_stop_of_many_vms_in_one_long_row_starts_none_of_them(place: str) -> None:
    harness = Harness().warm()
    others = " ".join(f"'{name}'" for name in harness.names[1:])
    padding = " and others" * (MAX_TEXT // 10 if place == "beyond" else 100)
    text = f"powered off by 'anna': {others}{padding} {harness.names[0]}"

    at = harness.world.now
    harness.world.platform_log.write(text, at=at, table="logs", user="anna", object_type="")
    harness.world.crash(harness.names[0])
    harness.advance(300)

    case = harness.case(harness.names[0])
    assert not harness.asked()
    assert case.diagnosis is not None
    assert len(case.diagnosis.detail) < 600
    assert case.diagnosis.cause in CAUSES

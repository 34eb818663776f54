"""What is kept of the judged log rows of a VM never changes what its diagnosis is."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_evidence import diagnose_from_logs
from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.platform_log import LogPosition, LogRow, LogTable
from tests.recovery.test_edges import ABOUT, CLASSIFIER, DOWN, LIMITS, NOW, UP, UP_CLOCK, WAS_DOWN

TEXTS = (
    "VM action 'kill' sent", "VM has shutdown", "VM has reset", "VM action 'poweron' sent",
    "VM action 'migrate' sent", "VM 'web-01' powered on", "Power schedule night applied",
    "VM 'web-01' modified", "VM action 'kill' sent to 'other'",
)  # fmt: skip
LOG_ROWS = st.builds(
    LogRow,
    table=st.sampled_from(LogTable),
    key=st.integers(UP - 10, WAS_DOWN + 10),
    at=st.sampled_from([UP_CLOCK - 60, UP_CLOCK, UP_CLOCK + 60]),
    text=st.sampled_from(TEXTS),
    user=st.sampled_from(["", "anna", "vergewatch"]),
    machine=st.sampled_from([DOWN.machine, DOWN.machine, 33]),
    object_type=st.sampled_from(["vm", "vm", ""]),
    object_name=st.sampled_from([DOWN.name, DOWN.name, "other"]),
    read_at=st.just(NOW),
)
PLACED = st.fixed_dictionaries(
    {
        "killed_position": st.sampled_from([None, LogPosition(UP, UP)]),
        "killed_at": st.just(NOW - 10),
        "log_up": st.sampled_from([LogPosition(UP, UP), LogPosition(UP + 5, UP + 5)]),
    }
)
"""What stays the same while rows are judged once."""
OF_CASE = {
    "observed": st.sampled_from([ObservedState.DOWN, ObservedState.HUNG]),
    "attempts": st.sampled_from([0, 1]),
    "kill_unanswered": st.booleans(),
    "up_clock": st.sampled_from([UP_CLOCK, UP_CLOCK + 120]),
}
OF_CONTEXT = {
    "at": st.sampled_from([NOW, NOW + 3600]),
    "policy": st.sampled_from([Policy.ON_FAILURE, Policy.ALWAYS]),
    "started_at": st.sampled_from([None, UP_CLOCK + 30]),
    "users": st.sampled_from([LogUsers(), LogUsers("vergewatch")]),
    "vm_names": st.sampled_from([frozenset(), frozenset({"other"})]),
    "name_is_shared": st.booleans(),
}
FIELDS = OF_CASE | OF_CONTEXT
CHANGES = st.one_of([st.tuples(st.just(name), values) for name, values in FIELDS.items()])


def diagnosed(case: Case, rows: list[LogRow], memo: Any, fields: dict[str, Any]) -> Any:
    ordered = sorted(rows, key=lambda one: (one.table, one.key))
    assert ABOUT.logs is not None
    logs = ABOUT.logs._replace(rows=ordered, memo=memo)
    context = ABOUT._replace(logs=logs, **{name: fields[name] for name in OF_CONTEXT})
    case = replace(case, **{name: fields[name] for name in OF_CASE})
    return diagnose_from_logs(case, context, LIMITS, CLASSIFIER)


def by_key(row: LogRow) -> tuple[LogTable, int]:
    return row.table, row.key


@settings(max_examples=1000)
@given(
    PLACED,
    st.lists(LOG_ROWS, min_size=1, max_size=3, unique_by=by_key),
    st.fixed_dictionaries(FIELDS),
    st.lists(st.tuples(CHANGES, st.lists(LOG_ROWS, max_size=1)), min_size=3, max_size=10),
)
def test_a_diagnosis_is_the_same_with_and_without_what_was_judged_before(
    placed: dict[str, Any],
    rows: list[LogRow],
    fields: dict[str, Any],
    steps: list[tuple[tuple[str, Any], list[LogRow]]],
) -> None:
    case, memo = replace(DOWN, **placed), dict[str, Any]()
    for (name, value), more in steps:
        assert diagnosed(case, rows, memo, fields) == diagnosed(case, rows, None, fields)

        fields = {**fields, name: value}
        rows = [*rows, *(one for one in more if by_key(one) not in set(map(by_key, rows)))]

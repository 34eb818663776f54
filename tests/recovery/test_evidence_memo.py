"""What is kept of the judged log rows of a VM never changes what its diagnosis is."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_evidence import diagnose_from_logs
from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.platform_log import LogPosition, LogRow, LogTable
from tests.recovery.test_edges import (
    ABOUT,
    CLASSIFIER,
    DOWN,
    LIMITS,
    NOW,
    UP,
    UP_CLOCK,
    WAS_DOWN,
    row,
)

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
    "users": st.sampled_from([LogUsers(), LogUsers(frozenset({"vergewatch"}))]),
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


class Change(NamedTuple):
    """What changes between two diagnoses from the same rows."""

    rows: list[LogRow]
    before: dict[str, Any]
    after: dict[str, Any]


def in_logs(text: str, *, key: int = UP - 5, object_name: str = DOWN.name) -> LogRow:
    return LogRow(
        table=LogTable.LOGS, key=key, at=UP_CLOCK, text=text, user="anna", read_at=NOW,
        object_type="vm" if object_name else "", object_name=object_name,
    )  # fmt: skip


KILL, SHUTDOWN, STRANGE = "VM action 'kill' sent", "VM has shutdown", "Blinkenlights near n9"
EARLY_KILL = row(KILL, at=UP_CLOCK - 60)
SENT = LogPosition(UP, UP)
"""The end of the logs when recovery sent a kill."""
EXAMPLES = {
    "policy": Change(
        [row(SHUTDOWN, user="")], {"policy": Policy.ON_FAILURE}, {"policy": Policy.ALWAYS}
    ),
    "started_at": Change([EARLY_KILL], {"started_at": None}, {"started_at": UP_CLOCK - 10}),
    "up_clock": Change(
        [EARLY_KILL],
        {"up_clock": UP_CLOCK, "started_at": UP_CLOCK + 30},
        {"up_clock": UP_CLOCK + 120, "started_at": UP_CLOCK + 30},
    ),
    "attempts": Change(
        [row(KILL), row("VM action 'poweron' sent", key=UP + 5)], {"attempts": 0}, {"attempts": 1}
    ),
    "observed": Change(
        [row(SHUTDOWN, user="")],
        {"observed": ObservedState.DOWN, "policy": Policy.ALWAYS},
        {"observed": ObservedState.HUNG, "policy": Policy.ALWAYS},
    ),
    "kill_unanswered": Change(
        [row(KILL, key=UP + 5)],
        {"kill_unanswered": False, "killed_position": SENT, "killed_at": NOW - 10},
        {"kill_unanswered": True, "killed_position": SENT, "killed_at": NOW - 10},
    ),
    "time after a reset": Change([row("VM has reset", user="")], {"at": NOW}, {"at": NOW + 3600}),
    "other VMs that a row names": Change(
        [in_logs("Power schedule applied to 'other'", object_name="")],
        {"vm_names": frozenset()},
        {"vm_names": frozenset({"other"})},
    ),
    "name": Change([in_logs(KILL)], {"name": DOWN.name}, {"name": "db-01"}),
    "former_names": Change(
        [in_logs(KILL)],
        {"name": "db-01", "former_names": ()},
        {"name": "db-01", "former_names": (DOWN.name,)},
    ),
    "log_up": Change(
        [row("Node 'node3' entered maintenance mode", key=UP + 3, machine=33)],
        {"log_up": SENT},
        {"log_up": LogPosition(UP + 5, UP + 5)},
    ),
    "log_down": Change(
        [row(STRANGE, key=UP + 5, user="")],
        {"log_down": LogPosition(WAS_DOWN, WAS_DOWN)},
        {"log_down": LogPosition(UP + 2, UP + 2)},
    ),
    "killed_position": Change(
        [row(KILL, key=UP + 5)],
        {"killed_position": None, "killed_at": NOW - 10},
        {"killed_position": SENT, "killed_at": NOW - 10},
    ),
    "killed_at": Change(
        [row(KILL, key=UP + 5)],
        {"killed_position": SENT, "killed_at": NOW - 10},
        {"killed_position": SENT, "killed_at": NOW - LIMITS.verify_reset_seconds - 1},
    ),
    "classifier": Change(
        [row(STRANGE)],
        {"classifier": CLASSIFIER},
        {"classifier": LogClassifier(taught={"Blinkenlights near n<n>": Meaning.HARMLESS})},
    ),
    "places": Change([row(STRANGE)], {"places": frozenset()}, {"places": frozenset({"n9"})}),
    "name_is_shared": Change([in_logs(KILL)], {"name_is_shared": False}, {"name_is_shared": True}),
    "users": Change(
        [row(STRANGE, key=WAS_DOWN + 5)],
        {"users": LogUsers()},
        {"users": LogUsers(system=frozenset({"anna"}))},
    ),
}


def diagnosed_with(rows: list[LogRow], memo: Any, fields: dict[str, Any]) -> Any:
    assert ABOUT.logs is not None
    of_case = {name: one for name, one in fields.items() if name in Case.__struct_fields__}
    about = {name: one for name, one in fields.items() if name in ABOUT._fields}
    context = ABOUT._replace(logs=ABOUT.logs._replace(rows=rows, memo=memo), **about)
    classifier = fields.get("classifier", CLASSIFIER)
    return diagnose_from_logs(replace(DOWN, **of_case), context, LIMITS, classifier)


@pytest.mark.parametrize("what", EXAMPLES)
def test_a_change_of_what_a_diagnosis_depends_on_changes_it_despite_the_memo(what: str) -> None:
    rows, before, after = EXAMPLES[what]
    memo = dict[str, Any]()

    first = diagnosed_with(rows, memo, before)
    second = diagnosed_with(rows, memo, after)

    assert first != second
    assert second == diagnosed_with(rows, None, after)


def test_a_new_row_changes_a_diagnosis_despite_the_memo() -> None:
    memo, rows = dict[str, Any](), [row(SHUTDOWN, user="")]
    diagnosed_with(rows[:0], memo, {})

    assert diagnosed_with(rows, memo, {}) == diagnosed_with(rows, None, {}) is not None

"""The values of recovery: they do not change, and tell what follows from their fields."""

import inspect
import math
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import exporter.recovery.model
from exporter.recovery.decide.guards import decide
from exporter.recovery.model.cases import Outcome
from exporter.recovery.model.confirmation import Confirmation
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.history import FactKind
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.log_templates import (
    TEACHABLE,
    RowSource,
    Sightings,
    TemplateHistory,
)
from exporter.recovery.model.platform_log import LogPosition, LogRow, LogTable
from exporter.recovery.model.records import ActionRecord
from tests.fakes import START
from tests.recovery.test_edges import INTENT, facts_with


def structs() -> Iterator[type[msgspec.Struct]]:
    model = exporter.recovery.model
    for found in pkgutil.iter_modules(model.__path__, f"{model.__name__}."):
        for _, member in inspect.getmembers(import_module(found.name), inspect.isclass):
            if issubclass(member, msgspec.Struct) and member.__module__ == found.name:
                yield member


STRUCTS = list(structs())


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_value_is_frozen_and_untracked(struct: type[msgspec.Struct]) -> None:
    config = struct.__struct_config__

    assert config.frozen
    assert not config.gc


SHORT = {
    *("Diagnosis", "Enrolment", "Spent", "BudgetUse", "GuardResult", "Fact", "Sightings"),
    *("LogPosition", "PositionRead", "ActionRecord", "DecisionRecord", "KnownPattern"),
    "TaughtTemplate",
}
"""Values whose few fields have an evident order."""
LISTS = {"VMFact", "StatusFact", "NodeFact", "SystemFact"}
"""Facts of the recorded history, which is long: they are written without the names of fields."""


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_value_of_many_fields_is_made_by_their_names(struct: type[msgspec.Struct]) -> None:
    """Two times or two keys that change places would pass every type check."""
    kinds = {one.kind for one in inspect.signature(struct).parameters.values()}

    by_name = kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert by_name is (struct.__name__ not in SHORT | LISTS)
    assert struct.__struct_config__.array_like is (struct.__name__ in LISTS)


@pytest.mark.parametrize(
    ("values", "is_down", "is_up"),
    [
        ((), False, False),
        ((0.0,), False, True),
        ((0.0, 0.0), False, True),
        ((0.0, 1.0), False, False),
        ((1.0, 0.0), False, False),
        ((1.0,), True, False),
        ((1.0, 0.5, -1.0, 2.0), True, False),
        ((math.nan,), False, False),
        ((1.0, math.nan), False, False),
        ((0.0, math.nan), False, False),
    ],
)
def test_prometheus_confirms_what_every_sample_says(
    values: tuple[float, ...], *, is_down: bool, is_up: bool
) -> None:
    found = Confirmation("query", values)

    assert (found.is_down, found.is_up) == (is_down, is_up)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("failed", [None, *GuardName])
def test_decision_acts_when_no_guard_fails_and_asks_when_only_the_mode_forbids(
    failed: GuardName | None, mode: Mode
) -> None:
    decision = replace(decide(facts_with()), failed_guard=failed, mode=mode)

    assert decision.acts is (failed is None)
    assert decision.asks is ((failed, mode) == (GuardName.MODE_PERMITS, Mode.ASK))


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        ({}, True),
        ({"outcome": Outcome.CONFIRMED}, True),
        ({"outcome": Outcome.FAILED}, True),
        ({"outcome": Outcome.UNKNOWN}, True),
        ({"outcome": Outcome.ABANDONED}, False),
        ({"sent_at": None}, False),
        ({"sent_at": 0.0}, True),
        ({"sent_at": None, "outcome": Outcome.FAILED}, False),
    ],
)
def test_action_was_sent_unless_it_was_abandoned_before(
    change: dict[str, Any], *, sent: bool
) -> None:
    assert ActionRecord(replace(INTENT, **change), 1, START, None).sent is sent


def test_position_includes_the_rows_of_its_log_up_to_its_key() -> None:
    position = LogPosition(machine_logs=10, logs=20)

    def includes(table: LogTable, key: int) -> bool:
        return position.includes(LogRow(table=table, key=key, at=0.0, text=""))

    assert [includes(LogTable.MACHINE_LOGS, key) for key in (9, 10, 11, 20)] == [
        *(True, True, False, False)
    ]
    assert [includes(LogTable.LOGS, key) for key in (9, 19, 20, 21)] == [True, True, True, False]


def test_template_was_seen_as_often_as_all_its_sources_say() -> None:
    by_person, by_system = Sightings(3, 100.0, 160.0), Sightings(4, 50.0, 50.0)
    sightings = {RowSource.PERSON: by_person, RowSource.SYSTEM: by_system}

    assert (by_person.seconds, by_system.seconds) == (60.0, 0.0)
    assert TemplateHistory(template="t", sightings=sightings).times == 7
    assert TemplateHistory(template="t").times == 0


def test_operator_can_teach_each_meaning_of_a_row_and_doubt() -> None:
    assert set(TEACHABLE) == {"harmless", "stop", "guest-stop", "start", "crash", "doubt"}


def test_what_was_learned_counts_after_its_poll() -> None:
    assert {kind for kind in FactKind if not kind.is_seen} == {FactKind.LEARNED}

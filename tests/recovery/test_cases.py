"""The values of recovery: they do not change, and no garbage collection has to visit them."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import msgspec
import pytest

import exporter.recovery.model
from exporter.recovery.model.cases import FREE_REPLIES, UNCOUNTED_REPLIES, Policy, Reply


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


def test_policies_no_and_ignore_permit_no_action() -> None:
    assert {policy for policy in Policy if not policy.acts} == {Policy.NO, Policy.IGNORE}


def test_reply_for_which_the_vm_is_not_the_cause_uses_up_no_budget() -> None:
    assert set(FREE_REPLIES) == {Reply.NO_CAPACITY, Reply.BUSY, Reply.NOT_SENT}
    assert set(UNCOUNTED_REPLIES) == {*FREE_REPLIES, Reply.FORBIDDEN}

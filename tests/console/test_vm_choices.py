"""What filters can be set to: each choice finds at least one VM."""

import msgspec
from hypothesis import given

from exporter.console.fleet import VMEntry
from exporter.console.vm_choices import MAX_CHOICES, choices_of
from exporter.console.vm_query import FILTERS, VMSearch, parse_query
from exporter.recovery.model.states import State
from tests.console.entries import vm
from tests.console.test_vm_query import FLEETS


@given(FLEETS)
def test_each_choice_finds_a_vm_and_each_vm_is_found(entries: tuple[VMEntry, ...]) -> None:
    choices = choices_of(entries)

    assert set(choices) == set(FILTERS)
    for name, values in choices.items():
        assert "" not in values
        for value in values:
            assert VMSearch().find(entries, parse_query([(name, value)])).vms


def test_fixed_choices_keep_their_order_and_names_are_sorted() -> None:
    entries = tuple(
        vm(node=node, recovery_state=state)
        for node, state in (("b", State.HELD), ("a", State.BASELINE), ("", State.HEALTHY))
    )

    choices = choices_of(entries)

    assert choices["node"] == ["a", "b"]
    assert choices["state"] == ["baseline", "healthy", "held"]
    assert choices["enrolment"] == ["enrolled"]


def test_choices_of_most_vms_are_kept() -> None:
    one = vm(node="busy")
    many = tuple(msgspec.structs.replace(one, node=f"n{number}") for number in range(MAX_CHOICES))

    nodes = choices_of((*many, one, one))["node"]

    assert len(nodes) == MAX_CHOICES
    assert "busy" in nodes

"""The recovery state of each VM, in the order of their keys, whatever changes between two polls."""

from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from exporter.recovery.model.cases import Case, ObservedState
from exporter.recovery.model.states import State
from exporter.recovery.report.status import StatusCache
from tests.fakes import START

Cases = Mapping[str, Case]


def cases(*keys: int) -> Cases:
    """Return the cases of VMs with these keys, in this order."""
    return {f"u{key}": case(key) for key in keys}


def case(key: int) -> Case:
    return Case(
        uuid=f"u{key}",
        key=key,
        machine=100 + key,
        name=f"vm-{key}",
        state=State.HEALTHY,
        since=0.0,
        observed=ObservedState.UP,
    )


def keys(cache: StatusCache, some: Cases) -> Sequence[int]:
    vms = cache.vms(some, {}, lambda _: START, lambda _: "")
    return [vm.key for vm in vms]


FIRST = cases(3, 1, 2)


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (FIRST, [1, 2, 3]),
        (cases(3, 1), [1, 3]),
        (cases(3, 4, 1, 2), [1, 2, 3, 4]),
        (cases(3, 4, 1), [1, 3, 4]),
        ({**FIRST, "u2": replace(FIRST["u2"], key=9)}, [1, 3, 9]),
        ({}, []),
    ],
    ids=["as before", "deleted", "created", "replaced", "restored with another key", "all deleted"],
)
def test_vms_are_in_the_order_of_their_keys(later: Cases, expected: Sequence[int]) -> None:
    cache = StatusCache()
    assert keys(cache, FIRST) == [1, 2, 3]

    assert keys(cache, later) == expected


def test_changed_case_is_shown_in_its_place() -> None:
    cache = StatusCache()
    keys(cache, FIRST)
    down = replace(FIRST["u2"], state=State.SUSPECT)

    vms = cache.vms({**FIRST, "u2": down}, {}, lambda _: START, lambda _: "")

    assert [vm.state for vm in vms] == ["healthy", "suspect", "healthy"]


def test_nothing_is_shown_after_a_new_start_without_vms() -> None:
    cache = StatusCache()
    keys(cache, FIRST)

    cache.clear()

    assert keys(cache, {}) == []


def test_entry_of_a_vm_that_did_not_change_is_the_same_object() -> None:
    cache = StatusCache()
    first = cache.vms(FIRST, {}, lambda _: START, lambda _: "")

    assert cache.vms(FIRST, {}, lambda _: START, lambda _: "") is first

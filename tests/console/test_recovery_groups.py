"""VMs in trouble are grouped by what keeps them where they are."""

from datetime import timedelta

import pytest

from exporter.console.recovery_groups import Reason, vm_groups
from exporter.model import RecoveryVM
from exporter.recovery.model.decision import GuardName
from exporter.recovery.report.messages import REASONS
from tests.fakes import START


def vm(key: int, state: str, *, guard: str = "", cause: str = "", **more: str) -> RecoveryVM:
    return RecoveryVM(
        key, f"web-{key:02}", "auto", state, START,
        down_since=START + timedelta(seconds=100 - key), cause=cause, failed_guard=guard,
        detail=f"evidence {key}", **more,
    )  # fmt: skip


def test_equal_reasons_are_one_group_whatever_the_evidence() -> None:
    vms = [vm(key, "held", guard="circuit_breaker_closed", cause="crashed") for key in range(31)]

    (group,) = vm_groups(vms)

    assert group.reason.text == "the circuit breaker is not closed"
    assert len(group.vms) == 31
    assert group.vms[0].key == 30
    assert group.down_since == START + timedelta(seconds=70)


def test_most_urgent_and_largest_group_is_first_and_calm_vms_are_in_none() -> None:
    vms = [
        vm(1, "held", guard="not_paused", cause="crashed"),
        vm(2, "held", guard="enrolled", cause="crashed"),
        vm(3, "held", guard="enrolled", cause="crashed"),
        vm(4, "unknown", cause="logs_unread"),
        vm(5, "quarantined", guard="within_restart_budget", cause="crashed"),
        vm(6, "healthy"),
        vm(7, "stopped", cause="stopped_by_person"),
        vm(8, "baseline"),
    ]

    found = [[one.key for one in group.vms] for group in vm_groups(vms)]

    assert found == [[5], [4], [3, 2], [1]]


def test_log_rows_of_different_templates_are_taught_by_themselves() -> None:
    vms = [
        vm(key, "unknown", cause="logs_unclear", blocking_template=template)
        for key, template in enumerate(["A", "B", "A"])
    ]

    found = {group.reason.template: len(group.vms) for group in vm_groups(vms)}

    assert found == {"A": 2, "B": 1}


@pytest.mark.parametrize("guard", REASONS)
def test_each_guard_has_a_reason_without_the_detail_of_one_vm(guard: GuardName) -> None:
    text = Reason("held", guard, "", "").text

    assert text
    assert "{" not in text
    assert not text.endswith((":", " "))


def test_vm_that_is_being_confirmed_says_so() -> None:
    (group,) = vm_groups([vm(1, "suspect")])

    assert group.reason.text == "the failure is being confirmed"

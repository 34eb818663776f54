"""A short month: nothing wrong is started, and what can be started is."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import Inventory
from exporter.recovery.model.limits import Mode
from tests.recovery.harness import Harness
from tests.recovery.month import Month
from tests.recovery.replay import account
from tests.recovery.shortcut import Shortcut
from tests.recovery.workload import HOUR


@pytest.fixture(scope="module")
def month() -> Month:
    return Month(vms=100, days=2, seed=1, mode=Mode.ENFORCE, busy=8, hurried=True).simulate()


def test_no_vm_stopped_on_purpose_is_started(month: Month) -> None:
    assert month.ground_truth.wrong_starts == []


def test_monitored_vms_are_never_acted_on(month: Month) -> None:
    assert month.ground_truth.not_ours == []


def test_every_crash_is_detected(month: Month) -> None:
    assert [(one.vm.name, one.held_by) for one in month.missed] == []


def test_most_crashed_vms_are_restarted(month: Month) -> None:
    assert len(month.crashes) > 25
    assert len(month.recovered) > len(month.crashes) / 2


def test_crash_loops_end_in_quarantine(month: Month) -> None:
    assert len(month.quarantined) >= 2


def test_month_covers_every_kind_of_incident(month: Month) -> None:
    counted = month.ground_truth.counted

    assert month.invalid.keys() >= {"unread", "frozen", "short"}
    assert month.fate.restarts == 3
    assert all(
        counted[what]
        for what in ("guest_shut_down", "task_ran", "migrated", "hung", "node_failed", "crashed")
    )


def test_account_has_a_line_for_each_result(month: Month) -> None:
    lines = list(account(month, cpu_seconds=1.0))

    assert any("WRONG STARTS" in line for line in lines)
    assert "Vergewatch" in "".join(lines)


def test_shadow_mode_sends_no_action_and_decides_no_wrong_one() -> None:
    month = Month(vms=60, days=1, seed=3, mode=Mode.SHADOW, busy=6, hurried=True).simulate()

    assert month.asked() == []
    assert month.ground_truth.starts
    assert month.wrong_actions == []


def test_ground_truth_detects_a_wrong_start() -> None:
    month = Month(vms=60, days=0.1, seed=1, mode=Mode.ENFORCE, busy=0.0)
    enrolled_keys = [
        vm for vm in month.world.live_vms() if vm.key in month.ground_truth.enrolled_keys
    ]
    stopped, left, crashed, *_ = enrolled_keys
    stranger = next(
        vm for vm in month.world.live_vms() if vm.key not in month.ground_truth.enrolled_keys
    )
    month.world.operator_stops(stopped, graceful=False)
    month.world.guest_shuts_down(left)
    month.world.crash(crashed)
    month.world.crash(stranger)
    month.clock.elapsed += HOUR

    for vm in (stopped, left, crashed, stranger):
        month.world.operator_starts(vm, user="vergewatch")

    assert [one.name for one in month.ground_truth.wrong_starts] == [stopped.name, left.name]
    assert [one.name for one in month.ground_truth.not_ours] == [stranger.name]


def test_shortcut_poll_equals_a_poll_over_the_api() -> None:
    harness = Harness(vms=30, seed=5)
    world, shortcut = harness.world, Shortcut(harness.world)
    vms = [vm for vm in world.live_vms() if vm.service is None]
    happenings: list[Any] = [
        lambda: None,
        lambda: world.crash(vms[0]),
        lambda: world.operator_stops(vms[1]),
        lambda: world.hang(vms[2]),
        lambda: world.migrate(vms[3]),
        lambda: world.renames(vms[4], "other"),
        lambda: world.changes(vms[5], enabled=False),
        lambda: world.untag(vms[6], "recovery/auto"),
        lambda: world.node_fails("node1"),
        lambda: world.operator_starts(vms[0]),
        lambda: world.deletes(vms[7]),
        lambda: world.node_enters_maintenance("node2"),
    ]

    for happen in happenings:
        happen()
        for _ in range(3):
            harness.clock.elapsed += 7
            over_the_wire = harness._read().inventory
            poll = shortcut.poll(asked_at=0.0, time=harness.clock.now(), every=20.0)

            assert over_the_wire is not None
            assert poll.inventory is not None
            assert shown(poll.inventory) == shown(over_the_wire)


def shown(inventory: Inventory) -> list[Any]:
    vms = [
        replace(vm, status=replace(vm.status, agent_version="") if vm.status else None)
        for vm in inventory.vms
    ]
    return [vms, inventory.nodes, inventory.tags, inventory.clusters]

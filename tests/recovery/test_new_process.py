"""What happens while one process ends and the next begins, however little time is between them."""

import pytest

from exporter.recovery.model.cases import DiagnosisKind
from exporter.recovery.model.states import State
from tests.recovery.conftest import MakeHarness
from tests.recovery.test_scenarios import ENOUGH, cause


@pytest.mark.parametrize("seconds", [0.0, 0.001, 20.0])
@pytest.mark.parametrize(
    "text", ["VM '{}' reverted to snapshot", "VM '{}' was halted", "Guest of '{}' said goodbye"]
)
def test_unknown_row_from_before_the_vm_was_seen_down_is_a_doubt(
    make_harness: MakeHarness, seconds: float, text: str
) -> None:
    harness, _ = make_harness()
    harness.warm()
    vm = harness.world.vm("web-01")
    harness.world.platform_log.write(
        text.format(vm.name),
        at=harness.world.now,
        table="machine_logs",
        name=vm.name,
        machine=vm.machine.key,
    )
    harness.world.crash(vm)
    harness.clock.elapsed += seconds
    harness.new_process()

    harness.advance(ENOUGH)

    case = harness.recovery.state.cases[vm.uuid]
    assert case.diagnosis is not None
    assert case.diagnosis.kind is DiagnosisKind.UNKNOWN, cause(harness, vm.name)
    assert harness.asked(vm.name) == []


def test_stop_while_no_process_ran_is_known_at_once(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.operator_stops("web-01")
    harness.clock.elapsed += 400
    harness.new_process()

    harness.advance(120)

    assert harness.case("web-01").state is State.STOPPED


def test_own_tag_assigned_shortly_before_a_crash_is_no_doubt(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/auto"]})
    harness.warm()
    harness.world.tag("web-01", "recovery/on-hang-power-cycle")
    harness.advance(60)
    harness.world.crash("web-01")

    harness.advance(ENOUGH)

    assert [one.action for one in harness.asked()] == ["poweron"]

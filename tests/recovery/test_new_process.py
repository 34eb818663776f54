"""What happens while one process ends and the next begins, however little time is between them."""

import pytest

from exporter.recovery.model.cases import DiagnosisKind
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

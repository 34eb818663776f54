"""What happens while one process ends and the next begins, however little time is between them."""

import pytest

from exporter.recovery import log_tail
from exporter.recovery.model.cases import Cause, DiagnosisKind
from exporter.recovery.model.states import State
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import EVERY, Harness
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


@pytest.mark.parametrize("tags", [[], ["recovery/auto"]], ids=["monitored", "enrolled"])
@pytest.mark.parametrize("why", ["limit", "pruned"])
def test_vm_that_is_down_for_long_costs_no_other_its_evidence(
    make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch, why: str, tags: list[str]
) -> None:
    enrolled = {name: ["recovery/auto"] for name in ("web-01", "web-02", "web-03")}
    harness, _ = make_harness(tags={**enrolled, "db-01": tags})
    harness.warm()
    harness.world.platform_log.write(
        "VM 'db-01' was halted",
        at=harness.world.now,
        table="machine_logs",
        machine=harness.world.vm("db-01").machine.key,
    )
    harness.world.crash("db-01")
    for _ in range(100):
        noise(harness, rows=3)
        harness.advance(40)
    assert harness.case("db-01").log_from is not None
    if why == "limit":
        monkeypatch.setattr(log_tail, "MAX_ROWS", 200)
    else:
        for rows in (harness.world.platform_log.logs, harness.world.platform_log.machine_logs):
            while len(rows) > 200:
                rows.popleft()

    harness.world.crash("web-01")
    harness.advance(EVERY)
    harness.new_process()
    harness.advance(ENOUGH)

    assert len(harness.asked("web-01")) == 1
    assert not harness.asked("db-01")
    assert cause(harness, "db-01") is Cause.LOGS_INCOMPLETE


def noise(harness: Harness, *, rows: int) -> None:
    """Write rows to both logs that are about no VM that is down."""
    for _ in range(rows):
        harness.world.platform_log.write(
            "VM 'web-03' migrated to 'node1'",
            at=harness.world.now,
            name="web-03",
            machine=harness.world.vm("web-03").machine.key,
        )


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

"""What opens the circuit breaker and what does not, in virtual time with the default limits."""

from itertools import pairwise
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.alerting.definitions import AlertName
from exporter.recovery.decide.readiness import readiness_now
from exporter.recovery.model.cases import Cause, ObservedState
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import DAY, HOUR, Mode
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.losses import after_diagnoses
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import LIMITS, Harness
from tests.recovery.test_down_alerts import Watch
from tests.recovery.test_scenarios import command

IN_TIME = 90.0


def breaker_of(harness: Harness) -> BreakerState:
    return harness.recovery.state.breaker.breaker_state


def on_nodes(harness: Harness) -> dict[int, list[str]]:
    """Return the names of the VMs of each node."""
    found: dict[int, list[str]] = {}
    for name in harness.names:
        found.setdefault(harness.world.vm(name).machine.status.node or 0, []).append(name)
    return found


def spread(harness: Harness, count: int) -> list[str]:
    """Return *count* VMs, of as many nodes as there are."""
    columns = on_nodes(harness).values()
    rows = [names[row : row + 1] for row in range(len(harness.names)) for names in columns]
    return [name for names in rows for name in names][:count]


def make_large(vms: int) -> Harness:
    """Return a harness that was polled, with a short log, which is decoded without a thread."""
    harness = Harness(vms=vms)
    log = harness.world.platform_log
    for rows in (log.machine_logs, log.logs):
        while len(rows) > 50:
            rows.popleft()
    harness.advance(2 * harness.every)
    return harness


@pytest.mark.parametrize("late", [0.0, 60.0])
def test_stops_by_people_do_not_keep_the_breaker_open(
    make_harness: MakeHarness, late: float
) -> None:
    harness, _ = make_harness(vms=20)
    harness.warm()
    if late:
        harness.world.faults.turn_on("late_logs", seconds=late)
    lost, others = harness.names[:3], iter(harness.names[3:])

    for name in lost:
        harness.world.crash(name)
    harness.advance(harness.every)
    opened = breaker_of(harness)
    for _ in range(5):
        harness.world.operator_stops(next(others), graceful=False)
        harness.advance(13 * 60)

    assert opened is BreakerState.OPEN
    assert all(harness.running(name) for name in lost)
    assert {name for name in harness.names if harness.asked(name)} == set(lost)


@pytest.mark.parametrize("state", ["off", "maintenance"])
def test_probes_go_on_while_a_node_is_off_or_in_maintenance(
    make_harness: MakeHarness, state: str
) -> None:
    harness, _ = make_harness(vms=24)
    harness.warm()
    by_node = on_nodes(harness)
    emptied = min(by_node, key=lambda node: len(by_node[node]))
    node = harness.world.nodes[emptied]
    if state == "off":
        harness.world.node_powers_off(node)
    else:
        harness.world.node_enters_maintenance(node)
    harness.advance(20 * 60)
    well = [name for name in harness.names
            if harness.running(name) and harness.case(name).node != emptied]  # fmt: skip

    lost = well[:5]
    for name in lost:
        harness.world.crash(name)
    harness.advance(harness.every)
    opened = breaker_of(harness)
    harness.advance(40 * 60)

    assert opened is BreakerState.OPEN
    assert all(harness.running(name) for name in lost)


def test_two_unknown_vms_do_not_delay_later_crashes(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=11)
    harness.warm()
    unknown = spread(harness, 2)
    for name in unknown:
        harness.world.forces_status(name, word="error", running=False)
    harness.advance(310)
    assert {harness.case(name).state for name in unknown} == {State.UNKNOWN}

    for name in [name for name in harness.names if name not in unknown][:4]:
        at = harness.clock.elapsed
        harness.world.crash(name)
        harness.advance(600)
        assert harness.asked(name)[0].at - at <= IN_TIME


def test_crash_probation_and_guest_shutdown_leave_the_breaker_closed(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=12)
    harness.warm()
    first, second, third = spread(harness, 3)
    harness.world.crash(first)
    harness.advance(100)
    assert harness.case(first).state is State.PROBATION

    harness.world.guest_shuts_down(second)
    harness.world.crash(third)
    states = set()
    for _ in range(5):
        harness.advance(harness.every)
        states.add(breaker_of(harness))

    assert states == {BreakerState.CLOSED}
    assert harness.asked(third)
    assert not harness.asked(second)


@pytest.mark.parametrize(
    ("lost", "of"), [(3, 12), (3, 20), (5, 100), (5, 400), (56, 400), (50, 1000)]
)
def test_mass_outage_opens_the_breaker_within_one_poll(lost: int, of: int) -> None:
    harness = make_large(of)

    for name in spread(harness, lost):
        harness.world.crash(name)
    harness.advance(harness.every)

    assert breaker_of(harness) is BreakerState.OPEN


def test_500_of_10000_vms_open_the_breaker_within_one_poll() -> None:
    harness = Harness()
    harness.poll()
    state = harness.recovery.state
    some = harness.case("web-01")
    at = state.valid_inventory.at
    cases = {f"vm-{number}": replace(some, uuid=f"vm-{number}") for number in range(10_000)}
    for uuid in list(cases)[:500]:
        cases[uuid] = replace(
            cases[uuid], state=State.SUSPECT, observed=ObservedState.DOWN, lost_at=at
        )

    state = after_diagnoses(state._replace(cases=MappingProxyType(cases)), frozenset(), LIMITS)

    assert state.breaker.breaker_state is BreakerState.OPEN


@pytest.mark.parametrize(("lost", "of"), [(2, 8), (2, 20), (4, 100), (4, 1000)])
def test_fewer_vms_do_not_open_the_breaker(lost: int, of: int) -> None:
    harness = make_large(of)

    for name in spread(harness, lost):
        harness.world.crash(name)
    harness.advance(harness.every)

    assert breaker_of(harness) is BreakerState.CLOSED


def test_many_stops_at_once_do_not_open_the_breaker(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()

    for name in harness.names[:12]:
        harness.world.operator_stops(name, graceful=False)
    harness.advance(harness.every)
    at_once = breaker_of(harness)
    harness.advance(120)

    assert (at_once, breaker_of(harness)) == (BreakerState.CLOSED, BreakerState.CLOSED)


def test_breaker_closes_when_late_rows_explain_the_losses(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    harness.world.faults.turn_on("late_logs", seconds=30.0)

    for name in harness.names[:6]:
        harness.world.operator_stops(name, graceful=False)
    harness.advance(harness.every)
    at_once = breaker_of(harness)
    harness.advance(180)

    assert (at_once, breaker_of(harness)) == (BreakerState.OPEN, BreakerState.CLOSED)
    assert not harness.asked()


def test_a_failed_node_counts_once(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    node = next(iter(on_nodes(harness)))

    harness.world.node_fails(harness.world.nodes[node])
    harness.advance(harness.every)
    crashed = next(name for key, names in on_nodes(harness).items() if key != node
                   for name in names if harness.running(name))  # fmt: skip
    at = harness.clock.elapsed
    harness.world.crash(crashed)
    harness.advance(100)

    assert breaker_of(harness) is BreakerState.CLOSED
    assert harness.asked(crashed)[0].at - at <= IN_TIME


def test_breaker_is_open_again_after_a_restart_of_the_daemon(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    for name in harness.names[:6]:
        harness.world.crash(name)
    harness.advance(60)

    harness.new_process()
    harness.advance(harness.every)

    assert breaker_of(harness) is BreakerState.OPEN


def test_restart_of_the_daemon_amid_the_probes_lets_no_two_vms_start_at_once(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    lost = harness.names[:6]
    for name in lost:
        harness.world.crash(name)
    while len(harness.asked()) < 2:
        harness.advance(20)
    harness.advance(20)

    harness.new_process()
    harness.advance(2 * HOUR)

    times = [request.at for request in harness.asked()][2:]
    assert all(harness.running(name) for name in lost)
    assert times[1] - times[0] >= LIMITS.breaker_probe_interval_seconds  # then two are left


def test_losses_one_by_one_do_not_open_the_breaker_of_a_new_process(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=12)
    harness.warm()
    for name in spread(harness, 4):
        harness.world.forces_status(name, word="error", running=False)
        harness.advance(310)

    harness.new_process()
    harness.advance(harness.every)

    assert breaker_of(harness) is BreakerState.CLOSED


def test_vms_of_an_earlier_outage_that_crash_later_are_no_mass_outage(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=12)
    harness.warm()
    lost = spread(harness, 3)
    for name in lost:
        harness.world.crash(name)
    harness.advance(320)
    for name in lost:
        harness.world.operator_starts(name)
    harness.advance(40)
    harness.world.migrate(lost[0])  # two of one node would be a failing node
    harness.advance(360)
    assert breaker_of(harness) is BreakerState.CLOSED

    command(harness, CommandKind.DISARM)
    for name in lost[:2]:
        harness.world.crash(name)
    harness.advance(100)
    command(harness, CommandKind.ARM)
    harness.warm().advance(20)

    first, second = (harness.asked(name)[0].at for name in lost[:2])
    assert first == second


@pytest.mark.parametrize(
    ("fault", "options"),
    [("status", {"code": 500}), ("empty_list", {}), ("lost_logs", {"share": 1.0})],
)
def test_vms_of_a_mass_outage_whose_log_is_missing_are_restarted_one_a_minute(
    make_harness: MakeHarness, fault: str, options: dict[str, Any]
) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    lost = harness.names[:6]
    harness.world.faults.turn_on(fault, path="machine_logs", **options)
    for name in lost:
        harness.world.crash(name)
    harness.advance(25 * 60)
    assert {harness.case(name).state for name in lost} == {State.UNKNOWN}
    assert breaker_of(harness) is BreakerState.HALF_OPEN

    harness.world.faults.clear()
    harness.advance(15 * 60)

    times = [request.at for request in harness.asked()]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(harness.running(name) for name in lost)
    assert min(pauses[:3]) >= LIMITS.breaker_probe_interval_seconds  # then two are left
    assert breaker_of(harness) is BreakerState.CLOSED


def test_crash_beside_the_unknown_vms_of_a_mass_outage_is_restarted_in_time(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(vms=30)
    harness.warm()
    lost, other = harness.names[:6], harness.names[10]
    for name in lost:
        harness.world.forces_status(name, word="error", running=False)
    harness.advance(12 * 60)
    assert breaker_of(harness) is BreakerState.HALF_OPEN

    at = harness.clock.elapsed
    harness.world.crash(other)
    harness.advance(100)
    assert harness.asked(other)[0].at - at <= IN_TIME
    harness.advance(HOUR)

    assert {harness.case(name).state for name in lost} == {State.UNKNOWN}
    assert breaker_of(harness) is BreakerState.CLOSED


def test_crash_older_than_a_day_is_a_question_for_a_person(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()
    command(harness, CommandKind.DISARM)
    harness.world.crash("web-01")
    harness.advance(120)
    harness.every = 6 * HOUR / 100
    harness.advance(DAY)

    harness.every = 20.0
    command(harness, CommandKind.ARM)
    harness.advance(HOUR)

    uuid = harness.world.vm("web-01").uuid
    decision = harness.recovery.decisions[uuid]
    assert not harness.asked()
    assert decision.failed_guard is GuardName.CRASH_RECENT
    assert harness.case("web-01").state is State.HELD


def test_crash_age_is_measured_over_a_daemon_outage(make_harness: MakeHarness) -> None:
    harness, _ = make_harness(tags={"web-01": ["recovery/always"]})
    harness.warm()
    command(harness, CommandKind.DISARM)
    harness.world.crash("web-01")
    harness.advance(120)

    harness.clock.elapsed += 30 * DAY
    harness.new_process()
    harness.poll()
    command(harness, CommandKind.ARM)
    harness.warm().advance(HOUR)

    assert not harness.asked()
    uuid = harness.world.vm("web-01").uuid
    assert harness.recovery.decisions[uuid].failed_guard is GuardName.CRASH_RECENT


@pytest.mark.parametrize("up", [20.0, 200.0])
def test_vm_that_flaps_below_the_confirmation_time_is_quarantined(
    make_harness: MakeHarness, up: float
) -> None:
    harness, _ = make_harness()
    harness.warm()
    states = set[State]()

    for _ in range(12):
        harness.world.crash("web-01")
        harness.advance(harness.every)
        states.add(harness.case("web-01").state)
        harness.world.operator_starts("web-01")
        harness.advance(up)

    case = harness.case("web-01")
    assert not harness.asked()
    assert State.QUARANTINED in states
    assert case.state is State.QUARANTINED
    assert case.diagnosis is not None
    assert case.diagnosis.cause is Cause.FLAPPING
    harness.advance(1500)
    assert harness.case("web-01").state is State.HEALTHY


@pytest.mark.parametrize("stop", [None, True, False])
def test_flapping_vm_that_is_cleared_is_restarted_unless_it_was_stopped_meanwhile(
    make_harness: MakeHarness, stop: bool | None
) -> None:
    harness, _ = make_harness()
    harness.warm()
    for _ in range(6):
        harness.world.crash("web-01")
        harness.advance(harness.every)
        harness.world.operator_starts("web-01")
        harness.advance(harness.every)
    assert harness.case("web-01").observed is ObservedState.UP
    if stop is None:
        harness.world.crash("web-01")
    else:
        harness.world.operator_stops("web-01", graceful=stop)
    harness.advance(120)
    assert harness.case("web-01").state is State.QUARANTINED

    command(harness, CommandKind.CLEAR, name="web-01")
    harness.advance(300)

    assert bool(harness.asked("web-01")) is (stop is None)
    assert harness.case("web-01").state is (State.PROBATION if stop is None else State.STOPPED)


def test_vm_that_a_person_restarts_often_is_not_quarantined(make_harness: MakeHarness) -> None:
    harness, _ = make_harness()
    harness.warm()

    for _ in range(12):
        harness.world.operator_stops("web-01", graceful=False)
        harness.advance(harness.every)
        harness.world.operator_starts("web-01")
        harness.advance(200)

    assert harness.case("web-01").state is State.HEALTHY


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("machine_logs", "log"),
        ("logs", "log"),
        ("nodes", "nodes"),
        ("tag_members", "tags"),
    ],
)
def test_readiness_names_the_input_that_is_missing(
    make_harness: MakeHarness, path: str, what: str
) -> None:
    harness, _ = make_harness()
    harness.warm()
    harness.world.faults.turn_on("status", code=403, path=path)
    harness.advance(200)

    readiness = harness.recovery.readiness_now
    assert readiness.readiness == "degraded"
    assert what in readiness.because
    assert not harness.recovery.report.ready


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(Mode.ENFORCE, "degraded"), (Mode.ASK, "degraded"), (Mode.SHADOW, "active")],
)
def test_readiness_names_missing_write_access_where_recovery_may_act(
    make_harness: MakeHarness, mode: Mode, expected: str
) -> None:
    harness, _ = make_harness()
    harness.warm()
    facts = harness.recovery.system_facts._replace(mode=mode, read_only="403: forbidden")

    readiness = readiness_now(facts, bug="")

    assert readiness.readiness == expected
    assert ("403: forbidden" in readiness.because) is mode.acts


@pytest.mark.parametrize("kind", [CommandKind.DISARM, CommandKind.PAUSE])
def test_alert_of_the_breaker_resolves_when_it_closes_while_recovery_is_told_to_do_nothing(
    make_harness: MakeHarness, kind: CommandKind
) -> None:
    watch = Watch(make_harness, vms=20)
    for name in (lost := watch.harness.names[:5]):
        watch.world.crash(name)
    assert any(watch.fires(AlertName.CIRCUIT_BREAKER_OPEN, polls=10))
    command(watch.harness, kind)

    still = list(watch.fires(AlertName.CIRCUIT_BREAKER_OPEN, polls=10))
    opened = watch.harness.recovery.report.breaker
    for name in lost:
        watch.world.operator_starts(name)
    watch.advance(HOUR)

    assert (opened, all(still)) == (BreakerState.OPEN, True)
    assert watch.harness.recovery.report.breaker == breaker_of(watch.harness) == BreakerState.CLOSED
    assert not any(watch.fires(AlertName.CIRCUIT_BREAKER_OPEN, polls=1))


def test_breaker_of_a_new_process_is_unknown_until_recovery_is_warm(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness()
    seen = []
    for _ in range(int(LIMITS.warmup_seconds / harness.every) + LIMITS.warmup_polls):
        harness.advance(harness.every)
        report = harness.recovery.report
        seen.append((report.readiness, report.breaker))

    assert set(seen) == {("warming_up", None), ("active", BreakerState.CLOSED)}

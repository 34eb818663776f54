"""Every number of recovery at its edge: what holds exactly there, and one step over."""

from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM, Inventory, MachineStatus, Node, PollResult, VMConfig
from exporter.recovery.decide.budgets import ActionHistory, Use, backoff_seconds, uses
from exporter.recovery.decide.facts import Facts, SystemFacts
from exporter.recovery.decide.guards import GUARDS, decide, permits
from exporter.recovery.decide.ladder import next_action
from exporter.recovery.detect.context import DiagnosisContext, Evidence, LogUsers
from exporter.recovery.detect.diagnosis import diagnose
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Enrolment,
    Intent,
    ObservedState,
    OnHang,
    Outcome,
    Policy,
    Reply,
)
from exporter.recovery.model.commands import ControlState
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import Limits, Mode, PowerState, Window
from exporter.recovery.model.platform_log import LogPosition, LogRow, LogTable
from exporter.recovery.model.states import TRANSITIONS, Event, State
from exporter.recovery.observe.circuit_breaker import (
    BreakerState,
    CircuitBreaker,
    Losses,
    after_failed_action,
    after_poll,
    threshold,
)
from exporter.recovery.observe.health import Health, after_invalid, after_valid, is_warm
from exporter.recovery.observe.inventory_checks import (
    CheckedInventory,
    RejectedInventory,
    check_inventory,
    classify,
    is_well,
    observed_state_of,
)
from exporter.recovery.observe.lifecycle import Moment, observe
from exporter.recovery.observe.node_history import Drop, NodeHistory, lost_several
from exporter.recovery.observe.platform_history import PlatformHistory
from exporter.recovery.observe.state import RecoveryState
from exporter.recovery.verify import deadline_seconds, verify
from tests.fakes import START

LIMITS = Limits()
CLASSIFIER = LogClassifier()
UP_AT, DOWN_AT, UP_CLOCK = 1000.0, 1020.0, 5000.0
UP, WAS_DOWN = 50, 60
"""Keys of the newest log rows when it was last seen up, and first seen down."""
NOW = DOWN_AT + 40.0
DOWN = Case(
    uuid="u",
    key=1,
    machine=11,
    name="web-01",
    state=State.SUSPECT,
    since=DOWN_AT,
    observed=ObservedState.DOWN,
    word="stopped",
    node=3,
    up_at=UP_AT,
    up_clock=UP_CLOCK,
    log_from=LogPosition(0, 0),
    log_up=LogPosition(UP, UP),
    log_down=LogPosition(WAS_DOWN, WAS_DOWN),
    trouble_at=DOWN_AT,
    times_observed=3,
    max_gap_seconds=20.0,
)
HUNG = replace(DOWN, observed=ObservedState.HUNG, word="unresponsive")
READ = Evidence((), NOW)
ABOUT = DiagnosisContext(
    at=NOW,
    policy=Policy.ON_FAILURE,
    node=NodeHistory(0.0),
    node_name="node3",
    on_power_loss="last_state",
    powered_on=None,
    started_at=None,
    logs=READ,
    places=frozenset({"node1", "node2", "node3", "n3"}),
)


def judged(
    case: Case = DOWN,
    limits: Limits = LIMITS,
    powerstate: PowerState = PowerState.UNKNOWN,
    **about: Any,
) -> Cause:
    return diagnose(case, ABOUT._replace(**about), limits, CLASSIFIER, powerstate).cause


def row(
    text: str, *, key: int = UP - 5, at: float = UP_CLOCK, machine: int = 11, user: str = "anna"
) -> LogRow:
    table = LogTable.MACHINE_LOGS
    return LogRow(table=table, key=key, machine=machine, at=at, text=text, user=user, read_at=NOW)


def read(*rows: LogRow, **logs: Any) -> Evidence:
    return READ._replace(rows=sorted(rows, key=lambda row: row.key), **logs)


# How long it has to last.


@pytest.mark.parametrize(
    ("lasted", "times_observed", "cause"),
    [
        (30.0, 2, Cause.CRASHED),
        (29.9, 2, Cause.NOT_LONG_ENOUGH),
        (30.0, 1, Cause.NOT_LONG_ENOUGH),
        (300.0, 1, Cause.NOT_LONG_ENOUGH),
    ],
)
def test_down_is_confirmed_after_30_seconds_and_two_inventories(
    lasted: float, times_observed: int, cause: Cause
) -> None:
    at = DOWN_AT + lasted
    case = replace(DOWN, times_observed=times_observed)

    assert judged(case, at=at, logs=READ._replace(read_at=at)) is cause


@pytest.mark.parametrize(("lasted", "cause"), [(300.0, Cause.HUNG), (299.9, Cause.NOT_LONG_ENOUGH)])
def test_vm_is_hung_after_300_seconds(lasted: float, cause: Cause) -> None:
    assert judged(HUNG, at=DOWN_AT + lasted) is cause


# What the logs must be.


@pytest.mark.parametrize(
    ("read_at", "cause"), [(10.0, Cause.CRASHED), (9.9, Cause.LOGS_NOT_SETTLED)]
)
def test_logs_are_settled_10_seconds_after_the_first_poll(read_at: float, cause: Cause) -> None:
    assert judged(logs=READ._replace(read_at=DOWN_AT + read_at)) is cause


def test_nothing_is_concluded_before_the_logs_are_read() -> None:
    assert judged(logs=None) is Cause.LOGS_NOT_SETTLED


def test_logs_with_a_gap_prove_no_crash() -> None:
    gap = "rows are missing"

    assert judged(logs=read(gap=gap)) is Cause.LOGS_INCOMPLETE
    assert judged(logs=read(row("VM has shutdown"), gap=gap)) is Cause.STOPPED_BY_GUEST


def test_logs_that_cannot_be_read_prove_nothing() -> None:
    assert judged(logs=read(problem="403")) is Cause.LOGS_UNREAD


@pytest.mark.parametrize(
    ("text", "key", "cause"),
    [
        ("VM action 'poweron' sent", UP, Cause.CRASHED),
        ("VM 'web-01' powered on", UP, Cause.CRASHED),
        ("VM 'web-01' powered on", UP + 1, Cause.START_FAILED),  # after it was last seen up
        ("VM has reset", UP, Cause.STOPPED_BY_PERSON),  # as guests do on their way down
        ("VM 'web-01' migrated to 'node2'", UP, Cause.STOPPED_BY_PERSON),
    ],
)
def test_stop_request_before_the_last_start_is_ignored(text: str, key: int, cause: Cause) -> None:
    stop = row("VM action 'kill' sent", key=UP - 10)
    later = row(text, key=key, user="system")
    before = row(text, key=UP - 11, user="system")

    assert judged(logs=read(stop, later)) is cause
    assert judged(logs=read(before, stop)) is Cause.STOPPED_BY_PERSON


def test_start_of_another_machine_does_not_end_a_stop_request() -> None:
    stop = row("VM action 'kill' sent", key=UP - 10)
    others = row("VM 'db-01' powered on", machine=33)

    assert judged(logs=read(stop, others)) is Cause.STOPPED_BY_PERSON


@pytest.mark.parametrize(
    ("text", "key", "cause"),
    [
        ("HA: starting 'web-01' on 'node2'", UP + 1, Cause.START_FAILED),
        ("HA: starting 'web-01' on 'node2'", UP, Cause.CRASHED),
        ("VM 'web-01' migrated to 'node2'", UP + 1, Cause.MIGRATED_SHORTLY_BEFORE),
        ("VM 'web-01' migrated to 'node2'", UP, Cause.CRASHED),
        ("VM 'web-01' powered on", UP + 1, Cause.CRASHED),  # perhaps by us
        ("VM has reset", UP + 1, Cause.RESET_SHORTLY_BEFORE),
    ],
)
def test_platform_row_since_last_up_prevents_the_proof_of_a_crash(
    text: str, key: int, cause: Cause
) -> None:
    assert judged(logs=read(row(text, key=key, user="system"))) is cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("VM action 'poweroff' sent", Cause.STOPPED_BY_PERSON),
        ("Task 'night' sent 'poweroff' to 'web-01'", Cause.STOPPED_BY_TASK),
        ("VM has shutdown", Cause.STOPPED_BY_GUEST),
        ("VM 'web-01' cannot migrate and was powered off for maintenance", Cause.STOPPED_BY_PERSON),
        ("an unknown text", Cause.LOGS_UNCLEAR),
        ("VM process was killed (signal 9)", Cause.LOGS_UNCLEAR),
        ("VM 'web-01' is unresponsive", Cause.CRASHED),
    ],
)
@pytest.mark.parametrize("user", ["anna", "system"])
def test_meaning_of_a_row_about_the_vm(text: str, cause: Cause, user: str) -> None:
    assert judged(logs=read(row(text, user=user))) is cause


@pytest.mark.parametrize(
    ("text", "user", "cause"),
    [
        ("an unknown text", "system", Cause.CRASHED),  # about what followed
        ("an unknown text", "anna", Cause.LOGS_UNCLEAR),
        ("VM has shutdown", "system", Cause.STOPPED_BY_GUEST),  # written late
        ("VM action 'poweroff' sent", "anna", Cause.STOPPED_BY_PERSON),
    ],
)
def test_row_written_after_the_vm_was_seen_down(text: str, user: str, cause: Cause) -> None:
    assert judged(logs=read(row(text, user=user, key=WAS_DOWN + 1))) is cause


def test_rows_are_judged_again_when_one_is_added_or_the_vm_was_seen_down() -> None:
    memo: dict[str, Any] = {}
    late = row("an unknown text", user="system", key=UP + 1)

    assert judged(logs=read(memo=memo)) is Cause.CRASHED
    assert judged(logs=read(late, memo=memo)) is Cause.LOGS_UNCLEAR
    seen_down = replace(DOWN, log_down=LogPosition(UP, UP))
    assert judged(seen_down, logs=read(late, memo=memo)) is Cause.CRASHED


def test_stop_request_precedes_an_unknown_row() -> None:
    logs = read(row("something odd", key=UP - 6), row("VM action 'kill' sent"))

    assert judged(logs=logs) is Cause.STOPPED_BY_PERSON


def test_guest_shutdown_is_restarted_under_always_only() -> None:
    logs = read(row("VM has shutdown"))

    assert judged(logs=logs, policy=Policy.UNLESS_STOPPED) is Cause.STOPPED_BY_GUEST
    assert judged(logs=logs, policy=Policy.ALWAYS) is Cause.CRASHED


NODE = 33
MAINTENANCE = "Node 'node3' entered maintenance mode"


@pytest.mark.parametrize(
    ("text", "key", "user", "cause"),
    [
        (MAINTENANCE, UP, "anna", Cause.STOPPED_BY_PERSON),
        (MAINTENANCE, UP + 1, "anna", Cause.LOGS_UNCLEAR),  # which of the two was first?
        (MAINTENANCE, WAS_DOWN + 1, "anna", Cause.CRASHED),
        ("an unknown text", UP, "anna", Cause.LOGS_UNCLEAR),
        ("an unknown text", WAS_DOWN + 1, "anna", Cause.CRASHED),
        ("an unknown text", UP, "system", Cause.CRASHED),  # nodes write a lot by themselves
        ("Node 'node3' power supply 1 OK", UP, "system", Cause.CRASHED),
        ("Node 'n3' is online", UP, "anna", Cause.CRASHED),
    ],
)
def test_row_about_the_node(text: str, key: int, user: str, cause: Cause) -> None:
    assert judged(logs=read(row(text, machine=NODE, key=key, user=user))) is cause


def system_row(text: str, user: str = "anna", key: int = UP, **about: Any) -> LogRow:
    return LogRow(table=LogTable.LOGS, key=key, at=UP_CLOCK, text=text, user=user, **about)


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (system_row("VM has shutdown", object_type="vm", object_name="web-01"),
         Cause.STOPPED_BY_GUEST),
        (system_row("VM has shutdown", object_type="vm", object_name="old-name"),
         Cause.STOPPED_BY_GUEST),
        (system_row("6 VMs were stopped"), Cause.LOGS_UNCLEAR),
        (system_row("6 VMs were stopped", key=WAS_DOWN + 1), Cause.CRASHED),
        (system_row("6 VMs were stopped", user="system"), Cause.CRASHED),
        (system_row("Task 'night' sent 'poweroff' to 'db-01'", user="system"), Cause.CRASHED),
        (system_row("Task 'night' sent 'poweroff' to 'web-01'", user="system"),
         Cause.LOGS_UNCLEAR),
        (system_row("Entering standby", object_type="cluster", object_name="c"),
         Cause.LOGS_UNCLEAR),
    ],
)  # fmt: skip
def test_row_of_the_system_log(found: LogRow, cause: Cause) -> None:
    case = replace(DOWN, former_names=("old-name",))

    assert judged(case, logs=read(found), vm_names=frozenset({"web-01", "db-01"})) is cause


# Our own kill.

KILLED = replace(
    DOWN, killed_position=LogPosition(UP, UP), killed_at=DOWN_AT, log_down=LogPosition(UP, UP)
)
OWN = LogUsers(frozenset({"vergewatch"}))


@pytest.mark.parametrize(
    ("key", "user", "is_ours"),
    [(UP + 1, "vergewatch", True), (UP, "vergewatch", False), (UP + 1, "anna", False)],
)
@pytest.mark.parametrize("text", ["VM action 'kill' sent", "VM killed", "Power command issued"])
def test_kill_by_recovery_is_not_a_stop_request(
    text: str, key: int, user: str, *, is_ours: bool
) -> None:
    kill = row(text, key=key, user=user)
    echo = row("VM 'web-01' powered off", key=key + 1, user="system")

    found = judged(KILLED, logs=read(kill, echo), users=OWN)

    assert (found is Cause.KILLED_TO_RESTART) is is_ours


@pytest.mark.parametrize(
    ("after", "cause"), [(180.0, Cause.KILLED_TO_RESTART), (180.1, Cause.STOPPED_BY_PERSON)]
)
def test_without_own_user_name_the_next_kill_is_attributed_to_recovery(
    after: float, cause: Cause
) -> None:
    kill = replace(row("VM action 'kill' sent", key=UP + 1, user="api"), read_at=DOWN_AT + after)

    assert judged(KILLED, logs=read(kill)) is cause


def test_kill_with_lost_response_is_not_attributed() -> None:
    case = replace(KILLED, kill_unanswered=True)
    kill = row("VM action 'kill' sent", key=UP + 1, user="api")
    echo = row("VM 'web-01' powered off", key=UP + 2, user="system")

    assert judged(case, logs=read(kill, echo)) is Cause.LOGS_UNCLEAR
    assert judged(case, logs=read(kill, echo), users=LogUsers(frozenset({"api"}))) is Cause.CRASHED
    assert judged(case, logs=read()) is Cause.CRASHED


@pytest.mark.parametrize("action", ["kill", "poweroff"])
def test_stop_request_just_after_our_kill_counts(action: str) -> None:
    ours = row("VM action 'kill' sent", key=UP + 1, user="vergewatch")
    theirs = row(f"VM action '{action}' sent", key=UP + 2, user="anna")

    assert judged(KILLED, logs=read(ours, theirs)) is Cause.STOPPED_BY_PERSON


@pytest.mark.parametrize(
    ("key", "user", "cause"),
    [
        (UP + 1, "anna", Cause.START_FAILED),
        (UP + 1, "vergewatch", Cause.CRASHED),
        (UP + 1, "System", Cause.CRASHED),
        (UP, "anna", Cause.CRASHED),
    ],
)
def test_start_by_another_user_since_it_was_up(key: int, user: str, cause: Cause) -> None:
    logs = read(row("VM action 'poweron' sent", key=key, user=user))

    assert judged(logs=logs, users=OWN) is cause
    assert judged(logs=logs) is Cause.CRASHED  # it may have been us


# How it went, what we saw, and its node.


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("stopping", Cause.SEEN_STOPPING),
        ("hibernating", Cause.SEEN_STOPPING),
        ("migrating", Cause.MIGRATED_SHORTLY_BEFORE),
        ("starting", Cause.START_FAILED),
        ("waitingforresources", Cause.WAITS_FOR_RESOURCES),
        ("unresponsive", Cause.CRASHED),
    ],
)
def test_what_it_passed_through(word: str, cause: Cause) -> None:
    assert judged(replace(DOWN, words_since_up=(word,))) is cause


def test_vm_never_seen_up_is_not_crashed() -> None:
    assert judged(replace(DOWN, up_at=None)) is Cause.NEVER_SEEN_UP


@pytest.mark.parametrize(
    ("hole", "cause"), [(120.0, Cause.CRASHED), (120.1, Cause.WENT_DOWN_UNOBSERVED)]
)
def test_gap_of_more_than_120_seconds_makes_the_stop_unobserved(hole: float, cause: Cause) -> None:
    case = replace(DOWN, max_gap_seconds=hole)

    assert judged(case) is cause
    assert judged(case, policy=Policy.UNLESS_STOPPED) is Cause.CRASHED


def test_requested_power_off_counts_if_the_column_is_the_requested_state() -> None:
    desired = PowerState.DESIRED

    assert judged(powerstate=desired, powered_on=True) is Cause.CRASHED
    assert judged(powerstate=desired, powered_on=False) is Cause.POWERED_OFF_AS_DESIRED
    assert judged(powered_on=False) is Cause.CRASHED


def test_vm_on_a_failed_node_is_left_to_vergeos() -> None:
    assert judged(node=NodeHistory(None)) is Cause.NODE_IN_TROUBLE
    assert judged(node=None) is Cause.NODE_UNKNOWN
    failed = NodeHistory(None, sick_at=UP_AT + 1, failed_at=UP_AT + 1)
    assert judged(node=failed, on_power_loss="leave_off") is Cause.LEFT_OFF_BY_POLICY
    in_maintenance = NodeHistory(None, sick_at=UP_AT + 1)
    assert judged(node=in_maintenance, on_power_loss="leave_off") is Cause.NODE_IN_TROUBLE
    assert judged(node=NodeHistory(None), on_power_loss="leave_off") is Cause.NODE_IN_TROUBLE


@pytest.mark.parametrize(
    ("well_for", "sick_at", "cause"),
    [
        (300.0, UP_AT, Cause.CRASHED),
        (299.9, UP_AT, Cause.NODE_IN_TROUBLE),
        (299.9, UP_AT - 0.1, Cause.NODE_UNWATCHED),
        (299.9, None, Cause.NODE_UNWATCHED),
    ],
)
def test_vm_on_a_returned_node_is_left_to_vergeos_for_300_seconds(
    well_for: float, sick_at: float | None, cause: Cause
) -> None:
    node = NodeHistory(NOW, sick_at=sick_at)
    at = NOW + well_for

    assert judged(at=at, node=node, logs=READ._replace(read_at=at)) is cause


def test_node_running_since_the_vm_was_last_up_counts_as_running() -> None:
    assert judged(node=NodeHistory(UP_AT)) is Cause.CRASHED
    assert judged(node=NodeHistory(UP_AT + 0.1)) is Cause.NODE_UNWATCHED


@pytest.mark.parametrize(
    ("ago", "cause"), [(300.0, Cause.CRASHED), (299.9, Cause.HUNG_SHORTLY_BEFORE)]
)
def test_hung_vm_is_left_to_vergeos_for_300_seconds(ago: float, cause: Cause) -> None:
    assert judged(replace(DOWN, hung_at=NOW - ago)) is cause


@pytest.mark.parametrize(
    ("drops", "several"),
    [
        ((Drop(0.0, "one"), Drop(120.0, "other")), True),
        ((Drop(0.0, "one"), Drop(120.1, "other")), False),
        ((Drop(0.0, "one"), Drop(120.0, "one")), False),
    ],
)
def test_two_vms_down_within_120_seconds_count_as_several(
    drops: tuple[Drop, ...], several: bool
) -> None:
    life = NodeHistory(0.0, drops)

    assert (lost_several(life, LIMITS) is not None) is several


# From inventory to inventory.


def vm(word: str, *, running: bool, **config: Any) -> VM:
    settings: dict[str, Any] = {
        "key": 1,
        "machine": 11,
        "name": "web-01",
        "uuid": "u",
        "enabled": True,
        "need_restart": False,
        "cpu_cores": 2,
        "memory_bytes": 2**30,
        "cluster": 1,
        "os_family": "linux",
        "machine_type": "",
        "ha_group": "",
        "on_power_loss": "last_state",
        "created_from": "custom",
        "guest_agent": False,
        "service": False,
        "disable_powercycle": False,
    }
    state = "online" if running else "offline"
    status = MachineStatus(11, running, running, word, state, None, 3, 1.0, 100.0, 2, 2**30, "")
    return VM(VMConfig(**(settings | config)), status)


def after(case: Case, *, gap: float = 20.0, at: float = NOW) -> Case:
    found = observe(
        case,
        vm("stopped", running=False),
        ObservedState.DOWN,
        case.policy,
        Moment(at, UP_CLOCK + 60, at - gap, UP_CLOCK + 40, gap),
        LIMITS,
    )
    assert found is not None
    return found


def test_gap_of_more_than_120_seconds_interrupts_the_inventories() -> None:
    assert after(DOWN, gap=120.0).times_observed == DOWN.times_observed + 1
    assert after(DOWN, gap=120.1).times_observed == 1
    assert after(DOWN, gap=120.1).trouble_at == NOW


def test_probation_ends_after_600_seconds() -> None:
    case = replace(DOWN, state=State.PROBATION, since=0.0, observed=ObservedState.UP, attempts=1)
    up = vm("running", running=True)

    def seen(at: float) -> Case | None:
        moment = Moment(at, at, at - 20, at - 20, 20.0)
        return observe(case, up, ObservedState.UP, case.policy, moment, LIMITS)

    early, due = seen(599.9), seen(600.0)

    assert early is not None
    assert due is not None
    assert (early.state, early.attempts) == (State.PROBATION, 1)
    assert (due.state, due.attempts) == (State.HEALTHY, 0)


def test_case_ends_at_the_third_inventory_without_the_vm() -> None:
    def gone(missing: int) -> Case | None:
        moment = Moment(NOW, None, NOW - 20, None, 20.0)
        return observe(
            replace(DOWN, missing=missing), None, ObservedState.GONE, DOWN.policy, moment, LIMITS
        )

    assert gone(1) is not None
    assert gone(2) is None


def test_vm_with_another_machine_is_a_new_case() -> None:
    found = observe(
        DOWN,
        vm("stopped", running=False, machine=12),
        ObservedState.DOWN,
        DOWN.policy,
        Moment(NOW, None, NOW - 20, None, 20.0),
        LIMITS,
    )

    assert found is not None
    assert found.state is State.BASELINE
    assert found.up_at is None


def test_transitional_status_restarts_the_proof() -> None:
    moment = Moment(NOW, UP_CLOCK, NOW - 20, UP_CLOCK, 20.0)
    held = replace(DOWN, state=State.HELD)

    found = observe(
        held, vm("starting", running=False), ObservedState.BUSY, held.policy, moment, LIMITS
    )

    assert found is not None
    assert found.state is State.SUSPECT
    assert found.trouble_at is None
    assert found.words_since_up == ("starting",)


# Checks of an inventory.

CARE = Enrolment(Policy.ON_FAILURE, OnHang.ALERT, 2, (), "tag recovery/auto")


def poll(vms: int = 100, *, at: float = 100.0, clock: float = 100.0, **changes: Any) -> PollResult:
    found = tuple(
        replace(
            base := vm("running", running=True, key=number, machine=number, uuid=f"u{number}"),
            status=replace(base.status, machine=number, updated_at=clock),  # type: ignore[type-var]
        )
        for number in range(1, vms + 1)
    )
    statuses = {one.config.machine: one.status for one in found}
    inventory = Inventory("stage", None, START, {"machine_status": statuses}, found, {}, {}, {})
    return PollResult(at, START, 0.0, 20.0, inventory)._replace(**changes)


def inventory(vms: int = 100, *, at: float = 80.0, clock: float = 80.0) -> CheckedInventory:
    found = check_inventory(poll(vms, at=at, clock=clock), None, LIMITS, enrolled={})
    assert isinstance(found, CheckedInventory)
    return found


def problem(of: PollResult, last: CheckedInventory | None = None, enrolled: int = 0) -> str:
    care = {f"u{number}": number for number in range(1, enrolled + 1)}
    found = check_inventory(of, last, LIMITS, enrolled=care)
    return found.reason if isinstance(found, RejectedInventory) else ""


@pytest.mark.parametrize(("vms", "reason"), [(80, ""), (79, "short"), (0, "empty")])
def test_table_with_80_percent_of_the_rows_is_accepted(vms: int, reason: str) -> None:
    assert problem(poll(vms), inventory(100)) == reason


@pytest.mark.parametrize(
    ("there", "enrolled", "reason"),
    [(97, 100, ""), (95, 100, ""), (94, 100, "rows_missing"), (7, 10, ""), (6, 10, "rows_missing")],
)
def test_three_or_five_percent_missing_rows_are_accepted(
    there: int, enrolled: int, reason: str
) -> None:
    assert problem(poll(there), enrolled=enrolled) == reason


def test_poll_as_long_as_its_interval_is_accepted() -> None:
    assert problem(poll(took_seconds=20.0)) == ""
    assert problem(poll(took_seconds=20.1)) == "slow"


def test_unread_table_rejects_the_inventory() -> None:
    assert problem(poll(inventory=None)) == "unread"


@pytest.mark.parametrize(("at", "reason"), [(110.0, ""), (110.1, "frozen")])
def test_rows_unchanged_for_30_seconds_reject_the_inventory(at: float, reason: str) -> None:
    assert problem(poll(at=at, clock=80.0), inventory(at=80.0, clock=80.0)) == reason


@pytest.mark.parametrize(("behind", "reason"), [(60.0, ""), (60.1, "lagging")])
def test_half_of_the_rows_can_lag_60_seconds(behind: float, reason: str) -> None:
    late = poll(4, clock=1000.0 - behind)
    inventory = late.inventory
    assert inventory is not None
    statuses: Any = inventory.sources["machine_status"]
    fresh = replace(statuses[1], updated_at=1000.0)
    sources = {"machine_status": {**statuses, 1: fresh}}

    assert problem(late._replace(inventory=replace(inventory, sources=sources))) == reason


@pytest.mark.parametrize(
    ("word", "running", "observed"),
    [
        ("running", True, ObservedState.UP),
        ("running", False, ObservedState.INCONSISTENT),
        ("running", None, ObservedState.INCONSISTENT),
        ("stopped", False, ObservedState.DOWN),
        ("stopped", True, ObservedState.INCONSISTENT),
        ("stopped", None, ObservedState.INCONSISTENT),
        ("needsrestart", True, ObservedState.UP),
        ("unresponsive", False, ObservedState.HUNG),
        ("stopping", True, ObservedState.STOPPING),
        ("hibernated", False, ObservedState.HIBERNATED),
        ("waitingforresources", False, ObservedState.WAITING),
        ("initializing", False, ObservedState.BUSY),
        ("error", False, ObservedState.ERROR),
        ("defragmenting", False, ObservedState.INCONSISTENT),
    ],
)
def test_what_a_status_row_shows(word: str, running: bool | None, observed: ObservedState) -> None:
    assert observed_state_of(word, running) is observed


def test_error_is_shown_in_the_state_of_a_vm_that_is_not_running() -> None:
    assert observed_state_of("stopped", running=False, state="error") is ObservedState.ERROR
    assert observed_state_of("running", running=True, state="error") is ObservedState.UP


@pytest.mark.parametrize("change", [{"enabled": False}, {"service": True}, {"uuid": ""}])
def test_protected_vms_are_not_acted_on(change: dict[str, Any]) -> None:
    assert classify(vm("stopped", running=False, **change), CARE) is ObservedState.INELIGIBLE


def test_row_without_the_enabled_column_shows_nothing() -> None:
    assert classify(vm("stopped", running=False, enabled=None), CARE) is ObservedState.GONE


def test_policy_no_is_monitored_and_policy_ignore_is_not() -> None:
    down = vm("stopped", running=False)

    assert classify(down, CARE) is ObservedState.DOWN
    assert classify(down, replace(CARE, policy=Policy.NO)) is ObservedState.DOWN
    assert classify(down, replace(CARE, policy=Policy.IGNORE)) is ObservedState.INELIGIBLE
    assert classify(down, None) is ObservedState.INELIGIBLE


def seen_with(policy: Policy, case: Case, *, up: bool) -> Case:
    found = observe(
        case,
        vm("running" if up else "stopped", running=up),
        ObservedState.UP if up else ObservedState.DOWN,
        policy,
        Moment(NOW, UP_CLOCK + 60, NOW - 20, UP_CLOCK + 40, 20.0),
        LIMITS,
    )
    assert found is not None
    return found


def test_vm_enrolled_while_down_was_never_seen_up() -> None:
    looked_at = replace(DOWN, policy=Policy.NO, state=State.HELD)

    found = seen_with(Policy.ON_FAILURE, looked_at, up=False)

    assert (found.state, found.policy, found.up_at) == (State.UNKNOWN, Policy.ON_FAILURE, None)


def test_vm_enrolled_after_its_stop_is_not_down_unexpectedly() -> None:
    stopped = replace(DOWN, policy=Policy.NO, state=State.STOPPED)

    assert seen_with(Policy.ON_FAILURE, stopped, up=False).state is State.BASELINE


def test_vm_enrolled_while_up_is_enrolled_from_then_on() -> None:
    looked_at = replace(DOWN, policy=Policy.NO, state=State.HEALTHY, observed=ObservedState.UP)

    found = seen_with(Policy.ON_FAILURE, looked_at, up=True)

    assert (found.state, found.policy) == (State.HEALTHY, Policy.ON_FAILURE)


def test_vm_no_longer_enrolled_keeps_its_case() -> None:
    found = seen_with(Policy.NO, replace(DOWN, state=State.HELD), up=False)

    assert (found.state, found.policy) == (State.HELD, Policy.NO)
    assert found.up_at == DOWN.up_at


def test_tag_removed_and_added_during_an_open_action_applies_after_it_closes() -> None:
    acting = replace(DOWN, state=State.VERIFYING)

    taken = seen_with(Policy.NO, acting, up=False)
    back = seen_with(Policy.ON_FAILURE, taken, up=False)
    closed = seen_with(Policy.ON_FAILURE, replace(back, state=State.SUSPECT), up=False)

    assert (taken.policy, back.policy) == (Policy.NO, Policy.NO)
    assert back.state is State.VERIFYING
    assert (closed.state, closed.up_at) == (State.UNKNOWN, None)


# Health.


def test_two_rejected_inventories_degrade_and_five_accepted_ones_recover() -> None:
    bad = RejectedInventory("short", "too few")
    once = after_invalid(Health(), bad, LIMITS)
    twice = after_invalid(once, bad, LIMITS)
    assert not once.degraded_by
    assert twice.degraded_by

    health = twice
    for number in range(1, 6):
        health = after_valid(health, LIMITS, at=20.0 * number, gap_seconds=20.0, every_seconds=20.0)
        assert bool(health.degraded_by) is (number < 5)


def test_gap_of_more_than_60_seconds_starts_a_warm_up() -> None:
    health = Health(last_valid_at=10.0, polls=50)

    assert after_valid(health, LIMITS, at=70.0, gap_seconds=60.0, every_seconds=20.0).polls == 51
    assert after_valid(health, LIMITS, at=70.0, gap_seconds=60.1, every_seconds=20.0).polls == 1


def test_warm_up_ends_after_600_seconds_and_ten_inventories() -> None:
    assert is_warm(Health(polls=10), LIMITS, at=600.0)
    assert not is_warm(Health(polls=9), LIMITS, at=600.0)
    assert not is_warm(Health(polls=10), LIMITS, at=599.9)


# Guards.

CRASHED = replace(
    DOWN, state=State.HELD, diagnosis=Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED, "it crashed")
)
TWO_OF_3 = (Use(Window(3600.0, 3), 2, None),)
FOUR_OF_5 = (Use(Window(600.0, 5), 4, None),)
FREE = Facts(
    system=SystemFacts(
        at=10_000.0,
        time=START,
        limits=LIMITS,
        mode=Mode.ENFORCE,
        state=RecoveryState(MappingProxyType({}), {}, {}, Health(polls=10), CircuitBreaker()),
        control_state=ControlState(),
        kill_switch="",
        journal_problem="",
        open_actions={},
        history=ActionHistory(LIMITS),
        read_only="",
        tags_problem="",
        log_problems={},
        maintenance_windows=(),
        silences=None,
    ),
    case=CRASHED,
    inventory_age_seconds=30.0,
    crash_age_seconds=86_400.0,
    in_flight=("one",),
    system_uses=FOUR_OF_5,
    acted_at=None,
    no_capacity=(9_400.1, 9_500.0),
    enrolment=CARE,
    open_intent=None,
    vm_uses=TWO_OF_3,
    maintenance_window="",
    window_before_start="",
    node_hold="",
    waits_for="",
    may_power_cycle=True,
    hard_reset_at=None,
)


def facts_with(**changes: Any) -> Facts:
    """Return the facts of an allowed action with *changes*, to the system and its state too."""
    of_system = {name: changes.pop(name) for name in SystemFacts._fields if name in changes}
    of_state = {
        name: changes.pop(name) for name in ("health", "breaker", "platform") if name in changes
    }
    state = FREE.system.state._replace(**of_state)
    return FREE._replace(system=FREE.system._replace(state=state, **of_system), **changes)


HALF_OPEN = CircuitBreaker(breaker_state=BreakerState.HALF_OPEN)
INTENT = Intent(
    id=1,
    uuid="u",
    vm_key=1,
    name="web-01",
    action=Action.POWER_ON,
    prepared_at=100.0,
    sent_at=100.0,
    deadline=220.0,
    reply=Reply.ACCEPTED,
)


def hung(step: int) -> Case:
    diagnosis = Diagnosis(DiagnosisKind.CRASHED, Cause.HUNG)
    return replace(HUNG, state=State.HELD, ladder_step=step, diagnosis=diagnosis)


CYCLE = replace(CARE, on_hang=OnHang.POWER_CYCLE)
ROOM = {
    "vm_uses": (Use(Window(3600.0, 3), 1, None),),
    "system_uses": (Use(Window(600.0, 5), 3, None),),
}
"""Enough of it for a kill and the start after it."""


def test_action_is_allowed_at_every_limit() -> None:
    assert decide(FREE).failed_guard is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kill_switch": "/run/off"}, GuardName.ARMED),
        ({"journal_problem": "full"}, GuardName.JOURNAL_WRITABLE),
        ({"inventory_age_seconds": 30.1}, GuardName.INVENTORY_FRESH),
        (
            {"health": Health(polls=10, problem=RejectedInventory("x", "y"))},
            GuardName.INVENTORY_FRESH,
        ),
        ({"health": Health(polls=10, degraded_by="x")}, GuardName.INVENTORY_STABLE),
        ({"health": Health(polls=9)}, GuardName.WARMED_UP),
        (
            {"platform": PlatformHistory("it applies an update", 9_400.1)},
            GuardName.NO_PLATFORM_UPDATE,
        ),
        ({"enrolment": None}, GuardName.ENROLLED),
        ({"enrolment": replace(CARE, policy=Policy.NO)}, GuardName.ENROLLED),
        ({"tags_problem": "unread"}, GuardName.ENROLLED),
        ({"case": replace(CRASHED, observed=ObservedState.INELIGIBLE)}, GuardName.ENROLLED),
        ({"case": replace(CRASHED, diagnosis=None)}, GuardName.CRASHED),
        ({"crash_age_seconds": 86_400.1}, GuardName.CRASH_RECENT),
        ({"open_intent": INTENT}, GuardName.NO_OPEN_ACTION),
        ({"vm_uses": (Use(Window(3600.0, 3), 3, 1.0),)}, GuardName.WITHIN_RESTART_BUDGET),
        ({"case": replace(CRASHED, state=State.QUARANTINED)}, GuardName.WITHIN_RESTART_BUDGET),
        ({"case": replace(CRASHED, retry_at=10_000.1)}, GuardName.BACKOFF_ELAPSED),
        ({"maintenance_window": "night"}, GuardName.OUTSIDE_MAINTENANCE_WINDOW),
        ({"node_hold": "two"}, GuardName.NODE_STABLE),
        (
            {"breaker": CircuitBreaker(breaker_state=BreakerState.OPEN)},
            GuardName.CIRCUIT_BREAKER_CLOSED,
        ),
        ({"breaker": HALF_OPEN}, GuardName.CIRCUIT_BREAKER_CLOSED),
        (
            {"breaker": HALF_OPEN, "in_flight": (), "acted_at": 9_940.1},
            GuardName.CIRCUIT_BREAKER_CLOSED,
        ),
        ({"no_capacity": (9_400.1, 9_500.0, 9_600.0)}, GuardName.CAPACITY_AVAILABLE),
        ({"storage_hold": "tier 1"}, GuardName.STORAGE_AVAILABLE),
        ({"memory_hold": "1 MiB"}, GuardName.MEMORY_AVAILABLE),
        ({"device_hold": "gpu"}, GuardName.DEVICES_PRESENT),
        ({"case": hung(1), "enrolment": CYCLE, "storage_hold": "x"}, GuardName.STORAGE_AVAILABLE),
        (
            {"case": hung(2), "enrolment": CYCLE, **ROOM, "device_hold": "gpu"},
            GuardName.DEVICES_PRESENT,
        ),
        ({"in_flight": ("one", "two")}, GuardName.BELOW_CONCURRENCY_LIMIT),
        ({"system_uses": (Use(Window(600.0, 5), 5, 1.0),)}, GuardName.WITHIN_RATE_LIMIT),
        ({"waits_for": "db-01"}, GuardName.DEPENDENCIES_UP),
        ({"case": hung(0)}, GuardName.ACTION_ALLOWED),
        (
            {"case": hung(2), "enrolment": CYCLE, "may_power_cycle": False, **ROOM},
            GuardName.ACTION_ALLOWED,
        ),
        (
            {"case": hung(2), "enrolment": CYCLE, **ROOM, "vm_uses": TWO_OF_3},
            GuardName.WITHIN_RESTART_BUDGET,
        ),
        (
            {"case": hung(2), "enrolment": CYCLE, **ROOM, "system_uses": FOUR_OF_5},
            GuardName.WITHIN_RATE_LIMIT,
        ),
        (
            {"case": hung(2), "enrolment": CYCLE, **ROOM, "window_before_start": "x"},
            GuardName.OUTSIDE_MAINTENANCE_WINDOW,
        ),
        (
            {"case": hung(1), "enrolment": CYCLE, "hard_reset_at": 6_400.1},
            GuardName.ACTION_ALLOWED,
        ),
        ({"read_only": "403"}, GuardName.WRITE_ACCESS),
        ({"mode": Mode.SHADOW}, GuardName.MODE_PERMITS),
    ],
)
def test_action_is_forbidden_beyond_any_limit(change: dict[str, Any], reason: GuardName) -> None:
    facts = facts_with(**change)

    assert decide(facts).failed_guard is reason
    assert not permits(facts, GUARDS)


@pytest.mark.parametrize(
    "change",
    [
        {"case": replace(CRASHED, retry_at=10_000.0)},
        {"breaker": HALF_OPEN, "in_flight": (), "acted_at": 9_940.0},
        {"no_capacity": (9_400.0, 9_500.0, 9_600.0)},
        {"platform": PlatformHistory("it applies an update", 9_400.0)},
        {"case": hung(1), "enrolment": CYCLE, "device_hold": "gpu", "memory_hold": "1 MiB"},
        {"case": hung(1), "enrolment": CYCLE, "hard_reset_at": 6_400.0},
        {"case": hung(2), "enrolment": CYCLE, **ROOM},
        {"case": hung(1), "enrolment": CYCLE, "window_before_start": "x"},
    ],
)
def test_action_is_allowed_on_the_limit(change: dict[str, Any]) -> None:
    assert decide(facts_with(**change)).acts
    assert permits(facts_with(**change), GUARDS)


def test_steps_for_a_hung_vm_end_and_a_down_vm_is_only_started() -> None:
    steps = [next_action(hung(rung), CYCLE) for rung in range(4)]

    assert steps == [Action.REBOOT, Action.RESET, Action.KILL, None]
    assert next_action(replace(CRASHED, ladder_step=3), CYCLE) is Action.POWER_ON


# After acting.


TRIED = replace(DOWN, state=State.VERIFYING)


def found(at: float, observed: ObservedState = ObservedState.DOWN, **intent: Any) -> Outcome | None:
    return verify(
        replace(INTENT, **intent), replace(TRIED, observed=observed), LIMITS, at=at
    ).outcome


def test_verification_needs_an_inventory_newer_than_the_request() -> None:
    assert found(100.0, ObservedState.UP) is None
    assert found(100.1, ObservedState.UP) is Outcome.CONFIRMED


def test_start_is_verified_for_120_seconds_and_reset_for_180() -> None:
    assert found(219.9) is None
    assert found(220.0) is Outcome.FAILED
    assert deadline_seconds(Action.POWER_ON, LIMITS) == 120.0
    assert deadline_seconds(Action.RESET, LIMITS) == 180.0


def test_starting_vm_gets_one_extension() -> None:
    case = replace(TRIED, observed=ObservedState.BUSY)

    assert verify(INTENT, case, LIMITS, at=220.0).extend
    assert found(220.0, ObservedState.BUSY, extended=True) is Outcome.FAILED


def test_lost_response_is_unknown_after_60_seconds() -> None:
    assert found(159.9, reply=Reply.LOST) is None
    assert found(160.0, reply=Reply.LOST) is Outcome.UNKNOWN
    assert found(160.0, ObservedState.BUSY, reply=Reply.LOST) is None
    assert found(160.0) is None


def test_kill_is_confirmed_if_the_vm_is_down() -> None:
    assert found(110.0, ObservedState.DOWN, action=Action.KILL) is Outcome.CONFIRMED
    assert found(110.0, ObservedState.UP, action=Action.KILL) is None


def test_unsent_action_is_abandoned() -> None:
    assert found(500.0, sent_at=None) is Outcome.ABANDONED


# Budgets, pauses, mass outages.


def test_action_leaves_a_budget_window_at_its_exact_age() -> None:
    window = Window(100.0, 2)

    assert uses((window,), (0.0, 50.0), now=99.9)[0].spent
    assert not uses((window,), (0.0, 50.0), now=100.0)[0].spent
    assert uses((window,), (0.0, 50.0), now=99.9)[0].frees_at == 100.0


def test_backoff_doubles_up_to_1800_seconds() -> None:
    pauses = [backoff_seconds(tries, LIMITS, random=0.5) for tries in range(8)]

    assert pauses == [0.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0]
    assert backoff_seconds(1, LIMITS, random=0.0) == pytest.approx(48.0)
    assert backoff_seconds(1, LIMITS, random=1.0) == pytest.approx(72.0)


def lost(count: int, of: int = 20, *, left: int | None = None, relapsed: bool = False) -> Losses:
    vms = {f"vm-{number}": f"vm-{number}" for number in range(count)}
    still_left = count if left is None else left
    return Losses(vms, frozenset(), still_left, still_left, of, last_at=1000.0, relapsed=relapsed)


@pytest.mark.parametrize(
    ("of", "limit"), [(5, 3), (10, 3), (20, 3), (26, 4), (30, 5), (40, 5), (10_000, 5)]
)
def test_breaker_opens_at_5_vms_or_15_percent_and_at_least_three_vms(of: int, limit: int) -> None:
    assert threshold(of, LIMITS) == limit
    closed = CircuitBreaker()
    enough, too_few = lost(limit, of), lost(limit - 1, of)
    assert after_poll(closed, enough, LIMITS, now=1.0).breaker_state is BreakerState.OPEN
    assert after_poll(closed, too_few, LIMITS, now=1.0).breaker_state is BreakerState.CLOSED


MEMBERS = lost(5).recent
OPEN_BREAKER = CircuitBreaker(
    breaker_state=BreakerState.OPEN,
    since=1000.0,
    calm_since=1000.0,
    last_loss_at=1000.0,
    hold_seconds=300.0,
    outage=MEMBERS,
)
HALF = replace(OPEN_BREAKER, breaker_state=BreakerState.HALF_OPEN)


def breaker_state(breaker: CircuitBreaker, losses: Losses, *, now: float) -> BreakerState:
    return after_poll(breaker, losses, LIMITS, now=now).breaker_state


def test_breaker_is_half_open_after_300_seconds_below_half_the_threshold() -> None:
    assert breaker_state(OPEN_BREAKER, lost(1), now=1300.0) is BreakerState.HALF_OPEN
    assert breaker_state(OPEN_BREAKER, lost(1), now=1299.9) is BreakerState.OPEN
    assert breaker_state(OPEN_BREAKER, lost(2), now=1300.0) is BreakerState.OPEN
    assert breaker_state(OPEN_BREAKER, lost(0, left=2), now=1300.0) is BreakerState.OPEN
    assert after_poll(OPEN_BREAKER, lost(2), LIMITS, now=1100.0).calm_since is None


def test_breaker_without_a_mass_loss_is_half_open_after_900_seconds() -> None:
    down = lost(0, left=5)

    assert breaker_state(OPEN_BREAKER, down, now=1900.0) is BreakerState.HALF_OPEN
    assert breaker_state(OPEN_BREAKER, down, now=1899.9) is BreakerState.OPEN
    single = replace(lost(1, left=5), last_at=1800.0)
    assert breaker_state(OPEN_BREAKER, single, now=1900.0) is BreakerState.HALF_OPEN
    several = replace(lost(2, left=5), last_at=1800.0)
    assert breaker_state(OPEN_BREAKER, several, now=1900.0) is BreakerState.OPEN
    limits = Limits(breaker_auto_probe=False)
    waiting = after_poll(OPEN_BREAKER, down, limits, now=9000.0)
    assert waiting.breaker_state is BreakerState.OPEN


def test_breaker_closes_at_once_when_the_losses_are_explained() -> None:
    three = replace(OPEN_BREAKER, outage=lost(3).recent)
    explained = replace(lost(0), explained=frozenset({"vm-1"}))

    for breaker in (three, replace(three, breaker_state=BreakerState.HALF_OPEN)):
        assert breaker_state(breaker, explained, now=1020.0) is BreakerState.CLOSED
        assert breaker_state(breaker, lost(0, left=3), now=1020.0) is not BreakerState.CLOSED


def test_vms_of_a_failed_node_count_once() -> None:
    of_node = {f"vm-{number}": "node 1" for number in range(9)}
    losses = replace(lost(2), recent={**of_node, "a": "a"})

    assert breaker_state(CircuitBreaker(), losses, now=1.0) is BreakerState.CLOSED
    losses = replace(losses, recent={**losses.recent, "b": "b"})
    assert breaker_state(CircuitBreaker(), losses, now=1.0) is BreakerState.OPEN


def test_failure_in_half_open_doubles_the_hold() -> None:
    again = after_poll(HALF, lost(1, relapsed=True), LIMITS, now=2000.0)

    assert (again.breaker_state, again.hold_seconds) == (BreakerState.OPEN, 600.0)
    assert after_failed_action(HALF, LIMITS, now=2000.0).hold_seconds == 600.0
    assert after_failed_action(CircuitBreaker(), LIMITS, now=2000.0) == CircuitBreaker()
    assert breaker_state(HALF, lost(3), now=2000.0) is BreakerState.OPEN
    assert breaker_state(HALF, lost(1), now=2000.0) is BreakerState.CLOSED
    assert breaker_state(HALF, lost(2), now=2000.0) is BreakerState.HALF_OPEN
    assert breaker_state(again, lost(0, left=5), now=3799.9) is BreakerState.OPEN
    assert breaker_state(again, lost(0, left=5), now=3800.0) is BreakerState.HALF_OPEN


def test_half_open_breaker_closes_after_an_hour_without_failure() -> None:
    assert breaker_state(HALF, lost(0, left=5), now=4599.9) is BreakerState.HALF_OPEN
    assert breaker_state(HALF, lost(0, left=5), now=4600.0) is BreakerState.CLOSED


def test_breaker_hold_is_at_most_an_hour() -> None:
    long = replace(HALF, hold_seconds=3000.0)

    assert after_failed_action(long, LIMITS, now=0.0).hold_seconds == 3600.0


# The table.


def test_only_a_proven_crash_reaches_acting() -> None:
    towards = {state for (state, _), to in TRANSITIONS.items() if to is State.ACTING}
    into_held = {event for (_, event), to in TRANSITIONS.items() if to is State.HELD}

    assert towards == {State.HELD}
    assert into_held == {Event.CRASH_PROVEN, Event.PAUSE_OVER}


def test_stopped_and_quarantined_end_by_operator_or_poll_only() -> None:
    def ways(state: State) -> set[Event]:
        return {event for one, event in TRANSITIONS if one is state}

    assert ways(State.QUARANTINED) == {Event.SEEN_UP, Event.CLEARED}
    assert Event.CRASH_PROVEN not in ways(State.STOPPED)
    assert ways(State.BASELINE) == {Event.SEEN_UP, Event.CAUSE_MISSING}


def test_open_action_does_not_return_to_held() -> None:
    for state in (State.ACTING, State.VERIFYING, State.INDETERMINATE):
        for (one, _), to in TRANSITIONS.items():
            assert one is not state or to not in (State.HELD, State.BACKOFF)


def test_vm_no_longer_enrolled_confirms_no_action() -> None:
    up = replace(TRIED, observed=ObservedState.UP, state=State.HEALTHY)

    assert verify(INTENT, up, LIMITS, at=219.9).outcome is None
    assert verify(INTENT, up, LIMITS, at=220.0).outcome is Outcome.UNKNOWN
    assert verify(INTENT, None, LIMITS, at=220.0).outcome is Outcome.UNKNOWN


def test_lost_response_stays_unknown_after_the_extension() -> None:
    assert found(220.0, ObservedState.BUSY, reply=Reply.LOST, extended=True) is Outcome.UNKNOWN


def test_vms_without_any_status_row_reject_the_inventory() -> None:
    full = poll()
    assert full.inventory is not None
    bare = replace(full.inventory, sources={"machine_status": {}})

    assert problem(full._replace(inventory=bare)) == "empty"


def test_node_is_available_while_running_with_its_machines() -> None:
    status = vm("running", running=True).status
    assert status is not None
    node = Node(3, "node3", 1, 33, maintenance=False, status=status)

    assert is_well(node)
    assert is_well(replace(node, status=replace(status, word="needsrestart")))
    assert not is_well(replace(node, maintenance=True))
    assert not is_well(replace(node, status=replace(status, word="maintenance")))
    assert not is_well(replace(node, status=replace(status, running=False)))
    assert not is_well(replace(node, status=None))
    assert not is_well(None)

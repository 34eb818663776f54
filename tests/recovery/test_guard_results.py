"""What each guard compares, at its limit and on both sides of it, and what it tells to do."""

from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.recovery.decide.budgets import Use
from exporter.recovery.decide.guards import GUARDS, decide, in_turn, permits
from exporter.recovery.decide.ladder import LADDERS, next_action
from exporter.recovery.model.cases import (
    UNDIAGNOSED,
    Action,
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    ObservedState,
    OnHang,
    Policy,
    Question,
)
from exporter.recovery.model.commands import CommandKind, ControlState
from exporter.recovery.model.confirmation import Confirmation
from exporter.recovery.model.decision import BudgetUse, GuardName, GuardResult
from exporter.recovery.model.limits import Mode, Window
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState, CircuitBreaker
from exporter.recovery.observe.health import Health
from exporter.recovery.observe.inventory_checks import RejectedInventory
from exporter.recovery.observe.platform_history import PlatformHistory
from tests.fakes import START
from tests.recovery.test_commands import given
from tests.recovery.test_edges import (
    CARE,
    CRASHED,
    DOWN,
    FREE,
    HALF_OPEN,
    INTENT,
    facts_with,
    hung,
)
from tests.recovery.test_facts import Asked, Silenced

AT = 10_000.0
"""The moment of `facts_with`."""
ACCEPT = "vergewatch recovery accept --reason ..."


def result_of(guard: GuardName, **change: Any) -> GuardResult:
    """Return what *guard* finds among facts that permit an action, apart from *change*."""
    confirmer = change.pop("confirmer", None)
    facts = facts_with(**change)._replace(confirmer=confirmer)
    (result,) = (one(facts) for one in GUARDS if one.name is guard)
    return result


def test_operators_come_first_and_the_mode_last() -> None:
    names = [guard.name for guard in GUARDS]

    assert sorted(names) == sorted(GuardName)
    assert names[:4] == [
        *(GuardName.ENROLLED, GuardName.ARMED, GuardName.NOT_PAUSED, GuardName.NO_RIVAL)
    ]
    assert names[-2:] == [GuardName.DOWN_CONFIRMED, GuardName.MODE_PERMITS]
    assert names.index(GuardName.CRASHED) < names.index(GuardName.CRASH_RECENT)


@pytest.mark.parametrize("guard", GuardName)
def test_guard_that_passes_tells_nothing_to_do(guard: GuardName) -> None:
    result = result_of(guard)

    assert (result.guard, result.passed, result.fix) == (guard, True, "")
    assert result.detail
    assert bool(result.budgets) is (guard is GuardName.WITHIN_RESTART_BUDGET)


ALERT, RESET, POWER_CYCLE = (replace(CARE, on_hang=on_hang) for on_hang in OnHang)


def used(number: int, most: int = 3, *, frees_at: float | None = None) -> tuple[Use, ...]:
    return (Use(Window(3600.0, most), number, frees_at),)


ROOM = {"vm_uses": used(1), "system_uses": used(1)}
KILL_NEXT: dict[str, Any] = {"case": hung(2), "enrolment": POWER_CYCLE, **ROOM}
RESET_NEXT: dict[str, Any] = {"case": hung(1), "enrolment": POWER_CYCLE, **ROOM}
NO_STEP_LEFT: dict[str, Any] = {"case": hung(2), "enrolment": RESET}


def held_by(kind: CommandKind, **details: Any) -> ControlState:
    return ControlState().after(given(kind, **details))


def diagnosed(kind: DiagnosisKind, cause: Cause, detail: str) -> Case:
    return replace(CRASHED, diagnosis=Diagnosis(kind, cause, detail))


def rejected(reason: str) -> Health:
    return Health(polls=10, problem=RejectedInventory(reason, "3 VMs, after 9"))


def warm(*, lasted: float, polls: int = 10) -> Health:
    return Health(warm_since=AT - lasted, warm_because="a pause", polls=polls)


QUESTION = Question(
    number=7,
    action=Action.POWER_ON,
    asked_at=AT,
    expires_at=AT + 900.0,
    expires=START + timedelta(seconds=900),
)


def about(question: Question | None, case: Case = CRASHED) -> Case:
    return replace(case, question=question)


def answered(kind: CommandKind) -> dict[str, Any]:
    control_state = held_by(kind, question=7)
    return {"case": about(QUESTION), "mode": Mode.ASK, "control_state": control_state}


def probed(confirmation: Confirmation | None, *, goes_on: bool = False) -> dict[str, Any]:
    confirmer = Asked("web-01")
    confirmer.goes_on = goes_on
    return {"confirmer": confirmer, "confirmation": confirmation}


UNREACHABLE = Confirmation("up", problem="timeout", unreachable=True)
G = GuardName

PASSED: list[tuple[GuardName, dict[str, Any], str]] = [
    (G.ENROLLED, {}, f"policy on-failure: {CARE.because}"),
    (G.ENROLLED, {"enrolment": replace(CARE, policy=Policy.ALWAYS)}, "policy always: "),
    (G.ARMED, {}, "recovery is armed"),
    (G.NOT_PAUSED, {}, "no pause is in force"),
    (G.NO_RIVAL, {}, "no action of another instance was seen"),
    (G.LEADS, {}, "this replica leads"),
    (G.INVENTORY_FRESH, {"inventory_age_seconds": 29.9}, "30 s old (limit: 30 s)"),
    (G.INVENTORY_FRESH, {"inventory_age_seconds": 30.0}, "30 s old (limit: 30 s)"),
    (G.INVENTORY_STABLE, {"health": Health(polls=10, valid_in_a_row=1)}, "are valid"),
    (G.NO_PLATFORM_UPDATE, {"platform": PlatformHistory("x", AT - 600)}, "no update is known"),
    (G.WARMED_UP, {"health": warm(lasted=600.0)}, "10 min and 10 valid inventories since a pause"),
    (G.CRASHED, {}, "crashed: it crashed"),
    (
        G.CRASHED,
        {"case": diagnosed(DiagnosisKind.CRASHED, Cause.HUNG, "for 5 min")},
        "crashed, hung: for 5 min",
    ),
    (G.CRASH_RECENT, {"crash_age_seconds": 86_399.0}, "23 h 59 min ago (limit: 1 d)"),
    (G.CRASH_RECENT, {"crash_age_seconds": 86_400.0}, "24 h ago (limit: 1 d)"),
    (
        G.CRASH_RECENT,
        {"crash_age_seconds": 86_401.0, "mode": Mode.ASK},
        "24 h ago (limit: 1 d), so an operator is asked",
    ),
    (G.NO_OPEN_ACTION, {}, "no action on this VM is open"),
    (G.WITHIN_RESTART_BUDGET, {"vm_uses": used(2)}, "2 of 3 in 1 h"),
    (G.WITHIN_RESTART_BUDGET, {"vm_uses": used(0) + used(2)}, "0 of 3 in 1 h, 2 of 3 in 1 h"),
    (G.WITHIN_RESTART_BUDGET, {**KILL_NEXT, "vm_uses": used(1)}, "1 of 3 in 1 h"),
    (G.WITHIN_RESTART_BUDGET, {**KILL_NEXT, "vm_uses": used(0, 2)}, "0 of 2 in 1 h"),
    (G.WITHIN_RESTART_BUDGET, {**KILL_NEXT, "vm_uses": used(0, 1)}, "0 of 1 in 1 h"),
    (G.WITHIN_RESTART_BUDGET, {**RESET_NEXT, "vm_uses": used(2)}, "2 of 3 in 1 h"),
    (G.BACKOFF_ELAPSED, {}, "0 attempts so far"),
    (G.BACKOFF_ELAPSED, {"case": replace(CRASHED, retry_at=AT, attempts=1)}, "1 attempt so far"),
    (G.OUTSIDE_MAINTENANCE_WINDOW, {"window_before_start": "x"}, "no maintenance window is"),
    (G.OUTSIDE_MAINTENANCE_WINDOW, {**RESET_NEXT, "window_before_start": "x"}, "no maintenance"),
    (G.OUTSIDE_MAINTENANCE_WINDOW, KILL_NEXT, "no maintenance window is"),
    (G.NOT_SILENCED, {}, "no silence matches the VM"),
    (
        G.NOT_SILENCED,
        {"silences": Silenced()},
        "silences are unknown, which the settings permit: Alertmanager cannot be reached",
    ),
    (G.NODE_STABLE, {}, "no other VM on its node failed recently"),
    (G.CIRCUIT_BREAKER_CLOSED, {}, "the circuit breaker is closed"),
    (G.CIRCUIT_BREAKER_CLOSED, {"in_flight": ("a", "b")}, "the circuit breaker is closed"),
    (
        G.CIRCUIT_BREAKER_CLOSED,
        {"breaker": HALF_OPEN, "in_flight": (), "acted_at": AT - 60.0},
        "half open, no action is open",
    ),
    (
        G.CIRCUIT_BREAKER_CLOSED,
        {"breaker": HALF_OPEN, "in_flight": (), "acted_at": None},
        "half open, no action is open",
    ),
    (G.CAPACITY_AVAILABLE, {"no_capacity": ()}, "0 refusals for lack of resources in 10 min"),
    (G.CAPACITY_AVAILABLE, {"no_capacity": (AT - 600.0,) * 9}, "0 refusals for lack of resources"),
    (G.CAPACITY_AVAILABLE, {"no_capacity": (AT - 599.9, AT)}, "2 refusals for lack of resources"),
    (G.STORAGE_AVAILABLE, {}, "no storage tier of its cluster"),
    (G.MEMORY_AVAILABLE, {}, "its cluster is not known to lack memory"),
    (G.MEMORY_AVAILABLE, KILL_NEXT, "its cluster is not known to lack memory"),
    (G.MEMORY_AVAILABLE, {**KILL_NEXT, "memory_hold": "1 MiB"}, "its cluster is not known to lack"),
    (G.DEVICES_PRESENT, {}, "no device that it requires"),
    (G.DEVICES_PRESENT, KILL_NEXT, "no device that it requires"),
    (G.DEVICES_PRESENT, {**RESET_NEXT, "device_hold": "gpu"}, "no device that it requires"),
    (G.BELOW_CONCURRENCY_LIMIT, {"in_flight": ()}, "0 of 2 concurrent actions"),
    (G.BELOW_CONCURRENCY_LIMIT, {"in_flight": ("a",)}, "1 of 2 concurrent actions: a"),
    (G.WITHIN_RATE_LIMIT, {"system_uses": used(2)}, "2 of 3 in 1 h"),
    (G.WITHIN_RATE_LIMIT, {**KILL_NEXT, "system_uses": used(1)}, "1 of 3 in 1 h"),
    (G.WITHIN_RATE_LIMIT, {**KILL_NEXT, "system_uses": used(0, 1)}, "0 of 1 in 1 h"),
    (G.DEPENDENCIES_UP, {}, "no dependency is down"),
    (G.ACTION_ALLOWED, {}, "poweron is allowed"),
    (G.ACTION_ALLOWED, {"may_power_cycle": False}, "poweron is allowed"),
    (G.ACTION_ALLOWED, {"hard_reset_at": AT}, "poweron is allowed"),
    (G.ACTION_ALLOWED, {"case": replace(CRASHED, ladder_step=9)}, "poweron is allowed"),
    (G.ACTION_ALLOWED, KILL_NEXT, "kill is allowed"),
    (G.ACTION_ALLOWED, {**KILL_NEXT, "hard_reset_at": AT}, "kill is allowed"),
    (G.ACTION_ALLOWED, RESET_NEXT, "reset is allowed"),
    (G.ACTION_ALLOWED, {**RESET_NEXT, "may_power_cycle": False}, "reset is allowed"),
    (G.ACTION_ALLOWED, {**RESET_NEXT, "hard_reset_at": AT - 3600.0}, "reset is allowed"),
    (G.WRITE_ACCESS, {}, "the credential is not known to be read-only"),
    (G.DOWN_CONFIRMED, {}, "recovery.confirm has no query for it"),
    (G.DOWN_CONFIRMED, {"completes_kill": True}, "recovery.confirm has no query for it"),
    (
        G.DOWN_CONFIRMED,
        {**probed(None), "completes_kill": True},
        "this start completes a kill",
    ),
    (G.DOWN_CONFIRMED, probed(Confirmation("up", (1.0, 2.0))), "up returned 1, 2"),
    (
        G.DOWN_CONFIRMED,
        probed(UNREACHABLE, goes_on=True),
        "not confirmed, which the settings permit: timeout",
    ),
    (G.DOWN_CONFIRMED, probed(Confirmation("up", (1.0,)), goes_on=True), "up returned 1"),
    (G.MODE_PERMITS, {}, "the mode is enforce"),
    (G.MODE_PERMITS, {"case": about(QUESTION)}, "the mode is enforce"),
    (G.MODE_PERMITS, answered(CommandKind.APPROVE), "question 7 was approved by anna: because"),
    (
        G.MODE_PERMITS,
        {"mode": Mode.ASK, "completes_kill": True},
        "the mode is ask, and this start completes the kill",
    ),
]
"""Guards that pass: what is compared, and the numbers and names of the result."""

DENIED: list[tuple[GuardName, dict[str, Any], str, str]] = [
    (G.ENROLLED, {"tags_problem": "tags: 403"}, "tags: 403", "restore access to the tags"),
    (
        G.ENROLLED,
        {"tags_problem": "tags: 403", "enrolment": None},
        "tags: 403",
        "restore access to the tags",
    ),
    (G.ENROLLED, {"enrolment": None}, "the VM is not in the inventory", "recovery/auto"),
    (G.ENROLLED, {"enrolment": replace(CARE, policy=Policy.NO)}, CARE.because, "recovery/auto"),
    (G.ENROLLED, {"enrolment": replace(CARE, policy=Policy.IGNORE)}, CARE.because, "recovery/auto"),
    (
        G.ENROLLED,
        {"case": replace(CRASHED, observed=ObservedState.INELIGIBLE)},
        "disabled or part of a service",
        "enable the VM",
    ),
    (G.ARMED, {"kill_switch": "/run/off"}, "the kill switch /run/off exists", "remove the file"),
    (
        G.ARMED,
        {"control_state": held_by(CommandKind.DISARM)},
        "disarmed by anna: because",
        "recovery arm",
    ),
    (
        G.NOT_PAUSED,
        {"control_state": held_by(CommandKind.PAUSE, until=AT + 90.0)},
        "paused by anna: because (90 s left)",
        "recovery resume",
    ),
    (
        G.NOT_PAUSED,
        {"control_state": held_by(CommandKind.PAUSE)},
        "paused by anna: because (no end left)",
        "recovery resume",
    ),
    (
        G.NOT_PAUSED,  # it has just expired, and the next poll ends it
        {"control_state": held_by(CommandKind.PAUSE, until=AT - 5.0)},
        "paused by anna: because (0 s left)",
        "recovery resume",
    ),
    (G.NO_RIVAL, {"control_state": held_by(CommandKind.RIVAL, until=AT + 90.0)}, "because", "90 s"),
    (G.NO_RIVAL, {"control_state": held_by(CommandKind.RIVAL, until=AT - 5.0)}, "because", " 0 s"),
    (G.NO_RIVAL, {"control_state": held_by(CommandKind.RIVAL)}, "because", "recovery arm"),
    (G.LEADS, {"lease_problem": "the replica b leads"}, "the replica b leads", "recovery status"),
    (G.JOURNAL_WRITABLE, {"journal_problem": "disk full"}, "disk full", "repair the journal"),
    (G.INVENTORY_FRESH, {"health": rejected("slow")}, "3 VMs, after 9", "a valid inventory"),
    (G.INVENTORY_FRESH, {"health": rejected("short")}, "3 VMs, after 9", ACCEPT),
    (G.INVENTORY_FRESH, {"health": rejected("rows_missing")}, "3 VMs, after 9", ACCEPT),
    (G.INVENTORY_FRESH, {"inventory_age_seconds": 30.1}, "30 s old", "the next inventory"),
    (
        G.INVENTORY_STABLE,
        {"health": Health(polls=10, degraded_by="rejected", valid_in_a_row=3)},
        "rejected",
        "wait for 2 more valid inventories",
    ),
    (
        G.INVENTORY_STABLE,
        {"health": Health(polls=10, degraded_by="rejected", valid_in_a_row=4)},
        "rejected",
        "wait for 1 more valid inventory",
    ),
    (
        G.NO_PLATFORM_UPDATE,
        {"platform": PlatformHistory("it installs an update", AT)},
        "it installs an update",
        "wait until VergeOS has been updated",
    ),
    (G.WARMED_UP, {"health": warm(lasted=500.0)}, "10 min and 10 valid", "wait 100 s"),
    (G.WARMED_UP, {"health": warm(lasted=599.0)}, "10 min and 10 valid", "wait 1 s"),
    (G.WARMED_UP, {"health": warm(lasted=599.5)}, "10 min and 10", "wait for valid inventories"),
    (G.WARMED_UP, {"health": warm(lasted=600.0, polls=9)}, "10 min and 9 valid", "wait for valid"),
    (G.CRASHED, {"case": replace(CRASHED, diagnosis=None)}, "pending, not_long_enough", "wait for"),
    (
        G.CRASHED,
        {"case": diagnosed(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, "by jonas")},
        "stopped, stopped_by_person: by jonas",
        "start the VM, if it should run",
    ),
    (
        G.CRASHED,
        {"case": diagnosed(DiagnosisKind.PLATFORM, Cause.NODE_IN_TROUBLE, "node1")},
        "platform, node_in_trouble: node1",
        "wait for VergeOS to act",
    ),
    (
        G.CRASHED,
        {"case": diagnosed(DiagnosisKind.UNKNOWN, Cause.LOGS_UNREAD, "403")},
        "unknown, logs_unread: 403",
        "check the VM and start it",
    ),
    (G.CRASH_RECENT, {"crash_age_seconds": 86_401.0}, "24 h ago (limit: 1 d)", "check the VM"),
    (
        G.CRASH_RECENT,
        {"crash_age_seconds": 86_401.0, "mode": Mode.SHADOW},
        "24 h ago (limit: 1 d)",
        "check the VM",
    ),
    (G.NO_OPEN_ACTION, {"open_intent": INTENT}, "action 1 (poweron) is open", "its outcome"),
    (
        G.WITHIN_RESTART_BUDGET,
        {"case": replace(CRASHED, state=State.QUARANTINED), "vm_uses": used(0)},
        "quarantined; 0 of 3 in 1 h",
        "recovery clear web-01",
    ),
    (G.WITHIN_RESTART_BUDGET, {"vm_uses": used(3)}, "3 of 3 in 1 h", "recovery clear web-01"),
    (G.WITHIN_RESTART_BUDGET, {"vm_uses": used(0) + used(4)}, "4 of 3 in 1 h", "recovery clear"),
    (
        G.WITHIN_RESTART_BUDGET,
        {**KILL_NEXT, "vm_uses": used(2)},
        "2 of 3 in 1 h: a kill requires room for the start",
        "recovery clear web-01",
    ),
    (G.WITHIN_RESTART_BUDGET, {**KILL_NEXT, "vm_uses": used(1, 2)}, "1 of 2 in 1 h: a kill", ""),
    (
        G.BACKOFF_ELAPSED,
        {"case": replace(CRASHED, retry_at=AT + 0.1, attempts=2)},
        "1 s left of the backoff after attempt 2",
        "wait 1 s",
    ),
    (
        G.BACKOFF_ELAPSED,
        {"case": replace(CRASHED, retry_at=AT + 60.0, attempts=0)},
        "1 min left of the backoff after a refusal",
        "wait 1 min",
    ),
    (G.OUTSIDE_MAINTENANCE_WINDOW, {"maintenance_window": "backups"}, "backups", "window ends"),
    (
        G.OUTSIDE_MAINTENANCE_WINDOW,
        {**KILL_NEXT, "window_before_start": "backups"},
        "soon backups: a kill requires room for the start",
        "window ends",
    ),
    (G.NOT_SILENCED, {"silenced": "by alice"}, "by alice", "wait until the silence ends"),
    (
        G.NOT_SILENCED,
        {"silenced": "by alice", "silences": Silenced()},
        "by alice",
        "wait until the silence ends",
    ),
    (
        G.NOT_SILENCED,
        {"silenced": Silenced.unknown, "silences": Silenced()},
        Silenced.unknown,
        "restore the connection to Alertmanager",
    ),
    (G.NODE_STABLE, {"node_hold": "two VMs of node1"}, "two VMs of node1", "node is stable"),
    (
        G.CIRCUIT_BREAKER_CLOSED,
        {
            "breaker": CircuitBreaker(breaker_state=BreakerState.OPEN, since=AT - 90.0),
            "in_flight": (),
        },
        "open for 90 s",
        ACCEPT,
    ),
    (
        G.CIRCUIT_BREAKER_CLOSED,
        {"breaker": HALF_OPEN, "in_flight": ("a",), "acted_at": None},
        "half open: one action at a time",
        "wait for the outcome",
    ),
    (
        G.CIRCUIT_BREAKER_CLOSED,
        {"breaker": HALF_OPEN, "in_flight": (), "acted_at": AT - 59.5},
        "half open: one action at a time",
        "wait 1 s",
    ),
    (G.CAPACITY_AVAILABLE, {"no_capacity": (AT - 599.9, AT, AT)}, "3 refusals", "free resources"),
    (G.STORAGE_AVAILABLE, {"storage_hold": "tier 1 is offline"}, "tier 1 is offline", "repair"),
    (G.MEMORY_AVAILABLE, {"memory_hold": "it needs 2 MiB"}, "it needs 2 MiB", "free memory"),
    (G.DEVICES_PRESENT, {"device_hold": "gpu"}, "gpu", "connect the device"),
    (G.DEVICES_PRESENT, {**KILL_NEXT, "device_hold": "gpu"}, "gpu", "connect the device"),
    (G.BELOW_CONCURRENCY_LIMIT, {"in_flight": ("a", "b")}, "2 of 2 concurrent actions: a, b", ""),
    (
        G.WITHIN_RATE_LIMIT,
        {"system_uses": used(3, frees_at=AT + 0.1)},
        "3 of 3 in 1 h",
        "wait 1 s",
    ),
    (
        G.WITHIN_RATE_LIMIT,
        {"system_uses": used(3, frees_at=AT + 10) + used(4, frees_at=AT + 90) + used(2)},
        "3 of 3 in 1 h, 4 of 3 in 1 h, 2 of 3 in 1 h",
        "wait 90 s",
    ),
    (
        G.WITHIN_RATE_LIMIT,  # counted when the inventory was requested
        {"system_uses": used(3, frees_at=AT - 1)},
        "3 of 3 in 1 h",
        "wait 0 s",
    ),
    (
        G.WITHIN_RATE_LIMIT,
        {**KILL_NEXT, "system_uses": used(2)},
        "2 of 3 in 1 h: a kill requires room for the start",
        "older actions leave the window",
    ),
    (G.DEPENDENCIES_UP, {"waits_for": "db-01"}, "waits for db-01", "or wait 10 min"),
    (G.ACTION_ALLOWED, NO_STEP_LEFT, "all allowed actions were tried", "repair the VM"),
    (
        G.ACTION_ALLOWED,
        {"case": hung(0), "enrolment": ALERT},
        "the policy for a hung VM is alert only",
        "recovery/on-hang-reset",
    ),
    (
        G.ACTION_ALLOWED,
        {"case": hung(0), "enrolment": None},
        "the policy for a hung VM is alert only",
        "recovery/on-hang-reset",
    ),
    (
        G.ACTION_ALLOWED,
        {**KILL_NEXT, "may_power_cycle": False},
        "the VM does not allow a power cycle",
        "disable_powercycle",
    ),
    (
        G.ACTION_ALLOWED,
        {**RESET_NEXT, "hard_reset_at": AT - 3599.5},
        "the VM was reset 59 min ago (limit: one in 1 h)",
        "wait 1 s",
    ),
    (G.WRITE_ACCESS, {"read_only": "403"}, "403", "set action_api_key"),
    (G.DOWN_CONFIRMED, probed(None), "Prometheus is asked when every other condition holds", ""),
    (G.DOWN_CONFIRMED, probed(None, goes_on=True), "Prometheus is asked when every other", ""),
    (G.DOWN_CONFIRMED, probed(UNREACHABLE), "timeout", "restore the connection to Prometheus"),
    (
        G.DOWN_CONFIRMED,
        probed(Confirmation("up", problem="parse error"), goes_on=True),
        "parse error",
        "correct recovery.confirm",
    ),
    (
        G.DOWN_CONFIRMED,
        probed(Confirmation("up", (0.0, 1.0))),
        "up returned 0, 1",
        "check the VM, or correct recovery.confirm",
    ),
    (
        G.DOWN_CONFIRMED,
        probed(Confirmation("up")),
        "up returned no sample",
        "wait for a sample that is newer than the outage, or correct recovery.confirm",
    ),
    (G.MODE_PERMITS, {"mode": Mode.SHADOW}, "the mode is shadow", "recovery.mode: enforce"),
    (
        G.MODE_PERMITS,
        {**answered(CommandKind.APPROVE), "mode": Mode.SHADOW, "completes_kill": True},
        "the mode is shadow",
        "recovery.mode: enforce",
    ),
    (
        G.MODE_PERMITS,
        answered(CommandKind.DENY),
        "question 7 was denied by anna: because",
        "recovery clear web-01",
    ),
    (
        G.MODE_PERMITS,
        {**answered(CommandKind.DENY), "mode": Mode.ENFORCE, "completes_kill": True},
        "question 7 was denied by anna: because",
        "recovery clear web-01",
    ),
    (G.MODE_PERMITS, {"mode": Mode.ASK}, "no operator has approved the action", "the question"),
    (
        G.MODE_PERMITS,
        {"mode": Mode.ASK, "case": about(QUESTION)},
        "question 7 is not answered yet",
        "recovery approve 7",
    ),
    (
        G.MODE_PERMITS,
        {**answered(CommandKind.APPROVE), "case": about(QUESTION, hung(0)), "enrolment": RESET},
        "no operator has approved the action",
        "the question",
    ),
    (
        G.MODE_PERMITS,
        {**answered(CommandKind.APPROVE), "case": about(replace(QUESTION, expires_at=AT))},
        "question 7 is expired",
        "wait for the next question",
    ),
    (
        G.MODE_PERMITS,
        {**answered(CommandKind.APPROVE), "case": about(replace(QUESTION, withdrawn=True))},
        "question 7 is withdrawn",
        "wait for the next question",
    ),
]
"""Guards that forbid the action: what is compared, the result, and what must change."""


@pytest.mark.parametrize(("guard", "change", "detail"), PASSED)
def test_guard_passes_up_to_its_limit(
    guard: GuardName, change: dict[str, Any], detail: str
) -> None:
    result = result_of(guard, **change)

    assert result.passed
    assert detail in result.detail
    assert not result.fix


@pytest.mark.parametrize(("guard", "change", "detail", "fix"), DENIED)
def test_guard_forbids_beyond_its_limit_and_tells_what_must_change(
    guard: GuardName, change: dict[str, Any], detail: str, fix: str
) -> None:
    result = result_of(guard, **change)

    assert not result.passed
    assert detail in result.detail
    assert fix in result.fix


def test_advice_to_accept_is_given_for_what_an_operator_can_judge_only() -> None:
    for reason in ("slow", "empty", "unread", "frozen"):
        assert ACCEPT not in result_of(GuardName.INVENTORY_FRESH, health=rejected(reason)).fix


@pytest.mark.parametrize("mode", [Mode.ASK, Mode.SHADOW, Mode.ENFORCE])
@pytest.mark.parametrize(("age", "is_old"), [(1.0, False), (86_400.0, False), (86_401.0, True)])
def test_operator_is_asked_about_an_old_crash_in_mode_ask_only(
    mode: Mode, age: float, *, is_old: bool
) -> None:
    result = result_of(GuardName.CRASH_RECENT, crash_age_seconds=age, mode=mode)

    assert result.passed is (not is_old or mode is Mode.ASK)
    assert result.detail.endswith("so an operator is asked") is (is_old and mode is Mode.ASK)


def test_restart_budgets_are_part_of_their_guard_whether_it_passes_or_not() -> None:
    windows = (Window(3600.0, 3), Window(86_400.0, 6))

    for number in (2, 3):
        uses = tuple(Use(window, number, None) for window in windows)
        result = result_of(GuardName.WITHIN_RESTART_BUDGET, vm_uses=uses)
        assert result.passed is (number < 3)
        assert result.budgets == (BudgetUse(number, 3, 3600.0), BudgetUse(number, 6, 86_400.0))


# The next action.


@pytest.mark.parametrize(
    ("on_hang", "actions"),
    [
        (OnHang.ALERT, [None, None, None, None]),
        (OnHang.RESET, [Action.REBOOT, Action.RESET, None, None]),
        (OnHang.POWER_CYCLE, [Action.REBOOT, Action.RESET, Action.KILL, None]),
    ],
)
def test_hung_vm_gets_the_actions_that_its_policy_allows(
    on_hang: OnHang, actions: list[Action | None]
) -> None:
    enrolment = replace(CARE, on_hang=on_hang)

    assert [next_action(hung(number), enrolment) for number in range(4)] == actions
    assert LADDERS[on_hang] == tuple(action for action in actions if action is not None)
    assert next_action(hung(0), None) is None


@pytest.mark.parametrize(
    "observed", [one for one in ObservedState if one is not ObservedState.HUNG]
)
def test_vm_that_is_not_hung_is_started(observed: ObservedState) -> None:
    assert next_action(replace(CRASHED, observed=observed), ALERT) is Action.POWER_ON
    assert next_action(replace(CRASHED, observed=observed), None) is Action.POWER_ON


# The decision.


def test_decision_names_the_first_guard_that_fails_and_has_the_result_of_each() -> None:
    facts = facts_with(kill_switch="/run/off", node_hold="two", mode=Mode.SHADOW)

    decision = decide(facts)

    assert decision.failed_guard is GuardName.ARMED
    assert not decision.acts
    assert [result.guard for result in decision.guard_results] == [guard.name for guard in GUARDS]
    assert [result.guard for result in decision.guard_results if not result.passed] == [
        *(GuardName.ARMED, GuardName.NODE_STABLE, GuardName.MODE_PERMITS)
    ]
    assert (decision.diagnosis, decision.action) == (CRASHED.diagnosis, Action.POWER_ON)
    assert (decision.mode, decision.state, decision.at) == (Mode.SHADOW, State.HELD, AT)


def test_decision_by_some_guards_asks_only_them() -> None:
    mode_permits = [guard for guard in GUARDS if guard.name is GuardName.MODE_PERMITS]
    facts = facts_with(kill_switch="/run/off")

    assert decide(facts, mode_permits).acts
    assert decide(facts, []).acts
    assert permits(facts, mode_permits)
    assert not permits(facts, GUARDS)


def test_vm_that_was_not_diagnosed_is_pending() -> None:
    decision = decide(facts_with(case=replace(CRASHED, diagnosis=None)))

    assert decision.diagnosis == UNDIAGNOSED
    assert decision.failed_guard is GuardName.CRASHED


# The order of the VMs.


def test_lowest_tier_comes_first_then_the_longest_outage_then_the_key() -> None:
    rows: list[tuple[str, int | None, float | None]] = [
        ("tier 2, soon", 2, 5.0),
        ("tier 1, late", 1, 30.0),
        ("tier 1, soon", 1, 20.0),
        ("tier 1, as soon", 1, 20.0),
        ("no tier, late", None, 40.0),
        ("tier 0, soon", 0, 39.0),
        ("tier 0, not since a known time", 0, None),
        ("tier 0, at once", 0, 0.5),
        ("not wanted", 0, 1.0),
    ]
    cases = {
        name: replace(DOWN, uuid=name, name=name, key=100 - number, trouble_at=trouble_at)
        for number, (name, _, trouble_at) in enumerate(rows)
    }
    enrolments = {name: replace(CARE, tier=tier) for name, tier, _ in rows if tier is not None}
    state = FREE.system.state._replace(cases=MappingProxyType(cases), enrolments=enrolments)

    found = in_turn(state, lambda case: case.name != "not wanted")

    assert [case.name for case in found] == [
        "tier 0, not since a known time",
        "tier 0, at once",
        "tier 0, soon",
        "no tier, late",
        "tier 1, as soon",
        "tier 1, soon",
        "tier 1, late",
        "tier 2, soon",
    ]

"""
Decides whether to act on a VM that crashed: an ordered list of guards, each can forbid the action.

Every guard is evaluated, also after the first failure: the first failed guard is the reason of the
decision, and ``vergewatch explain`` prints the results of all.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from exporter.formatting import counted, lasting, span
from exporter.recovery.decide.budgets import Use
from exporter.recovery.decide.facts import Facts
from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Enrolment,
    ObservedState,
    OnHang,
)
from exporter.recovery.model.decision import BudgetUse, Decision, GuardName, GuardResult
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.health import is_warm
from exporter.recovery.observe.state import RecoveryState

LADDERS: Mapping[OnHang, tuple[Action, ...]] = {
    OnHang.ALERT: (),
    OnHang.RESET: (Action.REBOOT, Action.RESET),
    OnHang.POWER_CYCLE: (Action.REBOOT, Action.RESET, Action.KILL),
}
"""The actions on a VM that hangs, graceful before hard. A power-on follows a kill."""


UNDIAGNOSED = Diagnosis(DiagnosisKind.PENDING, Cause.NOT_LONG_ENOUGH, "not diagnosed yet")


def next_action(case: Case, enrolment: Enrolment | None) -> Action | None:
    """Return the next allowed action; None if no action is left."""
    if case.observed is not ObservedState.HUNG:
        return Action.POWER_ON
    ladder = LADDERS[enrolment.on_hang] if enrolment is not None else ()
    return ladder[case.ladder_step] if case.ladder_step < len(ladder) else None


Guard = Callable[[Facts], GuardResult]


def decide(facts: Facts, guards: Sequence[Guard] | None = None) -> Decision:
    """
    Return the decision about a VM.

    Args:
        guards: Replace `GUARDS` in tests.

    """
    case = facts.case
    guard_results = tuple(guard(facts) for guard in (GUARDS if guards is None else guards))
    denied = next((guard_result for guard_result in guard_results if not guard_result.passed), None)
    return Decision(
        uuid=case.uuid,
        vm_key=case.key,
        name=case.name,
        at=facts.at,
        time=facts.time,
        state=case.state,
        diagnosis=case.diagnosis or UNDIAGNOSED,
        action=next_action(case, facts.enrolment),
        failed_guard=None if denied is None else denied.guard,
        guard_results=guard_results,
        mode=facts.mode,
    )


def in_turn(state: RecoveryState, wanted: Callable[[Case], bool]) -> list[Case]:
    """Return the *wanted* cases: lowest tier first, then longest in trouble."""

    def place(case: Case) -> tuple[int, float, int]:
        enrolment = state.enrolments.get(case.uuid)
        tier = enrolment.tier if enrolment is not None else 0
        return tier, case.trouble_at or 0.0, case.key

    return sorted(filter(wanted, state.cases.values()), key=place)


def permits(facts: Facts, guards: Sequence[Guard]) -> bool:
    """Return whether `decide` would act, evaluating no guard after the first failure."""
    return all(guard(facts).passed for guard in guards)


def _armed(facts: Facts) -> GuardResult:
    if facts.kill_switch:
        return _no(
            GuardName.ARMED, f"the kill switch {facts.kill_switch} exists", "remove the file"
        )
    command = facts.control_state.disarm
    if command is not None:
        detail = f"disarmed by {command.owner}: {command.reason}"
        return _no(GuardName.ARMED, detail, "vergewatch recovery arm --reason ...")
    return _yes(GuardName.ARMED, "recovery is armed")


def _not_paused(facts: Facts) -> GuardResult:
    command = facts.control_state.pause
    if command is None:
        return _yes(GuardName.NOT_PAUSED, "no pause is in force")
    left = lasting(command.until - facts.at) if command.until is not None else "no end"
    detail = f"paused by {command.owner}: {command.reason} ({left} left)"
    return _no(GuardName.NOT_PAUSED, detail, "vergewatch recovery resume --reason ..., or wait")


def _journal_writable(facts: Facts) -> GuardResult:
    if facts.journal_problem:
        fix = "repair the journal; each poll tries it again"
        return _no(GuardName.JOURNAL_WRITABLE, facts.journal_problem, fix)
    return _yes(GuardName.JOURNAL_WRITABLE, "the journal is writable")


def _inventory_fresh(facts: Facts) -> GuardResult:
    problem = facts.health.problem
    if problem is not None:
        detail = f"the last inventory was rejected: {problem.detail}"
        return _no(
            GuardName.INVENTORY_FRESH,
            detail,
            _VALID_INVENTORY.get(problem.reason, "wait for a valid inventory"),
        )
    age, most = facts.inventory_age_seconds, facts.limits.inventory_age_seconds
    if age > most:
        detail = f"the inventory is {age:.0f} s old (limit: {most:g} s)"
        return _no(GuardName.INVENTORY_FRESH, detail, "wait for the next inventory")
    return _yes(GuardName.INVENTORY_FRESH, f"the inventory is {age:.0f} s old (limit: {most:g} s)")


def _inventory_stable(facts: Facts) -> GuardResult:
    health, needed = facts.health, facts.limits.stable_after_polls
    if health.degraded_by:
        missing = needed - health.valid_in_a_row
        fix = f"wait for {counted(missing, 'more valid inventory', 'more valid inventories')}"
        return _no(GuardName.INVENTORY_STABLE, health.degraded_by, fix)
    return _yes(GuardName.INVENTORY_STABLE, "the last inventories are valid")


def _warmed_up(facts: Facts) -> GuardResult:
    health, limits = facts.health, facts.limits
    lasted = facts.at - health.warm_since
    left = limits.warmup_seconds - lasted
    seen = counted(health.polls, "valid inventory", "valid inventories")
    detail = (
        f"{lasting(lasted)} and {seen} since {health.warm_because}; "
        f"{span(limits.warmup_seconds)} and {limits.warmup_polls} valid inventories are required"
    )
    if is_warm(health, limits, at=facts.at):
        return _yes(GuardName.WARMED_UP, detail)
    return _no(
        GuardName.WARMED_UP,
        detail,
        f"wait {lasting(left)}" if left >= 1 else "wait for valid inventories",
    )


def _enrolled(facts: Facts) -> GuardResult:
    enrolment = facts.enrolment
    if facts.tags_problem:
        return _no(GuardName.ENROLLED, facts.tags_problem, "restore access to the tags of VergeOS")
    if enrolment is None or not enrolment.policy.acts:
        because = enrolment.because if enrolment is not None else "the VM is not in the inventory"
        fix = "start the VM; to enroll it, add the tag recovery/auto or an enrolment rule"
        return _no(GuardName.ENROLLED, because, fix)
    if facts.case.observed is ObservedState.INELIGIBLE:
        return _no(GuardName.ENROLLED, "the VM is disabled or part of a service", "enable the VM")
    return _yes(GuardName.ENROLLED, f"policy {enrolment.policy}: {enrolment.because}")


def _crashed(facts: Facts) -> GuardResult:
    diagnosis = facts.case.diagnosis or UNDIAGNOSED
    cause = f", {diagnosis.cause}" * (diagnosis.cause.value != diagnosis.kind.value)
    detail = f"{diagnosis.kind}{cause}: {diagnosis.detail}"
    if diagnosis.kind is DiagnosisKind.CRASHED:
        return _yes(GuardName.CRASHED, detail)
    return _no(GuardName.CRASHED, detail, _FIXES[diagnosis.kind])


def _no_open_action(facts: Facts) -> GuardResult:
    intent = facts.open_intent
    if intent is not None:
        detail = f"action {intent.id} ({intent.action}) is open"
        return _no(GuardName.NO_OPEN_ACTION, detail, "wait for its outcome")
    return _yes(GuardName.NO_OPEN_ACTION, "no action on this VM is open")


def _within_restart_budget(facts: Facts) -> GuardResult:
    budgets = tuple(
        BudgetUse(use.used, use.window.most, use.window.seconds) for use in facts.vm_uses
    )
    return replace(_restart_budget_result(facts), budgets=budgets)


def _restart_budget_result(facts: Facts) -> GuardResult:
    detail = _used(facts.vm_uses)
    fix = f"vergewatch recovery clear {facts.case.name} --reason ..."
    if facts.case.state is State.QUARANTINED:
        return _no(GuardName.WITHIN_RESTART_BUDGET, f"quarantined; {detail}", fix)
    if any(use.spent for use in facts.vm_uses):
        return _no(GuardName.WITHIN_RESTART_BUDGET, detail, fix)
    if _leaves_no_room(facts, facts.vm_uses):
        return _no(GuardName.WITHIN_RESTART_BUDGET, f"{detail}: {_ROOM_FOR_START}", fix)
    return _yes(GuardName.WITHIN_RESTART_BUDGET, detail)


_ROOM_FOR_START = "a kill requires room for the start that follows"


def _leaves_no_room(facts: Facts, uses: Sequence[Use]) -> bool:
    """Return whether a kill is next, and *uses* would forbid the start after it."""
    kills = next_action(facts.case, facts.enrolment) is Action.KILL
    return kills and any(use.used + 1 >= use.window.most > 1 for use in uses)


def _backoff_elapsed(facts: Facts) -> GuardResult:
    retry_at = facts.case.retry_at
    if retry_at is not None and facts.at < retry_at:
        left = lasting(math.ceil(retry_at - facts.at))
        tries = facts.case.attempts
        detail = f"{left} left of the backoff after {f'attempt {tries}' if tries else 'a refusal'}"
        return _no(GuardName.BACKOFF_ELAPSED, detail, f"wait {left}")
    before = counted(facts.case.attempts, "attempt")
    return _yes(GuardName.BACKOFF_ELAPSED, f"{before} so far, no backoff left")


def _outside_maintenance_window(facts: Facts) -> GuardResult:
    if facts.maintenance_window:
        return _no(
            GuardName.OUTSIDE_MAINTENANCE_WINDOW,
            facts.maintenance_window,
            "wait until the maintenance window ends",
        )
    if facts.window_before_start and next_action(facts.case, facts.enrolment) is Action.KILL:
        detail = f"soon {facts.window_before_start}: {_ROOM_FOR_START}"
        return _no(
            GuardName.OUTSIDE_MAINTENANCE_WINDOW, detail, "wait until the maintenance window ends"
        )
    return _yes(GuardName.OUTSIDE_MAINTENANCE_WINDOW, "no maintenance window is active")


def _not_silenced(facts: Facts) -> GuardResult:
    if facts.silenced and facts.silenced == facts.silences_unknown:
        return _no(GuardName.NOT_SILENCED, facts.silenced, "restore the connection to Alertmanager")
    if facts.silenced:
        return _no(
            GuardName.NOT_SILENCED, facts.silenced, "wait until the silence ends, or expire it"
        )
    if facts.silences_unknown:
        detail = f"silences are unknown, which the settings permit: {facts.silences_unknown}"
        return _yes(GuardName.NOT_SILENCED, detail)
    return _yes(GuardName.NOT_SILENCED, "no silence matches the VM")


def _node_stable(facts: Facts) -> GuardResult:
    if facts.node_hold:
        return _no(GuardName.NODE_STABLE, facts.node_hold, "wait until the node is stable")
    return _yes(GuardName.NODE_STABLE, "no other VM on its node failed recently")


def _circuit_breaker_closed(facts: Facts) -> GuardResult:
    breaker, limits = facts.breaker, facts.limits
    match breaker.breaker_state:
        case BreakerState.CLOSED:
            return _yes(GuardName.CIRCUIT_BREAKER_CLOSED, "the circuit breaker is closed")
        case BreakerState.OPEN:
            detail = f"open for {lasting(facts.at - breaker.since)}: too many VMs are down at once"
            return _no(
                GuardName.CIRCUIT_BREAKER_CLOSED,
                detail,
                f"wait until fewer VMs are down, {_ACCEPT}",
            )
        case BreakerState.HALF_OPEN:
            acted_at, interval = facts.acted_at, limits.breaker_probe_interval_seconds
            since = facts.at - acted_at if acted_at is not None else interval
            if facts.in_flight or since < interval:
                detail = "half open: one action at a time"
                return _no(
                    GuardName.CIRCUIT_BREAKER_CLOSED,
                    detail,
                    f"wait {lasting(math.ceil(max(0.0, interval - since)))}"
                    if not facts.in_flight
                    else "wait for the outcome of the open action",
                )
            return _yes(GuardName.CIRCUIT_BREAKER_CLOSED, "half open, no action is open")


def _capacity_available(facts: Facts) -> GuardResult:
    limits = facts.limits
    recent = [at for at in facts.no_capacity if at > facts.at - limits.capacity_window_seconds]
    refusals = counted(len(recent), "refusal")
    detail = f"{refusals} for lack of resources in {span(limits.capacity_window_seconds)}"
    if len(recent) >= limits.capacity_refusals:
        return _no(GuardName.CAPACITY_AVAILABLE, detail, "free resources in VergeOS")
    return _yes(GuardName.CAPACITY_AVAILABLE, detail)


def _below_concurrency_limit(facts: Facts) -> GuardResult:
    most = facts.limits.max_concurrent_actions
    detail = f"{len(facts.in_flight)} of {most} concurrent actions" + (
        f": {', '.join(facts.in_flight)}" if facts.in_flight else ""
    )
    if len(facts.in_flight) >= most:
        return _no(GuardName.BELOW_CONCURRENCY_LIMIT, detail, "wait for the outcome of one of them")
    return _yes(GuardName.BELOW_CONCURRENCY_LIMIT, detail)


def _within_rate_limit(facts: Facts) -> GuardResult:
    detail = _used(facts.system_uses)
    full = [use for use in facts.system_uses if use.spent]
    if full:
        frees_at = max(use.frees_at or 0.0 for use in full)
        return _no(
            GuardName.WITHIN_RATE_LIMIT,
            detail,
            f"wait {lasting(math.ceil(max(0.0, frees_at - facts.at)))}",
        )
    if _leaves_no_room(facts, facts.system_uses):
        return _no(
            GuardName.WITHIN_RATE_LIMIT,
            f"{detail}: {_ROOM_FOR_START}",
            "wait until older actions leave the window",
        )
    return _yes(GuardName.WITHIN_RATE_LIMIT, detail)


def _dependencies_up(facts: Facts) -> GuardResult:
    if facts.waits_for:
        fix = f"start them, or wait {span(facts.limits.dependency_timeout_seconds)}"
        return _no(GuardName.DEPENDENCIES_UP, f"waits for {facts.waits_for}", fix)
    return _yes(GuardName.DEPENDENCIES_UP, "no dependency is down")


def _action_allowed(facts: Facts) -> GuardResult:
    action = next_action(facts.case, facts.enrolment)
    if action is None and facts.case.ladder_step:
        return _no(
            GuardName.ACTION_ALLOWED, "all allowed actions were tried", "repair the VM manually"
        )
    if action is None:
        fix = "reset the VM, or add the tag recovery/on-hang-reset or recovery/on-hang-power-cycle"
        return _no(GuardName.ACTION_ALLOWED, "the policy for a hung VM is alert only", fix)
    if action is Action.KILL and not facts.may_power_cycle:
        fix = "turn off disable_powercycle of the VM"
        return _no(GuardName.ACTION_ALLOWED, "the VM does not allow a power cycle", fix)
    every, last = facts.limits.hard_reset_every_seconds, facts.hard_reset_at
    if action is Action.RESET and last is not None and facts.at - last < every:
        detail = f"the VM was reset {lasting(facts.at - last)} ago (limit: one in {span(every)})"
        return _no(
            GuardName.ACTION_ALLOWED,
            detail,
            f"wait {lasting(math.ceil(every - (facts.at - last)))}",
        )
    return _yes(GuardName.ACTION_ALLOWED, f"{action} is allowed")


def _write_access(facts: Facts) -> GuardResult:
    if facts.read_only:
        fix = "set action_api_key to a credential that may act"
        return _no(GuardName.WRITE_ACCESS, facts.read_only, fix)
    return _yes(GuardName.WRITE_ACCESS, "the credential is not known to be read-only")


def _mode_enforce(facts: Facts) -> GuardResult:
    if facts.mode is Mode.ENFORCE:
        return _yes(GuardName.MODE_ENFORCE, "the mode is enforce")
    return _no(GuardName.MODE_ENFORCE, f"the mode is {facts.mode}", "set recovery.mode: enforce")


GUARDS: tuple[Guard, ...] = (
    _enrolled,
    _armed,
    _not_paused,
    _journal_writable,
    _inventory_fresh,
    _inventory_stable,
    _warmed_up,
    _crashed,
    _no_open_action,
    _within_restart_budget,
    _backoff_elapsed,
    _outside_maintenance_window,
    _not_silenced,
    _node_stable,
    _circuit_breaker_closed,
    _capacity_available,
    _below_concurrency_limit,
    _within_rate_limit,
    _dependencies_up,
    _action_allowed,
    _write_access,
    _mode_enforce,
)
"""In the order of precedence: decisions of operators first, the mode last."""

_ACCEPT = "or run vergewatch recovery accept --reason ... if the inventory is correct"
_VALID_INVENTORY = dict.fromkeys(
    ("short", "rows_missing"), f"wait for a complete inventory, {_ACCEPT}"
)
_FIXES = {
    DiagnosisKind.PENDING: "wait for the diagnosis",
    DiagnosisKind.STOPPED: "start the VM",
    DiagnosisKind.PLATFORM: "wait for VergeOS to act",
    DiagnosisKind.UNKNOWN: "check the VM and start it",
}


def _used(uses: Sequence[Use]) -> str:
    return ", ".join(
        f"{use.used} of {use.window.most} in {span(use.window.seconds)}" for use in uses
    )


def _yes(guard: GuardName, detail: str) -> GuardResult:
    return GuardResult(guard, passed=True, detail=detail)


def _no(guard: GuardName, detail: str, fix: str) -> GuardResult:
    return GuardResult(guard, passed=False, detail=detail, fix=fix)

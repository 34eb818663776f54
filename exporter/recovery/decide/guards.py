"""
Decides whether to act on a VM that crashed: an ordered list of guards, each can forbid the action.

Every guard is evaluated, also after the first failure: the first failed guard is the reason of the
decision, and ``vergewatch explain`` prints the results of all.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from exporter.formatting import counted, lasting, span
from exporter.recovery.decide.budgets import Use
from exporter.recovery.decide.facts import Facts
from exporter.recovery.decide.ladder import next_action
from exporter.recovery.decide.questions import QuestionState, state_of
from exporter.recovery.model.cases import (
    UNDIAGNOSED,
    Action,
    Case,
    DiagnosisKind,
    ObservedState,
    Question,
)
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import BudgetUse, Decision, GuardName, GuardResult
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.health import is_warm
from exporter.recovery.observe.state import RecoveryState


class Denial(NamedTuple):
    """Why a condition does not hold, and what must change."""

    detail: str
    fix: str


class Guard(NamedTuple):
    """A condition, and the function that checks it."""

    name: GuardName
    check: Callable[[Facts], str | Denial]
    """Returns the numbers and names that it compared, or a denial."""

    def __call__(self, facts: Facts) -> GuardResult:
        found = self.check(facts)
        budgets = _budgets(facts) if self.name is GuardName.WITHIN_RESTART_BUDGET else ()
        if isinstance(found, str):
            return GuardResult(self.name, passed=True, detail=found, budgets=budgets)
        detail, fix = found
        return GuardResult(self.name, passed=False, detail=detail, fix=fix, budgets=budgets)


def _budgets(facts: Facts) -> tuple[BudgetUse, ...]:
    return tuple(BudgetUse(use.used, use.window.most, use.window.seconds) for use in facts.vm_uses)


def decide(facts: Facts, guards: Sequence[Guard] | None = None) -> Decision:
    """
    Return the decision about a VM.

    Args:
        guards: Replace `GUARDS` in tests.

    """
    case = facts.case
    results = tuple(guard(facts) for guard in (GUARDS if guards is None else guards))
    return Decision(
        uuid=case.uuid,
        vm_key=case.key,
        name=case.name,
        at=facts.system.at,
        time=facts.system.time,
        state=case.state,
        diagnosis=case.diagnosis or UNDIAGNOSED,
        action=next_action(case, facts.enrolment),
        failed_guard=next((result.guard for result in results if not result.passed), None),
        guard_results=results,
        mode=facts.system.mode,
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


_RESTORE_TABLES = "restore access to the tags and clusters of VergeOS"


def _enrolled(facts: Facts) -> str | Denial:
    enrolment, tags_problem = facts.enrolment, facts.system.tags_problem
    if tags_problem:
        return Denial(tags_problem, _RESTORE_TABLES)
    if clusters_problem := facts.system.clusters_problem:
        return Denial(clusters_problem, _RESTORE_TABLES)
    if enrolment is None or not enrolment.policy.acts:
        because = enrolment.because if enrolment is not None else "the VM is not in the inventory"
        fix = "start the VM; to enroll it, add the tag recovery/auto or an enrolment rule"
        return Denial(because, fix)
    if facts.case.observed is ObservedState.INELIGIBLE:
        return Denial("the VM is disabled or part of a service", "enable the VM")
    return f"policy {enrolment.policy}: {enrolment.because}"


def _armed(facts: Facts) -> str | Denial:
    if facts.system.kill_switch:
        return Denial(f"the kill switch {facts.system.kill_switch} exists", "remove the file")
    command = facts.system.control_state.disarm
    if command is not None:
        detail = f"disarmed by {command.owner}: {command.reason}"
        return Denial(detail, "vergewatch recovery arm --reason ...")
    return "recovery is armed"


def _not_paused(facts: Facts) -> str | Denial:
    command = facts.system.control_state.pause
    if command is None:
        return "no pause is in force"
    detail = f"paused by {command.owner}: {command.reason} ({_left(command, facts)} left)"
    return Denial(detail, "vergewatch recovery resume --reason ..., or wait")


def _no_rival(facts: Facts) -> str | Denial:
    command = facts.system.control_state.rival
    if command is None:
        return "no action of another instance was seen"
    fix = "stop the other instance, then vergewatch recovery arm --reason ..., or wait"
    return Denial(command.reason, f"{fix} {_left(command, facts)}")


def _left(command: Command, facts: Facts) -> str:
    """Return how long *command* is still in force; the next poll ends it if it has expired."""
    if command.until is None:
        return "no end"
    return lasting(max(0.0, command.until - facts.system.at))


def _leads(facts: Facts) -> str | Denial:
    if facts.system.lease_problem:
        return Denial(
            facts.system.lease_problem, "wait; vergewatch recovery status shows who leads"
        )
    return "this replica leads"


def _journal_writable(facts: Facts) -> str | Denial:
    if facts.system.journal_problem:
        fix = "repair the journal; each poll tries it again"
        return Denial(facts.system.journal_problem, fix)
    return "the journal is writable"


def _inventory_fresh(facts: Facts) -> str | Denial:
    problem = facts.system.state.health.problem
    if problem is not None:
        fix = "wait for a valid inventory"
        if problem.reason in ("short", "rows_missing"):
            fix = f"wait for a complete inventory, {_ACCEPT}"
        return Denial(f"the last inventory was rejected: {problem.detail}", fix)
    age, most = facts.inventory_age_seconds, facts.system.limits.inventory_age_seconds
    detail = f"the inventory is {age:.0f} s old (limit: {most:g} s)"
    return Denial(detail, "wait for the next inventory") if age > most else detail


def _inventory_stable(facts: Facts) -> str | Denial:
    health, needed = facts.system.state.health, facts.system.limits.stable_after_polls
    if not health.degraded_by:
        return "the last inventories are valid"
    missing = needed - health.valid_in_a_row
    fix = f"wait for {counted(missing, 'more valid inventory', 'more valid inventories')}"
    return Denial(health.degraded_by, fix)


def _warmed_up(facts: Facts) -> str | Denial:
    health, limits = facts.system.state.health, facts.system.limits
    lasted = facts.system.at - health.warm_since
    left = limits.warmup_seconds - lasted
    seen = counted(health.polls, "valid inventory", "valid inventories")
    detail = (
        f"{lasting(lasted)} and {seen} since {health.warm_because}; "
        f"{span(limits.warmup_seconds)} and {limits.warmup_polls} valid inventories are required"
    )
    if is_warm(health, limits, at=facts.system.at):
        return detail
    return Denial(detail, f"wait {lasting(left)}" if left >= 1 else "wait for valid inventories")


def _crashed(facts: Facts) -> str | Denial:
    diagnosis = facts.case.diagnosis or UNDIAGNOSED
    cause = f", {diagnosis.cause}" * (diagnosis.cause.value != diagnosis.kind.value)
    detail = f"{diagnosis.kind}{cause}: {diagnosis.detail}"
    if diagnosis.kind is DiagnosisKind.CRASHED:
        return detail
    return Denial(detail, _FIXES[diagnosis.kind])


_FIXES = {
    DiagnosisKind.PENDING: "wait for the diagnosis",
    DiagnosisKind.STOPPED: "start the VM, if it should run",
    DiagnosisKind.PLATFORM: "wait for VergeOS to act",
    DiagnosisKind.UNKNOWN: "check the VM and start it",
}


def _crash_recent(facts: Facts) -> str | Denial:
    age, most = facts.crash_age_seconds, facts.system.limits.crash_age_seconds
    detail = f"the VM went down {lasting(age)} ago (limit: {span(most)})"
    if age > most and facts.system.mode is Mode.ASK:
        return f"{detail}, so an operator is asked"
    return Denial(detail, "check the VM and start it") if age > most else detail


def _no_open_action(facts: Facts) -> str | Denial:
    intent = facts.open_intent
    if intent is not None:
        return Denial(f"action {intent.id} ({intent.action}) is open", "wait for its outcome")
    return "no action on this VM is open"


def _within_restart_budget(facts: Facts) -> str | Denial:
    detail = _used(facts.vm_uses)
    fix = f"vergewatch recovery clear {facts.case.name} --reason ..."
    if facts.case.state is State.QUARANTINED:
        return Denial(f"quarantined; {detail}", fix)
    if any(use.spent for use in facts.vm_uses):
        return Denial(detail, fix)
    if _leaves_no_room(facts, facts.vm_uses):
        return Denial(f"{detail}: {_ROOM_FOR_START}", fix)
    return detail


_ROOM_FOR_START = "a kill requires room for the start that follows"


def _leaves_no_room(facts: Facts, uses: Sequence[Use]) -> bool:
    """Return whether a kill is next, and *uses* would forbid the start after it."""
    kills = next_action(facts.case, facts.enrolment) is Action.KILL
    return kills and any(use.used + 1 >= use.window.most > 1 for use in uses)


def _backoff_elapsed(facts: Facts) -> str | Denial:
    retry_at, tries, at = facts.case.retry_at, facts.case.attempts, facts.system.at
    if retry_at is not None and at < retry_at:
        left = lasting(math.ceil(retry_at - at))
        after = f"attempt {tries}" if tries else "a refusal"
        return Denial(f"{left} left of the backoff after {after}", f"wait {left}")
    return f"{counted(tries, 'attempt')} so far, no backoff left"


def _outside_maintenance_window(facts: Facts) -> str | Denial:
    fix = "wait until the maintenance window ends"
    if facts.maintenance_window:
        return Denial(facts.maintenance_window, fix)
    if facts.window_before_start and next_action(facts.case, facts.enrolment) is Action.KILL:
        return Denial(f"soon {facts.window_before_start}: {_ROOM_FOR_START}", fix)
    return "no maintenance window is active"


def _not_silenced(facts: Facts) -> str | Denial:
    silenced, unknown = facts.silenced, facts.system.silences_unknown
    if silenced and silenced == unknown:
        return Denial(silenced, "restore the connection to Alertmanager")
    if silenced:
        return Denial(silenced, "wait until the silence ends, or expire it")
    if unknown:
        return f"silences are unknown, which the settings permit: {unknown}"
    return "no silence matches the VM"


def _node_stable(facts: Facts) -> str | Denial:
    if facts.node_hold:
        return Denial(facts.node_hold, "wait until the node is stable")
    return "no other VM on its node failed recently"


def _circuit_breaker_closed(facts: Facts) -> str | Denial:
    breaker, at = facts.system.state.breaker, facts.system.at
    if breaker.breaker_state is BreakerState.CLOSED:
        return "the circuit breaker is closed"
    if breaker.breaker_state is BreakerState.OPEN:
        detail = f"open for {lasting(at - breaker.since)}: too many VMs are down at once"
        return Denial(detail, f"wait until fewer VMs are down, {_ACCEPT}")
    interval = facts.system.limits.breaker_probe_interval_seconds
    since = at - facts.acted_at if facts.acted_at is not None else interval
    if facts.in_flight:
        return Denial("half open: one action at a time", "wait for the outcome of the open action")
    if since < interval:
        fix = f"wait {lasting(math.ceil(interval - since))}"
        return Denial("half open: one action at a time", fix)
    return "half open, no action is open"


def _capacity_available(facts: Facts) -> str | Denial:
    limits, at = facts.system.limits, facts.system.at
    recent = [one for one in facts.no_capacity if one > at - limits.capacity_window_seconds]
    refusals = counted(len(recent), "refusal")
    detail = f"{refusals} for lack of resources in {span(limits.capacity_window_seconds)}"
    full = len(recent) >= limits.capacity_refusals
    return Denial(detail, "free resources in VergeOS") if full else detail


def _no_platform_update(facts: Facts) -> str | Denial:
    if facts.system.update_hold:
        return Denial(facts.system.update_hold, "wait until VergeOS has been updated")
    return "no update is known to be in progress"


def _storage_available(facts: Facts) -> str | Denial:
    if facts.storage_hold:
        return Denial(facts.storage_hold, "repair the storage in VergeOS")
    return "no storage tier of its cluster is known to be impaired"


def _memory_available(facts: Facts) -> str | Denial:
    starts = next_action(facts.case, facts.enrolment) is Action.POWER_ON
    if facts.memory_hold and starts:
        return Denial(facts.memory_hold, "free memory in VergeOS")
    return "its cluster is not known to lack memory"


def _devices_present(facts: Facts) -> str | Denial:
    starts = next_action(facts.case, facts.enrolment) in (Action.POWER_ON, Action.KILL)
    if facts.device_hold and starts:
        fix = "connect the device, or make it optional in VergeOS"
        return Denial(facts.device_hold, fix)
    return "no device that it requires is known to be missing"


def _below_concurrency_limit(facts: Facts) -> str | Denial:
    most = facts.system.limits.max_concurrent_actions
    detail = f"{len(facts.in_flight)} of {most} concurrent actions" + (
        f": {', '.join(facts.in_flight)}" if facts.in_flight else ""
    )
    full = len(facts.in_flight) >= most
    return Denial(detail, "wait for the outcome of one of them") if full else detail


def _within_rate_limit(facts: Facts) -> str | Denial:
    detail = _used(facts.system_uses)
    frees_at = [use.frees_at for use in facts.system_uses if use.frees_at is not None]
    if frees_at:
        left = lasting(math.ceil(max(0.0, max(frees_at) - facts.system.at)))
        return Denial(detail, f"wait {left}")
    if _leaves_no_room(facts, facts.system_uses):
        fix = "wait until older actions leave the window"
        return Denial(f"{detail}: {_ROOM_FOR_START}", fix)
    return detail


def _dependencies_up(facts: Facts) -> str | Denial:
    if facts.waits_for:
        timeout = span(facts.system.limits.dependency_timeout_seconds)
        return Denial(f"waits for {facts.waits_for}", f"start them, or wait {timeout}")
    return "no dependency is down"


def _action_allowed(facts: Facts) -> str | Denial:
    action = next_action(facts.case, facts.enrolment)
    if action is None and facts.case.ladder_step:
        return Denial("all allowed actions were tried", "repair the VM manually")
    if action is None:
        fix = "reset the VM, or add the tag recovery/on-hang-reset or recovery/on-hang-power-cycle"
        return Denial("the policy for a hung VM is alert only", fix)
    if action is Action.KILL and not facts.may_power_cycle:
        fix = "turn off disable_powercycle of the VM"
        return Denial("the VM does not allow a power cycle", fix)
    every, last = facts.system.limits.hard_reset_every_seconds, facts.hard_reset_at
    if action is Action.RESET and last is not None and facts.system.at - last < every:
        ago = facts.system.at - last
        detail = f"the VM was reset {lasting(ago)} ago (limit: one in {span(every)})"
        return Denial(detail, f"wait {lasting(math.ceil(every - ago))}")
    return f"{action} is allowed"


def _write_access(facts: Facts) -> str | Denial:
    if facts.system.read_only:
        fix = "set action_api_key to a credential that may act"
        return Denial(facts.system.read_only, fix)
    return "the credential is not known to be read-only"


def _down_confirmed(facts: Facts) -> str | Denial:
    if facts.confirmer is None:
        return "recovery.confirm has no query for it"
    if facts.completes_kill:
        return "this start completes a kill"
    found = facts.confirmation
    if found is None:
        return Denial("Prometheus is asked when every other condition holds", "")
    if found.unreachable and facts.confirmer.goes_on:
        return f"not confirmed, which the settings permit: {found.problem}"
    if found.problem:
        fix = "restore the connection to Prometheus" if found.unreachable else _CORRECT_QUERY
        return Denial(found.problem, fix)
    values = ", ".join(f"{value:g}" for value in found.values)
    detail = f"{found.query} returned {values or 'no sample'}"
    if found.is_down:
        return detail
    fix = "check the VM" if found.values else "wait for a sample that is newer than the outage"
    return Denial(detail, f"{fix}, or {_CORRECT_QUERY}")


_CORRECT_QUERY = (
    "correct recovery.confirm: the query returns 1 while the VM is down, 0 while it works"
)


def _mode_permits(facts: Facts) -> str | Denial:
    mode, question = f"the mode is {facts.system.mode}", facts.case.question
    if not facts.system.mode.acts:
        return Denial(mode, "set recovery.mode: enforce")
    if question is not None and state_of(question, facts.system) is QuestionState.DENIED:
        return _answered(question, facts)  # in mode enforce as well: it is for the whole outage
    if facts.system.mode is Mode.ENFORCE:
        return mode
    if facts.completes_kill:
        return f"{mode}, and this start completes the kill"
    if question is None or question.action is not next_action(facts.case, facts.enrolment):
        return Denial(f"{mode}, and no operator has approved the action", "wait for the question")
    return _answered(question, facts)


def _answered(question: Question, facts: Facts) -> str | Denial:
    """Return whether *question* was approved, and by whom."""
    answer = facts.system.control_state.answers.get(question.number)
    by = f" by {answer.owner}: {answer.reason}" if answer is not None else ""
    match state_of(question, facts.system):
        case QuestionState.APPROVED:
            return f"question {question.number} was approved{by}"
        case QuestionState.DENIED:
            fix = f"start the VM, or vergewatch recovery clear {facts.case.name} --reason ..."
            return Denial(f"question {question.number} was denied{by}", fix)
        case QuestionState.OPEN:
            fix = f"vergewatch recovery approve {question.number} --reason ..."
            return Denial(f"question {question.number} is not answered yet", fix)
        case QuestionState.EXPIRED | QuestionState.WITHDRAWN as state:
            return Denial(f"question {question.number} is {state}", "wait for the next question")


GUARDS = (
    Guard(GuardName.ENROLLED, _enrolled),
    Guard(GuardName.ARMED, _armed),
    Guard(GuardName.NOT_PAUSED, _not_paused),
    Guard(GuardName.NO_RIVAL, _no_rival),
    Guard(GuardName.LEADS, _leads),
    Guard(GuardName.JOURNAL_WRITABLE, _journal_writable),
    Guard(GuardName.INVENTORY_FRESH, _inventory_fresh),
    Guard(GuardName.INVENTORY_STABLE, _inventory_stable),
    Guard(GuardName.NO_PLATFORM_UPDATE, _no_platform_update),
    Guard(GuardName.WARMED_UP, _warmed_up),
    Guard(GuardName.CRASHED, _crashed),
    Guard(GuardName.CRASH_RECENT, _crash_recent),
    Guard(GuardName.NO_OPEN_ACTION, _no_open_action),
    Guard(GuardName.WITHIN_RESTART_BUDGET, _within_restart_budget),
    Guard(GuardName.BACKOFF_ELAPSED, _backoff_elapsed),
    Guard(GuardName.OUTSIDE_MAINTENANCE_WINDOW, _outside_maintenance_window),
    Guard(GuardName.NOT_SILENCED, _not_silenced),
    Guard(GuardName.NODE_STABLE, _node_stable),
    Guard(GuardName.CIRCUIT_BREAKER_CLOSED, _circuit_breaker_closed),
    Guard(GuardName.CAPACITY_AVAILABLE, _capacity_available),
    Guard(GuardName.STORAGE_AVAILABLE, _storage_available),
    Guard(GuardName.MEMORY_AVAILABLE, _memory_available),
    Guard(GuardName.DEVICES_PRESENT, _devices_present),
    Guard(GuardName.BELOW_CONCURRENCY_LIMIT, _below_concurrency_limit),
    Guard(GuardName.WITHIN_RATE_LIMIT, _within_rate_limit),
    Guard(GuardName.DEPENDENCIES_UP, _dependencies_up),
    Guard(GuardName.ACTION_ALLOWED, _action_allowed),
    Guard(GuardName.WRITE_ACCESS, _write_access),
    Guard(GuardName.DOWN_CONFIRMED, _down_confirmed),
    Guard(GuardName.MODE_PERMITS, _mode_permits),
)
"""In the order of precedence: decisions of operators first, the mode last."""

_ACCEPT = "or run vergewatch recovery accept --reason ... if the inventory is correct"


def _used(uses: Sequence[Use]) -> str:
    return ", ".join(
        f"{use.used} of {use.window.most} in {span(use.window.seconds)}" for use in uses
    )

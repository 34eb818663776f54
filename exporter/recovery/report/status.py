"""The recovery report of one system, for the metrics."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from exporter.model import (
    BudgetRemaining,
    LastAction,
    OpenQuestion,
    RecoveryInput,
    RecoveryReport,
    RecoveryVM,
)
from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.decide.inputs import inputs
from exporter.recovery.decide.questions import open_cases
from exporter.recovery.decide.readiness import Readiness, ReadinessState
from exporter.recovery.model.cases import UNDIAGNOSED, Case, DiagnosisKind, ObservedState
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState
from exporter.recovery.observe.health import is_warm
from exporter.recovery.report.messages import CAUSES

RUNNING = (ObservedState.UP, ObservedState.HUNG)
PROVEN = (State.HELD, State.BACKOFF, State.QUARANTINED)
"""States of a crash that is proven: a guard forbids the action."""


class StatusCache:
    """One entry per VM; the object stays the same while its case and what forbids its start do."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Case, tuple[str, str], RecoveryVM]] = {}
        self._uuids: Sequence[str] = ()
        """Of the entries, in the order of the keys of their VMs."""
        self._vms: tuple[RecoveryVM, ...] = ()
        """Those of the entries, in the same order."""

    def vms(
        self,
        cases: Mapping[str, Case],
        decisions: Mapping[str, Decision],
        time_of: Callable[[float], datetime],
        blocking: Callable[[Case], str],
    ) -> tuple[RecoveryVM, ...]:
        """
        Return the recovery state of every VM.

        Args:
            decisions: The newest decision on each VM that is down, by UUID.
            time_of: Converts seconds of monitored time.
            blocking: Returns the log row that makes the cause unknown.

        """
        before, now = self._entries, dict[str, tuple[Case, tuple[str, str], RecoveryVM]]()
        is_as_before = is_in_order = True
        for uuid, case in cases.items():
            entry = before.get(uuid)
            if entry is not None and entry[0] is case and case.diagnosis is None:
                now[uuid] = entry  # without a diagnosis, nothing else about it can change
                continue
            guard = _failed_guard(case, decisions.get(uuid)) if case.state in PROVEN else ""
            row = blocking(case) if case.diagnosis is not None else ""
            if entry is None or entry[0] is not case or entry[1] != (guard, row):
                vm = _status(case, guard, row, time_of)
                is_in_order &= entry is not None and entry[2].key == vm.key
                entry = case, (guard, row), vm
                is_as_before = False
            now[uuid] = entry
        self._entries = now
        if not is_in_order or len(now) != len(before):
            self._uuids = sorted(now, key=lambda uuid: now[uuid][2].key)
            is_as_before = False
        if not is_as_before:
            self._vms = tuple(now[uuid][2] for uuid in self._uuids)
        return self._vms

    def clear(self) -> None:
        """Drop every entry, because the start of monitored time changed."""
        self._entries, self._uuids, self._vms = {}, (), ()


def _failed_guard(case: Case, decision: Decision | None) -> str:
    """Return the guard that forbids an action on *case*; empty if that is not decided yet."""
    if decision is None or decision.failed_guard is None or case.diagnosis is None:
        return ""
    is_about_this = decision.diagnosis.cause is case.diagnosis.cause
    return decision.failed_guard if is_about_this else ""


def _status(
    case: Case, failed_guard: str, blocking_row: str, time_of: Callable[[float], datetime]
) -> RecoveryVM:
    found = case.diagnosis
    is_known = found is not None and found.kind is not DiagnosisKind.PENDING
    down_since = case.lost_at if case.lost_at is not None else case.since
    return RecoveryVM(
        key=case.key,
        name=case.name,
        policy=case.policy,
        state=case.state,
        since=time_of(case.since),
        down_since=None if case.observed in RUNNING else time_of(down_since),
        cause=found.cause if found is not None and is_known else "",
        detail=found.detail if found is not None and is_known else "",
        failed_guard=failed_guard,
        blocking_row=blocking_row,
        blocking_template=found.template if found is not None and blocking_row else "",
    )


def recovery_report(
    system: SystemFacts,
    readiness: Readiness,
    vms: tuple[RecoveryVM, ...],
    last_actions: Iterable[LastAction],
    time_of: Callable[[float], datetime],
) -> RecoveryReport:
    """
    Return the report of one system.

    Args:
        time_of: Converts seconds of monitored time.

    """
    cases, history = system.state.cases, system.history
    acts = (ReadinessState.ACTIVE, ReadinessState.CIRCUIT_BREAKER_HALF_OPEN)
    return RecoveryReport(
        mode=system.mode,
        readiness=readiness.readiness,
        because=readiness.because,
        ready=system.mode.acts and readiness.readiness in acts and not system.read_only,
        vms=vms,
        budgets_remaining=tuple(
            BudgetRemaining(case.key, case.name, use.window.seconds, use.window.most - use.used)
            for uuid in history.uuids
            if (case := cases.get(uuid)) is not None
            for use in history.uses(case, now=system.at)
        ),
        last_actions=tuple(last_actions),
        open_actions=len(system.open_actions),
        journal_problem=system.journal_problem,
        inventory_at=system.state.seen_time,
        questions=open_questions(system, time_of),
        fell_back=system.fell_back,
        inputs=tuple(RecoveryInput(one.name, one.problem) for one in inputs(system)),
        breaker=_known_breaker(system),
    )


def _known_breaker(system: SystemFacts) -> BreakerState | None:
    """Return the state of the circuit breaker; None where too little was seen to know it."""
    is_known = not system.standby and is_warm(system.state.health, system.limits, at=system.at)
    return system.state.breaker.breaker_state if is_known else None


def open_questions(
    system: SystemFacts, time_of: Callable[[float], datetime]
) -> tuple[OpenQuestion, ...]:
    """Return the questions that wait for an answer, the oldest first."""
    found = []
    for case in open_cases(system):
        question, diagnosis = case.question, case.diagnosis or UNDIAGNOSED
        if question is None:
            continue
        detail = f" ({diagnosis.detail})" if diagnosis.detail else ""
        found.append(
            OpenQuestion(
                number=question.number,
                vm_key=case.key,
                vm_name=case.name,
                action=question.action,
                diagnosis=diagnosis.cause,
                evidence=f"{CAUSES[diagnosis.cause]}{detail}",
                since=time_of(case.trouble_at if case.trouble_at is not None else case.since),
                expires=question.expires,
            )
        )
    return tuple(found)

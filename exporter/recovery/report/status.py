"""The recovery report of one system, for the metrics."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import attrgetter

from exporter.model import BudgetRemaining, LastAction, RecoveryReport, RecoveryVM
from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.decide.readiness import Readiness, ReadinessState
from exporter.recovery.model.cases import Case
from exporter.recovery.model.limits import Mode

_by_key = attrgetter("key")


class StatusCache:
    """One entry per VM; the object stays the same as long as its case does."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Case, str, RecoveryVM]] = {}

    def vms(
        self,
        cases: Mapping[str, Case],
        time_of: Callable[[float], datetime],
        blocking: Callable[[Case], str],
    ) -> tuple[RecoveryVM, ...]:
        """
        Return the recovery state of every VM.

        Args:
            time_of: Converts seconds of monitored time.
            blocking: Returns the log row that makes the cause unknown.

        """
        before, now = self._entries, dict[str, tuple[Case, str, RecoveryVM]]()
        for uuid, case in cases.items():
            entry = before.get(uuid)
            row = blocking(case) if case.diagnosis is not None else ""
            if entry is None or entry[0] is not case or entry[1] != row:
                since = time_of(case.since)
                vm = RecoveryVM(case.key, case.name, case.policy, case.state, since, row)
                entry = case, row, vm
            now[uuid] = entry
        self._entries = now
        return tuple(sorted((vm for _, _, vm in now.values()), key=_by_key))

    def clear(self) -> None:
        """Drop every entry, because the start of monitored time changed."""
        self._entries.clear()


def recovery_report(
    system: SystemFacts,
    readiness: Readiness,
    vms: tuple[RecoveryVM, ...],
    last_actions: Iterable[LastAction],
) -> RecoveryReport:
    """Return the report of one system."""
    cases, history = system.state.cases, system.history
    acts = (ReadinessState.ACTIVE, ReadinessState.CIRCUIT_BREAKER_HALF_OPEN)
    return RecoveryReport(
        mode=system.mode,
        readiness=readiness.readiness,
        because=readiness.because,
        ready=system.mode is Mode.ENFORCE and readiness.readiness in acts and not system.read_only,
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
    )

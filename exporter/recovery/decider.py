"""Decides on the VMs of one system, and records decisions that differ from the one before."""

from collections.abc import Mapping, Sequence

import structlog

from exporter.errors import JournalError
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.decide.facts import SystemFacts, gather_facts
from exporter.recovery.decide.guards import Guard, decide, in_turn, permits
from exporter.recovery.decide.questions import asked, needs_question
from exporter.recovery.model.cases import Case, Cause
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.ports import Meter
from exporter.recovery.model.states import DIAGNOSED, Event, State
from exporter.recovery.observe.lifecycle import step
from exporter.recovery.observe.state import RecoveryState

log = structlog.get_logger()

SETTLED = (State.STOPPED, State.QUARANTINED)
"""States that last until an operator or VergeOS acts: one decision is enough."""
PROVEN = (State.HELD, State.BACKOFF)
"""States of a proven crash; monitored VMs are decided on only in these."""


LAST = (GuardName.DOWN_CONFIRMED, GuardName.MODE_PERMITS)
"""Prometheus is asked when every other guard passes."""


class Decider:
    """Asks the guards, and remembers the newest decision on each VM that is down."""

    def __init__(
        self, guards: Sequence[Guard], journal_writer: JournalWriter, meter: Meter
    ) -> None:
        self._guards = guards
        self._before_confirmation = [one for one in guards if one.name not in LAST]
        self._journal_writer = journal_writer
        self._meter = meter
        self._recorded: dict[str, tuple[GuardName | None, Cause, bool]] = {}
        """Failed guard, cause and enrolment of the last recorded decision, by VM UUID."""
        self.decisions: dict[str, Decision] = {}
        """The newest decision on each VM that is down, also if it was not recorded."""

    def wanted(self, state: RecoveryState) -> list[Case]:
        """Return the cases to decide on now, in the order of their actions."""
        return in_turn(state, self._is_wanted)

    def lacks_confirmation(self, case: Case, system: SystemFacts) -> bool:
        """Return whether only Prometheus, and perhaps the mode, may still forbid an action."""
        facts = gather_facts(case, system)
        missing = facts.confirmer is not None and facts.confirmation is None
        return missing and not facts.completes_kill and permits(facts, self._before_confirmation)

    def objection(self, case: Case, system: SystemFacts) -> str:
        """Return what the first guard that fails for *case* found; empty if all guards pass."""
        results = self.decision(case, system).guard_results
        return next((result.detail for result in results if not result.passed), "")

    def decision(self, case: Case, system: SystemFacts) -> Decision:
        """Return the decision on *case*."""
        return decide(gather_facts(case, system), self._guards)

    def note(self, case: Case, decision: Decision) -> None:
        """Keep the decision on *case*; record it if it differs from the one before."""
        self.decisions[case.uuid] = decision
        key = decision.failed_guard, decision.diagnosis.cause, case.policy.acts
        if decision.acts or self._recorded.get(case.uuid) != key:
            self._recorded[case.uuid] = key
            self._meter.decided(decision.failed_guard or "none", decision.diagnosis.cause)
            log.info(
                "recovery.decided",
                vm=decision.name,
                vm_id=decision.vm_key,
                failed_guard=decision.failed_guard or "none",
                kind=str(decision.diagnosis.kind),
                cause=str(decision.diagnosis.cause),
            )
            if not (decision.acts or decision.asks):
                self._journal_writer.add(decision)

    async def asked(self, case: Case, decision: Decision, system: SystemFacts) -> Case:
        """Return *case* with a question to the operators, if *decision* needs one."""
        if not needs_question(case, decision, system):
            return case
        try:
            number = await self._journal_writer.store.save_decision(decision)
        except JournalError as error:
            self._journal_writer.close(error)
            return case
        case = asked(case, decision, number, system)
        log.info("recovery.asked", vm=case.name, vm_id=case.key, question=number)
        self.note(case, self.decision(case, system))  # its guard results now name the question
        return case

    def forget_all(self) -> None:
        """Forget every decision, because another replica decides."""
        self._recorded.clear()
        self.decisions = {}

    def forget_ended(self, before: Mapping[str, Case], cases: Mapping[str, Case]) -> None:
        """Forget what is kept of VMs that were deleted or are up again."""
        for uuid in before.keys() - cases.keys():
            self._recorded.pop(uuid, None)
        self.decisions = {
            uuid: decision
            for uuid, decision in self.decisions.items()
            if uuid in cases and cases[uuid].state is not State.HEALTHY
        }

    def _is_wanted(self, case: Case) -> bool:
        if case.state in DIAGNOSED and case.policy.acts:
            return True
        decided_once = SETTLED if case.policy.acts else PROVEN
        if case.state not in decided_once or case.diagnosis is None:
            return False
        recorded = self._recorded.get(case.uuid)
        return recorded is None or recorded[1:] != (case.diagnosis.cause, case.policy.acts)


def after_decision(case: Case, decision: Decision, system: SystemFacts) -> Case:
    """Return *case* in the state that follows from *decision*, before any action."""
    at = system.at
    if case.state is State.BACKOFF and decision.failed_guard is not GuardName.BACKOFF_ELAPSED:
        case = step(case, Event.PAUSE_OVER, at=at)
    if decision.acts or case.state is not State.HELD:
        return case
    if decision.failed_guard is GuardName.BACKOFF_ELAPSED:
        return step(case, Event.PAUSE_BEGUN, at=at)
    exhausted = decision.failed_guard is GuardName.ACTION_ALLOWED and case.ladder_step > 0
    if exhausted and decision.action is None:
        return step(case, Event.BUDGET_SPENT, at=at)
    over_budget = decision.failed_guard is GuardName.WITHIN_RESTART_BUDGET
    if over_budget and system.history.exhausted_by_vm(case, now=at):
        log.warning("recovery.gave_up", vm=case.name, vm_id=case.key)
        return step(case, Event.BUDGET_SPENT, at=at)
    return case

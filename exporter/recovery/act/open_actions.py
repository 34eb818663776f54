"""The actions of one system: open ones, their verification, and what they cost in budgets."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from exporter.clock import Clock
from exporter.model import LastAction
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.decide.budgets import ActionHistory, backoff_seconds
from exporter.recovery.model.cases import Action, Case, Intent, ObservedState, Outcome, Spent
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import Meter, Random
from exporter.recovery.model.states import OPEN, Event
from exporter.recovery.observe.boot import Boot
from exporter.recovery.observe.circuit_breaker import after_failed_action
from exporter.recovery.observe.lifecycle import (
    after_answer,
    after_outcome,
    after_sending,
    reset_evidence,
)
from exporter.recovery.observe.state import RecoveryState
from exporter.recovery.verify import verify

log = structlog.get_logger()


class ClosedAction(NamedTuple):
    """An action whose outcome is known, on a case that still waited for it."""

    intent: Intent
    case: Case
    overruled: bool
    """Whether the VM was stopped again."""

    @property
    def failed(self) -> bool:
        return self.intent.outcome is not Outcome.CONFIRMED and not self.overruled


class OpenActions:
    """Keeps the actions from the response of VergeOS to their outcome."""

    def __init__(
        self,
        journal_writer: JournalWriter,
        limits: Limits,
        clock: Clock,
        *,
        random: Random,
        meter: Meter,
    ) -> None:
        self._journal_writer = journal_writer
        self._limits = limits
        self._clock = clock
        self._random = random
        self._meter = meter
        self.by_vm: dict[str, Intent] = {}
        """The open actions, by VM UUID."""
        self.history = ActionHistory(limits)
        self.last_actions: dict[str, LastAction] = {}
        """By VM UUID; actions of earlier processes are in the journal only."""
        self.not_sent: dict[str, str] = {}
        """Why the last action on a VM had no effect: it was overtaken, abandoned or refused."""

    def use(self, limits: Limits) -> None:
        """Judge by other limits; open actions keep their deadlines."""
        self._limits = limits
        self.history.use(limits)

    def forget(self, gone: Iterable[str]) -> None:
        """Forget the last actions on VMs that were deleted."""
        for uuid in gone:
            self.last_actions.pop(uuid, None)

    def note_running(self, cases: Mapping[str, Case]) -> None:
        """
        Note the VMs that run again since the outcome of their last action was known.

        Not by comparing times: a clock that is set must not hide that a VM still is down.

        Args:
            cases: As a valid inventory shows them.

        """
        for uuid, action in self.last_actions.items():
            case = cases.get(uuid)
            runs = case is not None and case.observed is ObservedState.UP and case.state not in OPEN
            if runs and not action.ran_since:
                self.last_actions[uuid] = replace(action, ran_since=True)

    def forget_all(self) -> None:
        """Forget every action, because another replica acts."""
        self.by_vm = {}
        self.history = ActionHistory(self._limits)
        self.last_actions.clear()
        self.not_sent.clear()

    def pause_seconds(self, attempts: int) -> float:
        """Return the pause after the *attempts*-th action in a row, with jitter."""
        return backoff_seconds(attempts, self._limits, random=self._random())

    def after_outcomes(
        self, state: RecoveryState, ended: Iterable[ClosedAction], *, at: float
    ) -> RecoveryState:
        """
        Return the state after the actions of `verify`.

        Apart from it, because a command may change the state while the journal is written.
        """
        for closed in ended:
            if closed.failed:
                breaker = after_failed_action(state.breaker, self._limits, now=at)
                state = state._replace(breaker=breaker)
            case = closed.case
            vm = state.valid_inventory.vms.get(case.uuid)
            after = after_outcome(
                case, closed.intent, vm, self._limits, at=at, overruled=closed.overruled
            )
            state = state.with_cases({case.uuid: after})
        return state

    async def verify(self, state: RecoveryState, *, at: float) -> list[ClosedAction]:
        """Verify the open actions; return those that ended with a case waiting for them."""
        ended = []
        for intent in list(self.by_vm.values()):
            case = state.cases.get(intent.uuid)
            finding = verify(intent, case, self._limits, at=state.valid_inventory.at)
            if finding.extend:
                deadline = intent.deadline + self._limits.verify_extension_seconds
                extended = replace(intent, deadline=deadline, extended=True)
                if await self._write(extended):
                    self.by_vm[intent.uuid] = extended
            if finding.outcome is None:
                continue
            closed = replace(intent, outcome=finding.outcome, detail=finding.why)
            if not await self._write(closed):
                continue
            del self.by_vm[intent.uuid]
            self._count(closed)
            if case is not None and case.state in OPEN:
                ended.append(ClosedAction(closed, case, finding.overruled))
                self._log_outcome(ended[-1], at=at)
        return ended

    async def resume(self, start: Boot, spent: Iterable[Spent]) -> None:
        """Continue with the actions that an earlier process left in the journal."""
        self.history = ActionHistory(self._limits, spent)
        for intent in start.closed:
            await self._write(intent)
            self._count(intent)
        self.by_vm = start.open_actions

    def after_action(self, case: Case, intent: Intent | str, *, at: float) -> Case:
        """Record the result of `ActionExecutor.carry_out`; return the case that follows from it."""
        self.not_sent.pop(case.uuid, None)
        if isinstance(intent, str):
            self.not_sent[case.uuid] = intent
            log.info("recovery.overtaken", vm=case.name, vm_id=case.key, why=intent)
            return reset_evidence(case, Event.SEEN_CHANGING, at=at)
        if intent.sent_at is not None:
            self.history.add(Spent(intent.sent_at, case.uuid, intent.action, intent.reply))
            refusals = self.history.refused_in_a_row(case, now=intent.sent_at)
            pause = self.pause_seconds(refusals or case.attempts + 1)
            case = after_sending(case, intent, self._limits, at=intent.sent_at, pause_seconds=pause)
        if intent.outcome is None:
            self.by_vm[case.uuid] = intent
        else:
            self.not_sent[case.uuid] = intent.detail
            self._count(intent)
        return after_answer(case, intent, self._limits, at=at)

    async def _write(self, intent: Intent) -> bool:
        return await self._journal_writer.write(lambda store: store.update(intent))

    def _count(self, intent: Intent) -> None:
        outcome = intent.outcome or Outcome.UNKNOWN
        self._meter.acted(intent.action, outcome)
        if outcome is not Outcome.ABANDONED:  # an abandoned action was never sent
            self.last_actions[intent.uuid] = LastAction(
                intent.vm_key, intent.name, intent.action, outcome, self._clock.now()
            )

    def _log_outcome(self, closed: ClosedAction, *, at: float) -> None:
        intent, case = closed.intent, closed.case
        logger = log.bind(vm=case.name, vm_id=case.key, action=str(intent.action), intent=intent.id)
        if closed.overruled:
            logger.info("recovery.overruled", why=intent.detail)
        elif closed.failed:
            logger.warning("recovery.failed", outcome=str(intent.outcome), why=intent.detail)
        elif intent.action is Action.KILL:
            logger.info("recovery.killed", why=intent.detail)
        else:
            seconds = at - case.up_at if case.up_at is not None else 0.0
            self._meter.recovered(seconds)
            logger.info("recovery.restarted", seconds=round(seconds))

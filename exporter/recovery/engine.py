"""
The recovery engine of one system: for each poll it verifies, diagnoses, decides, acts and records.

The engine keeps the state between polls and the order of the steps; the packages beside it hold
the rules.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Unpack

import structlog
from msgspec.structs import replace

from exporter.clock import Clock
from exporter.errors import JournalError
from exporter.model import PollResult, RecoveryReport
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.act.open_actions import OpenActions
from exporter.recovery.action_loop import ActionLoop
from exporter.recovery.command_handler import CommandHandler
from exporter.recovery.control import Control
from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.decide.guards import GUARDS, Guard
from exporter.recovery.decide.readiness import Readiness, ReadinessState, readiness_now
from exporter.recovery.decider import Decider
from exporter.recovery.diagnoser import Diagnoser
from exporter.recovery.history_recorder import RecordedRandom
from exporter.recovery.leadership import ONLY_REPLICA
from exporter.recovery.model.cases import Case
from exporter.recovery.model.commands import (
    Command,
    CommandDetails,
    CommandKind,
    ControlState,
    hold_ended_at,
    later,
    settles,
)
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import JournalStore, Leadership, Meter, Platform, Random
from exporter.recovery.model.states import DIAGNOSED
from exporter.recovery.model.views import AnswerRefusedError
from exporter.recovery.monitored_time import MonitoredTime
from exporter.recovery.observe.boot import boot
from exporter.recovery.observe.circuit_breaker import CircuitBreaker
from exporter.recovery.observe.enrolment_cache import EnrolmentCache
from exporter.recovery.observe.error_budget import overspent
from exporter.recovery.observe.health import Health
from exporter.recovery.observe.lifecycle import cleared
from exporter.recovery.observe.losses import after_diagnoses
from exporter.recovery.observe.standby import carried_over, stand_by
from exporter.recovery.observe.state import (
    CLOCK_JUMPED,
    RecoveryState,
    advance,
    warmed_up,
)
from exporter.recovery.pauses import let_others_run
from exporter.recovery.poll_recorder import PollRecorder
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.recovery.report.status import StatusCache, recovery_report

log = structlog.get_logger()

CHANGED_SETTINGS = "changed settings"


class Recovery:
    """
    Recovery of one system.

    Args:
        key: The name of the system in the journal: its address, which does not change.
        open_store: Opens the system's part of the journal; called again until it succeeds.
        guards: Replace `GUARDS` in tests.
        leadership: Tells whether this replica leads.
        open_for_leader: Opens it to write commands that the leader takes; needed with replicas.

    """

    def __init__(
        self,
        key: str,
        open_store: Callable[[], Awaitable[JournalStore]],
        platform: Platform,
        setup: RecoveryConfig,
        clock: Clock,
        *,
        random: Random,
        meter: Meter,
        guards: Sequence[Guard] = GUARDS,
        leadership: Leadership = ONLY_REPLICA,
        open_for_leader: Callable[[], Awaitable[JournalStore]] | None = None,
    ) -> None:
        self.key, self.setup = key, setup
        self._leadership = leadership
        self._term: int | None = None
        """The leadership in which the journal was opened."""
        self._stands_by = False
        self._takes_over = False
        """Whether commands may wait that were meant for the leader before."""
        self._platform, self._clock, self._meter = platform, clock, meter
        self._turn = asyncio.Lock()
        self._time = MonitoredTime(clock)
        self.state = RecoveryState(MappingProxyType({}), {}, {}, Health(), CircuitBreaker())
        self._enrolment_cache = EnrolmentCache(setup.enrolment_rules)
        recorded_random = RecordedRandom(random)
        self._journal_writer = JournalWriter(open_store, clock)
        self._control = Control(
            clock,
            self._time,
            mode=setup.mode,
            read_kill_switch=setup.kill_switch,
        )
        self._diagnoser = Diagnoser(
            platform, setup.limits, setup.classifier, setup.log_users, setup.powerstate
        )
        self.learner = self._diagnoser.learner
        self._command_handler = CommandHandler(
            self,
            self._control,
            self._journal_writer,
            open_for_leader or open_store,
            is_shared=leadership.is_shared,
            enrolment_cache=self._enrolment_cache,
            learner=self.learner,
        )
        self._recorder = PollRecorder(self._journal_writer, self._diagnoser, recorded_random)
        self._decider = Decider(guards, self._journal_writer, meter)
        self._actions = OpenActions(
            self._journal_writer, setup.limits, clock, random=recorded_random, meter=meter
        )
        self._loop = ActionLoop(
            self,
            platform,
            setup,
            self._journal_writer,
            clock,
            diagnoser=self._diagnoser,
            decider=self._decider,
            actions=self._actions,
            restrict=self._command_handler.restrict,
            waiting_commands=self._command_handler.waiting,
            meter=meter,
        )
        self.not_sent: Mapping[str, str] = self._actions.not_sent
        """Why the last action on a VM had no effect, by UUID."""
        self._status_cache = StatusCache()
        self.changing = ""
        """Why no action may be sent while the setup changes; empty otherwise."""
        self.bug = ""
        """The error that stopped recovery for good; empty if none did."""
        self.report = self._make_report()

    @property
    def watched(self) -> float:
        """Seconds of monitored time so far."""
        return self._time.now

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        return self._control.mode

    @property
    def system_facts(self) -> SystemFacts:
        """What holds for every VM of the system now."""
        return SystemFacts(
            at=self.watched,
            time=self._clock.now(),
            limits=self.setup.limits,
            mode=self.mode,
            state=self.state,
            control_state=self._control.state,
            kill_switch=self._control.kill_switch,
            journal_problem=self._leadership.problem or self._journal_writer.problem,
            open_actions=self._actions.by_vm,
            history=self._actions.history,
            read_only=self._platform.read_only_reason,
            tags_problem=self._enrolment_cache.problem,
            log_problems=self._diagnoser.log_tail.problems,
            maintenance_windows=self.setup.maintenance_windows,
            silences=self.setup.silences,
            fell_back=self._control.fell_back,
            confirmer=self.setup.confirmer,
            confirmations=self._loop.confirmations.by_vm,
            confirmer_problem=self._loop.confirmations.problem,
            names_clusters=self._enrolment_cache.names_clusters,
            clusters_problem=self._enrolment_cache.clusters_problem,
            standby=self._standby,
            lease_problem=self._leadership.forbidden(),
        )

    def read_kill_switch(self) -> str:
        """Return the path of the kill switch file of this replica while it exists."""
        return self.setup.kill_switch()

    @property
    def leader(self) -> str:
        """The replica that leads; empty if none does, or if there is only one."""
        return self._leadership.leader

    @property
    def stands_by(self) -> bool:
        """Whether another replica leads, or may, so that commands are passed on."""
        return self._leadership.is_shared and not self._journal_writer.is_open

    @property
    def _standby(self) -> str:
        """Which other replica leads, or that none does; empty while this one leads."""
        if self._leadership.term is not None:
            return ""
        return f"the replica {self.leader} leads" if self.leader else "no replica leads"

    @property
    def readiness_now(self) -> Readiness:
        """Whether recovery would act now, and why not."""
        return readiness_now(self.system_facts, bug=self.bug)

    @property
    def commands(self) -> ControlState:
        return self._control.in_force

    @property
    def vm_names(self) -> Sequence[str]:
        """The names of the VMs that it monitors, or would if this replica led."""
        if self.stands_by and self.state.inventory is not None:
            return [vm.config.name for vm in self.state.inventory.vms.values()]
        return [case.name for case in self.state.cases.values()]

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """The newest decision on each VM that is down, by UUID."""
        return self._decider.decisions

    def decision_now(self, uuid: str) -> Decision | None:
        """
        Return the newest decision on a VM that is down, with what the guards find now.

        Between two polls waits get shorter. While no further decision is made, it is as it was.
        """
        decision, case = self.decisions.get(uuid), self.state.cases.get(uuid)
        if decision is None or case is None or case.state not in DIAGNOSED or not case.policy.acts:
            return decision
        return self._decider.decision(case, self.system_facts)

    async def use(self, setup: RecoveryConfig) -> None:
        """
        Put another *setup* in force between two polls.

        At once, the actions of a poll in progress are abandoned. Cases, open actions, questions,
        commands and budgets stay; what was derived from the old setup does not. Until the next poll
        enrolment is unknown, and where more than rules has changed recovery warms up.
        """
        self.changing = CHANGED_SETTINGS
        async with self._turn:
            before, self.setup = self.setup, setup
            self._enrolment_cache.use(setup.enrolment_rules)
            self.state = self.state._replace(enrolments={})  # by the old rules
            self._control.use(setup.mode, setup.kill_switch)
            self._loop.use(setup)
            self._status_cache.clear()
            if setup.judged_by != before.judged_by:
                self.state = warmed_up(self.state, CHANGED_SETTINGS, at=self.watched)
                self._recorder.begin_again(self.watched)
            if not self.bug:
                self.report = self._make_report()
            self.changing = ""

    def mark_broken(self, bug: str) -> None:
        """Stop acting for good after a bug in recovery."""
        self.bug, broken = bug, ReadinessState.BROKEN
        # Not built again: the bug may be in building it.
        self.report = replace(self.report, readiness=broken, because=bug, ready=False)

    def _make_report(self) -> RecoveryReport:
        report = recovery_report(
            self.system_facts,
            self.readiness_now,
            self._status_cache.vms(
                self.state.cases, self.decisions, self._time.time_of_day, self.learner.blocking
            ),
            self._actions.last_actions.values(),
            self._time.time_of_day,
        )
        return replace(
            report,
            leads=self._leadership.term is not None,
            leader=self._leadership.leader,
            lease_epoch=self._leadership.epoch,
            lease_age_seconds=self._leadership.age_seconds,
        )

    async def process(self, poll: PollResult) -> None:
        """Process *poll*, whose times are monotonic seconds."""
        async with self._turn:
            if self.bug:
                return
            if not await self._leads():
                if self._stands_by:
                    self._watch(poll)
                return
            if poll.asked_at < self._time.began:
                return  # requested before this process opened the journal
            at, processed_at = self._time.at(poll.asked_at), self.watched
            poll = self._enrolment_cache.checked(poll._replace(asked_at=at), self.state.cases)
            for because in self._control.expire():
                self.state = warmed_up(self.state, because, at=self.watched)
            if self._leadership.is_shared and await self._is_told_to_step_down():
                await self._step_down()
                self.report = self._make_report()
                return
            await self._observe(poll)
            await let_others_run()
            if self.state.health.problem is None:
                ended = await self._actions.verify(self.state, at=self.watched)
                self.state = self._actions.after_outcomes(self.state, ended, at=self.watched)
                await self._diagnose()
                await self._check_error_budget()
                await self._loop.decide(self._decider.wanted(self.state))
            await let_others_run()
            self._recorder.add(poll, self.system_facts, self.decisions, processed_at=processed_at)
            await self._record()
            await self._loop.observe_prometheus()
            self.report = self._make_report()

    async def follow_leader(self) -> None:
        """Begin or cease to lead at once, not only at the next poll."""
        async with self._turn:
            if not self.bug:
                await self._leads()
                self.report = self._make_report()

    async def _leads(self) -> bool:
        """Return whether this replica leads, with its journal open; see to it that it is."""
        term = self._leadership.term
        leads_as_before = term is not None and term == self._term
        if self._leadership.is_shared and not (self._stands_by or leads_as_before):
            self._stand_by()
        if term is None:
            return False
        return self._journal_writer.is_open or await self._boot(term)

    def _stand_by(self) -> None:
        """Forget what only the leader may go by, and go on watching the system."""
        if self._term is None:
            self.state = warmed_up(self.state, "its start", at=self.watched)
        else:
            log.warning("recovery.stands_by", because=self._standby)
        self._stands_by, self._term = True, None
        self.state = stand_by(self.state)
        self._journal_writer.stand_by()
        self._control.stand_by()
        self._command_handler.stand_by()
        self._decider.forget_all()
        self._actions.forget_all()
        self._status_cache.clear()

    def _watch(self, poll: PollResult) -> None:
        """
        Follow how well the system can be watched, while another replica leads.

        Enrolments do not matter to that: a standby that shares a key does not even read the tags.
        """
        poll = poll._replace(asked_at=self._time.at(poll.asked_at))
        before = self.state
        self.state = advance(before, poll, {}, self.setup.limits)
        _count(self.state.health, before.health, self._meter)
        self.report = self._make_report()

    async def command(self, kind: CommandKind, **details: Unpack[CommandDetails]) -> Command:
        """
        Write a command of an operator and apply it; carry out the action that it approves.

        Raises:
            JournalError: The command could not be recorded, and is not in force.
            AnswerRefusedError: The question takes no such answer, or there is no other replica.

        """
        question = details.get("question")
        if kind is CommandKind.STEP_DOWN and not self._leadership.is_shared:
            raise AnswerRefusedError("no other replica shares the journal, so none can lead")
        async with self._control.lock:
            if self.stands_by:
                given = await self._command_handler.pass_on(kind, **details)
                log.info("recovery.command_passed_on", command=str(kind), leader=self.leader)
                return given
            given = await self._command_handler.write(kind, **details)
        if kind is CommandKind.STEP_DOWN:
            async with self._turn:  # the poll in progress is processed to its end
                await self._step_down()
        if given.uuid is not None:
            async with self._turn:
                if question is not None:
                    await self._decide_again(given.uuid)
                elif given.uuid in self.state.cases:
                    self.update({given.uuid: cleared(self.state.cases[given.uuid], at=given.at)})
                await self._record()
        self.report = self._make_report()
        log.info("recovery.command", command=str(kind), owner=given.owner, reason=given.reason)
        return given

    async def _is_told_to_step_down(self) -> bool:
        """Apply the commands that other replicas were given; return whether one ends the lead."""
        kinds = await self._command_handler.take()
        if kinds is None:
            return False
        is_for_former, self._takes_over = self._takes_over, False
        return CommandKind.STEP_DOWN in kinds and not is_for_former

    async def _step_down(self) -> None:
        """Leave the lead to another replica."""
        try:
            await self._leadership.step_down()
        except JournalError as error:
            log.warning("recovery.lease_not_released", error=str(error))
        await self._leads()

    def apply_command(self, given: Command) -> None:
        """Apply a command that is in the journal, at once."""
        self._command_handler.apply(given)

    async def _boot(self, term: int) -> bool:
        """Open the journal and continue from its saved state; return whether that worked."""
        # What this process has seen still holds, unless it goes on from another journal.
        is_as_before = self._term == term and not self._journal_writer.is_lost
        rival = self._control.in_force.rival  # which the journal may not have taken
        async with self._control.lock:
            saved = await self._journal_writer.open()
            if saved is None:
                self.report = self._make_report()  # it has the reason
                return False
            self._control.resume(saved.commands)
        start = boot(saved, self.setup.limits, pause_seconds=self._actions.pause_seconds)
        seconds = self._time.go_on(start.watched)
        if rival is not None and not settles(saved.commands, rival):
            self._control.apply(later(rival, seconds))
        is_as_before &= rival is None or self._control.state.rival is not None
        self._status_cache.clear()
        self._enrolment_cache.resume(saved.facts)
        seen, self.state = self.state, start.state
        if self._stands_by or is_as_before:
            ended_at = hold_ended_at(saved.commands, at=start.watched)
            self.state = carried_over(start.state, seen, seconds=seconds, hold_ended_at=ended_at)
        self._takes_over |= self._term != term
        self._term, self._stands_by = term, False
        self._recorder.resume(saved, start.watched)
        self._diagnoser.resume(saved, start.state, self._control.state.taught)
        await self._actions.resume(start, saved.spent)  # last: a command may come meanwhile
        log.info(
            "recovery.started", vms=len(self.state.cases), open_actions=len(start.open_actions)
        )
        return True

    async def _observe(self, poll: PollResult) -> None:
        enrolments = self._enrolment_cache.enrolments(poll.inventory, self.state.enrolments)
        await let_others_run()
        before = self.state
        self.state = advance(before, poll, enrolments, self.setup.limits)
        if self.state.health.problem is not None:
            self._enrolment_cache.undo()  # a rejected inventory must be read again
        _count(self.state.health, before.health, self._meter)
        self._decider.forget_ended(before.cases, self.state.cases)
        self._actions.forget(before.cases.keys() - self.state.cases.keys())
        if self.state.health.problem is None:
            self._actions.note_running(self.state.cases)

    def update(self, changed: Mapping[str, Case]) -> None:
        self.state = self.state.with_cases(changed)

    async def _diagnose(self) -> None:
        """Diagnose every VM that is down, again if the logs were read for it; count losses."""
        self.update(await self._diagnoser.diagnosed(self.state))
        if await self._diagnoser.read_logs(self.state, at=self.watched):
            await self._loop.hold_if_rivals_act()
            self.update(await self._diagnoser.diagnosed(self.state))
        explained = await self._diagnoser.explained(self.state)
        self.state = after_diagnoses(self.state, explained, self.setup.limits)
        self.learner.after_diagnosis(self.state)

    async def _check_error_budget(self) -> None:
        """Fall back to mode ask if people undid too many actions."""
        cases, limits = self.state.cases, self.setup.limits
        because = overspent(cases, self._control.state, limits, at=self.watched)
        if self.mode is Mode.ENFORCE and because:
            await self._command_handler.fall_back(because)

    async def _decide_again(self, uuid: str) -> None:
        """Decide on a VM between two polls, because an operator answered a question about it."""
        if self.bug or self.state.inventory is None or self.state.health.problem is not None:
            return
        wanted = [case for case in self._decider.wanted(self.state) if case.uuid == uuid]
        try:
            await self._loop.decide(wanted)
        except Exception as error:
            self.mark_broken(f"a bug ({type(error).__name__}); see the log")
            raise

    async def _record(self) -> None:
        """Write what changed to the journal, and drop actions that no longer use up budgets."""
        if await self._recorder.write(self.state, watched=self.watched):
            self._actions.history.forget(now=self.watched)


def _count(health: Health, before: Health, meter: Meter) -> None:
    """Count a rejected inventory, and a jump of the clock."""
    if health.problem is not None:
        meter.invalid(health.problem.reason)
    if health.warm_since != before.warm_since and health.warm_because == CLOCK_JUMPED:
        meter.clock_jumped()

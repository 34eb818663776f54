"""
The recovery engine of one system: for each poll it verifies, diagnoses, decides, acts and records.

The engine keeps the state between polls and the order of the steps; the packages beside it hold
the rules.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from exporter.clock import Clock
from exporter.errors import JournalError
from exporter.model import VM, PollResult, RecoveryReport
from exporter.recovery.act.executor import ActionExecutor
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.act.last_look import moment
from exporter.recovery.act.open_actions import OpenActions
from exporter.recovery.act.request import ActionRequest
from exporter.recovery.decide.facts import SystemFacts, forbidden
from exporter.recovery.decide.guards import GUARDS, Guard
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.decide.questions import answerable
from exporter.recovery.decide.readiness import Readiness, ReadinessState, readiness_now
from exporter.recovery.decider import Decider, after_decision
from exporter.recovery.detect.context import LogUsers, cluster_of
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.diagnoser import Diagnoser, needs_log_rows
from exporter.recovery.model.cases import Case, Enrolment
from exporter.recovery.model.commands import (
    NO_LESSON,
    Command,
    CommandKind,
    ControlState,
    Lesson,
    control_state,
)
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.limits import Limits, Mode, PowerState
from exporter.recovery.model.ports import FreshVM, JournalStore, Meter, Platform, Random, Silences
from exporter.recovery.observe.boot import boot
from exporter.recovery.observe.circuit_breaker import CircuitBreaker, after_failed_action
from exporter.recovery.observe.enrolment import EnrolmentRule, enrol
from exporter.recovery.observe.enrolment_cache import EnrolmentCache
from exporter.recovery.observe.error_budget import overspent
from exporter.recovery.observe.health import Health, warm_up
from exporter.recovery.observe.lifecycle import after_outcome, cleared
from exporter.recovery.observe.losses import after_diagnoses
from exporter.recovery.observe.state import CLOCK_JUMPED, RecoveryState, accepted, advance
from exporter.recovery.report.status import StatusCache, recovery_report
from exporter.recovery.rival_watch import RivalWatch

log = structlog.get_logger()

OWNER = "vergewatch"
"""Owner of the commands that recovery gives to itself."""


class RecoveryConfig(NamedTuple):
    """The recovery settings of one system."""

    limits: Limits = Limits()
    mode: Mode = Mode.SHADOW
    powerstate: PowerState = PowerState.UNKNOWN
    enrolment_rules: Sequence[EnrolmentRule] = ()
    """Enrolment rules, besides the tags."""
    classifier: LogClassifier = LogClassifier()
    log_users: LogUsers = LogUsers()
    maintenance_windows: Sequence[MaintenanceWindow] = ()
    kill_switch: Callable[[], str] = lambda: ""
    """Returns the path of the kill switch file while it exists; else an empty string."""
    kill_switch_file: str = ""
    silences: Silences | None = None


def _enrolled_now(
    vm: VM, fresh: FreshVM, cluster: str, rules: Sequence[EnrolmentRule]
) -> Enrolment:
    """Return the enrolment of *vm* by its present name and tags."""
    renamed = replace(vm, config=replace(vm.config, name=fresh.name))
    return enrol(renamed, fresh.tags, cluster, rules)


class Recovery:
    """
    Recovery of one system.

    Args:
        key: The name of the system in the journal: its address, which does not change.
        open_store: Opens the system's part of the journal; called again until it succeeds.
        guards: Replace `GUARDS` in tests.

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
    ) -> None:
        limits = setup.limits
        self.key, self.setup = key, setup
        self._platform = platform
        self._clock = clock
        self._meter = meter
        self._turn = asyncio.Lock()
        self._commands_lock = asyncio.Lock()
        """Held while commands are written or read."""
        self._watched_before = 0.0
        self._began, self._began_time = 0.0, clock.now()
        self.state = RecoveryState(MappingProxyType({}), {}, {}, Health(), CircuitBreaker())
        self._control_state = ControlState()
        self._switch = ""
        self._enrolment_cache = EnrolmentCache(setup.enrolment_rules)
        self._journal_writer = JournalWriter(open_store, clock)
        self._diagnoser = Diagnoser(
            platform, limits, setup.classifier, setup.log_users, setup.powerstate
        )
        self.learner = self._diagnoser.learner
        self._decider = Decider(guards, self._journal_writer, meter)
        self._executor = ActionExecutor(
            platform, self._journal_writer, limits, clock, watched=lambda: self.watched
        )
        self._rival_watch = RivalWatch(setup.log_users, clock)
        self._actions = OpenActions(self._journal_writer, limits, clock, random=random, meter=meter)
        self._status_cache = StatusCache()
        self.bug = ""
        """The error that stopped recovery for good; empty if none did."""
        self.report = self._make_report()

    @property
    def watched(self) -> float:
        """Seconds of monitored time so far."""
        return self._watched_before + self._clock.monotonic() - self._began

    @property
    def fell_back(self) -> str:
        """Why the mode is ``ask`` although ``enforce`` is configured; empty if it is not."""
        fallback = self._control_state.fallback
        return fallback.reason if fallback and self.setup.mode is Mode.ENFORCE else ""

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        return Mode.ASK if self.fell_back else self.setup.mode

    @property
    def system_facts(self) -> SystemFacts:
        """What holds for every VM of the system now."""
        return SystemFacts(
            at=self.watched,
            time=self._clock.now(),
            limits=self.setup.limits,
            mode=self.mode,
            state=self.state,
            control_state=self._control_state,
            kill_switch=self._switch or self.setup.kill_switch(),
            journal_problem=self._journal_writer.problem,
            open_actions=self._actions.by_vm,
            history=self._actions.history,
            read_only=self._platform.read_only_reason,
            tags_problem=self._enrolment_cache.problem,
            log_problem=self._diagnoser.log_tail.problem,
            maintenance_windows=self.setup.maintenance_windows,
            silences=self.setup.silences,
            fell_back=self.fell_back,
        )

    @property
    def readiness_now(self) -> Readiness:
        """Whether recovery would act now, and why not."""
        return readiness_now(self.system_facts, bug=self.bug)

    @property
    def commands(self) -> ControlState:
        return self._control_state.at(self.watched)

    @property
    def not_sent(self) -> Mapping[str, str]:
        """Why the last action on a VM had no effect, by UUID."""
        return self._actions.not_sent

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """The newest decision on each VM that is down, by UUID."""
        return self._decider.decisions

    def mark_broken(self, bug: str) -> None:
        """Stop acting for good after a bug in recovery."""
        self.bug = bug
        # Not built again: the bug may be in building it.
        self.report = replace(
            self.report, readiness=ReadinessState.BROKEN, because=bug, ready=False
        )

    def _make_report(self) -> RecoveryReport:
        return recovery_report(
            self.system_facts,
            self.readiness_now,
            self._status_cache.vms(
                self.state.cases, self.decisions, self._time_of, self.learner.blocking
            ),
            self._actions.last_actions.values(),
            self._time_of,
        )

    def _time_of(self, at: float) -> datetime:
        """Return the time of day of *at* seconds of monitored time."""
        return self._began_time + timedelta(seconds=at - self._watched_before)

    async def process(self, poll: PollResult) -> None:
        """Process *poll*, whose times are monotonic seconds."""
        async with self._turn:
            if self.bug or not (self._journal_writer.is_open or await self._boot()):
                return
            if poll.asked_at < self._began:
                return  # requested before this process opened the journal
            at = self._watched_before + poll.asked_at - self._began
            poll = self._enrolment_cache.checked(poll._replace(asked_at=at))
            self._expire_commands()
            self._observe(poll)
            if self.state.health.problem is None:
                await self._verify()
                await self._diagnose()
                await self._check_error_budget()
                await self._decide(self._decider.wanted(self.state))
            await self._record()
            self.report = self._make_report()

    async def command(
        self,
        kind: CommandKind,
        *,
        owner: str,
        reason: str,
        seconds: float | None = None,
        uuid: str | None = None,
        lesson: Lesson = NO_LESSON,
        question: int | None = None,
    ) -> Command:
        """
        Write a command of an operator and apply it; carry out the action that it approves.

        Raises:
            JournalError: The command could not be recorded, and is not in force.
            AnswerRefusedError: The question takes no such answer.

        """
        async with self._commands_lock:
            at = self.watched
            if question is not None:
                uuid = answerable(question, kind, self.system_facts).uuid
            given = Command(
                kind=kind,
                owner=owner,
                reason=reason,
                at=at,
                time=self._clock.now(),
                until=None if seconds is None else at + seconds,
                uuid=uuid,
                template=lesson.template,
                means=lesson.means,
                question=question,
            )
            await self._journal_writer.store.save_command(given)
            self.apply_command(given)
        if uuid is not None:
            async with self._turn:
                if question is not None:
                    await self._decide_again(uuid)
                elif uuid in self.state.cases:
                    self._update({uuid: cleared(self.state.cases[uuid], at=at)})
                await self._record()
        self.report = self._make_report()
        log.info("recovery.command", command=str(kind), owner=owner, reason=reason)
        return given

    def apply_command(self, given: Command) -> None:
        """
        Apply a command that is in the journal.

        Immediately, also during a poll: the executor checks it before each request.
        """
        before = self._control_state  # may hold a pause that has just expired
        self._control_state = before.after(given)
        goes_on = (
            given.kind in (CommandKind.ARM, CommandKind.RESUME) and self._control_state != before
        )
        if goes_on or given.kind is CommandKind.ACCEPT:
            self._warm_up(f"{given.kind} by {given.owner}")
        if given.kind is CommandKind.ACCEPT:
            self.state = accepted(self.state, at=self.watched)
        self.learner.apply(given, self._control_state.taught)

    async def _boot(self) -> bool:
        """Open the journal and continue from its saved state; return whether that worked."""
        async with self._commands_lock:
            saved = await self._journal_writer.open()
            if saved is None:
                return False
            self._control_state = control_state(saved.commands)
        self._began, self._began_time = self._clock.monotonic(), self._clock.now()
        start = boot(saved, self.setup.limits, pause_seconds=self._actions.pause_seconds)
        self._watched_before = start.watched
        self._status_cache.clear()
        self._enrolment_cache.reset()
        await self._actions.resume(start, saved.spent)
        self.state = start.state
        self._diagnoser.log_tail.resume(
            saved.log_positions,
            [
                case.log_from
                for case in start.state.cases.values()
                if case.log_from is not None and needs_log_rows(case)
            ],
        )
        self.learner.resume(saved, self._control_state.taught)
        log.info(
            "recovery.started", vms=len(start.state.cases), open_actions=len(start.open_actions)
        )
        return True

    def _observe(self, poll: PollResult) -> None:
        before = self.state
        enrolments = self._enrolment_cache.enrolments(poll.inventory, before.enrolments)
        self.state = advance(before, poll, enrolments, self.setup.limits)
        health = self.state.health
        if health.problem is not None:
            self._meter.invalid(health.problem.reason)
            self._enrolment_cache.undo()  # a rejected inventory must be read again
        if health.warm_since != before.health.warm_since and health.warm_because == CLOCK_JUMPED:
            self._meter.clock_jumped()
        self._decider.forget_ended(before.cases, self.state.cases)
        for uuid in before.cases.keys() - self.state.cases.keys():
            self._actions.last_actions.pop(uuid, None)

    def _expire_commands(self) -> None:
        """Warm up after a pause expired or the kill switch file was removed."""
        in_force = self.commands
        if in_force.pause is None and self._control_state.pause is not None:
            self._warm_up("the end of a pause")
        if in_force.rival is None and self._control_state.rival is not None:
            self._warm_up("the last action of another instance")
        self._control_state = in_force
        switch = self.setup.kill_switch()
        if self._switch and not switch:
            self._warm_up("the removal of the kill switch file")
        self._switch = switch

    def _warm_up(self, because: str) -> None:
        health = warm_up(self.state.health, because, at=self.watched)
        self.state = self.state._replace(health=health)

    def _update(self, changed: Mapping[str, Case]) -> None:
        self.state = self.state.with_cases(changed)

    async def _verify(self) -> None:
        at, limits = self.watched, self.setup.limits
        for closed in await self._actions.verify(self.state, at=at):
            if closed.failed:
                breaker = after_failed_action(self.state.breaker, limits, now=at)
                self.state = self.state._replace(breaker=breaker)
            case = closed.case
            vm = self.state.valid_inventory.vms.get(case.uuid)
            after = after_outcome(
                case, closed.intent, vm, limits, at=at, overruled=closed.overruled
            )
            self._update({case.uuid: after})

    async def _diagnose(self) -> None:
        """Diagnose every VM that is down, again if the logs were read for it; count losses."""
        self._update(self._diagnoser.diagnosed(self.state))
        if await self._diagnoser.read_logs(self.state, at=self.watched):
            await self._hold_if_rivals_act()
            self._update(self._diagnoser.diagnosed(self.state))
        explained = self._diagnoser.explained(self.state)
        self.state = after_diagnoses(self.state, explained, self.setup.limits)
        self.learner.after_diagnosis(self.state)

    async def _check_error_budget(self) -> None:
        """Fall back to mode ask if people undid too many actions."""
        at, limits = self.watched, self.setup.limits
        because = overspent(self.state.cases, self._control_state, limits, at=at)
        if self.mode is not Mode.ENFORCE or not because:
            return
        given = Command(
            kind=CommandKind.FALL_BACK, owner=OWNER, reason=because, at=at, time=self._clock.now()
        )
        async with self._commands_lock:
            if await self._journal_writer.write(self._journal_writer.store.save_command(given)):
                self.apply_command(given)
                log.warning("recovery.fell_back", because=because)

    async def _decide_again(self, uuid: str) -> None:
        """Decide on a VM between two polls, because an operator answered a question about it."""
        if self.bug or self.state.inventory is None or self.state.health.problem is not None:
            return
        wanted = [case for case in self._decider.wanted(self.state) if case.uuid == uuid]
        try:
            await self._decide(wanted)
        except Exception as error:
            self.mark_broken(f"a bug ({type(error).__name__}); see the log")
            raise

    async def _decide(self, cases: Sequence[Case]) -> None:
        """Decide on VMs that are down, and carry out the actions, one after the other."""
        for wanted in cases:
            case = self.state.cases[wanted.uuid]
            system, read_at = self.system_facts, moment(self._clock)
            if self._decider.permits(case, system):
                case = await self._diagnosed_anew(case)
                system = self.system_facts
            decision = self._decider.decide(case, system)
            after = after_decision(case, decision, system)
            after = await self._decider.asked(after, decision, system)
            if decision.acts:
                await self._act(after, decision, read_at)
            elif after is not self.state.cases[wanted.uuid]:
                self._update({after.uuid: after})

    async def _diagnosed_anew(self, case: Case) -> Case:
        """Return *case* diagnosed from logs read now: earlier actions took their time."""
        if self.setup.silences is not None:
            await self.setup.silences.refresh()
        await self._diagnoser.read_logs_now(self.state, at=self.watched)
        await self._hold_if_rivals_act()
        return self._diagnoser.diagnose(case, self.state)

    async def _hold_if_rivals_act(self) -> None:
        """Hold all actions for an hour if a new row tells of an action of another instance."""
        given = self._rival_watch.hold(
            self._diagnoser.log_tail, self._actions.history.sent, self.state.cases, at=self.watched
        )
        if given is None or self.setup.mode is Mode.SHADOW:
            return  # in shadow, another instance may well be the one that acts
        async with self._commands_lock:
            self.apply_command(given)
            await self._journal_writer.write(self._journal_writer.store.save_command(given))

    async def _overtaken(self, case: Case) -> str:
        """Return why *case*, diagnosed from logs read now, no longer permits its action."""
        case = await self._diagnosed_anew(case)
        return self._decider.objection(case, self.system_facts)

    async def _act(self, case: Case, decision: Decision, read_at: tuple[float, float]) -> None:
        inventory = self.state.valid_inventory
        vm = inventory.vms.get(case.uuid)
        if decision.action is None or vm is None:
            return
        cluster = cluster_of(vm, inventory)
        warm_since = self.state.health.warm_since
        try:
            request = ActionRequest(
                case,
                decision.action,
                await self._journal_writer.store.save_decision(decision),
                self._diagnoser.log_tail.newest,
                read_at,
                lambda fresh: _enrolled_now(vm, fresh, cluster, self.setup.enrolment_rules),
                lambda: forbidden(case, self.system_facts, warm_since),
                lambda: self._overtaken(case),
            )
            result = await self._executor.carry_out(request)
        except JournalError as error:
            self._journal_writer.close(error)
            return
        self._update({case.uuid: self._actions.after_action(case, result, at=self.watched)})

    async def _record(self) -> None:
        """Write what changed to the journal, and drop actions that no longer use up budgets."""
        positions, templates = self._diagnoser.log_tail.positions, self.learner.experience.templates
        if await self._journal_writer.record(
            self.state, positions, templates, watched=self.watched
        ):
            self._actions.history.forget(now=self.watched)

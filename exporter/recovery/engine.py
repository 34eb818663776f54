"""
The recovery engine of one system: for each poll verify, diagnose, decide, act and journal.

The pure parts are in the packages beside it; the engine holds the state between polls and the
order of the steps.
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
from exporter.model import VM, BudgetRemaining, PollResult, RecoveryReport
from exporter.recovery.act.executor import ActionExecutor, ActionRequest, ActionResult
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.decide.budgets import ActionHistory, backoff_seconds
from exporter.recovery.decide.facts import Facts, SystemFacts, gather_facts, silenced
from exporter.recovery.decide.guards import GUARDS, Guard, decide, in_turn, permits
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow, quiet
from exporter.recovery.decide.readiness import Readiness, ReadinessState, readiness_now
from exporter.recovery.detect.context import (
    cluster_of,
    diagnosis_context,
)
from exporter.recovery.detect.diagnosis import add_stop_author, diagnose, lacks_stop_author
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.log_reader import LogReader
from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    DiagnosisKind,
    Intent,
    Outcome,
    Spent,
)
from exporter.recovery.model.commands import Command, CommandKind, ControlState, control_state
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import Limits, Mode, PowerState
from exporter.recovery.model.ports import FreshVM, JournalStore, Meter, Platform, Random, Silences
from exporter.recovery.model.states import DIAGNOSED, OPEN, Event, State
from exporter.recovery.observe.boot import boot
from exporter.recovery.observe.circuit_breaker import CircuitBreaker, after_failed_action
from exporter.recovery.observe.enrolment import EnrolmentRule, enrol
from exporter.recovery.observe.enrolment_cache import EnrolmentCache
from exporter.recovery.observe.health import Health, warm_up
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.lifecycle import (
    after_answer,
    after_outcome,
    after_sending,
    apply_diagnosis,
    cleared,
    reset_evidence,
    step,
)
from exporter.recovery.observe.state import CLOCK_JUMPED, RecoveryState, accepted, advance
from exporter.recovery.report.status import StatusCache
from exporter.recovery.verify import verify

log = structlog.get_logger()

SETTLED = (State.STOPPED, State.QUARANTINED)
"""States in which nothing changes by itself, so that one decision is enough."""
PROVEN = (State.HELD, State.BACKOFF)
"""States of a proven crash; of monitored VMs only these are decided on."""


class RecoverySetup(NamedTuple):
    """The recovery settings of one system."""

    limits: Limits = Limits()
    mode: Mode = Mode.SHADOW
    powerstate: PowerState = PowerState.UNKNOWN
    enrolment_rules: Sequence[EnrolmentRule] = ()
    """Enrolment rules, besides the tags."""
    classifier: LogClassifier = LogClassifier()
    own_user: str = ""
    """The daemon's user in VergeOS' log."""
    quiet: Sequence[MaintenanceWindow] = ()
    kill_switch: Callable[[], str] = lambda: ""
    """Returns the path of the file that forbids everything, while it is there."""
    kill_switch_file: str = ""
    """Where that would be."""
    silences: Silences | None = None


def _is_well(case: Case | None) -> bool:
    return case is None or case.state is State.HEALTHY


def _as_it_is(vm: VM, fresh: FreshVM) -> VM:
    """Return *vm* by the name that it has now."""
    return replace(vm, config=replace(vm.config, name=fresh.name))


class Recovery:
    """
    Recovery of one system.

    Args:
        key: The name of the system in the journal: its address, which does not change.
        open_book: Opens the system's part of the journal; tried again until it works.
        guards: Instead of all of them, for a test that shows what each is good for.

    """

    def __init__(
        self,
        key: str,
        open_book: Callable[[], Awaitable[JournalStore]],
        platform: Platform,
        setup: RecoverySetup,
        clock: Clock,
        *,
        random: Random,
        meter: Meter,
        guards: Sequence[Guard] = GUARDS,
    ) -> None:
        self.key = key
        self.setup = setup
        self._platform = platform
        self._clock = clock
        self._random = random
        self._meter = meter
        self._guards = guards
        self._turn = asyncio.Lock()
        self._commands_lock = asyncio.Lock()
        """Held while commands are written or read."""
        self._journal_writer = JournalWriter(open_book, clock)
        self._watched_before = 0.0
        self._began = 0.0
        self._state = RecoveryState(MappingProxyType({}), {}, {}, Health(), CircuitBreaker())
        self._enrolment_cache = EnrolmentCache(setup.enrolment_rules)
        self._intents: dict[str, Intent] = {}
        """Those that are open, by uuid."""
        self._action_history = ActionHistory(setup.limits)
        self._control_state = ControlState()
        self._switch = ""
        self._log_reader = LogReader(platform, setup.limits)
        self._reported: dict[str, tuple[GuardName | None, Cause, bool]] = {}
        """What the last decision on each VM was that said something new."""
        self._decisions: dict[str, Decision] = {}
        self._status_cache = StatusCache()
        self._began_time = clock.now()
        self.bug = ""
        """What went wrong in here, after which nothing is done any more."""
        self.report = self._make_report()

    @property
    def watched(self) -> float:
        """Seconds of watch so far."""
        return self._watched_before + self._clock.monotonic() - self._began

    @property
    def state(self) -> RecoveryState:
        return self._state

    @property
    def journal_problem(self) -> str:
        """Why the journal takes nothing; empty while it does."""
        return self._journal_writer.problem

    @property
    def readiness_now(self) -> Readiness:
        """Whether recovery would act now, and why not."""
        return readiness_now(
            bug=self.bug,
            switch=self.kill_switch,
            control_state=self.commands,
            journal_problem=self.journal_problem,
            health=self._state.health,
            breaker=self._state.breaker,
            read_only=self._platform.why_not,
            limits=self.setup.limits,
            mode=self.setup.mode,
            at=self.watched,
        )

    def give_up(self, bug: str) -> None:
        """Stop acting for good after a bug in recovery."""
        self.bug = bug
        # Not built again: the bug may be in building it.
        self.report = replace(
            self.report, readiness=ReadinessState.BROKEN, because=bug, ready=False
        )

    @property
    def intents(self) -> Mapping[str, Intent]:
        """The open ones, by uuid."""
        return self._intents

    @property
    def commands(self) -> ControlState:
        return self._control_state.at(self.watched)

    @property
    def kill_switch(self) -> str:
        """The path of the kill switch file, if it was there at the last poll or is now."""
        return self._switch or self.setup.kill_switch()

    def decision(self, uuid: str) -> Decision | None:
        """Return the newest decision on a VM, also where it says what the one before said."""
        return self._decisions.get(uuid)

    def _make_report(self) -> RecoveryReport:
        state, mode = self._state, self.setup.mode
        readiness_now = self.readiness_now
        at = self.watched
        return RecoveryReport(
            mode=mode,
            readiness=readiness_now.readiness,
            because=readiness_now.because,
            ready=mode is Mode.ENFORCE
            and readiness_now.readiness
            in (ReadinessState.ACTIVE, ReadinessState.CIRCUIT_BREAKER_HALF_OPEN)
            and not self._platform.why_not,
            vms=self._status_cache.call(state.cases, self._time_of),
            budgets_remaining=tuple(
                BudgetRemaining(case.key, case.name, use.window.seconds, use.window.most - use.used)
                for uuid in self._action_history.uuids
                if (case := state.cases.get(uuid)) is not None
                for use in self._action_history.uses(case, now=at)
            ),
            last_actions=self._status_cache.last_actions,
            open_actions=len(self._intents),
            journal_problem=self.journal_problem,
            inventory_at=state.seen_time,
        )

    def _time_of(self, at: float) -> datetime:
        """Return the time of day of a moment of watch, as this process counts."""
        return self._began_time + timedelta(seconds=at - self._watched_before)

    async def process(self, poll: PollResult) -> None:
        """Process *poll*, whose times are monotonic seconds."""
        async with self._turn:
            if not self._journal_writer.is_open and not await self._boot():
                return
            if poll.asked_at < self._began:
                return  # it tells of a time before we were there
            at = self._watched_before + poll.asked_at - self._began
            poll = self._enrolment_cache.checked(poll._replace(asked_at=at))
            self._expire_commands()
            self._observe(poll)
            if self._state.health.problem is None:
                await self._verify()
                await self._diagnose()
                await self._decide()
                await self._read_other_logs()
            await self._note()
            self.report = self._make_report()

    async def command(
        self,
        kind: CommandKind,
        *,
        owner: str,
        reason: str,
        seconds: float | None = None,
        uuid: str | None = None,
    ) -> Command:
        """
        Write a command of an operator and apply it.

        Raises:
            JournalError: It could not be written down, and is not in force.

        """
        async with self._commands_lock:
            at = self.watched
            given = Command(
                kind=kind,
                owner=owner,
                reason=reason,
                at=at,
                time=self._clock.now(),
                until=None if seconds is None else at + seconds,
                uuid=uuid,
            )
            await self._journal_writer.book.ordered(given)
            self.apply_command(given)
        if uuid is not None:
            async with self._turn:
                self._clear(uuid, at)
                await self._note()
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
            self._state = accepted(self._state, at=self.watched)

    # What was before.

    async def _boot(self) -> bool:
        """Open the journal and go on where it ends; return whether that worked."""
        async with self._commands_lock:
            past = await self._journal_writer.open()
            if past is None:
                return False
            self._control_state = control_state(past.commands)
        self._began, self._began_time = self._clock.monotonic(), self._clock.now()
        limits = self.setup.limits
        start = boot(past, limits, pause_seconds=self._pause_seconds)
        self._watched_before = start.watched
        self._action_history = ActionHistory(limits, past.spent)
        self._status_cache.renew()
        self._enrolment_cache.reset()
        for closed in start.closed:
            await self._journal_writer.write(self._journal_writer.book.update(closed))
            self._closed(closed)
        self._intents = start.open_actions
        self._state = start.state
        log.info("recovery.started", vms=len(start.state.cases), open_actions=len(self._intents))
        return True

    # What is seen.

    def _observe(self, poll: PollResult) -> None:
        before = self._state
        enrolments = self._enrolment_cache.enrolments(poll.inventory, before.enrolments)
        self._state = advance(before, poll, enrolments, self.setup.limits)
        health = self._state.health
        if health.problem is not None:
            self._meter.invalid(health.problem.reason)
            self._enrolment_cache.undo()  # a rejected inventory must be read again
        if health.warm_since != before.health.warm_since and health.warm_because == CLOCK_JUMPED:
            self._meter.clock_jumped()
        cases = self._state.cases
        for uuid in before.cases.keys() - cases.keys():
            self._reported.pop(uuid, None)
            self._status_cache.strike(uuid)
        for uuid in [uuid for uuid in self._decisions if _is_well(cases.get(uuid))]:
            del self._decisions[uuid]  # a decision is large, and the journal has it

    def _expire_commands(self) -> None:
        """Notice what ended or began to be forbidden without an order: pauses end by themselves."""
        in_force = self._control_state.at(self.watched)
        if in_force.pause is None and self._control_state.pause is not None:
            self._warm_up("the end of a pause")
        self._control_state = in_force
        switch = self.setup.kill_switch()
        if self._switch and not switch:
            self._warm_up("the kill switch was taken away")
        self._switch = switch

    def _warm_up(self, because: str) -> None:
        health = warm_up(self._state.health, because, at=self.watched)
        self._state = self._state._replace(health=health)

    @property
    def _inventory(self) -> CheckedInventory:
        """The last valid one; asked for only after there was one."""
        inventory = self._state.inventory
        assert inventory is not None  # noqa: S101 - a poll with a problem ends before
        return inventory

    # What was done.

    async def _verify(self) -> None:
        """Verify the open actions."""
        inventory = self._inventory
        for intent in list(self._intents.values()):
            case = self._state.cases.get(intent.uuid)
            finding = verify(intent, case, self.setup.limits, at=inventory.at)
            if finding.extend:
                deadline = intent.deadline + self.setup.limits.verify_extension_seconds
                extended = replace(intent, deadline=deadline, extended=True)
                if await self._journal_writer.write(self._journal_writer.book.update(extended)):
                    self._intents[intent.uuid] = extended
            if finding.outcome is None:
                continue
            closed = replace(intent, outcome=finding.outcome, detail=finding.why)
            if not await self._journal_writer.write(self._journal_writer.book.update(closed)):
                continue
            del self._intents[intent.uuid]
            self._closed(closed)
            if case is not None and case.state in OPEN:
                after = self._after_outcome(case, closed, overruled=finding.overruled)
                self._state = self._state.with_cases({case.uuid: after})

    def _closed(self, intent: Intent) -> None:
        """Count and report a finished action."""
        outcome = intent.outcome or Outcome.UNKNOWN
        self._meter.acted(intent.action, outcome)
        if outcome is not Outcome.ABANDONED:  # which was none
            self._status_cache.acted(intent, outcome, at=self._clock.now())

    def _after_outcome(self, case: Case, intent: Intent, *, overruled: bool) -> Case:
        at, limits = self.watched, self.setup.limits
        tell = log.bind(vm=case.name, vm_id=case.key, action=str(intent.action), intent=intent.id)
        if intent.outcome is Outcome.CONFIRMED and intent.action is Action.KILL:
            tell.info("recovery.killed", why=intent.detail)
        elif intent.outcome is Outcome.CONFIRMED:
            seconds = at - case.up_at if case.up_at is not None else 0.0
            self._meter.recovered(seconds)
            tell.info("recovery.restarted", seconds=round(seconds))
        elif overruled:
            tell.info("recovery.overruled", why=intent.detail)
        else:
            tell.warning("recovery.failed", outcome=str(intent.outcome), why=intent.detail)
            breaker = after_failed_action(self._state.breaker, limits, now=at)
            self._state = self._state._replace(breaker=breaker)
        vm = self._inventory.vms.get(case.uuid)
        return after_outcome(case, intent, vm, limits, at=at, overruled=overruled)

    # What is thought.

    async def _diagnose(self) -> None:
        """Diagnose every VM that is down; read the logs of enrolled ones in one request."""
        at = self.watched
        troubled = [case for case in self._state.cases.values() if case.state in DIAGNOSED]
        self._diagnose_again(troubled)
        wanted = [
            case
            for case in (self._state.cases[before.uuid] for before in troubled)
            if case.policy.acts
            and self._log_reader.is_due(case, at=at, to_act=self._is_about_to_act(case))
        ]
        await self._read_logs(wanted)

    async def _read_other_logs(self) -> None:
        """
        Read now and then what the logs say of VMs about which nothing will be done.

        Last in a poll, so that an action neither waits for it nor acts on logs that grew old.
        """
        cases, at = self._state.cases, self.watched
        troubled = {uuid: case for uuid, case in cases.items() if case.state in DIAGNOSED}
        nameless = {uuid: case for uuid, case in cases.items() if lacks_stop_author(case)}
        self._log_reader.forget_all_but(troubled | nameless)
        due = [
            case
            for case in troubled.values()
            if not case.policy.acts and self._log_reader.is_due(case, at=at, to_act=False)
        ]
        due += [case for case in nameless.values() if self._log_reader.is_unread(case, at=at)]
        wanted = self._log_reader.some_of_others(due, at=at)
        await self._read_logs(wanted)

    async def _read_logs(self, cases: Sequence[Case]) -> None:
        """Read the logs of *cases* in one request, and diagnose them again."""
        if cases:
            await self._log_reader.read(cases, self._inventory, at=self.watched)
            self._diagnose_again(cases)

    def _diagnose_again(self, cases: Sequence[Case]) -> None:
        found = ((case, self._diagnosed(case)) for case in cases)
        self._state = self._state.with_cases(
            {after.uuid: after for before, after in found if after is not before}
        )

    def _diagnosed(self, case: Case) -> Case:
        inventory, setup = self._inventory, self.setup
        logs = self._log_reader.of(case.uuid)
        about = diagnosis_context(case, self._state, inventory, logs, setup.own_user)
        if lacks_stop_author(case):
            return add_stop_author(case, about, setup.limits, setup.classifier)
        diagnosis = diagnose(case, about, setup.limits, setup.classifier, setup.powerstate)
        return apply_diagnosis(case, diagnosis, at=inventory.at)

    def _is_about_to_act(self, case: Case) -> bool:
        """Return whether everything but the newest logs says yes: old ones are no ground to act."""
        diagnosis = case.diagnosis
        if diagnosis is None or diagnosis.kind is not DiagnosisKind.CRASHED or not case.policy.acts:
            return False
        return permits(self._facts(case), self._guards)

    # What is decided.

    async def _decide(self) -> None:
        """Decide on every VM that is down, and do what is allowed, one after the other."""
        changed: dict[str, Case] = {}
        for case in in_turn(self._state, self._wants_decision):
            decision = decide(self._facts(case), self._guards)
            self._decisions[case.uuid] = decision
            if self._is_news(case, decision) and not decision.acts:
                self._journal_writer.tell(decision)
            rested = case
            if (
                case.state is State.BACKOFF
                and decision.failed_guard is not GuardName.BACKOFF_ELAPSED
            ):
                rested = step(case, Event.PAUSE_OVER, at=self.watched)
            if decision.acts:
                await self._act(rested, decision)
            else:
                held = self._after_denial(rested, decision)
                if held is not case:
                    changed[case.uuid] = held
        self._state = self._state.with_cases(changed)

    def _wants_decision(self, case: Case) -> bool:
        """Return whether *case* is to be decided on; where it changes nothing once is enough."""
        if case.state in DIAGNOSED and case.policy.acts:
            return True
        worth_one = SETTLED if case.policy.acts else PROVEN
        if case.state not in worth_one or case.diagnosis is None:
            return False
        told = self._reported.get(case.uuid)
        return told is None or told[1:] != (case.diagnosis.cause, case.policy.acts)

    def _after_denial(self, case: Case, decision: Decision) -> Case:
        """Return a case whose decision forbids to act, in the state that says so."""
        at = self.watched
        if case.state is not State.HELD:
            return case
        if decision.failed_guard is GuardName.BACKOFF_ELAPSED:
            return step(case, Event.PAUSE_BEGUN, at=at)
        exhausted = decision.failed_guard is GuardName.ACTION_ALLOWED and case.ladder_step > 0
        if exhausted and decision.action is None:
            return step(case, Event.BUDGET_SPENT, at=at)
        if (
            decision.failed_guard is GuardName.WITHIN_RESTART_BUDGET
            and self._action_history.exhausted_by_vm(case, now=at)
        ):
            log.warning("recovery.gave_up", vm=case.name, vm_id=case.key)
            return step(case, Event.BUDGET_SPENT, at=at)
        return case

    def _facts(self, case: Case) -> Facts:
        system = SystemFacts(
            at=self.watched,
            time=self._clock.now(),
            limits=self.setup.limits,
            mode=self.setup.mode,
            state=self._state,
            inventory=self._inventory,
            control_state=self._control_state,
            kill_switch=self.kill_switch,
            journal_problem=self.journal_problem,
            open_actions=self._intents,
            history=self._action_history,
            read_only=self._platform.why_not,
            tags_problem=self._enrolment_cache.problem,
            maintenance_windows=self.setup.quiet,
            silences=self.setup.silences,
        )
        return gather_facts(case, system)

    def left_alone(self, case: Case) -> str:
        """Return the silence or maintenance window that would forbid an action now."""
        if self._state.inventory is None:
            return ""
        return silenced(self.setup.silences, case, self._inventory) or quiet(
            self.setup.quiet, case.name, self._clock.now()
        )

    @property
    def silences_unknown(self) -> str:
        """Why the silences are unknown; empty while they are known or not used."""
        return self.setup.silences.unknown if self.setup.silences is not None else ""

    def _is_news(self, case: Case, decision: Decision) -> bool:
        """Return whether *decision* says something new, and remember that it did."""
        news = decision.failed_guard, decision.diagnosis.cause, case.policy.acts
        if self._reported.get(decision.uuid) == news and not decision.acts:
            return False
        self._reported[decision.uuid] = news
        self._meter.decided(decision.failed_guard or "none", decision.diagnosis.cause)
        log.info(
            "recovery.decided",
            vm=decision.name,
            vm_id=decision.vm_key,
            failed_guard=decision.failed_guard or "none",
            kind=str(decision.diagnosis.kind),
            cause=str(decision.diagnosis.cause),
        )
        return True

    # What is done.

    async def _act(self, case: Case, decision: Decision) -> None:
        inventory = self._inventory
        vm = inventory.vms.get(case.uuid)
        if decision.action is None or vm is None:
            return
        cluster = cluster_of(vm, inventory)
        warm_since = self._state.health.warm_since
        hand = ActionExecutor(
            self._platform,
            self._journal_writer.book,
            self.setup.limits,
            self._clock,
            forbidden=lambda: (
                self._forbidden(warm_since) or silenced(self.setup.silences, case, self._inventory)
            ),
            watched=lambda: self.watched,
        )
        try:
            number = await self._journal_writer.book.decided(decision)
            task = ActionRequest(
                case,
                decision.action,
                number,
                inventory.clock,
                case.policy,
                lambda fresh: enrol(
                    _as_it_is(vm, fresh), fresh.tags, cluster, self.setup.enrolment_rules
                ),
            )
            done = await hand.carry_out(task)
        except JournalError as error:
            self._journal_writer.lose(error)
            return
        after = self._after_acting(case, done)
        self._state = self._state.with_cases({case.uuid: after})

    def _after_acting(self, case: Case, done: ActionResult) -> Case:
        at = self.watched
        intent = done.intent
        if intent is None:
            log.info("recovery.overtaken", vm=case.name, vm_id=case.key, why=done.why_not)
            return reset_evidence(case, Event.SEEN_CHANGING, at=at)
        if intent.sent_at is not None:
            self._action_history.add(Spent(intent.sent_at, case.uuid, intent.action, intent.reply))
            pause = self._pause_seconds(case.attempts + 1)
            limits = self.setup.limits
            case = after_sending(case, intent, limits, at=intent.sent_at, pause_seconds=pause)
        if intent.outcome is None:
            self._intents[case.uuid] = intent
        else:
            self._closed(intent)
        return after_answer(case, intent, self.setup.limits, at=at)

    def _pause_seconds(self, attempts: int) -> float:
        return backoff_seconds(attempts, self.setup.limits, random=self._random())

    def _forbidden(self, warm_since: float) -> str:
        """
        Return why nothing may be sent at this very moment.

        Args:
            warm_since: When the warm-up began that was over when it was decided to act.

        """
        if switch := self.setup.kill_switch():
            return f"{switch} is there"
        if self._control_state.disarm is not None:
            return "recovery was disarmed"
        if self._control_state.pause is not None:
            return "recovery was paused"
        health = self._state.health
        return health.warm_because if health.warm_since != warm_since else ""

    def _clear(self, uuid: str, at: float) -> None:
        case = self._state.cases.get(uuid)
        if case is None:
            return
        self._state = self._state.with_cases({uuid: cleared(case, at=at)})

    async def _note(self) -> None:
        """Write down what has changed, and forget what does not count any more."""
        if await self._journal_writer.note(self._state, watched=self.watched):
            self._action_history.forget(now=self.watched)

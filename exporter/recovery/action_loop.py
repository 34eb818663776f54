"""Decides on the VMs of one system that are down, and acts on them one after the other."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Protocol

from msgspec.structs import replace

from exporter.clock import Clock, Moment, moment
from exporter.errors import JournalError
from exporter.model import VM
from exporter.recovery.act.executor import ActionExecutor
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.act.open_actions import OpenActions
from exporter.recovery.act.request import ActionRequest
from exporter.recovery.confirmations import Confirmations, ServiceWatch
from exporter.recovery.decide.facts import SystemFacts, forbidden
from exporter.recovery.decider import Decider, after_decision
from exporter.recovery.diagnoser import Diagnoser
from exporter.recovery.model.cases import Case, Enrolment, Intent
from exporter.recovery.model.commands import Command, CommandKind, ControlState
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import FreshVM, Meter, Platform
from exporter.recovery.observe.enrolment import EnrolmentRule, cluster_name, enrol
from exporter.recovery.observe.state import RecoveryState
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.recovery.rival_watch import HOLD_SECONDS, RivalWatch


class Engine(Protocol):
    """What the loop needs of the engine."""

    state: RecoveryState
    changing: str

    @property
    def watched(self) -> float: ...
    @property
    def system_facts(self) -> SystemFacts: ...
    def update(self, changed: Mapping[str, Case], /) -> None: ...


class ActionLoop:
    """
    The decisions of one poll, and the actions that follow from them.

    Args:
        restrict: Gives a command of recovery itself, with its reason and how long it lasts.
        waiting_commands: Returns the commands that other replicas were given.

    """

    def __init__(
        self,
        engine: Engine,
        platform: Platform,
        config: RecoveryConfig,
        journal_writer: JournalWriter,
        clock: Clock,
        *,
        diagnoser: Diagnoser,
        decider: Decider,
        actions: OpenActions,
        restrict: Callable[[CommandKind, str, float], Awaitable[None]],
        waiting_commands: Callable[[], Awaitable[Sequence[Command]]],
        meter: Meter,
    ) -> None:
        self._engine = engine
        self._restrict = restrict
        self._waiting_commands = waiting_commands
        self._config = config
        self._journal_writer = journal_writer
        self._clock = clock
        self._diagnoser = diagnoser
        self._decider = decider
        self._actions = actions
        self.confirmations = Confirmations(config.confirmer, config.limits)
        self._service_watch = ServiceWatch(config.confirmer, journal_writer, meter)
        self._rival_watch = RivalWatch(config.log_users)
        self._executor = ActionExecutor(
            platform, journal_writer, config.limits, clock, watched=lambda: engine.watched
        )

    def use(self, config: RecoveryConfig) -> None:
        """Decide and act by another *config*, with all that it works with; not during a poll."""
        self._config = config
        self._diagnoser.use(config.limits, config.classifier, config.log_users, config.powerstate)
        self._actions.use(config.limits)
        self.confirmations.use(config.confirmer, config.limits)
        self._service_watch.use(config.confirmer)
        self._rival_watch.use(config.log_users)
        self._executor.use(config.limits)

    async def decide(self, cases: Sequence[Case]) -> None:
        """Decide on VMs that are down, and carry out the actions, one after the other."""
        await self._confirm(cases)
        for wanted in cases:
            await self._confirm([wanted])  # again if the actions before it took their time
            case = self._engine.state.cases[wanted.uuid]
            system, read_at = self._engine.system_facts, moment(self._clock)
            decision = self._decider.decision(case, system)
            if decision.failed_guard is None:
                case = await self._diagnosed_again(case)
                system = self._engine.system_facts
                decision = self._decider.decision(case, system)
            self._decider.note(case, decision)
            after = after_decision(case, decision, system)
            after = await self._decider.asked(after, decision, system)
            if decision.acts:
                await self._act(after, decision, read_at)
            elif after is not self._engine.state.cases[wanted.uuid]:
                self._engine.update({after.uuid: after})

    async def observe_prometheus(self) -> None:
        """Ask which services work again, and whether Prometheus answers."""
        await self._service_watch.look(self._engine.state.cases, at=self._engine.watched)
        await self.confirmations.probe(at=self._engine.watched)

    async def _confirm(self, cases: Sequence[Case]) -> None:
        """Ask Prometheus about those of *cases* that every other guard lets be started."""
        if self._config.confirmer is None:
            return
        system = self._engine.system_facts
        lacking = [case for case in cases if self._decider.lacks_confirmation(case, system)]
        await self.confirmations.ask(lacking, at=system.at)

    async def _diagnosed_again(self, case: Case) -> Case:
        """Return *case* diagnosed from logs read now: earlier actions took their time."""
        await self.confirmations.ask([case], at=self._engine.watched)
        if self._config.silences is not None:
            await self._config.silences.refresh()
        await self._diagnoser.read_logs_now(self._engine.state, at=self._engine.watched)
        await self.hold_if_rivals_act()
        return self._diagnoser.diagnose(case, self._engine.state)

    async def hold_if_rivals_act(self) -> None:
        """Hold all actions for an hour if a new row tells of an action of another instance."""
        because = self._rival_watch.find(
            self._diagnoser.log_tail, self._actions.history.sent, self._engine.state.cases
        )
        if because and self._config.mode is not Mode.SHADOW:  # there, another may well be acting
            await self._restrict(CommandKind.RIVAL, because, HOLD_SECONDS)

    async def _overtaken(self, case: Case) -> str:
        """Return why *case*, diagnosed from logs read now, no longer permits its action."""
        case = await self._diagnosed_again(case)
        return self._decider.objection(case, self._engine.system_facts)

    async def _overruled(self, case: Case, warm_since: float) -> str:
        """Return why a command that another replica was given forbids an action on *case*."""
        try:
            waiting = await self._waiting_commands()
        except JournalError as error:
            return f"the commands of other replicas cannot be read: {error}"
        if not waiting:
            return ""
        system = self._engine.system_facts
        after = reduce(ControlState.after, waiting, system.control_state)
        switch = system.kill_switch or after.kill_switch
        return forbidden(case, system._replace(control_state=after, kill_switch=switch), warm_since)

    async def _act(self, case: Case, decision: Decision, read_at: Moment) -> None:
        vm = self._engine.state.valid_inventory.vms.get(case.uuid)
        if decision.action is None or vm is None:
            return
        enrolled = partial(_enrolled_now, vm, self._engine.state, self._config.enrolment_rules)
        warm_since = self._engine.state.health.warm_since
        try:
            request = ActionRequest(
                case,
                decision.action,
                await self._journal_writer.store.save_decision(decision),
                self._diagnoser.log_tail.newest,
                read_at,
                enrolled,
                lambda: (
                    self._engine.changing or forbidden(case, self._engine.system_facts, warm_since)
                ),
                lambda: self._overtaken(case),
                lambda: self._overruled(case, warm_since),
            )
            result = await self._executor.carry_out(request)
        except JournalError as error:
            self._journal_writer.close(error)
            return
        if isinstance(result, Intent):
            self._service_watch.begin(result)
        self._engine.update(
            {case.uuid: self._actions.after_action(case, result, at=self._engine.watched)}
        )


def _enrolled_now(
    vm: VM, state: RecoveryState, rules: Sequence[EnrolmentRule], fresh: FreshVM
) -> Enrolment:
    """Return the enrolment of *vm* by its present name and tags."""
    renamed = replace(vm, config=replace(vm.config, name=fresh.name))
    cluster = cluster_name(vm, state.valid_inventory.reported.clusters)
    return enrol(renamed, fresh.tags, cluster, rules)

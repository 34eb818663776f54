"""Writes and applies commands: of operators, of other replicas, and of recovery itself."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol, Unpack

import structlog

from exporter.errors import JournalError
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.control import Control
from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.decide.questions import answerable
from exporter.recovery.model.cases import Case
from exporter.recovery.model.commands import Command, CommandDetails, CommandKind
from exporter.recovery.model.ports import JournalStore
from exporter.recovery.model.views import AnswerRefusedError
from exporter.recovery.observe.enrolment_cache import EnrolmentCache
from exporter.recovery.observe.lifecycle import cleared
from exporter.recovery.observe.state import RecoveryState, accepted, warmed_up
from exporter.recovery.template_learner import TemplateLearner

log = structlog.get_logger()


class Engine(Protocol):
    """What commands need of the engine."""

    state: RecoveryState

    @property
    def watched(self) -> float: ...
    @property
    def system_facts(self) -> SystemFacts: ...
    def update(self, changed: Mapping[str, Case], /) -> None: ...


class CommandHandler:
    """
    Writes commands to the journal and applies them.

    Args:
        open_for_leader: Opens the journal to write commands that the leader then takes.

    """

    def __init__(
        self,
        engine: Engine,
        control: Control,
        journal_writer: JournalWriter,
        open_for_leader: Callable[[], Awaitable[JournalStore]],
        *,
        enrolment_cache: EnrolmentCache,
        learner: TemplateLearner,
    ) -> None:
        self._engine = engine
        self._control = control
        self._journal_writer = journal_writer
        self._open_for_leader = open_for_leader
        self._enrolment_cache = enrolment_cache
        self._learner = learner

    def apply(self, given: Command) -> None:
        """
        Apply a command that is in the journal.

        Immediately, also during a poll: the executor checks it before each request.
        """
        engine = self._engine
        if because := self._control.apply(given):
            engine.state = warmed_up(engine.state, because, at=engine.watched)
        if given.kind is CommandKind.ACCEPT:
            engine.state = accepted(engine.state, at=engine.watched)
            self._enrolment_cache.accept()
        self._learner.apply(given, self._control.state.taught)

    async def write(self, kind: CommandKind, **details: Unpack[CommandDetails]) -> Command:
        """
        Write a command of an operator and apply it; the caller holds the lock of the commands.

        Raises:
            JournalError: The command could not be recorded, and is not in force.
            AnswerRefusedError: The question takes no such answer.

        """
        if (question := details.get("question")) is not None:
            details["uuid"] = answerable(question, kind, self._engine.system_facts).uuid
        given = self._control.command(kind, **details)
        await self._journal_writer.store.save_command(given)
        self.apply(given)
        return given

    async def pass_on(self, kind: CommandKind, **details: Unpack[CommandDetails]) -> Command:
        """Write a command of an operator for the replica that leads."""
        given = self._control.command(kind, **details)
        store = await self._open_for_leader()
        await store.save_command(given)
        return given

    async def take(self) -> Collection[CommandKind]:
        """Apply the commands that other replicas were given; return their kinds."""
        async with self._control.lock:
            try:
                taken = await self._journal_writer.store.take_commands(self._engine.watched)
            except JournalError as error:
                self._journal_writer.close(error)
                return ()
            for given in taken:
                self._take(given)
            return {given.kind for given in taken}

    async def restrict(self, kind: CommandKind, because: str, seconds: float) -> None:
        """Apply a command of recovery itself, in force even if the journal cannot take it."""
        given = self._control.command(kind, reason=because, seconds=seconds)
        async with self._control.lock:
            self.apply(given)
            await self._control.record(given)

    async def fall_back(self, because: str) -> None:
        """Fall back to mode ask, if the journal can take it: it must survive a restart."""
        given = self._control.command(CommandKind.FALL_BACK, reason=because)
        async with self._control.lock:
            if await self._control.record(given):
                self.apply(given)
                log.warning("recovery.fell_back", because=because)

    def _take(self, given: Command) -> None:
        log.info("recovery.command_taken", command=str(given.kind), owner=given.owner)
        if given.question is not None:
            try:
                answerable(given.question, given.kind, self._engine.system_facts)
            except AnswerRefusedError as error:
                log.warning("recovery.answer_refused", owner=given.owner, error=str(error))
                return
        self.apply(given)
        case = self._engine.state.cases.get(given.uuid or "")
        if given.kind is CommandKind.CLEAR and case is not None:
            self._engine.update({case.uuid: cleared(case, at=given.at)})

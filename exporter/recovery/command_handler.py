"""Writes and applies commands: of operators, of other replicas, and of recovery itself."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
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
        is_shared: Whether other replicas may be given commands.

    """

    def __init__(
        self,
        engine: Engine,
        control: Control,
        journal_writer: JournalWriter,
        open_for_leader: Callable[[], Awaitable[JournalStore]],
        *,
        is_shared: bool,
        enrolment_cache: EnrolmentCache,
        learner: TemplateLearner,
    ) -> None:
        self._engine = engine
        self._control = control
        self._journal_writer = journal_writer
        self._open_for_leader = open_for_leader
        self._is_shared = is_shared
        self._taken: list[Command] = []
        """Taken since the last poll: what they change of cases must wait for the next one."""
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
        await self._save(self._journal_writer.store, given)
        self.apply(given)
        return given

    async def pass_on(self, kind: CommandKind, **details: Unpack[CommandDetails]) -> Command:
        """Write a command of an operator for the replica that leads."""
        given = self._control.command(kind, **details)
        store = await self._open_for_leader()
        await store.save_command(given)
        return given

    async def take(self) -> Collection[CommandKind] | None:
        """
        Apply the commands that other replicas were given.

        Returns:
            The kinds of those that were taken since the last poll; None if the journal failed.

        """
        async with self._control.lock:
            try:
                taken = await self._journal_writer.store.take_commands(self._engine.watched)
            except JournalError as error:
                self._journal_writer.close(error)
                return None
            for given in taken:
                self._take(given)
            since_last, self._taken = self._taken, []
            self._clear(since_last)
            return {given.kind for given in since_last}

    async def waiting(self) -> Sequence[Command]:
        """Return the commands that other replicas were given and that are not in force yet."""
        async with self._control.lock:  # else they may be taken and not applied yet
            return await self._journal_writer.store.waiting_commands()

    def stand_by(self) -> None:
        """Forget the commands that were taken as the leader."""
        self._taken = []

    async def restrict(self, kind: CommandKind, because: str, seconds: float) -> None:
        """Apply a command of recovery itself, in force even if the journal cannot take it."""
        async with self._control.lock:
            given = self._control.command(kind, reason=because, seconds=seconds)
            await self._record(given)
            self.apply(given)

    async def fall_back(self, because: str) -> None:
        """Fall back to mode ask, if the journal can take it: it must survive a restart."""
        async with self._control.lock:
            given = self._control.command(CommandKind.FALL_BACK, reason=because)
            if await self._record(given):
                self.apply(given)
                log.warning("recovery.fell_back", because=because)

    async def _record(self, given: Command) -> bool:
        """Write a command that recovery gives to itself; return whether that worked."""
        return await self._journal_writer.write(lambda store: self._save(store, given))

    async def _save(self, store: JournalStore, given: Command) -> None:
        """
        Write a command, and apply those that other replicas were given before it.

        Raises:
            JournalError: It could not be written. If others may be taken nevertheless, the journal
                is closed: no action is sent before all of them are read again.

        """
        try:
            taken = await store.save_command(given)
        except JournalError as error:
            if self._is_shared:
                self._journal_writer.close(error)
            raise
        for one in taken:
            self._take(one)

    def _take(self, given: Command) -> None:
        log.info("recovery.command_taken", command=str(given.kind), owner=given.owner)
        if given.question is not None:
            try:
                answerable(given.question, given.kind, self._engine.system_facts)
            except AnswerRefusedError as error:
                log.warning("recovery.answer_refused", owner=given.owner, error=str(error))
                return
        self.apply(given)
        self._taken.append(given)

    def _clear(self, taken: Iterable[Command]) -> None:
        """Clear the cases that *taken* commands clear."""
        for given in taken:
            case = self._engine.state.cases.get(given.uuid or "")
            if given.kind is CommandKind.CLEAR and case is not None:
                self._engine.update({case.uuid: cleared(case, at=given.at)})

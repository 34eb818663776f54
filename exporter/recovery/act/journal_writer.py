"""Writes what changed in each poll to the journal of one system."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from msgspec.structs import replace

from exporter.clock import Clock
from exporter.errors import JournalError, JournalLostError
from exporter.recovery.model.cases import Case
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.history import NO_HISTORY, HistoryRecord
from exporter.recovery.model.log_templates import TemplateHistory
from exporter.recovery.model.platform_log import PositionRead
from exporter.recovery.model.ports import Change, JournalStore, PollRecord, SavedState
from exporter.recovery.model.states import State
from exporter.recovery.observe.lifecycle import UP
from exporter.recovery.observe.state import RecoveryState

log = structlog.get_logger()

NOT_OPEN = "the journal is not open yet"


class JournalWriter:
    """
    Writes what changed since its last successful write.

    Args:
        open_store: Opens the system's part of the journal; called again until it succeeds.

    """

    def __init__(self, open_store: Callable[[], Awaitable[JournalStore]], clock: Clock) -> None:
        self._open_store = open_store
        self._clock = clock
        self._store: JournalStore | None = None
        self._written: Mapping[str, Case] = {}
        """The cases as the journal has them."""
        self._written_templates: Mapping[str, TemplateHistory] = {}
        self._pending: list[Decision] = []
        """Decisions that are not in the journal yet."""
        self.problem = NOT_OPEN
        """Why the journal cannot be written; empty while it can."""
        self.is_lost = False
        """Whether another database has taken its place since it was open."""

    @property
    def is_open(self) -> bool:
        return self._store is not None

    @property
    def store(self) -> JournalStore:
        """
        The journal.

        Raises:
            JournalError: It is not open.

        """
        if self._store is None:
            raise JournalError(self.problem or NOT_OPEN)
        return self._store

    async def open(self) -> SavedState | None:
        """Open the journal and return the saved state; None if that fails."""
        try:
            store = await self._open_store()
            saved = await store.load()
        except JournalError as error:
            self._failed(error)
            return None
        self._store, self._written = store, {case.uuid: case for case in saved.cases}
        self._written_templates = {one.template.casefold(): one for one in saved.templates}
        self.is_lost = False
        self._works()
        return saved

    def close(self, error: JournalError) -> None:
        """Close the journal after *error*; opening it again recovers an action half written."""
        self._failed(error)
        self._store = None

    def stand_by(self) -> None:
        """Close the journal because another replica writes it."""
        self._store, self.problem = None, ""
        self._pending.clear()

    def add(self, decision: Decision) -> None:
        """Write *decision*, which leads to no action, with the next poll record."""
        self._pending.append(decision)

    async def record(
        self,
        state: RecoveryState,
        log_positions: Sequence[PositionRead],
        templates: Mapping[str, TemplateHistory],
        *,
        watched: float,
        starter: Callable[[Case], str],
        history: HistoryRecord = NO_HISTORY,
    ) -> bool:
        """
        Write what changed since the last successful record; return whether that worked.

        Args:
            starter: Returns who started a VM that came up, from its case while it was down.

        """
        if self._store is None:
            return False
        cases, noted = state.cases, self._written
        noted_templates = self._written_templates
        changed = [case for uuid, case in cases.items() if noted.get(uuid) is not case]
        record = PollRecord(
            watched=watched,
            time=state.seen_time or self._clock.now(),
            clock=state.seen_clock,
            log_positions=log_positions,
            cases=changed,
            gone=[uuid for uuid in noted if uuid not in cases],
            changes=self._changes(changed, state, watched, starter),
            decisions=tuple(self._pending),
            templates=[
                one for key, one in templates.items() if noted_templates.get(key) is not one
            ],
            templates_gone=[
                one.template for key, one in noted_templates.items() if key not in templates
            ],
            history=history,
        )
        if not await self.write(lambda store: store.save_poll(record)):
            return False
        self._written, self._written_templates = cases, templates
        self._pending.clear()
        return True

    async def write(self, writing: Callable[[JournalStore], Awaitable[object]]) -> bool:
        """Do *writing* to the journal; return whether it was open and that worked."""
        try:
            await writing(self.store)
        except JournalError as error:
            self._failed(error)
            return False
        self._works()
        return True

    def _failed(self, error: JournalError) -> None:
        if isinstance(error, JournalLostError):
            self._store, self.is_lost = None, True
        if self.problem != str(error):
            log.error("journal.failed", error=str(error), consequence="recovery takes no action")
        self.problem = str(error)

    def _works(self) -> None:
        if self.problem not in ("", NOT_OPEN):
            log.info("journal.works")
        self.problem = ""

    def _changes(
        self,
        changed: Sequence[Case],
        state: RecoveryState,
        at: float,
        starter: Callable[[Case], str],
    ) -> list[Change]:
        found = []
        for case in changed:
            before = self._written.get(case.uuid)
            if before is None and not case.policy.acts:
                continue  # at the first poll that would be every VM
            if before is None or before.state is not case.state:
                state_before = before.state if before is not None else None
                change = self._change(case, state_before, case.state, at)
                if before is not None and case.state in UP and before.state not in UP:
                    change = replace(change, started_by=starter(before))
                found.append(change)
        gone = [case for uuid, case in self._written.items() if uuid not in state.cases]
        return found + [self._change(case, case.state, None, at) for case in gone]

    def _change(self, case: Case, before: State | None, after: State | None, at: float) -> Change:
        return Change(
            uuid=case.uuid,
            vm_key=case.key,
            name=case.name,
            at=at,
            time=self._clock.now(),
            before=before,
            after=after,
            word=case.word,
            diagnosis=case.diagnosis,
        )

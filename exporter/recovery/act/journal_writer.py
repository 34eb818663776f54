"""Writes what changed in each poll to the journal of one system."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from exporter.clock import Clock
from exporter.errors import JournalError
from exporter.recovery.model.cases import Case
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.ports import Change, JournalStore, PollRecord, SavedState
from exporter.recovery.observe.state import RecoveryState

log = structlog.get_logger()

NOT_OPEN = "the journal is not open yet"


class JournalWriter:
    """
    Writes down what has changed since that last worked.

    Args:
        open_book: Opens the system's part of the journal; tried again until it works.

    """

    def __init__(self, open_book: Callable[[], Awaitable[JournalStore]], clock: Clock) -> None:
        self._open_book = open_book
        self._clock = clock
        self._book: JournalStore | None = None
        self._noted: Mapping[str, Case] = {}
        """The cases as the journal has them."""
        self._untold: list[Decision] = []
        """Decisions that the journal does not have yet."""
        self.problem = NOT_OPEN
        """Why the journal takes nothing; empty while it does."""

    @property
    def is_open(self) -> bool:
        return self._book is not None

    @property
    def book(self) -> JournalStore:
        """
        The journal.

        Raises:
            JournalError: It is not open.

        """
        if self._book is None:
            raise JournalError(self.problem)
        return self._book

    async def open(self) -> SavedState | None:
        """Open the journal and return what it remembers; None where that does not work."""
        try:
            book = await self._open_book()
            past = await book.recall()
        except JournalError as error:
            self._failed(error)
            return None
        self._book, self._noted = book, {case.uuid: case for case in past.cases}
        self._works()
        return past

    def lose(self, error: JournalError) -> None:
        """Close the journal: what it has of the last step is found when it is opened again."""
        self._failed(error)
        self._book = None

    def tell(self, decision: Decision) -> None:
        """Have *decision*, from which nothing follows, written down with the next page."""
        self._untold.append(decision)

    async def note(self, state: RecoveryState, *, watched: float) -> bool:
        """Write down what has changed since this last worked; return whether it worked now."""
        if self._book is None:
            return False
        cases, noted = state.cases, self._noted
        changed = [case for uuid, case in cases.items() if noted.get(uuid) is not case]
        page = PollRecord(
            watched=watched,
            time=state.seen_time or self._clock.now(),
            clock=state.seen_clock,
            cases=changed,
            gone=[uuid for uuid in noted if uuid not in cases],
            changes=self._changes(changed, state, watched),
            decisions=tuple(self._untold),
        )
        if not await self.write(self._book.note(page)):
            return False
        self._noted = cases
        self._untold.clear()
        return True

    async def write(self, writing: Awaitable[object]) -> bool:
        """Await *writing* to the journal; return whether it worked."""
        try:
            await writing
        except JournalError as error:
            self._failed(error)
            return False
        self._works()
        return True

    def _failed(self, error: JournalError) -> None:
        if self.problem != str(error):
            log.error("journal.failed", error=str(error), consequence="recovery does nothing")
        self.problem = str(error)

    def _works(self) -> None:
        if self.problem not in ("", NOT_OPEN):
            log.info("journal.works")
        self.problem = ""

    def _changes(self, changed: Sequence[Case], state: RecoveryState, at: float) -> list[Change]:
        found = []
        for case in changed:
            before = self._noted.get(case.uuid)
            if before is None and not case.policy.acts:
                continue  # on the first day that is every VM, and it says nothing
            if before is None or before.state is not case.state:
                found.append(self._change(before, case, told=case, at=at))
        gone = [case for uuid, case in self._noted.items() if uuid not in state.cases]
        return found + [self._change(case, None, told=case, at=at) for case in gone]

    def _change(self, before: Case | None, after: Case | None, *, told: Case, at: float) -> Change:
        diagnosis = told.diagnosis
        return Change(
            uuid=told.uuid,
            vm_key=told.key,
            name=told.name,
            at=at,
            time=self._clock.now(),
            before=before.state if before is not None else None,
            after=after.state if after is not None else None,
            word=told.word,
            detail=f"{diagnosis.cause}: {diagnosis.detail}" if diagnosis is not None else "",
        )

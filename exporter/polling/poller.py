"""
One cloud, watched: its tables read when they are due, its newest picture published.

Each table succeeds or fails on its own. A failed reading leaves the last good one in place,
with its age; a reading that grows too old leaves the picture, so that nobody is lied to.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from exporter.clock import Clock
from exporter.errors import (
    AbsentError,
    BudgetSpentError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
)
from exporter.executor import run_in_thread
from exporter.model import Identity, Inventory, PollResult, RecentError, SystemReport, TableReport
from exporter.polling.schedule import TableSchedule, next_due, requests_per_hour, retry_due

log = structlog.get_logger()

RECENT_ERRORS_KEPT = 10
WORDS_TOLD = 50
SILENCES_ENOUGH = 2
"""Readings in a row without any answer after which the next need not be tried."""
HOPELESS = (AbsentError, UnauthorizedError, BudgetSpentError)
"""After one of these, any other question would have the same answer."""
EXPIRY_CHECK_SECONDS = 1.0


class TableRows(Protocol):
    """What a source makes of one answer."""

    @property
    def rows(self) -> Any: ...
    @property
    def count(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def unknown_words(self) -> frozenset[str]: ...


class Source(Protocol):
    """Where tables come from."""

    async def read(self, name: str, /) -> TableRows: ...


class Join(Protocol):
    """How tables become a picture."""

    def __call__(
        self,
        rows: Mapping[str, Any],
        /,
        *,
        system_name: str,
        identity: Identity | None,
        taken_at: datetime,
    ) -> Inventory: ...


class Publish(Protocol):
    """Who wants each new picture; called in a worker thread, one call at a time."""

    def __call__(self, inventory: Inventory | None, report: SystemReport, /) -> None: ...


class Plan(NamedTuple):
    """What to read, and how often."""

    table_schedules: Sequence[TableSchedule]
    identity: str
    """The table that says what the cloud calls itself."""
    stale_after_polls: float
    """Periods of its own after which a table's last good reading is too old to be shown."""


class LastGood(NamedTuple):
    """The last good reading of a table."""

    reading: TableRows
    at: float
    """When it was asked for: seconds, monotonic."""
    at_time: datetime


class _State(msgspec.Struct, frozen=True):
    """How it stands with one table."""

    due: float
    """Seconds since the watch began."""
    good: LastGood | None = None
    failures: int = 0
    """In a row."""
    error: VergeOSError | None = None
    tried: bool = False
    duration_seconds: float | None = None
    failures_total: int = 0
    rows_skipped_total: int = 0


class Poller:
    """
    The watching of one cloud.

    Args:
        name: What the cloud is called until it has said what it calls itself.
        url: Where it is, without credentials; for people.
        rename: Told the cloud's own name once it is known; returns the name to use.
        requests_remaining: Returns what is left of this hour's budget.
        tell: Told of each reading of the essential tables, whether it worked or not.

    """

    def __init__(
        self,
        source: Source,
        join: Join,
        publish: Publish,
        plan: Plan,
        *,
        name: str,
        url: str,
        clock: Clock,
        rename: Callable[[str], str],
        requests_remaining: Callable[[], int],
        tell: Callable[[PollResult], None] | None = None,
    ) -> None:
        self.name = name
        self._source = source
        self._join = join
        self._publish = publish
        self._plan = plan
        self._url = url
        self._clock = clock
        self._rename = rename
        self._requests_remaining = requests_remaining
        self._tell = tell
        self._began = clock.monotonic()
        self._beats = {beat.table: beat for beat in plan.table_schedules}
        self._essential = frozenset(beat.table for beat in plan.table_schedules if beat.essential)
        self._base_seconds = min(beat.every_seconds for beat in plan.table_schedules)
        self._states = {beat.table: _State(due=0.0) for beat in plan.table_schedules}
        self._named = False
        self._words_seen: set[str] = set()
        self._lost: VergeOSError | None = None
        """Why the whole cloud cannot be read at present."""
        self._silences = 0
        self._told: set[str] = set()
        """Tables whose failing has been logged, and whose recovery therefore will be."""
        self._recent_errors: deque[RecentError] = deque(maxlen=RECENT_ERRORS_KEPT)
        self._publishing = asyncio.Lock()
        self._shown: frozenset[str] = frozenset()
        self.inventory: Inventory | None = None
        self.report = self._make_report({}, None, requests_remaining())

    async def run(self) -> None:
        """Poller until cancelled."""
        await self._show()
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._poll_forever(), name=f"poll {self._url}")
            parts.create_task(self._expire_forever(), name=f"expire {self._url}")

    async def poll(self) -> None:
        """Read every table that is due, the healthy ones first, and publish what is known then."""
        due = self._due()
        looks = not self._essential.isdisjoint(due)
        before = dict(self._states)
        lost: VergeOSError | None = None
        while due and lost is None and not self._overtaken(due):
            table = due.pop(0)
            await self._read(table)
            lost = self._why_lost(table)
        if lost is not None:
            for table in due:  # no use in asking: the answer would be the same
                self._fail(table, lost, duration_seconds=None)
        self._log_system(before, lost)
        self._tell_tables(before)
        self._hurry_after_outage(before)
        await self._show()
        if looks and self._tell is not None:
            self._tell(self._round())

    def _round(self) -> PollResult:
        """Return what the essential tables showed when they were last asked."""
        states = {table: self._states[table] for table in sorted(self._essential)}
        goods = [state.good for state in states.values() if state.good is not None]
        problems = [str(state.error) for state in states.values() if state.error is not None]
        whole = len(goods) == len(states) and not problems
        asked = min((good.at for good in goods), default=0.0)
        return PollResult(
            asked_at=self._began + (asked if whole else self._elapsed()),
            time=min((good.at_time for good in goods), default=self._clock.now())
            if whole
            else self._clock.now(),
            took_seconds=self._answered_at(states.values()) - asked if whole else 0.0,
            every_seconds=max(self._beats[table].every_seconds for table in states),
            inventory=self.inventory if whole else None,
            rows_skipped=sum(good.reading.skipped for good in goods),
            problem="; ".join(dict.fromkeys(problems)),
        )

    def _answered_at(self, states: Iterable[_State]) -> float:
        return max(
            state.good.at + (state.duration_seconds or 0.0)
            for state in states
            if state.good is not None
        )

    async def expire(self) -> None:
        """Publish anew if a reading has just grown too old to be shown."""
        if self._fresh().keys() != self._shown:
            await self._show()

    def _overtaken(self, due: Sequence[str]) -> bool:
        """Return whether an essential table has become due behind the back of those in *due*."""
        now = self._elapsed()
        return any(self._states[table].due <= now for table in self._essential if table not in due)

    def _why_lost(self, table: str) -> VergeOSError | None:
        """Return why after reading *table* no other is worth asking for, if so it is."""
        error = self._states[table].error
        self._silences = self._silences + 1 if isinstance(error, UnreachableError) else 0
        silent = self._silences >= SILENCES_ENOUGH and table in self._essential
        return error if silent or isinstance(error, HOPELESS) else None

    async def _poll_forever(self) -> None:
        while True:
            await self.poll()
            due = min(state.due for state in self._states.values())
            await self._clock.sleep(due - self._elapsed())

    async def _expire_forever(self) -> None:
        while True:
            await self._clock.sleep(EXPIRY_CHECK_SECONDS)
            await self.expire()

    def _elapsed(self) -> float:
        """Return the seconds since this watch began."""
        return self._clock.monotonic() - self._began

    def _due(self) -> list[str]:
        """Return the tables to read now; one that fails waits behind those that work."""
        now = self._elapsed()
        due = [table for table, state in self._states.items() if state.due <= now]
        return sorted(
            due, key=lambda table: (self._states[table].failures, table not in self._essential)
        )

    async def _read(self, table: str) -> None:
        started, started_time = self._elapsed(), self._clock.now()
        try:
            reading = await self._source.read(table)
        except VergeOSError as error:
            error.__context__ = None
            kept = error.with_traceback(None)  # whose frames hold answers of any size
            self._fail(table, kept, duration_seconds=self._elapsed() - started)
            return
        now = self._elapsed()
        state = self._states[table]
        self._states[table] = msgspec.structs.replace(
            state,
            due=next_due(self._beats[table], now=now),
            good=LastGood(reading, started, started_time),
            failures=0,
            error=None,
            tried=True,
            duration_seconds=now - started,
            rows_skipped_total=state.rows_skipped_total + reading.skipped,
        )
        if table == self._plan.identity:
            self._learn_name(reading.rows)

    def _fail(
        self, table: str, error: VergeOSError | None, *, duration_seconds: float | None
    ) -> None:
        state = self._states[table]
        self._states[table] = msgspec.structs.replace(
            state,
            due=retry_due(
                self._beats[table],
                failures=state.failures + 1,
                now=self._elapsed(),
                base_seconds=self._base_seconds,
            ),
            failures=state.failures + 1,
            error=error,
            tried=True,
            duration_seconds=duration_seconds,
            failures_total=state.failures_total + 1,
        )

    def _learn_name(self, identity: Identity) -> None:
        if not self._named and identity.cloud_name:
            self.name = self._rename(identity.cloud_name)
            self._named = True

    def _hurry_after_outage(self, before: Mapping[str, _State]) -> None:
        """When somebody answers again, ask at once what could not be asked for a while."""
        temporary = (UnreachableError, *HOPELESS)
        answers_again = any(
            isinstance(before[table].error, temporary) and state.error is None
            for table, state in self._states.items()
        )
        if not answers_again:
            return
        for table, state in self._states.items():
            not_asked_now = state is before[table]
            if not_asked_now and isinstance(state.error, temporary):
                self._states[table] = msgspec.structs.replace(state, due=self._elapsed())

    def _log_system(self, before: Mapping[str, _State], lost: VergeOSError | None) -> None:
        """Log when the whole cloud goes silent and when it speaks again, and nothing between."""
        if lost is not None and self._lost is None:
            log.warning("cloud.lost", system=self.name, error=str(lost))
            self._note(str(lost))
        if lost is not None:
            self._lost = lost
        elif self._lost is not None and any(
            state.good is not before[table].good for table, state in self._states.items()
        ):
            log.info("cloud.back", system=self.name)
            self._lost = None

    def _tell_tables(self, before: Mapping[str, _State]) -> None:
        """Log which tables began to fail, a line for each cause, and which work again."""
        failing: dict[str, list[str]] = {}
        recovered: list[str] = []
        for table, state in self._states.items():
            if state.error is None and table in self._told:
                recovered.append(table)
            elif state.error is not None and state is not before[table] and self._is_news(table):
                failing.setdefault(str(state.error), []).append(table)
            if state.good is not None and state.good is not before[table].good:
                self._tell_oddities(table, state.good.reading, before[table].good)
        for error, tables in failing.items():
            log.warning("table.failing", system=self.name, tables=tables, error=error)
            self._note(error)
            self._told.update(tables)
        if recovered:
            log.info("table.recovered", system=self.name, tables=recovered)
            self._told.difference_update(recovered)

    def _is_news(self, table: str) -> bool:
        return self._lost is None and table not in self._told

    def _tell_oddities(self, table: str, reading: TableRows, last: LastGood | None) -> None:
        if reading.skipped and not (last and last.reading.skipped):
            log.warning(
                "table.rows_skipped",
                system=self.name,
                table=table,
                skipped=reading.skipped,
                first=reading.problem,
            )
            self._note(f"{reading.skipped} rows skipped; the first: {reading.problem}")
        for word in sorted(reading.unknown_words - self._words_seen)[: self._words_left()]:
            self._words_seen.add(word)
            log.warning("table.unknown_status", system=self.name, table=table, status=word)
            self._note(f"{table}: the status {word!r} is new to this version")

    def _words_left(self) -> int:
        """Return how many new words are still worth telling: a stream of them is no news."""
        return max(0, WORDS_TOLD - len(self._words_seen))

    def _note(self, what: str) -> None:
        self._recent_errors.appendleft(RecentError(self._clock.now(), what))

    def _fresh(self) -> dict[str, LastGood]:
        """Return the readings that are young enough to be shown."""
        return {
            table: state.good
            for table, state in self._states.items()
            if state.good is not None
            and (self._beats[table].lasting or self._is_young(state.good, self._beats[table]))
        }

    def _is_young(self, good: LastGood, beat: TableSchedule) -> bool:
        return self._elapsed() - good.at < self._plan.stale_after_polls * beat.every_seconds

    async def _show(self) -> None:
        """Draw the picture and hand it on, off the event loop."""
        async with self._publishing:
            fresh = self._fresh()
            self.inventory, self.report = await run_in_thread(
                self._draw, fresh, self._requests_remaining()
            )
            self._shown = frozenset(fresh)

    def _draw(
        self, fresh: Mapping[str, LastGood], requests_remaining: int
    ) -> tuple[Inventory | None, SystemReport]:
        inventory = self._inventory(fresh)
        report = self._make_report(fresh, inventory, requests_remaining)
        self._publish(inventory, report)
        return inventory, report

    def _inventory(self, fresh: Mapping[str, LastGood]) -> Inventory | None:
        if not fresh:
            return None
        bearing = [fresh[table] for table in self._essential & fresh.keys()] or fresh.values()
        return self._join(
            {table: good.reading.rows for table, good in fresh.items()},
            system_name=self.name,
            identity=self._identity(),
            taken_at=min(good.at_time for good in bearing),
        )

    def _identity(self) -> Identity | None:
        good = self._states[self._plan.identity].good
        return None if good is None else good.reading.rows

    def _make_report(
        self, fresh: Mapping[str, LastGood], inventory: Inventory | None, requests_remaining: int
    ) -> SystemReport:
        return SystemReport(
            system_name=self.name,
            url=self._url,
            identity=self._identity(),
            up=self._essential <= fresh.keys(),
            authenticated=not isinstance(self._lost, UnauthorizedError),
            taken_at=inventory.taken_at if inventory and self._essential & fresh.keys() else None,
            tables=tuple(
                _table_report(self._beats[table], state, fresh=table in fresh)
                for table, state in self._states.items()
            ),
            vms_by_status=_count_words(inventory),
            requests_remaining=requests_remaining,
            requests_per_hour=round(requests_per_hour(self._plan.table_schedules)),
            recent_errors=tuple(self._recent_errors),
        )


def _table_report(beat: TableSchedule, state: _State, *, fresh: bool) -> TableReport:
    good = state.good
    return TableReport(
        table=beat.table,
        every_seconds=beat.every_seconds,
        success=state.error is None if state.tried else None,
        fresh=fresh,
        last_success_at=good.at_time if good else None,
        duration_seconds=state.duration_seconds,
        rows=good.reading.count if good else None,
        rows_skipped=good.reading.skipped if good else None,
        failures_total=state.failures_total,
        rows_skipped_total=state.rows_skipped_total,
        error=str(state.error) if state.error else None,
    )


def _count_words(inventory: Inventory | None) -> dict[str, int]:
    if inventory is None:
        return {}
    return Counter(vm.status.word if vm.status else "unknown" for vm in inventory.vms)

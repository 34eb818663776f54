"""
Poll one system: read its tables when they are due, and publish its newest inventory.

Each table succeeds or fails on its own. A failed poll keeps the last good rows, with their age;
rows that become stale leave the inventory, so that the metrics never show outdated values.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any, Protocol

from exporter.clock import Clock
from exporter.errors import (
    AbsentError,
    BudgetSpentError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
)
from exporter.executor import run_in_thread
from exporter.model import (
    IDENTITY,
    Identity,
    Inventory,
    PollResult,
    SystemReport,
)
from exporter.polling.plan import Plan
from exporter.polling.poll_log import PollLog
from exporter.polling.poll_result import poll_result
from exporter.polling.schedule import TableSchedule, requests_per_hour
from exporter.polling.state import LastGood, TableRows
from exporter.polling.status_watch import StatusWatch
from exporter.polling.table_states import TableStates
from exporter.status_updates import STATUS

UNREACHABLE_LIMIT = 2
"""Requests in a row without an answer after which the poll is given up."""
FATAL = (AbsentError, UnauthorizedError, BudgetSpentError, ThrottledError)
"""After one of these, every other request would fail in the same way."""
EXPIRY_CHECK_SECONDS = 1.0
NAME_RETRY_SECONDS = 120.0
"""The longest pause before the name is asked for again, while the series of VMs wait for it."""

Publish = Callable[[Inventory | None, SystemReport], None]
"""Receives each new inventory; called in a worker thread, one call at a time."""


class Source(Protocol):
    """Reads tables."""

    async def read(self, name: str, /) -> TableRows[Any]: ...


class Join(Protocol):
    """Makes an inventory of tables."""

    def __call__(
        self,
        rows: Mapping[str, Any],
        /,
        *,
        system_name: str,
        identity: Identity | None,
        taken_at: datetime,
    ) -> Inventory: ...


class _Spent:
    """How long the tables of one poll took to read, in seconds."""

    def __init__(self) -> None:
        self.essential = 0.0
        self.other: float | None = None
        """Of the other tables; None until one of them was read."""

    def add(self, seconds: float, *, is_essential: bool) -> None:
        if is_essential:
            self.essential += seconds
        else:
            self.other = (self.other or 0.0) + seconds


class Poller:
    """
    Polls one system.

    Args:
        name: The system's name.
        named: Whether *name* is final or remembered. While it only stands in for a name that is
            not known yet, no inventory is published: its series would move to another name.
        url: Its address without credentials, for display.
        rename: Called with each name that the system reports, which is empty if it reports none;
            returns the name to use.
        requests_remaining: Returns the rest of this hour's request budget.
        on_poll: Called after each poll of the essential tables, failed ones included.
        former: The poller of the same system by other settings. Its last good rows are published
            until they are stale or read again.

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
        named: bool = False,
        on_poll: Callable[[PollResult], None] | None = None,
        former: "Poller | None" = None,
    ) -> None:
        self.name = name
        self._named = named
        self.source = source
        self._join = join
        self._publish = publish
        self._next: tuple[Source, Plan] | None = None
        """What to poll from the next poll on, if that has changed."""
        self._nap: asyncio.Future[None] | None = None
        self._url = url
        self._clock = clock
        self._rename = rename
        self._requests_remaining = requests_remaining
        self._on_poll = on_poll
        self._began = clock.monotonic()
        self.plan = plan
        self.tables = TableStates(url, plan)
        self._inherited: TableStates | None = None
        """The tables of the system at another address, shown until this one has answered."""
        self._is_named_by_itself = named
        self._log = PollLog(name, clock)
        self._unanswered = 0
        self._publishing = asyncio.Lock()
        self._published: frozenset[str] = frozenset()
        self._status_watch = StatusWatch(plan)
        self.inventory: Inventory | None = None
        if former is not None:
            self._take_over(former)
        self.report = self._make_report(self._fresh(), self.inventory, requests_remaining())

    def use(self, source: Source, plan: Plan) -> None:
        """Poll by another *plan* from the next poll on, which comes as soon as it asks for."""
        self._next = source, plan
        if self._nap is not None:
            self._nap.cancel()

    def retry_refused(self, *, in_seconds: float) -> None:
        """Read the tables again that a refused login has kept from being read."""
        self.tables.ask_refused(at=self._elapsed() + in_seconds)
        if self._nap is not None:
            self._nap.cancel()

    def _follow_next(self) -> None:
        """Put a changed plan in force; the rows of each table that is still polled stay."""
        if self._next is None:
            return
        (self.source, self.plan), self._next = self._next, None
        self.tables.follow(self.plan, now=self._elapsed())
        if self.plan.refit is not None:
            self.tables.fit(self.plan.refit(), now=self._elapsed())
        self._status_watch.use(self.plan)

    def _take_over(self, former: "Poller") -> None:
        """Continue with the last good rows of *former*, and ask for all rows again."""
        self._began = former._began  # noqa: SLF001 - same class
        if former.name == self.name:
            self._named = self._named or former._named  # noqa: SLF001
        self._status_watch = former._status_watch  # noqa: SLF001
        self._status_watch.use(self.plan)
        self.inventory, shown = former.inventory, former._shown  # noqa: SLF001
        if shown.url == self._url:
            self.tables.inherit(shown, now=self._elapsed())
        else:
            self._inherited = shown

    @property
    def _shown(self) -> TableStates:
        """The tables whose rows are published: never of two addresses at once."""
        return self._inherited or self.tables

    @property
    def _has_name(self) -> bool:
        """Whether the name of the system at this address is known, whichever rows are shown."""
        return self._named if self._inherited is None else self._is_named_by_itself

    def _drop_inherited(self) -> None:
        """Show the rows of this address once it has answered, or those of the other are stale."""
        if self._inherited is None:
            return
        tables = self.tables
        answers = any(tables.good(one) is not None for one in tables.essential)
        if not answers and not tables.essential.isdisjoint(self._fresh()):
            return
        self._inherited = None
        self._status_watch = StatusWatch(self.plan)
        self._named = self._is_named_by_itself
        if tables.identity is not None:
            self._learn_name(tables.identity)
        elif self._named:
            self.name = self._rename("")

    async def run(self) -> None:
        """Poll until cancelled."""
        await self._publish_now()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._poll_forever(), name=f"poll {self._url}")
            tasks.create_task(self._expire_forever(), name=f"expire {self._url}")

    async def poll(self) -> None:
        """Read every table that is due, working ones first, and publish the inventory."""
        self._follow_next()
        tables = self.tables
        due, before = self._due(), tables.all()
        polls_essential = not tables.essential.isdisjoint(due)
        lost: VergeOSError | None = None
        spent = _Spent()
        while due and lost is None and self._next is None:
            table, began = due.pop(0), self._elapsed()
            is_essential = table in tables.essential
            if not (is_essential or self._has_time(table, spent, due)):
                due = [one for one in due if one in tables.essential]
                continue
            await self._read(table)
            spent.add(self._elapsed() - began, is_essential=is_essential)
            lost = self._why_lost(table)
        if lost is not None:
            for table in due:  # their requests would fail in the same way
                self._fail(table, lost, duration_seconds=None)
        is_cut_short = (
            self._next is not None and lost is None and not tables.essential.isdisjoint(due)
        )
        if not is_cut_short:
            self._drop_inherited()
        self._log.name = self.name
        self._log.polled(before, tables.all(), lost)
        if tables.essential <= self._fresh().keys():
            self._log.named(self._unnamed_because())
        tables.ask_rest_after_outage(before, (UnreachableError, *FATAL), now=self._elapsed())
        self._refit()
        await self._publish_now()
        if polls_essential and not is_cut_short and self._on_poll is not None:
            unnamed, clock = self._unnamed_because(), self._clock
            self._on_poll(poll_result(tables, self.inventory, unnamed, clock, self._began))

    def _has_time(self, table: str, spent: _Spent, due: Sequence[str]) -> bool:
        """
        Return whether *table* may be read before the essential tables are read again.

        Where these take long, at least one of the others is read in each poll, and more of them in
        half of the time, as long as the rows of the essential tables do not get stale.

        Args:
            due: The tables that are read after it in any case.

        """
        now, tables = self._elapsed(), self.tables
        if spent.other is None or not tables.is_essential_due(now=now, besides=due):
            return True
        seconds = tables[table].duration_seconds or 0.0
        stays_fresh = tables.fresh(now=now + seconds + spent.essential).keys()
        return spent.other + seconds <= spent.essential and tables.essential <= stays_fresh

    def _refit(self) -> None:
        """Use the schedules that fit what the tables need by now."""
        if self.plan.refit is None:
            return
        before = self.tables.schedules
        self.tables.fit(self.plan.refit(), now=self._elapsed())
        if self.tables.schedules != before:
            self._log.schedule_changed(before, self.tables.schedules)

    def besides(self) -> Sequence[TableSchedule]:
        """Return the regular reads of recovery."""
        tables = self.tables
        return self.plan.besides(
            min(tables.schedules[table].every_seconds for table in tables.essential)
        )

    async def expire(self) -> None:
        """Publish the inventory again if a table has just become stale."""
        if self._fresh().keys() != self._published:
            await self._publish_now()

    def _why_lost(self, table: str) -> VergeOSError | None:
        """Return why, after reading *table*, no other table can be read; None if they can."""
        error = self.tables[table].error
        self._unanswered = self._unanswered + 1 if isinstance(error, UnreachableError) else 0
        unreachable = self._unanswered >= UNREACHABLE_LIMIT and table in self.tables.essential
        return error if unreachable or isinstance(error, FATAL) else None

    async def _poll_forever(self) -> None:
        while True:
            await self.poll()
            if self._next is None:
                await self._sleep(self.seconds_to_next_poll)

    @property
    def seconds_to_next_poll(self) -> float:
        """The time until the next table is due; it may be over."""
        return self.tables.next_due - self._elapsed()

    async def _sleep(self, seconds: float) -> None:
        """Sleep until the next poll is due, or the plan changes."""
        self._nap = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait([self._nap])
        finally:
            self._nap.cancel()

    async def _expire_forever(self) -> None:
        while True:
            await self._clock.sleep(EXPIRY_CHECK_SECONDS)
            await self.expire()

    def _elapsed(self) -> float:
        """Return the seconds since polling began."""
        return self._clock.monotonic() - self._began

    def _due(self) -> list[str]:
        essential = self.tables.essential
        first = essential if self._has_name else essential | {IDENTITY}
        return self.tables.due(now=self._elapsed(), first=first)

    async def _read(self, table: str) -> None:
        asked, asked_time = self._elapsed(), self._clock.now()
        try:
            rows = await self.source.read(table)
        except VergeOSError as error:
            error.__context__ = None
            kept = error.with_traceback(None)  # its frames hold large answers
            self._fail(table, kept, duration_seconds=self._elapsed() - asked)
            return
        self.tables.succeeded(table, rows, asked=asked, asked_time=asked_time, now=self._elapsed())
        if table == IDENTITY and self._inherited is None:
            self._learn_name(rows.rows)

    def _fail(self, table: str, error: VergeOSError, *, duration_seconds: float | None) -> None:
        waits_for_name = table == IDENTITY and not self._has_name
        self.tables.failed(
            table,
            error,
            now=self._elapsed(),
            duration_seconds=duration_seconds,
            retry_within_seconds=NAME_RETRY_SECONDS if waits_for_name else inf,
        )

    def _learn_name(self, identity: Identity) -> None:
        self.name = self._rename(identity.cloud_name)
        self._named = True

    def _unnamed_because(self) -> str:
        """Return why the name is not known yet; empty once it is."""
        if self._named:
            return ""
        error = self.tables[IDENTITY].error
        return f"the name of the system is not known yet: {error or 'it was not read'}"

    def _fresh(self) -> dict[str, LastGood]:
        """Return the rows that are published."""
        return self._shown.fresh(now=self._elapsed())

    async def _publish_now(self) -> None:
        """Build the inventory and publish it, off the event loop."""
        async with self._publishing:
            fresh = self._fresh()
            self.inventory, self.report = await run_in_thread(
                self._build, fresh, self._requests_remaining()
            )
            self._published = frozenset(fresh)
            self._log.frozen(self.inventory)

    def _build(
        self, fresh: Mapping[str, LastGood], requests_remaining: int
    ) -> tuple[Inventory | None, SystemReport]:
        inventory = None
        if fresh and self._named:
            dated = [
                fresh[table] for table in self.tables.essential & fresh.keys()
            ] or fresh.values()
            inventory = self._join(
                {table: good.rows.rows for table, good in fresh.items()},
                system_name=self.name,
                identity=self._shown.identity,
                taken_at=min(good.at_time for good in dated),
            )
            if STATUS in fresh:
                inventory = self._status_watch.watched(inventory, asked_at=fresh[STATUS].at)
        report = self._make_report(fresh, inventory, requests_remaining)
        self._publish(self._status_watch.shown(inventory), report)
        return inventory, report

    def _make_report(
        self, fresh: Mapping[str, LastGood], inventory: Inventory | None, requests_remaining: int
    ) -> SystemReport:
        essential = self.tables.essential
        return SystemReport(
            system_name=self.name,
            url=self._url,
            identity=self._shown.identity,
            up=self._named
            and essential <= fresh.keys()
            and not self._status_watch.withdraws_all(inventory),
            authenticated=not isinstance(self._log.lost, UnauthorizedError),
            taken_at=inventory.taken_at if inventory and essential & fresh.keys() else None,
            tables=self.tables.reports(fresh),
            requests_remaining=requests_remaining,
            requests_per_hour=round(
                requests_per_hour([*self.tables.schedules.values(), *self.besides()])
            ),
            recent_errors=tuple(self._log.recent_errors),
            throttled=str(self._log.lost) if isinstance(self._log.lost, ThrottledError) else "",
            named=self._named,
            frozen=inventory.frozen.system if inventory is not None else None,
            stands_by=self.plan.stands_by,
        )

"""
Poll one system: read its tables when they are due, and publish its newest inventory.

Each table succeeds or fails on its own. A failed poll keeps the last good rows, with their age;
rows that become stale leave the inventory, so that the metrics never show outdated values.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any, NamedTuple, Protocol

import msgspec

from exporter.clock import Clock
from exporter.errors import (
    AbsentError,
    BudgetSpentError,
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
from exporter.polling.poll_log import PollLog
from exporter.polling.schedule import TableSchedule, next_due, requests_per_hour, retry_due
from exporter.polling.state import LastGood, TableRows, TableState
from exporter.polling.status_watch import StatusWatch
from exporter.status_updates import STATUS

UNREACHABLE_LIMIT = 2
"""Requests in a row without an answer after which the poll is given up."""
FATAL = (AbsentError, UnauthorizedError, BudgetSpentError)
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


class Plan(NamedTuple):
    """What to poll, and how often."""

    schedules: Sequence[TableSchedule]
    stale_after_polls: float
    """Intervals after which a table's last good rows are stale."""
    frozen_after_seconds: float = inf
    """Seconds without an update after which the status of VMs is frozen."""
    withdraws_frozen: bool = False
    """Whether a frozen status is published no longer."""


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
    ) -> None:
        self.name = name
        self._named = named
        self._source = source
        self._join = join
        self._publish = publish
        self._plan = plan
        self._url = url
        self._clock = clock
        self._rename = rename
        self._requests_remaining = requests_remaining
        self._on_poll = on_poll
        self._began = clock.monotonic()
        self._schedules = {schedule.table: schedule for schedule in plan.schedules}
        self._essential = frozenset(
            schedule.table for schedule in plan.schedules if schedule.essential
        )
        self._base_seconds = min(schedule.every_seconds for schedule in plan.schedules)
        self._states = {schedule.table: TableState(due=0.0) for schedule in plan.schedules}
        self._log = PollLog(name, clock)
        self._unanswered = 0
        self._publishing = asyncio.Lock()
        self._published: frozenset[str] = frozenset()
        self._status_watch = StatusWatch(plan.frozen_after_seconds, withdraws=plan.withdraws_frozen)
        self.inventory: Inventory | None = None
        self.report = self._make_report({}, None, requests_remaining())

    async def run(self) -> None:
        """Poll until cancelled."""
        await self._publish_now()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._poll_forever(), name=f"poll {self._url}")
            tasks.create_task(self._expire_forever(), name=f"expire {self._url}")

    async def poll(self) -> None:
        """Read every table that is due, working ones first, and publish the inventory."""
        due = self._due()
        polls_essential = not self._essential.isdisjoint(due)
        before = dict(self._states)
        lost: VergeOSError | None = None
        while due and lost is None and not self._overtaken(due):
            table = due.pop(0)
            await self._read(table)
            lost = self._why_lost(table)
        if lost is not None:
            for table in due:  # their requests would fail in the same way
                self._fail(table, lost, duration_seconds=None)
        self._log.name = self.name
        self._log.polled(before, self._states, lost)
        if self._essential <= self._fresh().keys():
            self._log.named(self._unnamed_because())
        self._poll_rest_after_outage(before)
        await self._publish_now()
        if polls_essential and self._on_poll is not None:
            self._on_poll(self._poll_result())

    def _poll_result(self) -> PollResult:
        """Return the result of the last poll of the essential tables."""
        states = [self._states[table] for table in sorted(self._essential)]
        goods = [state.good for state in states if state.good is not None]
        problems = [str(state.error) for state in states if state.error is not None]
        problems += filter(None, [self._unnamed_because()])
        failed = PollResult(
            asked_at=self._clock.monotonic(),
            time=self._clock.now(),
            took_seconds=0.0,
            every_seconds=max(self._schedules[table].every_seconds for table in self._essential),
            inventory=None,
            rows_skipped=sum(good.rows.skipped for good in goods),
            problem="; ".join(dict.fromkeys(problems)),
        )
        if problems or len(goods) < len(states):
            return failed
        asked = min(good.at for good in goods)
        answered = max(one.good.at + (one.duration_seconds or 0.0) for one in states if one.good)
        return failed._replace(
            asked_at=self._began + asked,
            time=min(good.at_time for good in goods),
            took_seconds=answered - asked,
            inventory=self.inventory,
        )

    async def expire(self) -> None:
        """Publish the inventory again if a table has just become stale."""
        if self._fresh().keys() != self._published:
            await self._publish_now()

    def _overtaken(self, due: Sequence[str]) -> bool:
        """Return whether an essential table that is not in *due* has become due meanwhile."""
        now = self._elapsed()
        return any(self._states[table].due <= now for table in self._essential if table not in due)

    def _why_lost(self, table: str) -> VergeOSError | None:
        """Return why, after reading *table*, no other table can be read; None if they can."""
        error = self._states[table].error
        self._unanswered = self._unanswered + 1 if isinstance(error, UnreachableError) else 0
        unreachable = self._unanswered >= UNREACHABLE_LIMIT and table in self._essential
        return error if unreachable or isinstance(error, FATAL) else None

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
        """Return the seconds since polling began."""
        return self._clock.monotonic() - self._began

    def _due(self) -> list[str]:
        """Return the tables to read now; failing ones come last."""
        now = self._elapsed()
        due = [table for table, state in self._states.items() if state.due <= now]
        first = self._essential if self._named else self._essential | {IDENTITY}
        return sorted(due, key=lambda table: (self._states[table].failures, table not in first))

    async def _read(self, table: str) -> None:
        started, started_time = self._elapsed(), self._clock.now()
        try:
            rows = await self._source.read(table)
        except VergeOSError as error:
            error.__context__ = None
            kept = error.with_traceback(None)  # its frames hold large answers
            self._fail(table, kept, duration_seconds=self._elapsed() - started)
            return
        now = self._elapsed()
        state = self._states[table]
        self._states[table] = msgspec.structs.replace(
            state,
            due=next_due(self._schedules[table], now=now),
            good=LastGood(rows, started, started_time),
            failures=0,
            error=None,
            duration_seconds=now - started,
            rows_skipped_total=state.rows_skipped_total + rows.skipped,
        )
        if table == IDENTITY:
            self._learn_name(rows.rows)

    def _fail(self, table: str, error: VergeOSError, *, duration_seconds: float | None) -> None:
        state = self._states[table]
        due = retry_due(
            self._schedules[table],
            failures=state.failures + 1,
            now=self._elapsed(),
            base_seconds=self._base_seconds,
        )
        if table == IDENTITY and not self._named:
            due = min(due, self._elapsed() + NAME_RETRY_SECONDS)
        self._states[table] = msgspec.structs.replace(
            state,
            due=due,
            failures=state.failures + 1,
            error=error,
            duration_seconds=duration_seconds,
            failures_total=state.failures_total + 1,
        )

    def _learn_name(self, identity: Identity) -> None:
        self.name = self._rename(identity.cloud_name)
        self._named = True

    def _unnamed_because(self) -> str:
        """Return why the name is not known yet; empty once it is."""
        if self._named:
            return ""
        error = self._states[IDENTITY].error
        return f"the name of the system is not known yet: {error or 'it was not read'}"

    def _poll_rest_after_outage(self, before: Mapping[str, TableState]) -> None:
        """After an outage, make the tables due at once that were not read in this poll."""
        temporary = (UnreachableError, *FATAL)
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

    def _fresh(self) -> dict[str, LastGood]:
        """Return the last good rows that are not stale."""
        return {
            table: state.good
            for table, state in self._states.items()
            if state.good is not None
            and (
                self._schedules[table].keeps_stale_rows
                or self._elapsed() - state.good.at
                < self._plan.stale_after_polls * self._schedules[table].every_seconds
            )
        }

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
            dated = [fresh[table] for table in self._essential & fresh.keys()] or fresh.values()
            inventory = self._join(
                {table: good.rows.rows for table, good in fresh.items()},
                system_name=self.name,
                identity=self._identity(),
                taken_at=min(good.at_time for good in dated),
            )
            if STATUS in fresh:
                inventory = self._status_watch.watched(inventory, asked_at=fresh[STATUS].at)
        report = self._make_report(fresh, inventory, requests_remaining)
        self._publish(self._status_watch.shown(inventory), report)
        return inventory, report

    def _identity(self) -> Identity | None:
        good = self._states[IDENTITY].good
        return None if good is None else good.rows.rows

    def _make_report(
        self, fresh: Mapping[str, LastGood], inventory: Inventory | None, requests_remaining: int
    ) -> SystemReport:
        return SystemReport(
            system_name=self.name,
            url=self._url,
            identity=self._identity(),
            up=self._named
            and self._essential <= fresh.keys()
            and not self._status_watch.withdraws_all(inventory),
            authenticated=not isinstance(self._log.lost, UnauthorizedError),
            taken_at=inventory.taken_at if inventory and self._essential & fresh.keys() else None,
            tables=tuple(
                state.report(self._schedules[table], fresh=table in fresh)
                for table, state in self._states.items()
            ),
            vms_by_status=_vms_by_status(inventory),
            requests_remaining=requests_remaining,
            requests_per_hour=round(requests_per_hour(self._plan.schedules)),
            recent_errors=tuple(self._log.recent_errors),
            named=self._named,
            frozen=inventory.frozen.system if inventory is not None else None,
        )


def _vms_by_status(inventory: Inventory | None) -> Mapping[str, int]:
    vms = inventory.vms if inventory is not None else ()
    return Counter(vm.status.word if vm.status else "unknown" for vm in vms)

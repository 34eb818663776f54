"""The states of one system's tables: when each is due, how its reads went, which rows are fresh."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any

import msgspec

from exporter.errors import ThrottledError, UnauthorizedError, VergeOSError
from exporter.model import IDENTITY, Identity, TableReport
from exporter.polling.plan import Plan
from exporter.polling.schedule import TRIES_PER_FAILURE, TableSchedule, next_due, retry_due
from exporter.polling.state import LastGood, TableRows, TableState

SHORTEST_WAIT_SECONDS = 0.1
"""A wait that is almost over, by the rounding of times, is not waited for in a loop."""


class TableStates:
    """
    The tables of the system at one address.

    Times are in seconds since polling began. The caller passes them, reads, and reports.

    Args:
        url: The address.

    """

    def __init__(self, url: str, plan: Plan) -> None:
        self.url = url
        self.schedules: dict[str, TableSchedule] = {}
        self._states: dict[str, TableState] = {}
        self.follow(plan, now=0.0)

    def follow(self, plan: Plan, *, now: float) -> None:
        """Poll the tables of *plan* from now on; rows of a table that is still polled stay."""
        schedules = plan.schedules
        self.essential = frozenset(one.table for one in schedules if one.essential)
        self._base_seconds = min(one.every_seconds for one in schedules)
        self._stale_after_polls = plan.stale_after_polls
        known = self._states
        self._states = {one.table: known.get(one.table, TableState(due=now)) for one in schedules}
        self.fit(schedules, now=now)

    def fit(self, schedules: Iterable[TableSchedule], *, now: float) -> None:
        """Poll the same tables by other *schedules*."""
        before, self.schedules = self.schedules, {one.table: one for one in schedules}
        for table, after in self.schedules.items():
            if table in before and before[table].grid != after.grid:
                self._states[table] = rescheduled(self._states[table], after, now=now)

    def inherit(self, other: "TableStates", *, now: float) -> None:
        """Take over the last good rows of *other*, and ask for all rows again."""
        for table in self._states:
            if (good := other.good(table)) is not None:
                self._states[table] = TableState(due=now, good=good)

    def __getitem__(self, table: str) -> TableState:
        return self._states[table]

    def all(self) -> dict[str, TableState]:
        """Return the present state of each table."""
        return dict(self._states)

    def good(self, table: str) -> LastGood | None:
        """Return the last good rows of *table*, however old."""
        state = self._states.get(table)
        return None if state is None else state.good

    @property
    def identity(self) -> Identity | None:
        """The system's last known name and version, however old."""
        good = self.good(IDENTITY)
        return None if good is None else good.rows.rows

    def fresh(self, *, now: float) -> dict[str, LastGood]:
        """Return the last good rows that are not stale."""
        return {
            table: state.good
            for table, state in self._states.items()
            if state.good is not None
            and (
                self.schedules[table].keeps_stale_rows
                or now - state.good.at
                < self._stale_after_polls * self.schedules[table].every_seconds
            )
        }

    def due(self, *, now: float, first: Iterable[str]) -> list[str]:
        """
        Return the tables to read now: those in *first* first, and of the others the longest due.

        Failing ones come last, unless they have waited for so long that they might never be read.
        """
        early = frozenset(first)

        def order(table: str) -> tuple[int, bool, float]:
            state = self._states[table]
            has_waited = now - state.due > self.schedules[table].every_seconds
            is_late = table not in early
            return 0 if has_waited else state.failures, is_late, state.due if is_late else 0.0

        return sorted((one for one, state in self._states.items() if state.due <= now), key=order)

    @property
    def next_due(self) -> float:
        """When the next table is due; it may be over."""
        return min(state.due for state in self._states.values())

    def is_essential_due(self, *, now: float, besides: Sequence[str]) -> bool:
        """Return whether an essential table is due that is not one of *besides*."""
        return any(self._states[one].due <= now for one in self.essential if one not in besides)

    def succeeded(
        self, table: str, rows: TableRows[Any], *, asked: float, asked_time: datetime, now: float
    ) -> None:
        """Note the answer to a read of *table*."""
        state = self._states[table]
        self._states[table] = msgspec.structs.replace(
            state,
            due=next_due(self.schedules[table], now=now),
            good=LastGood(rows, asked, asked_time),
            failures=0,
            error=None,
            duration_seconds=now - asked,
            rows_skipped_total=state.rows_skipped_total + rows.skipped,
        )

    def failed(
        self,
        table: str,
        error: VergeOSError,
        *,
        now: float,
        duration_seconds: float | None,
        retry_within_seconds: float = inf,
    ) -> None:
        """Note that *table* could not be read; *duration_seconds* is None if it was not tried."""
        state, schedule = self._states[table], self.schedules[table]
        failures = state.failures + 1
        due = retry_due(schedule, failures=failures, now=now, base_seconds=self._base_seconds)
        if isinstance(error, ThrottledError):
            # Until then a retry costs no request, and its failure tells recovery of the outage.
            due = min(due, now + max(error.wait_seconds, SHORTEST_WAIT_SECONDS))
        self._states[table] = msgspec.structs.replace(
            state,
            due=min(due, now + retry_within_seconds),
            failures=failures,
            error=error,
            duration_seconds=duration_seconds,
            failures_total=state.failures_total + 1,
        )

    def ask_rest_after_outage(
        self,
        before: Mapping[str, TableState],
        temporary: tuple[type[VergeOSError], ...],
        *,
        now: float,
    ) -> None:
        """After an outage, make the tables due at once that were not read since *before*."""
        answers_again = any(
            isinstance(before[table].error, temporary) and state.error is None
            for table, state in self._states.items()
        )
        if not answers_again:
            return
        for table, state in self._states.items():
            not_asked_now = state is before[table]
            if not_asked_now and isinstance(state.error, temporary):
                self._states[table] = msgspec.structs.replace(state, due=now)

    def ask_refused(self, *, at: float) -> None:
        """Make the tables that could not be read for want of a login due *at* then, or earlier."""
        for table, state in self._states.items():
            if isinstance(state.error, UnauthorizedError):
                self._states[table] = msgspec.structs.replace(state, due=min(state.due, at))

    def reports(self, fresh: Mapping[str, LastGood]) -> tuple[TableReport, ...]:
        """Return the state of each table for display; *fresh* are the rows that are shown."""
        return tuple(
            msgspec.structs.replace(state, good=fresh.get(table, state.good)).report(
                self.schedules[table], fresh=table in fresh
            )
            for table, state in self._states.items()
        )


def rescheduled(state: TableState, schedule: TableSchedule, *, now: float) -> TableState:
    """
    Return *state* of a table that has another *schedule* from *now* on.

    A working table is due at the turn nearest to one interval after its last read. That depends on
    no earlier schedule: one that changes again and again puts no read off for ever.
    """
    if state.due <= now or (state.good is None and not state.failures):
        return state  # to be read at once, or for the first time
    if state.failures or state.good is None:
        due = min(state.due, now + TRIES_PER_FAILURE * schedule.every_seconds)
    else:
        due = next_due(schedule, now=state.good.at + schedule.every_seconds / 2)
    return msgspec.structs.replace(state, due=due)

"""The log of one system's polling: what begins to fail, what works again, each once."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from exporter.clock import Clock
from exporter.errors import VergeOSError
from exporter.formatting import counted
from exporter.model import Inventory, RecentError
from exporter.polling.schedule import TableSchedule, requests_per_hour
from exporter.polling.state import TableRows, TableState

log = structlog.get_logger()

RECENT_ERRORS_KEPT = 10
UNKNOWN_STATUSES_LOGGED = 50


class PollLog:
    """
    Logs changes of one system's polling and keeps the most recent errors for the console.

    Args:
        name: The system's name; may change.

    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._waits_for_name = False
        self._frozen_nodes: frozenset[int | None] = frozenset()
        self._failing: set[str] = set()
        """Tables whose failure was logged, so that their recovery will be."""
        self._unknown_statuses: set[str] = set()
        self._skipped_fields: set[tuple[str, str]] = set()
        """Tables and fields of which a value that could not be read was logged."""
        self._recent_errors: deque[RecentError] = deque(maxlen=RECENT_ERRORS_KEPT)
        self.lost: VergeOSError | None = None
        """Why no table of the system can be polled at present."""

    @property
    def recent_errors(self) -> Sequence[RecentError]:
        """The last errors, newest first."""
        return tuple(self._recent_errors)

    def polled(
        self,
        before: Mapping[str, TableState],
        after: Mapping[str, TableState],
        lost: VergeOSError | None,
    ) -> None:
        """Log what a poll changed; *lost* is why no table could be polled, if so."""
        self._log_system(before, after, lost)
        failing: dict[str, list[str]] = {}
        recovered: list[str] = []
        for table, state in after.items():
            if state.error is None and table in self._failing:
                recovered.append(table)
            elif state.error is not None and state is not before[table] and self._is_news(table):
                failing.setdefault(str(state.error), []).append(table)
            if state.good is not None and state.good is not before[table].good:
                last = before[table].good
                self._log_rows(table, state.good.rows, last.rows if last else None)
        for error, tables in failing.items():
            log.warning("table.failing", system=self.name, tables=tables, error=error)
            self._note(error)
            self._failing.update(tables)
        if recovered:
            log.info("table.recovered", system=self.name, tables=recovered)
            self._failing.difference_update(recovered)

    def named(self, unknown_because: str) -> None:
        """Log when the inventory begins to wait for the system's name, and when it is known."""
        if unknown_because and not self._waits_for_name:
            log.warning(
                "system.name_unknown",
                system=self.name,
                error=unknown_because,
                effect="its VMs are neither exported nor recovered until the name is known",
                advice="set the name of this system to one that you choose",
            )
            self._note(unknown_because)
        elif self._waits_for_name and not unknown_because:
            log.info("system.named", system=self.name)
        self._waits_for_name = bool(unknown_because)

    def frozen(self, inventory: Inventory | None) -> None:
        """Log on which nodes the status of VMs begins to be frozen, and where it no longer is."""
        if inventory is None or inventory.frozen.system is None:
            return
        frozen, before = inventory.frozen.nodes, self._frozen_nodes
        self._frozen_nodes = frozen
        if begun := _node_names(frozen - before, inventory):
            text = "VergeOS no longer updates the status of the VMs on"
            log.warning("status.frozen", system=self.name, nodes=begun)
            self._note(f"{text} {', '.join(begun)}")
        if ended := _node_names(before - frozen, inventory):
            log.info("status.updated_again", system=self.name, nodes=ended)

    def _log_system(
        self,
        before: Mapping[str, TableState],
        after: Mapping[str, TableState],
        lost: VergeOSError | None,
    ) -> None:
        """Log when the whole system stops answering and when it answers again."""
        if lost is not None:
            if self.lost is None:
                log.warning("system.lost", system=self.name, error=str(lost))
                self._note(str(lost))
            self.lost = lost
        elif self.lost is not None and any(
            state.good is not before[table].good for table, state in after.items()
        ):
            log.info("system.recovered", system=self.name)
            self.lost = None

    def schedule_changed(
        self, before: Mapping[str, TableSchedule], after: Mapping[str, TableSchedule]
    ) -> None:
        """Log that tables need more or fewer requests than before, and are polled accordingly."""
        intervals = {
            table: one.every_seconds
            for table, one in after.items()
            if one.every_seconds != before[table].every_seconds
        }
        needed = round(requests_per_hour(after.values()))
        write = log.warning if any(after[table].fixed for table in intervals) else log.info
        write(
            "schedule.changed", system=self.name, requests_per_hour=needed, every_seconds=intervals
        )

    def _is_news(self, table: str) -> bool:
        return self.lost is None and table not in self._failing

    def _log_rows(self, table: str, rows: TableRows[Any], last: TableRows[Any] | None) -> None:
        if rows.skipped and not (last and last.skipped):
            log.warning(
                "table.rows_skipped",
                system=self.name,
                table=table,
                skipped=rows.skipped,
                first=rows.problem,
            )
            self._note(f"{counted(rows.skipped, 'row')} skipped; the first: {rows.problem}")
        for field, (number, problem) in rows.skipped_values.items():
            if (table, field) not in self._skipped_fields:
                self._skipped_fields.add((table, field))
                log.warning(
                    "table.fields_skipped",
                    system=self.name,
                    table=table,
                    field=field,
                    skipped=number,
                    first=problem,
                )
                self._note(f"values of {field} cannot be read; the first: {problem}")
        left = max(0, UNKNOWN_STATUSES_LOGGED - len(self._unknown_statuses))
        for word in sorted(rows.unknown_words - self._unknown_statuses)[:left]:
            self._unknown_statuses.add(word)
            log.warning("table.unknown_status", system=self.name, table=table, status=word)
            self._note(f"{table}: the status {word!r} is unknown to this version")

    def _note(self, error: str) -> None:
        self._recent_errors.appendleft(RecentError(self._clock.now(), error))


def _node_names(keys: Iterable[int | None], inventory: Inventory) -> list[str]:
    nodes = inventory.nodes
    known = {key: nodes[key].name for key in keys if key is not None and key in nodes}
    return sorted(known.get(key or 0, f"node {key or '?'}") for key in keys)

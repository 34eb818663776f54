"""
Follows VergeOS' two logs of one system, and keeps the rows that may explain why a VM is down.

Each read asks for the rows from a known row on, that row included: only an answer that has it is
complete. What one request brings serves every VM, so their number does not depend on VMs.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import takewhile
from math import ceil
from typing import Any, NamedTuple

from msgspec.structs import replace

from exporter.errors import VergeOSError
from exporter.recovery.detect.context import Evidence
from exporter.recovery.model.cases import Case, ObservedState
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import (
    LogPosition,
    LogReading,
    LogRow,
    LogTable,
    PositionRead,
)
from exporter.recovery.model.ports import Platform

FIRST_ROWS = 1000
"""Rows of each log that the first read asks for."""
MAX_ROWS = 10_000
"""Rows of each log that any other read asks for."""
MAX_EVIDENCE_ROWS = 500
"""Rows that are kept for one VM that is down."""
JITTER_SECONDS = 1.0
"""A read that is due by so much earlier is not left to the next poll."""
RETRIES = 4
"""Reads within the interval while they fail."""
SINGLE_OBJECTS = frozenset(
    {
        "vnet", "user", "group", "permission", "file", "smtp", "site", "cloud_snapshots",
        "catalog_repository", "oidc_application",
    }
)  # fmt: skip
"""Types of objects in ``logs`` that are no VM and run none."""
RUN_VMS = ("vm", "node", "cluster")

Subject = tuple[str, str | int]
"""What a row is about: ``("machine", key)``, or an object's type and name."""
MANY: Subject = ("", "")
"""The subject of rows that name no single object."""


class _Kept(NamedTuple):
    """The rows that are kept for one VM that is down."""

    subjects: AbstractSet[Subject]
    places: AbstractSet[Subject]
    """Its node and its cluster, which are among them."""
    since: LogPosition
    down: LogPosition | None
    """From where on rows about the places are left out: they came after the VM was down."""
    rows: list[LogRow]
    """By log and key."""
    is_cut: bool
    """Whether rows before these had been forgotten, or left out of those that may matter now."""
    memo: dict[str, Any]
    """What the diagnosis made of the rows."""


class LogTail:
    """
    The newest rows of both logs, and the rows kept for the VMs that are down.

    Args:
        platform: Reads the logs.
        limits: The limits of recovery.

    """

    def __init__(self, platform: Platform, limits: Limits) -> None:
        self._platform = platform
        self._limits = limits
        self._tables = {table: _TableTail() for table in LogTable}
        self._kept: dict[str, _Kept] = {}
        self._kept_by_subject: dict[Subject, set[str]] = defaultdict(set)
        self._resumes_from: LogPosition | None = None
        self.positions: tuple[PositionRead, ...] = ()
        """Oldest first."""
        self.read_at = float("-inf")
        self.problem = ""
        """Why the logs could not be read; empty when they were."""
        self.problems: Mapping[LogTable, str] = {}
        """Why a log could not be read, or may lack rows."""
        self._known: LogPosition | None = None
        """What an earlier process had read."""
        self._new_rows: list[LogRow] = []
        self.is_complete = True
        """Whether the last read had no gap."""
        self._to_record: dict[tuple[LogTable, int], LogRow] = {}
        self._recorded: set[tuple[LogTable, int]] = set()
        """Rows that were taken by `take_evidence`, as far as they are still here."""

    def use(self, limits: Limits) -> None:
        """Change the limits; rows and positions stay, and what was made of the rows does not."""
        self._limits = limits
        for kept in self._kept.values():
            kept.memo.clear()

    def resume(self, positions: Sequence[PositionRead], needed: Iterable[LogPosition]) -> None:
        """
        Continue after an earlier process.

        Args:
            positions: What that process had read.
            needed: From where on rows are needed for the VMs that are down.

        """
        self.positions = tuple(positions)
        self._known = self.newest
        wanted = [*needed, *(one.position for one in positions[:1])]
        if wanted:
            self._resumes_from = LogPosition(
                min(one.machine_logs for one in wanted), min(one.logs for one in wanted)
            )

    @property
    def newest(self) -> LogPosition | None:
        """The newest position that was read; None before the first read."""
        return self.positions[-1].position if self.positions else None

    @property
    def read_before(self) -> float:
        """When the last read but one was; minus infinity if there was none."""
        return self.positions[-2].read_at if len(self.positions) > 1 else float("-inf")

    def is_due(self, *, at: float) -> bool:
        """Return whether the time between two reads is over; it is shorter after a failure."""
        interval = self._limits.log_read_seconds
        wait = interval / RETRIES if self.problem else interval - JITTER_SECONDS
        return at - self.read_at >= wait

    def position_at(self, at: float) -> LogPosition | None:
        """Return the newest position that was read until *at*; None if none was."""
        before = [one.position for one in takewhile(lambda one: one.read_at <= at, self.positions)]
        return before[-1] if before else None

    async def read(
        self, vm_names: AbstractSet[str], *, at: float
    ) -> Sequence[tuple[Subject, LogRow]] | None:
        """
        Read both logs, and keep what concerns the VMs that are down.

        Returns:
            The new rows with their subjects; None if the logs could not be read.

        """
        # Rows may appear shortly after newer ones, so two reads overlap.
        since = self._resumes_from or next((one.position for one in self.positions[-2:]), None)
        self.read_at = at
        readings = await self._read_both(since)
        if self.problem:
            return None
        self.is_complete = all(reading.complete for reading in readings.values())
        self._resumes_from = None
        newest = max((row.at for reading in readings.values() for row in reading.rows), default=0.0)
        new: list[tuple[Subject, LogRow]] = []
        for table, reading in readings.items():
            # The first rows are as old as their times show; any later row is new when it is read.
            dated = [
                replace(row, read_at=at - newest + row.at if since is None else at)
                for row in reading.rows
            ]
            new += self._tables[table].add(reading._replace(rows=dated), vm_names)
        for subject, row in new:
            self._add_to_kept(row, subject)
            if self.positions and (self._known is None or not self._known.includes(row)):
                self._new_rows.append(row)
        self._remember_position(at)
        for tail in self._tables.values():
            tail.forget(self.positions[0].read_at)
        self._recorded = {one for one in self._recorded if one[1] >= self._tables[one[0]].oldest}
        return new

    def take_new_rows(self) -> list[LogRow]:
        """Return the rows that were written since the first read, each of them once."""
        rows, self._new_rows = self._new_rows, []
        return rows

    def take_evidence(self) -> list[LogRow]:
        """Return the rows that were kept for a VM since the last call, each of them once."""
        rows = [row for key, row in self._to_record.items() if key not in self._recorded]
        self._recorded |= self._to_record.keys()
        self._to_record = {}
        return rows

    def evidence(self, case: Case, places: Iterable[Subject]) -> Evidence | None:
        """
        Return what may explain why a VM is down; None while nothing was read.

        Args:
            places: The subjects of its node and cluster.

        """
        if self.read_at == float("-inf"):
            return None
        since = case.log_from
        if since is None:
            gap = "they were not read before it went down"
            return Evidence((), self.read_at, self.problem, gap)
        names = (case.name, *case.former_names)
        places = frozenset(places)
        subjects = {("machine", case.machine), MANY, *places, *(("vm", name) for name in names)}
        kept = self._kept.get(case.uuid)
        # What is done to the node of a VM that hangs may still be why it then goes off.
        down = None if case.observed is ObservedState.HUNG else case.log_down
        wanted = subjects, places, since, down
        if kept is None or (kept.subjects, kept.places, kept.since, kept.down) != wanted:
            kept = self._begin(case.uuid, *wanted)
        gap = ""
        if len(kept.rows) >= MAX_EVIDENCE_ROWS:
            gap = f"more than {MAX_EVIDENCE_ROWS} rows concern it"
        elif kept.is_cut or not all(
            tail.is_unbroken_from(since.key_of(table)) for table, tail in self._tables.items()
        ):
            gap = "they do not show that they go back so far without a gap"
        return Evidence(kept.rows, self.read_at, self.problem, gap, kept.memo)

    def about(self, subjects: Iterable[Subject]) -> Iterator[LogRow]:
        """Return the newest rows about any of *subjects*."""
        for tail in self._tables.values():
            yield from tail.about(subjects)

    def forget_all_but(self, uuids: AbstractSet[str]) -> None:
        """Keep rows only for these VMs."""
        for uuid in self._kept.keys() - uuids:
            self._drop(uuid)

    @property
    def _keep_seconds(self) -> float:
        limits = self._limits
        return limits.log_before_seconds + 3 * limits.log_read_seconds + limits.max_gap_seconds

    async def _read_both(self, since: LogPosition | None) -> dict[LogTable, LogReading]:
        """Return what could be read of each log, and remember the problems."""
        readings, unread = dict[LogTable, LogReading](), dict[LogTable, str]()
        for table in LogTable:
            try:
                readings[table] = await self._read(table, since)
            except VergeOSError as error:
                unread[table] = f"the log cannot be read: {error}"
        gaps = {table: _gap(table, reading) for table, reading in readings.items()}
        self.problem = next(iter(unread.values()), "")
        self.problems = {table: text for table, text in {**gaps, **unread}.items() if text}
        return readings

    async def _read(self, table: LogTable, since: LogPosition | None) -> LogReading:
        key = since.key_of(table) if since is not None else 0
        return await self._platform.log_rows(table, key, MAX_ROWS if key else FIRST_ROWS)

    def _remember_position(self, at: float) -> None:
        newest = LogPosition(*(self._tables[table].newest for table in LogTable))
        if not self.positions:
            self.positions = self._before_the_first_read(at)
        # One older position stays, so that there is always one before the window of evidence.
        window = at - self._keep_seconds
        older = [one for one in self.positions if one.read_at < window]
        self.positions = (*older[-1:], *self.positions[len(older) :], PositionRead(at, newest))

    def _before_the_first_read(self, at: float) -> tuple[PositionRead, ...]:
        """Return a position before the window of log evidence, by the age of the rows alone."""
        # A VM may go down just after the poll that came before this read.
        before = at - self._limits.log_before_seconds - self._limits.inventory_age_seconds
        keys = [self._tables[table].newest_until(before) for table in LogTable]
        return (PositionRead(before, LogPosition(*keys)),) if all(keys) else ()

    def _begin(
        self,
        uuid: str,
        subjects: AbstractSet[Subject],
        places: AbstractSet[Subject],
        since: LogPosition,
        down: LogPosition | None,
    ) -> _Kept:
        """Keep rows for a VM from now on, and those that are still here since *since*."""
        old = self._kept.get(uuid)
        before = old.rows if old is not None else ()
        rows = {(row.table, row.key): row for row in before if not since.includes(row)}
        for tail in self._tables.values():
            for row in tail.about(subjects - places):
                if not since.includes(row):
                    rows[row.table, row.key] = row
            for row in tail.about(places):
                if not since.includes(row) and not _is_after(row, down):
                    rows[row.table, row.key] = row
        if old is None or old.since != since:
            is_cut = self._has_forgotten(since)
        else:
            is_cut = old.is_cut or (old.down != down and self._has_forgotten(old.down))
        self._drop(uuid)
        ordered = [row for _, row in sorted(rows.items())]
        kept = _Kept(subjects, places, since, down, ordered, is_cut, {})
        self._kept[uuid] = kept
        self._to_record |= rows
        for subject in subjects:
            self._kept_by_subject[subject].add(uuid)
        return kept

    def _has_forgotten(self, since: LogPosition | None) -> bool:
        """Return whether rows after *since* are no longer here."""
        return since is not None and any(
            tail.oldest > since.key_of(table) + 1 for table, tail in self._tables.items()
        )

    def _drop(self, uuid: str) -> None:
        kept = self._kept.pop(uuid, None)
        for subject in kept.subjects if kept is not None else ():
            self._kept_by_subject[subject].discard(uuid)
            if not self._kept_by_subject[subject]:
                del self._kept_by_subject[subject]

    def _add_to_kept(self, row: LogRow, subject: Subject) -> None:
        for uuid in self._kept_by_subject.get(subject, ()):
            kept = self._kept[uuid]
            if subject in kept.places and _is_after(row, kept.down):
                continue
            if not kept.since.includes(row) and len(kept.rows) < MAX_EVIDENCE_ROWS:
                insort(kept.rows, row, key=lambda one: (one.table, one.key))
                self._to_record[row.table, row.key] = row


def _is_after(row: LogRow, position: LogPosition | None) -> bool:
    return position is not None and not position.includes(row)


def read_seconds(limits: Limits, poll_seconds: float) -> float:
    """Return the interval between regular reads, which come after a poll."""
    polls = ceil((limits.log_read_seconds - JITTER_SECONDS) / poll_seconds)
    return max(1, polls) * poll_seconds


def subject_of(row: LogRow, vm_names: AbstractSet[str]) -> Subject:
    """Return what *row* is about."""
    if row.table is LogTable.MACHINE_LOGS:
        return ("machine", row.machine) if row.machine is not None else MANY
    is_known = row.object_type != "vm" or row.object_name in vm_names
    if row.object_name and is_known and row.object_type in (*RUN_VMS, *SINGLE_OBJECTS):
        return row.object_type, row.object_name
    return MANY


def _gap(table: LogTable, reading: LogReading) -> str:
    """Return why rows may be missing in an answer; empty if it is complete."""
    if not reading.rows:
        return f"the log {table} has no rows: what explains a stop cannot be read"
    if not reading.complete:
        return f"the log {table} may lack rows: the last answer does not join the one before it"
    return ""


class _TableTail:
    """The newest rows of one log."""

    def __init__(self) -> None:
        self._subjects: dict[int, Subject] = {}
        self._rows: dict[Subject, dict[int, LogRow]] = defaultdict(dict)
        self._unbroken_from: int | None = None
        """The key from which on every row was read, up to the newest."""
        self.newest = 0
        self.oldest = 0
        """The key from which on rows are still here."""

    def add(self, reading: LogReading, vm_names: AbstractSet[str]) -> list[tuple[Subject, LogRow]]:
        """Add the rows of an answer, and return those that are new with their subjects."""
        new = []
        for row in reading.rows:
            if row.key in self._subjects or row.key < self.oldest:
                continue
            subject = subject_of(row, vm_names)
            self._subjects[row.key] = subject
            self._rows[subject][row.key] = row
            new.append((subject, row))
        keys = [row.key for row in reading.rows]
        self.newest = max([self.newest, *keys])
        if reading.complete:
            if self._unbroken_from is None and keys:
                self._unbroken_from = min(keys)
        elif reading.is_gapless and self.newest in keys:
            # Its oldest row stands for the one that was asked for, as where rows go on from.
            self._unbroken_from = min(keys) + 1
        else:
            self._unbroken_from = self.newest if keys else None
        return new

    def about(self, subjects: Iterable[Subject]) -> Iterator[LogRow]:
        """Return the rows about any of *subjects*."""
        for subject in subjects:
            yield from self._rows.get(subject, {}).values()

    def forget(self, before: float) -> None:
        """Forget the rows that were read *before* then."""
        for subject, rows in list(self._rows.items()):
            for key in [key for key, row in rows.items() if row.read_at < before]:
                del rows[key], self._subjects[key]
                self.oldest = max(self.oldest, key + 1)
            if not rows:
                del self._rows[subject]

    def is_unbroken_from(self, key: int) -> bool:
        """Return whether every row after *key* was read."""
        return self._unbroken_from is not None and self._unbroken_from <= key + 1

    def newest_until(self, at: float) -> int:
        """Return the key of the newest row that was read, or written, until *at*; else 0."""
        rows = (row for rows in self._rows.values() for row in rows.values())
        return max((row.key for row in rows if row.read_at <= at), default=0)

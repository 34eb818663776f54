"""VergeOS as recorded: its logs, its VMs, and its replies to the actions of a replay."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from exporter.backtest.inventory import RecordedInventory
from exporter.errors import VergeOSError
from exporter.recovery.model.cases import Action, Intent, Reply
from exporter.recovery.model.history import RecordedPoll
from exporter.recovery.model.platform_log import (
    LogPosition,
    LogReading,
    LogRow,
    LogTable,
)
from exporter.recovery.model.ports import ActionReply, FreshVM, LastCheck

LOG_PROBLEM = "the log cannot be read: "
"""How recovery begins the problem that it records."""


class Performed(NamedTuple):
    """An action that a replay sent."""

    vm_key: int
    action: Action
    as_recorded: bool
    """Whether the record has the same action at the same poll."""


class RecordedPlatform:
    """
    A `Platform` for a replay.

    Of the logs it has the rows that were recorded, and one row without a meaning for each position
    that was read: positions and completeness are those of the real logs.

    Args:
        inventory: The recorded inventory at the current poll.
        polls: Recorded polls, for the positions in the logs.
        rows: Recorded rows.
        is_hidden: Returns whether a row tells of what did not happen in the replay.

    """

    def __init__(
        self,
        inventory: RecordedInventory,
        polls: Iterable[RecordedPoll],
        rows: Iterable[LogRow],
        is_hidden: Callable[[LogRow], bool],
    ) -> None:
        self._inventory = inventory
        self._is_hidden = is_hidden
        arrivals = _first_of_each(_markers(polls))
        for key, row in _first_of_each(rows).items():
            read_at = min(row.read_at, arrivals[key].read_at) if key in arrivals else row.read_at
            arrivals[key] = replace(row, read_at=read_at)
        self._coming = deque(sorted(arrivals.values(), key=lambda one: (one.read_at, one.key)))
        self._rows: dict[LogTable, list[LogRow]] = {table: [] for table in LogTable}
        self._problem = ""
        self._complete = True
        self._recorded: Sequence[Intent] = ()
        self._obsolete: frozenset[int] = frozenset()
        self.performed: list[Performed] = []
        """The actions of the current poll."""

    def expect(self, recorded: Sequence[Intent], obsolete: frozenset[int]) -> None:
        """
        Begin a poll, with the commands that come before it.

        Args:
            recorded: The actions that were sent then.
            obsolete: VMs whose action was found obsolete at the last moment.

        """
        self._recorded, self._obsolete = recorded, obsolete
        self.performed = []

    def begin(self, poll: RecordedPoll, until: float) -> None:
        """Let the rows of the logs arrive that were read *until* then."""
        while self._coming and self._coming[0].read_at <= until:
            row = self._coming.popleft()
            insort(self._rows[row.table], row, key=lambda one: one.key)
        self._problem = "" if poll.log_positions else poll.log_problem
        self._complete = poll.log_complete

    async def log_rows(self, table: LogTable, since: int, limit: int, /) -> LogReading:
        if self._problem:
            raise VergeOSError(self._problem.removeprefix(LOG_PROBLEM))
        rows = self._rows[table]
        if not since:
            # The age of the first rows tells when they were written: recovery recorded that.
            first = (replace(row, at=row.read_at) for row in rows[-limit:])
            return LogReading([one for one in first if not self._is_hidden(one)], complete=True)
        begin = bisect_left(rows, since, key=lambda one: one.key)
        has_it = begin < len(rows) and rows[begin].key == since
        found = [row for row in rows[begin:][-limit:] if not self._is_hidden(row)]
        return LogReading(found, complete=has_it and self._complete)

    async def read_vm(self, vm_key: int, /) -> FreshVM | None:
        if vm_key in self._obsolete:
            raise VergeOSError("the record says that the action was obsolete at this moment")
        vm, status = self._inventory.vms.get(vm_key), self._inventory.status(vm_key)
        if vm is None or status is None:
            return None
        return FreshVM(
            key=vm_key,
            uuid=vm.uuid,
            name=vm.name,
            machine=vm.machine,
            enabled=vm.enabled,
            is_snapshot=False,
            service=vm.service,
            disable_powercycle=vm.disable_powercycle,
            running=status.running,
            word=status.word,
            tags=self._inventory.tags(vm_key),
        )

    async def act(self, vm_key: int, action: Action, last_check: LastCheck, /) -> ActionReply:
        reason = await last_check()
        if reason:
            return ActionReply(Reply.NOT_SENT, reason)
        same = next(
            (one for one in self._recorded if (one.vm_key, one.action) == (vm_key, action)), None
        )
        self.performed.append(Performed(vm_key, action, as_recorded=same is not None))
        if same is None:
            return ActionReply(Reply.ACCEPTED, "in the replay")
        return ActionReply(same.reply or Reply.LOST, same.detail)

    @property
    def read_only_reason(self) -> str:
        return self._inventory.system.read_only


def _markers(polls: Iterable[RecordedPoll]) -> Iterable[LogRow]:
    """Yield a row without a meaning for each position that was read."""
    for poll in polls:
        for one in poll.log_positions:
            yield from _marker(one.position, one.read_at)


def _marker(position: LogPosition, read_at: float) -> Iterable[LogRow]:
    yield LogRow(
        table=LogTable.MACHINE_LOGS,
        key=position.machine_logs,
        at=read_at,
        text="",
        user="system",
        machine=0,
        read_at=read_at,
    )
    yield LogRow(
        table=LogTable.LOGS,
        key=position.logs,
        at=read_at,
        text="",
        user="system",
        object_type="vnet",
        object_name="-",
        read_at=read_at,
    )


def _first_of_each(rows: Iterable[LogRow]) -> dict[tuple[LogTable, int], LogRow]:
    """Return each row once, as it was read first: a restart reads and records some again."""
    found: dict[tuple[LogTable, int], LogRow] = {}
    for row in rows:
        known = found.get((row.table, row.key))
        if known is None or row.read_at < known.read_at:
            found[row.table, row.key] = row
    return found

"""
What recovery asks of VergeOS: the newest log rows, one VM's current row, and actions.

Reads precede an action, so they may use the budget's reserve and are not retried: a late answer
is useless. An action is sent once.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from msgspec.structs import replace

from exporter.clock import Clock
from exporter.errors import (
    BadReplyError,
    ForbiddenError,
    NotSentError,
    UnauthorizedError,
    VergeOSError,
)
from exporter.polling.state import TableRows
from exporter.recovery.model.cases import Action, Reply
from exporter.recovery.model.platform_log import LogReading, LogRow, LogTable
from exporter.recovery.model.ports import ActionReply, FreshVM, LastCheck
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.decoding import decode_in_thread
from exporter.vergeos.recovery_rows import LOGS, LONE_VMS, TAG_MEMBERS
from exporter.vergeos.skipped_fields import SkippedFields
from exporter.vergeos.tables import Table

ACTIONS_PATH = "/api/v4/vm_actions"
ACTION_BODIES: Mapping[Action, Mapping[str, Any]] = {
    Action.POWER_ON: {"action": "poweron"},
    Action.REBOOT: {"action": "reset", "params": {"graceful": True}},
    Action.RESET: {"action": "reset"},
    Action.KILL: {"action": "kill"},
}
FORBIDDEN_SECONDS = 1800.0
"""How long `Operations.read_only_reason` reports a refused action."""
TRANSIENT_STATUSES = frozenset({408, 425, 429})
"""4xx that do not mean that VergeOS refused the action."""
LOCKED, INTERNAL_ERROR, INSUFFICIENT_STORAGE = 423, 500, 507
QUOTED_NAME = re.compile(r"'[^']*'|\"[^\"]*\"")
ALREADY_RUNNING = re.compile(r"\balready (in )?running\b", re.IGNORECASE)
NOT_RUNNING = re.compile(r"\bnot (in )?running\b", re.IGNORECASE)
BUSY_TEXT = re.compile(
    r"(?<!account )(?<!account is )\b(?:locked|busy|in progress)\b"
    r"|\b(?:operation|action|task|job|snapshot|backup|migration|import|export|clone|restore)"
    r" (?:is )?(?:already running|pending)\b",
    re.IGNORECASE,
)
"""Another operation on the VM keeps this one from starting."""
NO_CAPACITY_TEXT = re.compile(
    r"\binsufficient (?!permission|privilege|right)|\bnot enough\b|\bresources\b|\bcapacity\b",
    re.IGNORECASE,
)


class _Forbidden(NamedTuple):
    """The latest action that VergeOS refused for lack of permission."""

    at: float
    reason: str


class Operations:
    """
    Reads and actions of recovery on one VergeOS.

    Args:
        reader: A client apart from polling, so that reads do not wait for a list of all VMs.
        actor: A client with the credential for acting; None where none is configured.

    """

    def __init__(self, reader: VergeOSClient, actor: VergeOSClient | None, clock: Clock) -> None:
        self._reader = reader
        self._actor = actor
        self._clock = clock
        self._skipped_fields = SkippedFields(reader.meter)
        self._forbidden: _Forbidden | None = None

    @property
    def read_only_reason(self) -> str:
        """Why actions are known to be impossible; empty when they may work."""
        if self._actor is None:
            return "there is no credential to act with"
        forbidden = self._forbidden
        if forbidden is None or self._clock.monotonic() - forbidden.at >= FORBIDDEN_SECONDS:
            return ""
        return forbidden.reason

    async def log_rows(self, table: LogTable, since: int, limit: int, /) -> LogReading:
        """
        Return the newest rows of a log, in one request.

        Args:
            table: The log.
            since: The key of the oldest row to return; without that row in the answer, rows may
                be missing, and the reading is not complete. 0 for the newest rows.
            limit: How many rows to return at most.

        Raises:
            VergeOSError: The request failed, or the body cannot be decoded.

        """
        # Newest first, so that a cut answer lacks the oldest row.
        query = {"sort": "-$key", "limit": str(limit)}
        if since:
            query["filter"] = f"$key ge {since}"
        reading = await self._read(LOGS[table], **query)
        rows = reading.rows.values()
        is_dated = any(row.at for row in rows) or not rows
        if not is_dated and (not since or all(row.unreadable for row in rows)):
            raise BadReplyError(LOGS[table].path, "gave no row with a time in microseconds")
        found = _all_dated(reading.rows, now=self._clock.now().timestamp())
        wanted = tuple(row for _, row in sorted(found.items()) if row.key >= since)
        is_gapless = not reading.skipped and _is_descending(found)
        return LogReading(
            wanted,
            complete=is_gapless and (not since or since in found),
            is_gapless=is_gapless and bool(wanted),
        )

    async def read_vm(self, vm_key: int, /) -> FreshVM | None:
        """
        Return one VM's current row and tags; None where VergeOS has no such row.

        Raises:
            VergeOSError: A request failed, or a row or a tag cannot be decoded.

        """
        found = await self._read_all(LONE_VMS, filter=f"$key eq {vm_key}")
        if not found:
            return None
        if found.keys() != {vm_key}:
            problem = f"gave {len(found)} rows where VM {vm_key} was asked for"
            raise BadReplyError(LONE_VMS.path, problem)
        tags = await self._read_all(TAG_MEMBERS, filter=f"member eq 'vms/{vm_key}'")
        fresh: FreshVM = found[vm_key]._replace(tags=tags.get(vm_key, frozenset()))
        return fresh

    async def act(self, vm_key: int, action: Action, last_check: LastCheck, /) -> ActionReply:
        """
        Request *action* exactly once; failures are returned as a reply, not raised.

        Args:
            last_check: Called on the established connection, right before the first byte.

        """
        if self._actor is None:
            return ActionReply(Reply.NOT_SENT, f"{action} was not sent: {self.read_only_reason}")
        body = {"vm": vm_key, **ACTION_BODIES[action]}
        try:
            response = await self._actor.act(
                ACTIONS_PATH, body, endpoint="vm_actions", last_check=last_check
            )
        except VergeOSError as error:
            reply = ActionReply(reply_of(action, error), str(error))
        else:
            reply = _reply_to_success(response.status, response.body)
        if reply.reply is Reply.FORBIDDEN:
            self._forbidden = _Forbidden(self._clock.monotonic(), reply.detail)
        elif reply.reply in (Reply.ACCEPTED, Reply.ALREADY, Reply.NO_CAPACITY, Reply.BUSY):
            self._forbidden = None
        return reply

    async def _read(self, table: Table, **options: str) -> TableRows[Any]:
        query = {"fields": ",".join(table.fields), **options}
        body = await self._reader.read(table.path, query, endpoint=table.endpoint, urgent=True)
        found = await decode_in_thread(table.decode, body)
        self._skipped_fields.count(table.name, found)
        return found

    async def _read_all(self, table: Table, **options: str) -> dict[int, Any]:
        """
        Return the rows of *table*.

        Raises:
            BadReplyError: A row was skipped because it cannot be decoded.

        """
        decoded = await self._read(table, **options)
        if decoded.skipped:
            raise BadReplyError(table.path, f"gave a row that cannot be decoded: {decoded.problem}")
        rows: dict[int, Any] = decoded.rows
        return rows


def _all_dated(rows: dict[int, LogRow], *, now: float) -> dict[int, LogRow]:
    """Return *rows*, newest first, with the time of a row beside it where one has none."""
    if all(row.at for row in rows.values()):
        return rows
    at = next((row.at for row in rows.values() if row.at), now)
    dated = {}
    for key, row in rows.items():
        at = row.at or at
        dated[key] = row if row.at else replace(row, at=at)
    return dated


def _is_descending(keys: Iterable[int]) -> bool:
    return all(newer > older for newer, older in pairwise(keys))


def reply_of(action: Action, error: VergeOSError) -> Reply:
    """
    Return what *error* means for a request for *action*.

    `Reply.LOST` unless the error proves that the action had no effect: a refused action is
    tried again after a pause, the effect of a lost one is checked first.
    """
    if isinstance(error, NotSentError):
        return Reply.NOT_SENT
    if isinstance(error, UnauthorizedError | ForbiddenError):
        return Reply.FORBIDDEN
    if not isinstance(error, BadReplyError) or error.status is None:
        return Reply.LOST
    status, text = error.status, QUOTED_NAME.sub("", str(error))  # a VM's name may contain any text
    refused = 400 <= status < 500 and status not in TRANSIENT_STATUSES  # noqa: PLR2004 - every 4xx
    if not refused and status not in (INTERNAL_ERROR, INSUFFICIENT_STORAGE):
        return Reply.LOST
    if status == LOCKED or (refused and BUSY_TEXT.search(text)):
        return Reply.BUSY
    if (ALREADY_RUNNING if action is Action.POWER_ON else NOT_RUNNING).search(text):
        return Reply.ALREADY
    if status == INSUFFICIENT_STORAGE or NO_CAPACITY_TEXT.search(text):
        return Reply.NO_CAPACITY
    if status == 409:  # noqa: PLR2004 - a conflict with the VM's state
        return Reply.ALREADY
    return Reply.LOST if status == INTERNAL_ERROR else Reply.REFUSED


def _reply_to_success(status: int, body: bytes) -> ActionReply:
    if body.lstrip().startswith(b"<"):  # a login page or a proxy answers 200 to any request
        return ActionReply(Reply.LOST, f"answered {status} with HTML: this is not VergeOS")
    return ActionReply(Reply.ACCEPTED, f"answered {status}")

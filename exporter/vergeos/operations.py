"""
VergeOS as recovery uses it: the log of some machines, one VM by itself, and one hand.

Who reads here is about to act, so it may use the budget's reserve and has one try: an answer
that comes late is no use. Who acts has one try for ever.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import quote

from exporter.clock import Clock
from exporter.errors import (
    BadReplyError,
    ForbiddenError,
    NotSentError,
    UnauthorizedError,
    VergeOSError,
)
from exporter.executor import run_in_thread
from exporter.recovery.model.cases import Action, Reply
from exporter.recovery.model.platform_log import LogMark, LogReading
from exporter.recovery.model.ports import ActionReply, FreshVM
from exporter.vergeos import rows
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.tables import TAG_MEMBERS, VMS

ROOT = "/api/v4"
LOGS_PATH, ACTIONS_PATH = f"{ROOT}/machine_logs", f"{ROOT}/vm_actions"
LOG_FIELDS = ("$key", "machine", "level", "text", "user", "timestamp")
VM_FIELDS = (
    "$key",
    "uuid",
    "name",
    "machine",
    "enabled",
    "is_snapshot",
    "service",
    "disable_powercycle",
    # Only joins tell how a VM is; columns of its own by these names are empty.
    "machine#status#running as running",
    "machine#status#status as status",
)
ORDERS: Mapping[Action, Mapping[str, Any]] = {
    Action.POWER_ON: {"action": "poweron"},
    Action.REBOOT: {"action": "reset", "params": {"graceful": True}},
    Action.RESET: {"action": "reset"},
    Action.KILL: {"action": "kill"},
}
LONGEST_FILTER = 5500
"""In characters, encoded: servers refuse URLs of some 8000."""
BIG_BODY_BYTES = 32 * 1024
FORBIDDEN_WAIT_SECONDS = 1800.0
"""How long to check_inventory that we may not act."""
UNTIMELY = frozenset({408, 425, 429})
"""Refusals that say nothing of the request itself."""
SAYS_NOTHING, NO_ROOM = 500, 507
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
UP_ALREADY = re.compile(r"\balready (in )?running\b", re.IGNORECASE)
DOWN_ALREADY = re.compile(r"\bnot (in )?running\b", re.IGNORECASE)
WANTS_ROOM = re.compile(
    r"\binsufficient (?!permission|privilege|right)|\bnot enough\b|\bresources\b|\bcapacity\b",
    re.IGNORECASE,
)


class _Ban(NamedTuple):
    """When we were told that we may not act, and how."""

    at: float
    reason: str


class Operations:
    """
    What recovery may ask of one VergeOS.

    Args:
        reader: Best not the one that polls: a look must not wait behind a list of every VM.
        actor: Has the credential for acting; ``None`` where there is none.

    """

    def __init__(self, reader: VergeOSClient, actor: VergeOSClient | None, clock: Clock) -> None:
        self._reader = reader
        self._actor = actor
        self._clock = clock
        self._ban: _Ban | None = None

    @property
    def why_not(self) -> str:
        """Why our credential may not act, as far as we know; empty when nothing is known."""
        if self._actor is None:
            return "there is no credential to act with"
        ban = self._ban
        if ban is None or self._clock.monotonic() - ban.at >= FORBIDDEN_WAIT_SECONDS:
            return ""
        return ban.reason

    async def logs(
        self, machines: Sequence[int], since: float, mark: LogMark | None, /
    ) -> LogReading:
        """
        Return what the logs say of *machines* since the platform's time *since*, in one request.

        Args:
            mark: A row that must come too; without one the reading is not complete.

        Raises:
            VergeOSError: Nothing usable came.

        """
        wanted = frozenset(machines)
        key = mark.key if mark is not None else None
        chosen = log_filter(sorted(wanted), since, key)
        if len(quote(chosen)) > LONGEST_FILTER:
            chosen = log_filter((), since, key)
        # Newest first: if somebody on the way cuts long answers, the mark is what is missing. An
        # answer in another order may have been cut at its other end.
        query = {"fields": ",".join(LOG_FIELDS), "filter": chosen, "sort": "-$key"}
        body = await self._read("machine_logs", query)
        if len(body) < BIG_BODY_BYTES:
            reading = rows.log_rows(body, LOGS_PATH)
        else:
            reading = await run_in_thread(rows.log_rows, body, LOGS_PATH)
        found = reading.rows
        return LogReading(
            tuple(
                row
                for _, row in sorted(found.items())
                if row.machine in wanted and row.at >= since  # the filter may be ignored
            ),
            complete=not reading.skipped and key in found and _descends(found),
        )

    async def log_mark(self, before: float, /) -> LogMark | None:
        """
        Return the newest row that is older than *before*; None where the log has none.

        Raises:
            VergeOSError: Nothing usable came.

        """
        query = {
            "fields": ",".join(LOG_FIELDS),
            "filter": f"timestamp lt {_microseconds(before)}",
            "sort": "-$key",
            "limit": "1",
        }
        body = await self._read("machine_logs", query)
        found = _whole(rows.log_rows(body, LOGS_PATH), LOGS_PATH).values()
        older = [LogMark(row.key, row.at) for row in found if row.at < before]
        return max(older, default=None)  # the filter may be ignored

    async def look(self, vm_key: int, /) -> FreshVM | None:
        """
        Return how one VM is right now; None where it has no row.

        Raises:
            VergeOSError: Something is not known, were it one of its tags.

        """
        path = VMS.path
        query = {"fields": ",".join(VM_FIELDS), "filter": f"$key eq {vm_key}"}
        found = _whole(rows.lone_vms(await self._read(VMS.endpoint, query), path), path)
        if not found:
            return None
        if found.keys() != {vm_key}:
            raise BadReplyError(path, f"gave {len(found)} rows where VM {vm_key} was asked for")
        path = TAG_MEMBERS.path
        query = {"fields": ",".join(TAG_MEMBERS.fields), "filter": f"member eq 'vms/{vm_key}'"}
        tags = _whole(rows.tags(await self._read(TAG_MEMBERS.endpoint, query), path), path)
        return found[vm_key]._replace(tags=tags.get(vm_key, frozenset()))

    async def act(self, vm_key: int, action: Action, /) -> ActionReply:
        """Ask once for *action*; never twice, whatever happens."""
        if self._actor is None:
            return ActionReply(Reply.NOT_SENT, f"{action} was not sent: {self.why_not}")
        order = {"vm": vm_key, **ORDERS[action]}
        try:
            came = await self._actor.act(ACTIONS_PATH, order, endpoint="vm_actions")
        except VergeOSError as error:
            answer = ActionReply(reply_of(action, error), str(error))
        else:
            answer = _answer_of(came.status, came.body)
        if answer.reply is Reply.FORBIDDEN:
            self._ban = _Ban(self._clock.monotonic(), answer.detail)
        elif answer.reply in (Reply.ACCEPTED, Reply.ALREADY, Reply.NO_CAPACITY):
            self._ban = None
        return answer

    async def _read(self, table: str, query: Mapping[str, str]) -> bytes:
        return await self._reader.read(f"{ROOT}/{table}", query, endpoint=table, urgent=True)


def _descends(keys: Iterable[int]) -> bool:
    return all(newer > older for newer, older in pairwise(keys))


def log_filter(machines: Sequence[int], since: float, mark: int | None) -> str:
    """Return the filter for rows of *machines*, or of all; and/or want parentheses."""
    text = f"timestamp ge {_microseconds(since)}"
    if machines:
        text = f"({text}) and ({' or '.join(f'machine eq {key}' for key in machines)})"
    return text if mark is None else f"({text}) or ($key eq {mark})"


def _microseconds(clock: float) -> int:
    return max(0, int(clock * 1e6))


def reply_of(action: Action, error: VergeOSError) -> Reply:
    """
    Return what *error* says of a request for *action*.

    `Reply.LOST` wherever it does not say that nothing was done: what is taken for refused
    is tried again after a pause, what is lost is looked after first.
    """
    if isinstance(error, NotSentError):
        return Reply.NOT_SENT
    if isinstance(error, UnauthorizedError | ForbiddenError):
        return Reply.FORBIDDEN
    if not isinstance(error, BadReplyError) or error.status is None:
        return Reply.LOST
    status, text = error.status, QUOTED.sub("", str(error))  # names may say anything
    refused = 400 <= status < 500 and status not in UNTIMELY  # noqa: PLR2004 - every 4xx
    if not refused and status not in (SAYS_NOTHING, NO_ROOM):
        return Reply.LOST
    if (UP_ALREADY if action is Action.POWER_ON else DOWN_ALREADY).search(text):
        return Reply.ALREADY
    if status == NO_ROOM or WANTS_ROOM.search(text):
        return Reply.NO_CAPACITY
    if status == 409:  # noqa: PLR2004 - a conflict with how the VM is
        return Reply.ALREADY
    return Reply.LOST if status == SAYS_NOTHING else Reply.REFUSED


def _answer_of(status: int, body: bytes) -> ActionReply:
    if body.lstrip().startswith(b"<"):  # a login page or a proxy answers 200 to anything
        return ActionReply(Reply.LOST, f"answered {status} with HTML: this is not VergeOS speaking")
    return ActionReply(Reply.ACCEPTED, f"answered {status}")


def _whole(reading: "rows.TableRows[dict[int, rows.T]]", path: str) -> "dict[int, rows.T]":
    """Return the rows of *reading*, of which none may be missing."""
    if reading.skipped:
        raise BadReplyError(path, f"gave a row that cannot be read: {reading.problem}")
    return reading.rows

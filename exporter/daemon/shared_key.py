"""
How this replica and the others that use the same key of a system share its requests and refusals.

VergeOS allows a number of requests for a key, and locks the account of one that is refused again
and again. So each replica writes to the journal what it has sent, and what it was refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import msgspec
import structlog

from exporter.clock import Clock
from exporter.errors import ConfigError, JournalError
from exporter.executor import run_in_thread
from exporter.polling.key_share import KeyShare
from exporter.polling.schedule import HOUR_SECONDS
from exporter.tolerant_json import UNREADABLE
from exporter.vergeos.budget import MINUTE_SECONDS, RequestBudget, Spent
from exporter.vergeos.credentials import Credentials, CredentialSource
from exporter.vergeos.refusals import RefusalStore, StoredRefusal, key_name

if TYPE_CHECKING:
    from exporter.journal.key_uses import KeyUse, KeyUses

log = structlog.get_logger()

EXCHANGE_SECONDS = 5.0
ALIVE_SECONDS = 60.0
"""A replica that wrote nothing for so long sends nothing any more; what it sent still counts."""
FIRST_SECONDS = 10.0
"""How long the first request waits for the journal."""

Minutes = dict[int, Spent]


class Use(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one replica has sent with a key."""

    minutes: Minutes = {}
    """The requests of the last hour, by minute since 1970."""
    wait_until: float = 0.0
    """Until when the system asked to wait, in seconds since 1970; 0 if it did not."""
    wait_because: str = ""
    polls: bool = True
    """False of `vergewatch check`, which sends its requests once."""


class ReplicaEntry(msgspec.Struct, frozen=True):
    """What one replica wrote last."""

    replica: str
    at: float
    """In seconds since 1970."""
    use: Use
    refusal: StoredRefusal | None


class SharedRefusals:
    """
    The newest refusal of a key by VergeOS, of whichever replica: a `RefusalStore`.

    Args:
        file: Keeps the refusals of this replica while the journal cannot be used.
        changed: Called in any thread when there is something to write.

    """

    def __init__(self, file: RefusalStore, changed: Callable[[], None]) -> None:
        self._file = file
        self.changed = changed
        self._known: StoredRefusal | None = None
        self._is_known = False
        self.unwritten: tuple[StoredRefusal | None] | None = None
        """What the journal does not have yet."""

    def read(self) -> StoredRefusal | None:
        if self.unwritten is not None:
            return self.unwritten[0]
        return self._known if self._is_known else self._file.read()

    def write(self, refusal: StoredRefusal | None) -> bool:
        self._file.write(refusal)
        self.unwritten = (refusal,)
        self.changed()
        return True

    def use_entries(
        self, entries: Sequence[ReplicaEntry], written: tuple[StoredRefusal | None] | None
    ) -> None:
        """Use what the journal has; *written* is what it has of `unwritten` by now."""
        refusals = [one.refusal for one in entries if one.refusal is not None]
        self._known = max(refusals, key=lambda one: one.at, default=None)
        self._is_known = True
        if self.unwritten is written:
            self.unwritten = None


class SharedKey:
    """
    One key of a system, as this replica and the others use it.

    Args:
        replica: The name of this replica.
        url: Of the system.
        source: Returns the key.
        open_uses: Opens the journal; it raises `JournalError`.
        file: Keeps the refusals of this replica while the journal cannot be used.
        budget: The requests with this key; None for one with which no table is read.
        planned: Returns the requests that this replica plans for an hour.
        polls: False for `vergewatch check`.

    """

    def __init__(
        self,
        replica: str,
        url: str,
        source: CredentialSource,
        open_uses: Callable[[], Awaitable["KeyUses"]],
        file: RefusalStore,
        clock: Clock,
        *,
        budget: RequestBudget | None = None,
        planned: Callable[[], float] = lambda: 0.0,
        polls: bool = True,
    ) -> None:
        self._replica = replica
        self._url = url
        self._source = source
        self._open_uses = open_uses
        self._clock = clock
        self._budget = budget
        self._planned = planned
        self._polls = polls
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.refusals = SharedRefusals(file, self._wake)
        self._name: tuple[Credentials, str] | None = None
        self.problem = ""
        """Why the journal cannot be used; empty while it can."""
        self._has_resumed = False
        self.others: Sequence[ReplicaEntry] = ()
        """What the other replicas wrote within an hour."""

    def carry_on(self, former: "SharedKey") -> None:
        """Take over the refusals that *former* has shared, of the same system."""
        self.refusals = former.refusals
        self.refusals.changed = self._wake

    def share(self, *, leads: bool | None) -> KeyShare:
        """
        Return the part of this replica in the use of the key.

        Args:
            leads: Whether this replica leads recovery; None where none leads.

        """
        return KeyShare(1 + len(self.users), leads)

    @property
    def users(self) -> Sequence[str]:
        """The names of the other replicas that poll with this key now."""
        now = self._clock.now().timestamp()
        return [
            one.replica for one in self.others if one.use.polls and now - one.at < ALIVE_SECONDS
        ]

    async def first(self, *, ahead: int = 0) -> None:
        """
        Learn what all have sent and were refused, before the first request.

        Args:
            ahead: Requests that follow at once; they are written before they are sent.

        """
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await self.exchange(ahead=ahead)
        except TimeoutError:
            self._report(f"no answer within {FIRST_SECONDS:g} s")

    async def run(self, exchanged: Callable[[], None] = lambda: None) -> None:
        """Exchange what was sent and refused until cancelled; call *exchanged* each time."""
        while True:
            sleeping = asyncio.ensure_future(self._clock.sleep(EXCHANGE_SECONDS))
            waking = asyncio.ensure_future(self._woken.wait())
            try:
                await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                waking.cancel()
            self._woken.clear()
            await self.exchange()
            exchanged()

    async def exchange(self, *, ahead: int | None = None) -> None:
        """Write what this replica has sent and was refused, and read what the others wrote."""
        try:
            key = await self._key()
            uses = await self._open_uses()
            if not self._has_resumed:
                self._resume(await uses.read(key, self._clock.now()))
            unwritten = self.refusals.unwritten
            if unwritten == (None,):
                await uses.forget_refusals(key)
            use = msgspec.json.encode(self._use(ahead)).decode()
            rows = await uses.exchange(
                key, self._replica, self._clock.now(), use, _text_of(unwritten)
            )
        except (ConfigError, JournalError) as error:
            self._report(str(error))
            return
        entries = [one for row in rows if (one := _entry(row)) is not None]
        self.refusals.use_entries(entries, unwritten)
        self._count([one for one in entries if one.replica != self._replica])
        self._report("")

    def _count(self, others: Sequence[ReplicaEntry]) -> None:
        """Count what the *others* have sent, and wait as long as they were asked to."""
        self.others = others
        if self._budget is None:
            return
        at, now = self._clock.monotonic(), self._clock.now().timestamp()
        self._budget.count_replicas((one.use.minutes for one in others), at=at, now=now)
        for one in others:
            self._budget.throttle.resume(one.use.wait_until - now, one.use.wait_because, at=at)

    def _resume(self, rows: Sequence["KeyUse"]) -> None:
        """Count what an earlier process of this replica sent, where no file told of it."""
        self._has_resumed = True
        own = next((row for row in rows if row.replica == self._replica), None)
        entry = _entry(own) if own is not None else None
        if entry is None or self._budget is None:
            return
        at, now = self._clock.monotonic(), self._clock.now().timestamp()
        known = self._budget.minutes(at=at, now=now)
        none = Spent(0, 0)
        missing = {
            minute: Spent(
                max(0, spent.polls - known.get(minute, none).polls),
                max(0, spent.others - known.get(minute, none).others),
            )
            for minute, spent in entry.use.minutes.items()
        }
        self._budget.resume(missing, at=at, now=now)
        self._budget.throttle.resume(entry.use.wait_until - now, entry.use.wait_because, at=at)

    def _use(self, ahead: int | None) -> Use:
        """Return what was sent, and what follows before the next exchange: it may be the last."""
        if self._budget is None:
            return Use(polls=False)
        at, now = self._clock.monotonic(), self._clock.now().timestamp()
        minutes = self._budget.minutes(at=at, now=now)
        minute = int(now // MINUTE_SECONDS)
        polls, others = minutes.get(minute, Spent(0, 0))
        if ahead is None:
            ahead = ceil(self._planned() * EXCHANGE_SECONDS / HOUR_SECONDS)
        wait = self._budget.throttle.wait(at=at)
        return Use(
            minutes | {minute: Spent(polls + ahead, others)},
            now + wait.until - at if wait is not None else 0.0,
            wait.because if wait is not None else "",
            self._polls,
        )

    async def _key(self) -> str:
        """Return the name of the key, which changes when the key does."""
        credentials = self._source()
        if self._name is None or not self._name[0].is_same_login(credentials):
            name = await run_in_thread(partial(key_name, credentials, self._url))
            self._name = credentials, name
        return self._name[1]

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._woken.set)

    def _report(self, problem: str) -> None:
        """Log the first of equal problems; requests are then counted for this replica alone."""
        if problem and problem != self.problem:
            log.warning("shared_key.unknown", system=self._url, error=problem)
        elif self.problem and not problem:
            log.info("shared_key.known", system=self._url)
        self.problem = problem


def _entry(row: "KeyUse") -> ReplicaEntry | None:
    """Return the entry of a replica; None if a newer version wrote what this one cannot read."""
    try:
        use = msgspec.json.decode(row.use, type=Use)
        refusal = msgspec.json.decode(row.refusal, type=StoredRefusal) if row.refusal else None
    except UNREADABLE:
        return None
    return ReplicaEntry(row.replica, row.time.timestamp(), use, refusal)


def _text_of(unwritten: tuple[StoredRefusal | None] | None) -> str | None:
    """Return what to write of a refusal; None for nothing."""
    if unwritten is None:
        return None
    return msgspec.json.encode(unwritten[0]).decode() if unwritten[0] is not None else ""

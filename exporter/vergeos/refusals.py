"""
Credentials that VergeOS refused: remembered so that they are not sent again, after a restart too.

A refused login counts towards the lock of the account. What is stored is a slow, salted hash, from
which the secret cannot be found by trying.
"""

import asyncio
import hmac
import secrets
from hashlib import scrypt
from typing import NamedTuple, Protocol

import msgspec

from exporter.clock import Clock
from exporter.executor import run_in_thread
from exporter.vergeos.credentials import Credentials

SALT_BYTES = 16
RETRY_SECONDS = 60.0
"""Minimum time between two attempts with refused credentials: VergeOS locks accounts."""


class StoredRefusal(msgspec.Struct, frozen=True):
    """A refusal as it is stored."""

    salt: str
    hash: str
    """Of the credentials. Both in hexadecimal digits."""
    until: float
    """Until when they are not tried again, in seconds since 1970."""
    reason: str
    at: float = 0.0
    """When they were refused, in seconds since 1970."""

    def is_of(self, credentials: Credentials) -> bool:
        """Return whether *credentials* were refused. It takes a twentieth of a second."""
        try:
            salt, known = bytes.fromhex(self.salt), bytes.fromhex(self.hash)
        except ValueError:  # the file was damaged
            return False
        return hmac.compare_digest(bytes.fromhex(_slow_hash(credentials, salt)), known)


class RefusalStore(Protocol):
    """Keeps the newest refusal across restarts."""

    def read(self) -> StoredRefusal | None: ...

    def write(self, refusal: StoredRefusal | None) -> bool:
        """Keep *refusal*, or none; return whether that worked."""
        ...


class _Refusal(NamedTuple):
    """The refusal of this process' credentials."""

    credentials: Credentials
    until: float
    """In monotonic seconds."""
    reason: str
    at: float
    """When they were sent last, in monotonic seconds."""
    stored: StoredRefusal | None = None

    def tried_again_soon(self) -> "_Refusal":
        """Return the same, to be tried again as soon as that is harmless."""
        return self._replace(until=min(self.until, self.at + RETRY_SECONDS))


class RefusalMemory:
    """
    The newest refusal; shared by clients with the same credentials.

    Args:
        store: Without one, a refusal is remembered until the end of the process.
        asks_anyway: Whether to try refused credentials once, because an operator wants that.

    """

    def __init__(
        self, clock: Clock, store: RefusalStore | None = None, *, asks_anyway: bool = False
    ) -> None:
        self._clock = clock
        self._store = store
        self._asks_anyway = asks_anyway
        self._refusal: _Refusal | None = None
        self._other: tuple[StoredRefusal, Credentials] | None = None
        """A stored refusal, and credentials that it is not about."""

    async def objection(self, credentials: Credentials, *, wait_seconds: float) -> str:
        """
        Return why *credentials* must not be sent now; empty if they may be.

        Refused ones may be sent once: who asks next has to wait, as does a file that is touched
        again and again.

        Args:
            wait_seconds: The longest wait, however wrong a clock is.

        """
        if self._store is not None and not self._asks_anyway:
            await self._look_at(self._store.read(), credentials, wait_seconds)
        refusal = self._refusal
        if refusal is None or not refusal.credentials.is_same_login(credentials):
            return ""
        if refusal.credentials.stamps != credentials.stamps:
            refusal = refusal._replace(credentials=credentials).tried_again_soon()
            self._refusal = refusal
        wait = refusal.until - self._clock.monotonic()
        if wait <= 0:
            now = self._clock.monotonic()
            until = now + min(RETRY_SECONDS, wait_seconds)
            self._refusal = refusal._replace(at=now, until=until)
            return ""
        return (
            f"{refusal.reason}; not asking again for {wait:.0f} s or until the secret changes, "
            "because repeated refusals lock the account; vergewatch retry SYSTEM, or vergewatch "
            "check --retry-refused, asks"
        )

    def retry(self) -> float | None:
        """
        Allow one attempt with the refused credentials, a minute after the last one at the earliest.

        Returns:
            The seconds until it is allowed; None if no credentials are refused.

        """
        if self._refusal is None:
            return None
        self._refusal = self._refusal.tried_again_soon()
        return max(0.0, self._refusal.until - self._clock.monotonic())

    async def remember(self, credentials: Credentials, reason: str, *, wait_seconds: float) -> None:
        """Remember that *credentials* were refused now."""
        now = self._clock.monotonic()
        self._refusal = _Refusal(credentials, now + wait_seconds, reason, now)
        self._asks_anyway = False
        if self._store is not None:
            at = self._clock.now().timestamp()
            # A caller that gives up must not keep it from being stored.
            await asyncio.shield(
                run_in_thread(self._keep, self._store, self._refusal, at, wait_seconds)
            )

    async def forget(self) -> None:
        """Forget every refusal, because VergeOS has accepted the credentials."""
        self._refusal = None
        if self._store is not None and self._store.read() is not None:
            await asyncio.shield(run_in_thread(self._store.write, None))

    async def _look_at(
        self, stored: StoredRefusal | None, credentials: Credentials, wait_seconds: float
    ) -> None:
        """Take over what is stored now; another process may have changed it."""
        known = self._refusal
        if known is not None and known.stored == stored:
            return
        if known is not None and known.stored is not None:
            self._refusal = None
        if stored is None or self._other == (stored, credentials):
            return
        now = self._clock.now().timestamp()
        wait = min(stored.until - now, wait_seconds)
        if wait > 0 and await run_in_thread(stored.is_of, credentials):
            at = self._clock.monotonic()
            tried = at - max(0.0, now - stored.at)
            self._refusal = _Refusal(credentials, at + wait, stored.reason, tried, stored)
        else:
            self._other = stored, credentials

    def _keep(self, store: RefusalStore, refusal: _Refusal, at: float, wait_seconds: float) -> None:
        """Store *refusal*; called in a thread, because hashing is slow."""
        salt = secrets.token_bytes(SALT_BYTES)
        hashed = _slow_hash(refusal.credentials, salt)
        stored = StoredRefusal(salt.hex(), hashed, at + wait_seconds, refusal.reason, at)
        if not store.write(stored):
            return
        known = self._refusal  # an operator may have asked for a retry meanwhile
        if known is not None and (known.at, known.stored) == (refusal.at, None):
            self._refusal = known._replace(stored=stored)


def key_name(credentials: Credentials, url: str) -> str:
    """
    Return a name for *credentials* at *url*, the same wherever they are used.

    They cannot be found from it by trying. It takes a twentieth of a second.
    """
    return _slow_hash(credentials, f"key of {url}".encode())


def _slow_hash(credentials: Credentials, salt: bytes) -> str:
    parts = (
        credentials.api_key.get_secret_value() if credentials.api_key is not None else None,
        credentials.username,
        credentials.password.get_secret_value() if credentials.password is not None else None,
    )
    return scrypt(msgspec.json.encode(parts), salt=salt, n=2**14, r=8, p=1).hex()

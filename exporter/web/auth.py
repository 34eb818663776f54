"""Basic authentication against bcrypt hashes, with a cache of successful checks."""

import asyncio
import base64
import binascii
import hmac
import secrets
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from exporter.web.attempts import Attempts

MAX_CACHED = 512
MAX_WAITING = 8
MAX_WAITING_OF_CLIENT = 2
"""Checks that wait for the thread."""
QUEUE_SECONDS = 1.0
MAX_BCRYPT_BYTES = 72
"""bcrypt ignores the rest of a password, as do the tools that make the hashes."""


class BasicAuth:
    """
    Checks credentials.

    bcrypt is slow on purpose. A check runs in a thread of its own, one at a time, so that guessing
    costs one core at most and never blocks the event loop or anything else that needs a thread.

    A successful check is cached under a keyed digest of client, user, hash and password. So a
    changed hash invalidates it, the client is served while others guess, and no other client can
    guess faster because of it.
    """

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._digest_key = secrets.token_bytes(32)
        self._cached: dict[bytes, None] = {}
        """The digests of successful checks, the oldest first."""
        self._running: dict[bytes, asyncio.Task[bool]] = {}
        self._waiting: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password")

    async def admits(self, authorization: str, users: Mapping[str, str], client: str) -> bool:
        """
        Return whether the header *authorization* names one of *users* and their password.

        Raises:
            HTTPTooManyRequests: *client* had too many wrong passwords.

        """
        credentials = _decode(authorization)
        if credentials is None or not users:
            return False
        user, password = credentials
        # An unknown user is checked against another user's hash, so that timing reveals no names.
        hashed = users.get(user) or next(iter(users.values()))
        digest = self._digest(client, user, hashed, password)
        if digest in self._cached:
            return True
        running = self._running.get(digest)  # a concurrent request checks the same password
        if running is None:
            running = self._begin(client, digest, password, hashed, is_user=user in users)
        return await asyncio.shield(running)

    def _begin(
        self, client: str, digest: bytes, password: bytes, hashed: str, *, is_user: bool
    ) -> asyncio.Task[bool]:
        crowded = self._waiting.total() >= MAX_WAITING
        if crowded or self._waiting[client] >= MAX_WAITING_OF_CLIENT:
            raise self._attempts.refusal(QUEUE_SECONDS)
        self._attempts.begin(client)
        self._waiting[client] += 1

        async def check() -> bool:
            loop = asyncio.get_running_loop()
            try:
                valid = await loop.run_in_executor(self._thread, _check, password, hashed)
            finally:
                self._waiting[client] -= 1
                if not self._waiting[client]:
                    del self._waiting[client]
                del self._running[digest]
            if not (valid and is_user):
                self._attempts.failed(client)
                return False
            self._attempts.succeeded(client)
            self._cached[digest] = None
            if len(self._cached) > MAX_CACHED:
                del self._cached[next(iter(self._cached))]
            return True

        self._running[digest] = asyncio.create_task(check(), name="password")
        return self._running[digest]

    def _digest(self, client: str, user: str, hashed: str, password: bytes) -> bytes:
        parts = (client.encode(), user.encode(), hashed.encode(), password)
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._digest_key, message, "sha256")


def user_name(authorization: str) -> str:
    """Return the user that the header *authorization* names; empty if it names none."""
    credentials = _decode(authorization)
    return credentials[0] if credentials is not None else ""


def _decode(authorization: str) -> tuple[str, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def _check(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:MAX_BCRYPT_BYTES], hashed.encode())
    except ValueError:  # a malformed hash
        return False

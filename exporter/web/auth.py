"""Basic authentication against bcrypt hashes, with a cache of successful checks."""

import asyncio
import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping

import bcrypt

MAX_CACHED = 128
MAX_BCRYPT_BYTES = 72
"""bcrypt ignores the rest of a password, as do the tools that make the hashes."""


class BasicAuth:
    """
    Checks credentials.

    bcrypt is slow on purpose. A check runs in a thread, one at a time, so that guessing costs
    one core at most and never blocks the event loop. A successful check is cached under a keyed
    digest of user, hash and password, so that a changed hash invalidates it.
    """

    def __init__(self) -> None:
        self._digest_key = secrets.token_bytes(32)
        self._cached: dict[bytes, None] = {}
        """The digests of successful checks, the oldest first."""
        self._one_at_a_time = asyncio.Semaphore(1)

    async def admits(self, authorization: str, users: Mapping[str, str]) -> bool:
        """Return whether the header *authorization* names one of *users* and their password."""
        credentials = _decode(authorization)
        if credentials is None or not users:
            return False
        user, password = credentials
        # An unknown user is checked against another user's hash, so that timing reveals no names.
        hashed = users.get(user) or next(iter(users.values()))
        digest = self._digest(user, hashed, password)
        if digest in self._cached:
            return True
        async with self._one_at_a_time:
            if digest in self._cached:  # a concurrent request has checked the same password
                return True
            valid = await asyncio.to_thread(_check, password, hashed) and user in users
        if valid:
            self._cached[digest] = None
            if len(self._cached) > MAX_CACHED:
                del self._cached[next(iter(self._cached))]
        return valid

    def _digest(self, user: str, hashed: str, password: bytes) -> bytes:
        parts = (user.encode(), hashed.encode(), password)
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._digest_key, message, "sha256")


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

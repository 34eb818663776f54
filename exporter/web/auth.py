"""Basic authentication: passwords held against bcrypt hashes, slowly once and quickly after."""

import asyncio
import base64
import binascii
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping

import bcrypt

MAX_REMEMBERED = 128
MAX_BCRYPT_BYTES = 72
"""bcrypt reads no further, and neither do the tools that make the hashes."""


class BasicAuth:
    """
    Decides who is let in.

    bcrypt is slow on purpose. A check runs in a thread, one at a time, so that guessing costs
    one core at most and never the event loop. A password that was right is remembered by a keyed
    digest of user, hash and password, so a changed hash forgets it; wrong ones are not remembered.
    """

    def __init__(self) -> None:
        self._digest_key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._turn = asyncio.Semaphore(1)

    async def admits(self, authorization: str, users: Mapping[str, str]) -> bool:
        """Return whether the header *authorization* names one of *users* and their password."""
        credentials = _decode(authorization)
        if credentials is None or not users:
            return False
        user, password = credentials
        # A stranger is checked against somebody's hash, so that the time taken tells no names.
        hashed = users.get(user) or next(iter(users.values()))
        digest = self._digest(user, hashed, password)
        if self._remembers(digest):
            return True
        async with self._turn:
            if self._remembers(digest):  # the same password was being checked just now
                return True
            right = await asyncio.to_thread(_check, password, hashed) and user in users
        if right:
            self._remember(digest)
        return right

    def _digest(self, user: str, hashed: str, password: bytes) -> bytes:
        parts = (user.encode(), hashed.encode(), password)
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._digest_key, message, "sha256")

    def _remembers(self, digest: bytes) -> bool:
        if digest not in self._remembered:
            return False
        self._remembered.move_to_end(digest)
        return True

    def _remember(self, digest: bytes) -> None:
        self._remembered[digest] = None
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)


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
    except ValueError:  # a hash that looks right and is not
        return False

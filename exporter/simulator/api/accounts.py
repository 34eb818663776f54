"""API users: keys, passwords, sessions, and the lockout after failed logins."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from exporter.simulator.world.rng import Rng

API_KEY = "simulated-key-with-full-access"
READONLY_API_KEY = "simulated-key-that-may-only-read"
USERNAME = "vergewatch"
PASSWORD = "simulated-password"  # noqa: S105 - of the simulator only

Means = Literal["key", "basic", "token"]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the API."""

    name: str
    password: str
    api_key: str
    may_write: bool


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request, and how it authenticated."""

    account: Account
    means: Means
    session: str
    """The key of the rate limit."""


class Accounts:
    """
    Authenticates users, and locks them out after failed logins.

    Args:
        lockout_after: Failed logins until the lockout; None: never.

    """

    def __init__(
        self,
        accounts: tuple[Account, ...],
        *,
        lockout_after: int | None = 5,
        lockout_seconds: float = 900.0,
        seed: int = 0,
    ) -> None:
        self._accounts = accounts
        self._lockout_after = lockout_after
        self._lockout_seconds = lockout_seconds
        self._failed_logins: dict[str, int] = {}
        self._locked_until: dict[str, float] = {}
        self._tokens: dict[str, Account] = {}
        self._revoked: set[str] = set()
        self._rng = Rng(seed)

    def identify(self, headers: Mapping[str, str], *, at: float) -> Caller | None:
        """Return the caller that these headers authenticate; *at* is in monotonic seconds."""
        scheme, _, rest = headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            return self._by_key(rest.strip(), at=at)
        if scheme == "Basic":
            name, _, password = _decoded(rest).partition(":")
            account = self._by_password(name, password, at=at)
            return None if account is None else Caller(account, "basic", f"basic:{name}")
        token = headers.get("x-yottabyte-token", "")
        if token in self._tokens:
            account = self._tokens[token]
            return None if self.locked(account.name, at=at) else Caller(account, "token", token)
        return self._by_key(token, at=at)

    def log_in(self, name: str, password: str, *, at: float) -> str | None:
        """Open a session and return its token; None if the login failed."""
        account = self._by_password(name, password, at=at)
        if account is None:
            return None
        token = f"{self._rng.getrandbits(160):040x}"
        self._tokens[token] = account
        return token

    def log_out(self, token: str) -> bool:
        return self._tokens.pop(token, None) is not None

    @property
    def sessions(self) -> int:
        """The number of open sessions."""
        return len(self._tokens)

    def revoke(self, api_key: str) -> None:
        """Refuse a key; its use counts as a failed login of its user."""
        self._revoked.add(api_key)

    def restore(self, api_key: str) -> None:
        """Accept a revoked key again."""
        self._revoked.discard(api_key)

    def refuse(self, name: str, *, at: float) -> None:
        """Count a failed login of *name*."""
        if self._lockout_after is None or self.locked(name, at=at):
            return
        self._failed_logins[name] = self._failed_logins.get(name, 0) + 1
        if self._failed_logins[name] >= self._lockout_after:
            self._locked_until[name] = at + self._lockout_seconds
            del self._failed_logins[name]

    def locked(self, name: str, *, at: float) -> bool:
        """Return whether *name* is locked out, with its API keys and sessions."""
        return self._locked_until.get(name, at) > at

    def _by_key(self, key: str, *, at: float) -> Caller | None:
        account = next((one for one in self._accounts if key and one.api_key == key), None)
        if account is None or self.locked(account.name, at=at):
            return None
        if key in self._revoked:
            self.refuse(account.name, at=at)
            return None
        return Caller(account, "key", f"key:{account.name}")

    def _by_password(self, name: str, password: str, *, at: float) -> Account | None:
        account = next((one for one in self._accounts if one.name == name), None)
        if account is None or self.locked(name, at=at):
            return None
        if account.password != password:
            self.refuse(name, at=at)
            return None
        self._failed_logins.pop(name, None)
        return account


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""

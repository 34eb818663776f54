"""Who may log in: who knows the recovery token, and the users that are operators."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from aiohttp import web

from exporter.errors import ConfigError
from exporter.web.ports import TokenSource
from exporter.web.users import User, user_of

NONE_IS_CONFIGURED = (
    "Commands are refused because no token is configured; set recovery.token or "
    "recovery.token_file and reload."
)


class Operators:
    """
    What makes an operator of the sender of a request.

    A session is as good as the secret that it was begun with. The secret is its *proof*: when the
    token is replaced, the password of the user is changed, or the user is removed, the session
    ends.

    Args:
        token: Returns the recovery token.
        names: The users of the web configuration file that may log in without the token.

    """

    def __init__(self, token: TokenSource, names: Iterable[str] = ()) -> None:
        self._token = token
        self._names = frozenset(names)

    def __bool__(self) -> bool:
        """Return whether a user may log in without the token."""
        return bool(self._names)

    def user(self, request: web.Request) -> User | None:
        """Return the authenticated user of *request* if it is an operator."""
        user = user_of(request)
        return user if user is not None and user.name in self._names else None

    def required_token(self) -> bytes:
        """
        Return the recovery token.

        Raises:
            ConfigError: There is none, or it cannot be read.

        """
        try:
            token = self._token()
        except ConfigError as error:
            raise ConfigError(f"Commands are refused: {error}") from None
        if token is None or not token.get_secret_value():
            raise ConfigError(NONE_IS_CONFIGURED)
        return token.get_secret_value().encode()

    def proofs(self, request: web.Request) -> Sequence[bytes]:
        """Return the proofs that let the sender of *request* give commands now."""
        user = self.user(request)
        found = [proof_of_user(user)] if user is not None else []
        with suppress(ConfigError):  # else the sessions that were begun with a token end
            found.append(proof_of_token(self.required_token()))
        return found


def proof_of_token(token: bytes) -> bytes:
    """Return the proof of a session that was begun with *token*."""
    return b"token:" + token


def proof_of_user(user: User) -> bytes:
    """Return the proof of a session that *user* began without the token."""
    return f"user:{user.password_hash}:{user.name}".encode()

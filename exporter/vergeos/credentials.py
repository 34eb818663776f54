"""Credentials for VergeOS."""

from collections.abc import Callable

import msgspec
from pydantic import SecretStr

from exporter.inputs.files import Stamp


class Credentials(msgspec.Struct, frozen=True):
    """
    An API key, or a user name with a password.

    The secrets are `SecretStr`, which is masked in logs and tracebacks.
    """

    api_key: SecretStr | None = None
    username: str = ""
    password: SecretStr | None = None
    stamps: tuple[Stamp | None, ...] = ()
    """Of the files of the secrets: another one when a file was touched or written again."""

    def is_same_login(self, other: "Credentials") -> bool:
        """Return whether *other* has the same secrets, from whatever files."""
        return _login(self) == _login(other)


CredentialSource = Callable[[], Credentials]
"""Returns the current credentials; reads changed files again. Raises ConfigError."""


def _login(credentials: Credentials) -> tuple[object, ...]:
    return credentials.api_key, credentials.username, credentials.password

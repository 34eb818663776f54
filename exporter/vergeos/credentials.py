"""Credentials for VergeOS."""

from collections.abc import Callable

import msgspec
from pydantic import SecretStr


class Credentials(msgspec.Struct, frozen=True):
    """
    An API key, or a user name with a password.

    The secrets are `SecretStr`, which is masked in logs and tracebacks.
    """

    api_key: SecretStr | None = None
    username: str = ""
    password: SecretStr | None = None


CredentialSource = Callable[[], Credentials]
"""Returns the current credentials; reads changed files again. Raises ConfigError."""

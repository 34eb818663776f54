"""How to get in to an Alertmanager, and how to know that it is the right one."""

import base64
import re
import ssl
from pathlib import Path

import msgspec
from pydantic import SecretStr

from exporter.errors import ConfigError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""What no header can carry."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """
    A user name with a password, or a token, or nothing; and whom to trust.

    The secrets are `SecretStr`: printed, logged or in a traceback they are asterisks. Files are
    read anew for every request, so that a changed one is noticed.
    """

    username: str = ""
    password: SecretStr | None = None
    password_file: Path | None = None
    token: SecretStr | None = None
    token_file: Path | None = None
    verify: bool = True
    """Whether to check the certificate."""
    ca_file: Path | None = None
    """Certificates to trust besides the system's."""

    def headers(self) -> dict[str, str]:
        """
        Return what says who we are.

        Raises:
            ConfigError: A file with a secret cannot be used.

        """
        token = _secret(self.token, self.token_file)
        if token:
            return {"Authorization": f"Bearer {token}"}
        if not self.username:
            return {}
        password = _secret(self.password, self.password_file)
        pair = base64.b64encode(f"{self.username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def trust(self) -> ssl.SSLContext | bool:
        """
        Return what a connection is checked with.

        Raises:
            ConfigError: The CA file cannot be used.

        """
        if not self.verify:
            return False
        context = ssl.create_default_context()
        if self.ca_file is None:
            return context
        try:
            context.load_verify_locations(self.ca_file)
        except ssl.SSLError:
            text = f"{self.ca_file} holds no certificate (PEM)"
            raise ConfigError(f"alertmanager.ca_file: {text}") from None
        except OSError as problem:
            text = f"{self.ca_file} cannot be read: {problem.strerror}"
            raise ConfigError(f"alertmanager.ca_file: {text}") from None
        return context


def _secret(given: SecretStr | None, path: Path | None) -> str:
    """Return a secret, or the first line of the file that it is in."""
    if path is None:
        return given.get_secret_value() if given is not None else ""
    try:
        line = path.read_bytes().decode("utf-8-sig").partition("\n")[0].removesuffix("\r")
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not text"
        raise ConfigError(f"the secret in {path} cannot be read: {reason}") from None
    if not line.strip() or CONTROL.search(line):
        raise ConfigError(f"the secret in {path} cannot be used: its first line is no secret")
    return line

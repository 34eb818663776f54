"""Credentials for VergeOS, and secrets in files."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
from pydantic import SecretStr

from exporter.errors import ConfigError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""Characters that an HTTP header cannot carry."""


class Credentials(msgspec.Struct, frozen=True):
    """
    An API key, or a user name with a password.

    The secrets are `SecretStr`, which is masked in logs and tracebacks.
    """

    api_key: SecretStr | None = None
    username: str = ""
    password: SecretStr | None = None


class SecretFile:
    """A secret in a file, read again when the file's time, size or inode changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._secret = SecretStr("")

    def read(self) -> SecretStr:
        """
        Return the file's first line without its newline.

        Raises:
            ConfigError: The file cannot be read, or is empty.

        """
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp != self._stamp:
                self._secret = SecretStr(self._first_line())
                self._stamp = stamp
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "it is not text"
            raise ConfigError(f"the secret in {self.path} cannot be read: {reason}") from None
        return self._secret

    def _first_line(self) -> str:
        text = self.path.read_bytes().decode("utf-8-sig")  # some editors write a BOM
        line = text.partition("\n")[0].removesuffix("\r")
        if not line.strip():
            empty = "its first line" if text.strip() else "the file"
            raise ConfigError(f"the secret in {self.path} cannot be read: {empty} is empty")
        if CONTROL.search(line):
            raise ConfigError(
                f"the secret in {self.path} cannot be used: it holds a control character"
            )
        return line


CredentialSource = Callable[[], Credentials]
"""Returns the current credentials; reads changed files again. Raises ConfigError."""

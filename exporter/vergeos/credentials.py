"""Who we are to a VergeOS, and where that is written."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
from pydantic import SecretStr

from exporter.errors import ConfigError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""What no header can carry."""


class Credentials(msgspec.Struct, frozen=True):
    """
    An API key, or a user name with a password.

    The secrets are `SecretStr`: printed, logged or in a traceback they are asterisks.
    """

    api_key: SecretStr | None = None
    username: str = ""
    password: SecretStr | None = None


class SecretFile:
    """A secret kept in a file, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._secret = SecretStr("")

    def read(self) -> SecretStr:
        """
        Return the file's first line, without the newline that editors add.

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
        text = self.path.read_bytes().decode("utf-8-sig")  # some editors put a mark first
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
"""Returns today's credentials; reads files anew when they changed. Raises ConfigError."""

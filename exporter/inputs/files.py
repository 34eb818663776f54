"""Files that an operator edits: their text, their changes, and the secrets in them."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from exporter.errors import ConfigError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""Characters that an HTTP header cannot carry."""


class Stamp(NamedTuple):
    """Changes with the content of a file, or of the file that a symbolic link leads to."""

    device: int
    inode: int
    """Another one after an atomic rename, and after Kubernetes swapped its link ``..data``."""
    changed_ns: int
    """Unlike the time of modification, a copy cannot set it."""
    modified_ns: int
    size: int


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of the file at *path*; ``None`` if it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(
        status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size
    )


def read_text(path: Path, name: str = "") -> str:
    """
    Return the text of the file at *path*.

    Args:
        name: Names the file in the error. Default: its path.

    Raises:
        ConfigError: The file cannot be read.

    """
    try:
        return path.read_bytes().decode("utf-8-sig")  # some editors write a BOM
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{name or path} cannot be read: {reason}") from None


def write_atomically(path: Path, body: bytes, *, mode: int = 0o600) -> None:
    """Replace the file at *path*, whose folder is created. Raises OSError."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
    new.replace(path)


class SecretFile:
    """A secret in a file, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp: Stamp | None = None
        """Of the file that was read last."""
        self._secret = SecretStr("")

    def read(self) -> SecretStr:
        """
        Return the file's first line without its newline.

        Raises:
            ConfigError: The file cannot be read, or is empty.

        """
        now = stamp(self.path)
        if now is None or now != self.stamp:
            self._secret = SecretStr(self._first_line())
            self.stamp = now
        return self._secret

    def _first_line(self) -> str:
        name = f"the secret in {self.path}"
        text = read_text(self.path, name)
        line = text.partition("\n")[0].removesuffix("\r")
        if not line.strip():
            empty = "its first line" if text.strip() else "the file"
            raise ConfigError(f"{name} cannot be read: {empty} is empty")
        if CONTROL.search(line):
            raise ConfigError(f"{name} cannot be used: it holds a control character")
        return line

"""One process to each journal: two that act would not know of each other's intents."""

import contextlib
import fcntl
import os
from pathlib import Path

from exporter.errors import JournalError


class Lock:
    """
    The right to a journal, from its being made until `release` or the end of the process.

    The kernel keeps it, so nothing has to be cleaned up after a crash; the file only says who.

    Raises:
        JournalError: Another process has it.

    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip()
            os.close(self._descriptor)
            whose = f"process {holder}" if holder else "another process"
            raise JournalError(f"the journal is in use: {whose} holds {path}") from None
        except OSError:
            os.close(self._descriptor)
            raise
        with contextlib.suppress(OSError):  # a courtesy to whoever comes second
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)

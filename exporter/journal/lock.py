"""The lock that keeps a second process from opening the same journal."""

import contextlib
import fcntl
import os
from pathlib import Path

from exporter.errors import JournalError


class Lock:
    """
    An exclusive lock on the file *path*, held until `release` or the end of the process.

    The kernel releases it after a crash. The file's content, the holder's process id, is only for
    the error message.

    Raises:
        JournalError: Another process holds the lock.

    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = _holder(self._descriptor)
            os.close(self._descriptor)
            raise JournalError(f"the journal is in use: {other} holds {path}") from None
        except OSError:
            os.close(self._descriptor)
            raise
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)


def holder(path: Path) -> str:
    """Return which process holds the lock on *path*; empty if none does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    finally:
        os.close(descriptor)
    return ""


def _holder(descriptor: int) -> str:
    pid = os.read(descriptor, 32).decode(errors="replace").strip()
    return f"process {pid}" if pid else "another process"

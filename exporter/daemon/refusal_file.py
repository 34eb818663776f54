"""The refused credentials of one system, in a file of the state directory."""

import threading
from pathlib import Path

import msgspec
import structlog

from exporter.daemon.system_memory import SystemMemory
from exporter.errors import system_reason
from exporter.inputs.files import Stamp, stamp, write_atomically
from exporter.tolerant_json import UNREADABLE
from exporter.vergeos.refusals import StoredRefusal

log = structlog.get_logger()


class RefusalFile:
    """
    Keeps the newest refusal of one credential.

    It is not part of the other memory of the system: `vergewatch check` writes it too.

    Args:
        directory: The state directory.
        url: Of the system.
        role: Which credential of the system it is about.

    """

    def __init__(self, directory: Path, url: str, role: str) -> None:
        memory = SystemMemory(directory, url)
        self.path = memory.path.with_suffix(f".refused-{role}.json")
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._read: StoredRefusal | None = None
        self._problem = ""

    def read(self) -> StoredRefusal | None:
        """Return what the file holds now; None where it cannot be read."""
        with self._lock:
            found = stamp(self.path)
            if found is None:
                self._read = None
            elif found != self._stamp:
                try:
                    self._read = msgspec.json.decode(self.path.read_bytes(), type=StoredRefusal)
                except (OSError, *UNREADABLE):
                    self._read = None
            self._stamp = found
            return self._read

    def write(self, refusal: StoredRefusal | None) -> bool:
        """Keep *refusal*, or none; return whether that worked. A failure is logged once."""
        try:
            with self._lock:
                if refusal is None:
                    self.path.unlink(missing_ok=True)
                else:
                    write_atomically(self.path, msgspec.json.encode(refusal))
        except OSError as error:
            problem = system_reason(error)
            if problem != self._problem:
                log.warning("refusal.not_written", path=str(self.path), error=problem)
            self._problem = problem
            return False
        self._problem = ""
        return True

"""What the daemon remembers of a system across restarts: a JSON file in the state directory."""

import os
import re
import threading
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
import structlog

from exporter.errors import system_reason
from exporter.tolerant_json import UNREADABLE
from exporter.vergeos.budget import Spent

log = structlog.get_logger()

FOLDER = "systems"


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a system from before."""

    system_name: str = ""
    """The name in use that the system gave: the one it reported, or its host if it reports none."""
    used_names: tuple[str, ...] = ()
    """The names that its series had, configured ones included; the newest is last."""
    requests: dict[int, Spent] = {}
    """The requests of the last hour, by minute since 1970."""
    wait_until: float = 0.0
    """Until when the system asked to wait, in seconds since 1970; 0 if it did not."""
    wait_because: str = ""
    """The answer that asked for it."""
    findings: Mapping[str, Mapping[str, Annotated[datetime, msgspec.Meta(tz=True)]]] = {}
    """When each finding of the doctor was first found, by check and subject."""


class SystemMemory:
    """
    The memory of one system. Without a state directory that can be written, it lasts until the end
    of the process.

    Args:
        directory: The state directory.
        url: Of the system.
        part: Names a file of its own for what another process writes.

    """

    def __init__(self, directory: Path, url: str, part: str = "") -> None:
        host = re.sub(r"[^\w.-]", "_", urlsplit(url).netloc)
        name = f"{host}-{sha256(url.encode()).hexdigest()[:8]}"
        self.path = directory / FOLDER / (f"{name}.{part}.json" if part else f"{name}.json")
        self._lock = threading.Lock()
        self._problem = ""
        self.remembered = self._read()

    def remember(self, **changes: Any) -> None:
        """
        Change fields of `remembered` and write the file. It may be called in any thread.

        A file that cannot be written is logged once.
        """
        with self._lock:
            self.remembered = msgspec.structs.replace(self.remembered, **changes)
            try:
                self._write(msgspec.json.encode(self.remembered))
                self._problem = ""
            except OSError as error:
                self._report("system_memory.not_written", system_reason(error))

    def _read(self) -> Remembered:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Remembered)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._report("system_memory.not_read", system_reason(error))
        except UNREADABLE as error:
            self._report("system_memory.not_read", str(error))
        return Remembered()

    def _write(self, text: bytes) -> None:
        self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
        new.replace(self.path)

    def _report(self, event: str, problem: str) -> None:
        if problem != self._problem:
            log.warning(event, path=str(self.path), error=problem)
        self._problem = problem

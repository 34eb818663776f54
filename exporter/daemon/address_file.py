"""Where the running daemon listens, in a file that commands and the health check read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from exporter.config.recovery import RecoverySettings
from exporter.config.recovery_setup import directory
from exporter.errors import system_reason
from exporter.inputs.files import write_atomically
from exporter.model import LISTEN_FILE, DaemonAddress
from exporter.web.server import Listen

log = structlog.get_logger()


def address_file() -> Path:
    """
    Return the place of the file: the state directory of the environment.

    It does not depend on the settings, which its readers do not know.
    """
    return directory(RecoverySettings()) / LISTEN_FILE


@contextmanager
def published(listen: Listen, *, tls: bool) -> Iterator[None]:
    """Keep the address in the file while the block runs; a failure is logged."""
    path = address_file()
    body = msgspec.json.encode(DaemonAddress(listen.host, listen.port, tls, os.getpid()))
    try:
        write_atomically(path, body)
    except OSError as error:
        log.warning("address.not_written", path=str(path), error=system_reason(error))
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_bytes() == body:  # not that of another daemon
                path.unlink()

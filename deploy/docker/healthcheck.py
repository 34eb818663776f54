#!/usr/bin/env python3
"""
Ask the daemon of this container whether it is alive; the exit code is the answer. With the
argument ``/-/ready``, ask whether it polls at least one system.

The daemon writes down where it listens, whatever set that: a variable, an option or a settings
file. Whether it wants a password does not matter: a daemon that refuses is alive.
"""

import http.client
import json
import os
import ssl
import sys
from pathlib import Path
from typing import NamedTuple

TIMEOUT_SECONDS = 4
PATH = sys.argv[1] if len(sys.argv) > 1 else "/-/healthy"
FILE = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/vergewatch").split(":")[0]) / "listen.json"
VARIABLE = "VERGEWATCH_WEB__LISTEN_ADDRESS"
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


class Address(NamedTuple):
    """Where the daemon listens."""

    host: str
    port: int
    tls: bool | None = None
    """None where that is not known."""


def main() -> int:
    """Return 0 if the daemon answers, and with no error of its own."""
    address = find()
    host = "127.0.0.1" if address.host in EVERYWHERE else address.host
    status = None
    if not address.tls:
        try:
            plain = http.client.HTTPConnection(host, address.port, timeout=TIMEOUT_SECONDS)
            status = ask(plain)
        except (http.client.HTTPException, ConnectionResetError):
            if address.tls is False:
                raise
    if status is None:
        # Nothing secret is sent: any certificate will do.
        tls = ssl._create_unverified_context()  # noqa: S323, SLF001
        secure = http.client.HTTPSConnection(
            host, address.port, timeout=TIMEOUT_SECONDS, context=tls
        )
        try:
            secure.connect()
            status = ask(secure)
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
            return 0  # it wants a certificate of us
    return int(status >= http.client.INTERNAL_SERVER_ERROR)


def find() -> Address:
    """Return where the daemon listens: what it wrote down, else what the variable says."""
    try:
        found = json.loads(FILE.read_bytes())
        return Address(str(found["host"]), int(found["port"]), bool(found["tls"]))
    except (OSError, ValueError, KeyError, TypeError):
        host, _, port = os.environ.get(VARIABLE, ":9888").rpartition(":")
        return Address(host.strip("[]"), int(port))


def ask(connection: http.client.HTTPConnection) -> int:
    """Return the status of the answer."""
    try:
        connection.request("GET", PATH)
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"the daemon does not answer: {type(error).__name__} {error}")

#!/usr/bin/env python3
"""
Ask the daemon of this container whether it is alive; the exit code is the answer.

Whether it serves TLS or wants a password does not matter: a daemon that refuses is alive.
"""

import http.client
import os
import ssl
import sys

TIMEOUT_SECONDS = 4
LISTEN = os.environ.get("VERGEWATCH_WEB__LISTEN_ADDRESS", ":9888")
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def main() -> int:
    """Return 0 if the daemon answers, and with no error of its own."""
    host, _, port = LISTEN.rpartition(":")
    host = host.strip("[]")
    if host in EVERYWHERE:
        host = "127.0.0.1"
    try:
        status = ask(http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS))
    except (http.client.HTTPException, ConnectionResetError):
        # It does not speak HTTP, so it speaks TLS. Nothing secret is sent: any certificate will do.
        tls = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(
            host, int(port), timeout=TIMEOUT_SECONDS, context=tls
        )
        try:
            status = ask(connection)
        except (ssl.SSLError, ConnectionError):
            return 0  # it wants a certificate of us
    return int(status >= http.client.INTERNAL_SERVER_ERROR)


def ask(connection: http.client.HTTPConnection) -> int:
    """Return the status of the answer."""
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"{LISTEN} does not answer: {error}")

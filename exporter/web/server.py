"""The HTTP server: listening socket, start and shutdown."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from exporter.clock import Clock, SystemClock
from exporter.errors import ConfigError, UnavailableError
from exporter.web.connections import (
    CONNECTIONS,
    KEEPALIVE_SECONDS,
    Connections,
    Listener,
    affordable_connections,
)
from exporter.web.delivery import SHUTDOWN_SECONDS
from exporter.web.ports import CountRefusal

BACKLOG = 1024
"""Connections that the kernel keeps until they are accepted; they need no descriptor."""
ACCEPTED_AT_ONCE = 4
"""Between two looks at the connections that end: a flood must not open many more than allowed."""
SEND_BUFFER_BYTES = 256 * 1024
"""In the kernel, which else takes megabytes for each client that does not read its response."""
LINGERING_SECONDS = 2.0
"""How long the rest of a body that nothing reads is received, before the connection is closed."""
MAX_HEADERS = 64
"""Of a request, each up to 8 KiB long."""
TEMPORARY_ERRORS = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL})
"""Errors for which a retry may succeed."""
MAX_PORT = 65_535


class Listen(NamedTuple):
    """Where to listen."""

    host: str
    """A name or an address; empty for all interfaces, IPv4 and IPv6."""
    port: int
    """0 for any free port."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(address: str) -> Listen:
    """
    Parse ``:9888``, ``127.0.0.1:9888``, ``[::1]:9888`` or ``name:9888``.

    Raises:
        ConfigError: *address* has another form.

    """
    host, colon, port = address.strip().rpartition(":")
    if not colon:
        raise ConfigError(f"the listen address {address!r} has no port; write it like :9888")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(
            f"the listen address {address!r} needs brackets around IPv6, like [::1]:9888"
        )
    if "[" in host or "]" in host or "/" in host or any(map(str.isspace, host)):
        raise ConfigError(f"the listen address {address!r} is not host:port, like :9888")
    if not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
        raise ConfigError(
            f"the listen address {address!r} has the port {port!r}; it must be 0 to {MAX_PORT}"
        )
    return Listen(host, int(port))


@asynccontextmanager
async def serving(
    app: web.Application,
    listen: Listen,
    *,
    ssl_context: ssl.SSLContext | None = None,
    clock: Clock | None = None,
    refused: CountRefusal = lambda _: None,
) -> AsyncIterator[Listen]:
    """
    Serve *app* until the block ends. Yields the address, with the port that was chosen for 0.

    Args:
        app: The application.
        listen: Where to listen.
        ssl_context: For HTTPS.
        clock: Of the time-outs.
        refused: Counts connections that are refused or ended.

    Raises:
        UnavailableError: The address is in use or cannot be resolved; a retry may succeed.
        ConfigError: The daemon cannot listen on the address.

    """
    connections = Connections(clock or SystemClock(), refused, most=affordable_connections())
    app[CONNECTIONS] = connections
    app.middlewares.insert(0, connections.middleware())
    bound = await _bind(listen)
    sock = Listener(bound.family, bound.type, bound.proto, fileno=bound.detach())
    sock.connections = connections
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # of each connection
    # No access log: it would be one line per scrape.
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_protocol_log(),
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
        lingering_time=LINGERING_SECONDS,
        max_headers=MAX_HEADERS,
        auto_decompress=False,  # a body of a few kilobytes could cost seconds
    )
    expiring = asyncio.create_task(connections.expire_forever(), name="expire connections")
    try:
        await runner.setup()
        site = web.SockSite(runner, sock, ssl_context=ssl_context, backlog=ACCEPTED_AT_ONCE)
        await site.start()
        sock.listen(BACKLOG)  # the site has set it to what it accepts at once
        yield Listen(*sock.getsockname()[:2])
    finally:
        expiring.cancel()
        await runner.cleanup()
        sock.close()


async def _bind(listen: Listen) -> socket.socket:
    try:
        if listen.host in ("", "::"):
            return _bind_everywhere(listen.port)
        found = await asyncio.get_running_loop().getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # IPv4 if the host has both, as in Go.
        family, *_, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        reason = f"cannot listen on {listen}: {error.strerror or error}"
        if isinstance(error, socket.gaierror) or error.errno in TEMPORARY_ERRORS:
            raise UnavailableError(reason) from None
        raise ConfigError(reason) from None


def _bind_everywhere(port: int) -> socket.socket:
    """Bind one socket for IPv6 and IPv4, or for IPv4 alone where the machine has no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port), backlog=BACKLOG)


def _protocol_log() -> logging.Logger:
    """Return aiohttp's log without malformed requests, such as those of a port scan."""
    logger = logging.getLogger("exporter.web.protocol")
    logger.addFilter(_is_server_error)
    return logger


def _is_server_error(record: logging.LogRecord) -> bool:
    client_errors = (HttpProcessingError, web.RequestPayloadError)
    return not (record.exc_info and isinstance(record.exc_info[1], client_errors))

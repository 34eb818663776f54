"""The connections of the web server: how many may be open, and how long each may wait."""

import asyncio
import ipaddress
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exporter.clock import Clock
from exporter.web.ports import CountRefusal, Refusal

MAX_CONNECTIONS = 256
SHARE_OF_CLIENT = 0.75
"""Of the connections, for one client at most; see `client_of`."""
HEAD_SECONDS = 10.0
"""From accepting a connection until its first request is read, with the TLS handshake."""
KEEPALIVE_SECONDS = 150.0
"""Longer than a scrape interval, so that Prometheus reuses its connection."""
CLOSING_SECONDS = 10.0
"""For a kept connection to close by itself, after `KEEPALIVE_SECONDS`."""
BODY_SECONDS = 10.0
"""For the whole body of a request."""
EXPIRE_EVERY_SECONDS = 1.0
REQUEST_SECONDS = 1.0
"""For the first request of a new connection, before it makes room rather than a kept one."""


def affordable_connections() -> int:
    """
    Return how many connections the file limit of the process allows.

    At least half of all descriptors are kept back for the daemon itself: its requests to VergeOS,
    Prometheus and the Alertmanagers, the journal and the files that it reads again.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft < 0 else max(1, min(MAX_CONNECTIONS, soft // 2))


def client_of(host: str | None) -> str:
    """
    Return what counts as one client: an IPv4 address, or an IPv6 network of 64 bits.

    One host can choose its address in its IPv6 network at will.
    """
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return host or ""
    if address.version == 4:  # noqa: PLR2004 - not a magic number
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.is_loopback:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


class Connection(socket.socket):
    """An accepted connection and what it waits for."""

    peer: Any
    """The address and port of the client, which identify the connection."""
    client: str
    waiting_since: float
    is_answered = False
    """A request was answered on it."""
    is_busy = False
    """A request that has been read is being answered."""
    closed: Callable[["Connection"], None]

    def close(self) -> None:
        super().close()
        self.closed(self)


class Connections:
    """
    The open connections of one server.

    A connection that waits for its client (for the TLS handshake, a request, its body, or the next
    request) is worth the least: when there are too many, one of the client with the most makes
    room for the new one. First go those that have sent nothing for long, then those that are kept
    for a next request, then new ones. So a client that opens connections and sends nothing keeps
    none of the others out, and a new connection has time for its request even in a flood. Only
    when every connection is being answered, a new one is refused.

    Args:
        clock: The time.
        refused: Counts what is refused.
        most: How many may be open.

    """

    def __init__(self, clock: Clock, refused: CountRefusal, *, most: int) -> None:
        self._clock = clock
        self._refused = refused
        self._most = most
        self._most_of_client = max(1, int(most * SHARE_OF_CLIENT))
        self._open: dict[Any, Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Add *connection*, after one that waits was closed if there are too many."""
        crowd = Counter(each.client for each in self._open.values())
        is_too_many_of_client = crowd[connection.client] >= self._most_of_client
        if is_too_many_of_client or len(self._open) >= self._most:
            self._refused(Refusal.CONNECTIONS)
            waiting = [
                each
                for each in self._open.values()
                if not each.is_busy
                and (each.client == connection.client or not is_too_many_of_client)
            ]
            if not waiting:
                return False
            self._end(min(waiting, key=lambda each: (-crowd[each.client], *self._worth(each))))
        connection.closed = self._forget
        connection.waiting_since = self._clock.monotonic()
        self._open[connection.peer] = connection
        return True

    def _worth(self, waiting: Connection) -> tuple[int, float]:
        """Return how much a connection that waits is worth, compared with others of its client."""
        is_new = self._clock.monotonic() - waiting.waiting_since < REQUEST_SECONDS
        rank = 1 if waiting.is_answered else 2 if is_new else 0
        return rank, waiting.waiting_since

    def expire(self) -> None:
        """Close the connections that have waited too long."""
        now = self._clock.monotonic()
        for each in list(self._open.values()):
            kept = KEEPALIVE_SECONDS + CLOSING_SECONDS
            limit = kept if each.is_answered else HEAD_SECONDS
            if not each.is_busy and now - each.waiting_since >= limit:
                self._refused(Refusal.SLOW_REQUEST)
                self._end(each)

    async def expire_forever(self) -> None:
        """Call `expire` again and again."""
        while True:
            await self._clock.sleep(EXPIRE_EVERY_SECONDS)
            self.expire()

    @contextmanager
    def answering(self, peer: Any) -> Iterator[None]:
        """Inside the block, a request that has been read is being answered."""
        connection = self._open.get(peer)
        if connection is None:
            yield
            return
        connection.is_busy = connection.is_answered = True
        try:
            yield
        finally:
            connection.is_busy = False
            connection.waiting_since = self._clock.monotonic()

    @contextmanager
    def waiting(self, peer: Any) -> Iterator[None]:
        """Inside the block, a request waits (for its body), and may make room for others."""
        connection = self._open.get(peer)
        if connection is None:
            yield
            return
        connection.is_busy = False
        connection.waiting_since = self._clock.monotonic()
        try:
            yield
        finally:
            connection.is_busy = True

    def middleware(self) -> Any:
        """Return the middleware that marks connections with a request as busy."""

        @web.middleware
        async def mark(request: web.Request, handler: Handler) -> web.StreamResponse:
            with self.answering(_peer(request)):
                return await handler(request)

        return mark

    def _forget(self, connection: Connection) -> None:
        if self._open.get(connection.peer) is connection:
            del self._open[connection.peer]

    def _end(self, connection: Connection) -> None:
        """
        Make the event loop close *connection*.

        The socket belongs to the event loop, which closes it when it finds it shut down.
        """
        self._forget(connection)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


CONNECTIONS = web.AppKey("connections", Connections)


class Listener(socket.socket):
    """A listening socket that accepts what its `connections` admit."""

    connections: Connections

    def accept(self) -> tuple[socket.socket, Any]:
        """
        Accept a connection.

        Raises:
            ConnectionAbortedError: It is one too many; the event loop goes on with the next.

        """
        accepted, peer = super().accept()
        connection = Connection(
            accepted.family, accepted.type, accepted.proto, fileno=accepted.detach()
        )
        connection.peer, connection.client = peer, client_of(peer[0])
        connection.closed = lambda _: None
        if not self.connections.admit(connection):
            connection.close()
            raise ConnectionAbortedError
        return connection, peer


def waiting(request: web.Request) -> AbstractContextManager[None]:
    """Inside the block, *request* waits, and its connection may make room for others."""
    connections = request.app.get(CONNECTIONS)
    return connections.waiting(_peer(request)) if connections is not None else nullcontext()


async def read_body(request: web.Request) -> bytes:
    """
    Return the body of *request* without the error log that aiohttp writes for a broken one.

    Raises:
        HTTPUnsupportedMediaType: It is compressed: few bytes could cost much work.
        HTTPBadRequest: The body does not match its headers, or ends too early.
        HTTPRequestEntityTooLarge: It is longer than the application accepts.
        HTTPRequestTimeout: The client sends it too slowly.

    """
    if hdrs.CONTENT_ENCODING in request.headers:
        raise web.HTTPUnsupportedMediaType(text="send the body without Content-Encoding\n")
    with waiting(request):
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await request.read()
        except ConnectionError:  # the client is gone, as many are
            raise web.HTTPBadRequest(text="the body ended too early\n") from None
        except TimeoutError:
            raise web.HTTPRequestTimeout(headers={hdrs.CONNECTION: "close"}) from None
        except web.RequestPayloadError:
            request.content.feed_eof()
            raise web.HTTPBadRequest(text="the body does not match its headers\n") from None


def _peer(request: web.Request) -> Any:
    return request.transport.get_extra_info("peername") if request.transport is not None else None

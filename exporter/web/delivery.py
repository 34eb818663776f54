"""Writes responses as fast as clients read them, and drops clients that do not."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import hdrs, web

from exporter.clock import Clock
from exporter.exposition.page import Body
from exporter.web.ports import CountRefusal, Refusal

STALL_SECONDS = 10.0
"""For a client to read the next chunk."""
WRITE_SECONDS = 60.0
"""For a whole response. Prometheus' default scrape timeout is 10 s."""
SHUTDOWN_STALL_SECONDS = 0.1
"""The same for the next chunk when the server shuts down; there is no time for a slow client."""
SHUTDOWN_SECONDS = 0.4
"""How long a shutdown waits for responses in progress."""


class Delivery:
    """
    Writes responses.

    Args:
        clock: Gives way to other clients between two chunks.
        refused: Counts the clients that do not read.

    """

    def __init__(self, clock: Clock, refused: CountRefusal) -> None:
        self._clock = clock
        self._refused = refused
        self._in_progress: set[asyncio.Timeout] = set()
        self._shutdown_at = math.inf
        """In the time of the event loop."""

    async def __call__(
        self, request: web.Request, response: web.StreamResponse, body: Body | None = None
    ) -> None:
        """Write *response*, with *body* unless it has its own."""
        until = asyncio.get_running_loop().time() + WRITE_SECONDS
        try:
            async with asyncio.timeout_at(self._limit(until)) as stall:
                with self._noted(stall):
                    await response.prepare(request)
                    if body is not None and request.method != hdrs.METH_HEAD:
                        for chunk in body.chunks():
                            await response.write(chunk)
                            # A fast client must not block the event loop.
                            await self._clock.sleep(0)
                            stall.reschedule(self._limit(until))
                    await response.write_eof()
        except TimeoutError:
            self._refused(Refusal.SLOW_READER)
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError as error:
            # The client disconnected. The error is in a future that one of the frames of its
            # traceback holds: without them, the response is freed now and not by the garbage
            # collector.
            error.__traceback__ = None

    async def shut_down(self, _: web.Application) -> None:
        """Give responses in progress, and later ones, the little time of a shutdown."""
        self._shutdown_at = asyncio.get_running_loop().time()
        for stall in self._in_progress:
            if not stall.expired():
                stall.reschedule(self._limit(stall.when() or math.inf))

    def _limit(self, until: float) -> float:
        """Return when the client must have read the next chunk, which is *until* at the latest."""
        now = asyncio.get_running_loop().time()
        if self._shutdown_at <= now:
            end = self._shutdown_at + SHUTDOWN_SECONDS
            return min(now + SHUTDOWN_STALL_SECONDS, end, until)
        return min(now + STALL_SECONDS, until)

    @contextmanager
    def _noted(self, stall: asyncio.Timeout) -> Iterator[None]:
        self._in_progress.add(stall)
        try:
            yield
        finally:
            self._in_progress.discard(stall)

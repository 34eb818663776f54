"""Server-sent events: open pages learn of each poll, and then ask for what they show."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import is_not

from aiohttp import hdrs, web

from exporter.clock import Clock
from exporter.model import SystemState
from exporter.web.connections import waiting
from exporter.web.console.shared_pages import shown
from exporter.web.delivery import STALL_SECONDS
from exporter.web.ports import CountRefusal, Refusal
from exporter.web.slots import Slots

EVERY_SECONDS = 1.0
"""Between two looks for a new inventory, while a page is open."""
KEEPALIVE_SECONDS = 15.0
"""A line without meaning, so that a proxy keeps the connection and a client that is gone shows."""
MAX_STREAMS = 100
MAX_STREAMS_OF_CLIENT = 60
"""Fewer than the connections of a client: several operators may share an address."""
POLL = b"event: poll\ndata: \n\n"
KEEPALIVE = b":\n\n"


class Live:
    """
    The streams of all open pages.

    One task looks for news while pages are open; a stream only waits to be woken, so that a page
    left open costs nothing between two events. A stream counts as waiting for its client: when
    there are too many connections, it makes room, and the browser connects again later.

    Args:
        states: Returns the newest state of each system.

    """

    def __init__(
        self, states: Callable[[], Sequence[SystemState]], clock: Clock, refused: CountRefusal
    ) -> None:
        self._states = states
        self._clock = clock
        self._slots = Slots(
            Refusal.STREAMS, refused, most=MAX_STREAMS, most_of_client=MAX_STREAMS_OF_CLIENT
        )
        self._is_closing = False
        self._open: dict[int, web.Request] = {}
        self._watching: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        """Set, and replaced, whenever there is something to send."""
        self._polls = 0
        self._lines = 0
        """How often there was news, and how often there was something to send."""

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send an event ``poll`` whenever a system has a newer inventory or recovery report."""
        with self._slots.taken(request), self._watched(request):
            response = web.StreamResponse(
                headers={
                    hdrs.CONTENT_TYPE: "text/event-stream",
                    hdrs.CACHE_CONTROL: "no-store",
                    "X-Accel-Buffering": "no",
                }
            )
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await response.prepare(request)
                await self._send(response, b"retry: 5000\n\n")
                await self._follow(request, response)
            except (ConnectionError, TimeoutError):
                # The client is gone, or does not read: nothing that is left to send is kept.
                if request.transport is not None:
                    request.transport.abort()
            return response

    async def shut_down(self, _: web.Application) -> None:
        """End every stream."""
        self._is_closing = True
        self._wake()

    async def _follow(self, request: web.Request, response: web.StreamResponse) -> None:
        polls, lines = self._polls, self._lines
        while not (self._is_closing or _is_gone(request)):
            if lines == self._lines:
                with waiting(request):
                    await self._woken.wait()
                continue
            event = KEEPALIVE if polls == self._polls else POLL
            polls, lines = self._polls, self._lines
            await self._send(response, event)

    async def _send(self, response: web.StreamResponse, text: bytes) -> None:
        async with asyncio.timeout(STALL_SECONDS):
            await response.write(text)

    @contextmanager
    def _watched(self, request: web.Request) -> Iterator[None]:
        """Inside the block, a task looks for news, and whether the client of *request* is gone."""
        self._open[id(request)] = request
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="live")
        try:
            yield
        finally:
            del self._open[id(request)]
            if not self._open:
                self._watching.cancel()
                self._watching = None

    async def _watch(self) -> None:
        seen, sent_at = self._seen(), self._clock.monotonic()
        while True:
            await self._clock.sleep(EVERY_SECONDS)
            now, newest = self._clock.monotonic(), self._seen()
            is_news = len(newest) != len(seen) or any(map(is_not, newest, seen))
            if is_news:
                seen = newest
                self._polls += 1
            if is_news or now - sent_at >= KEEPALIVE_SECONDS:
                sent_at = now
                self._lines += 1
                self._wake()
            elif any(map(_is_gone, self._open.values())):
                self._wake()  # its place is free before the next line

    def _wake(self) -> None:
        woken, self._woken = self._woken, asyncio.Event()
        woken.set()

    def _seen(self) -> list[object]:
        """Return what is replaced by each poll, and by each change of recovery."""
        return shown(self._states())


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()

"""Server-sent events: open pages learn of each poll, and then ask for what they show."""

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import hdrs, web

from exporter.clock import Clock
from exporter.model import SystemState
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


class Live:
    """
    The streams of all open pages.

    Args:
        states: Returns the newest state of each system.

    """

    def __init__(
        self, states: Callable[[], Sequence[SystemState]], clock: Clock, refused: CountRefusal
    ) -> None:
        self._states = states
        self._clock = clock
        self._slots = Slots(
            Refusal.VIEWS, refused, most=MAX_STREAMS, most_of_client=MAX_STREAMS_OF_CLIENT
        )
        self._closing = asyncio.Event()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send an event ``poll`` whenever a system has a newer inventory or recovery report."""
        with self._slots.taken(request):
            response = web.StreamResponse(
                headers={
                    hdrs.CONTENT_TYPE: "text/event-stream",
                    hdrs.CACHE_CONTROL: "no-store",
                    "X-Accel-Buffering": "no",
                }
            )
            try:
                await response.prepare(request)
                await self._send(response, b"retry: 5000\n\n")
                await self._follow(response)
            except (ConnectionError, TimeoutError):
                pass  # the client is gone, or does not read
            return response

    async def shut_down(self, _: web.Application) -> None:
        """End every stream."""
        self._closing.set()

    async def _follow(self, response: web.StreamResponse) -> None:
        seen, sent_at = self._seen(), self._clock.monotonic()
        while not self._closing.is_set():
            await self._clock.sleep(EVERY_SECONDS)
            now, newest = self._clock.monotonic(), self._seen()
            if any(one is not other for one, other in zip(newest, seen, strict=False)) or len(
                newest
            ) != len(seen):
                seen, sent_at = newest, now
                await self._send(response, b"event: poll\ndata: \n\n")
            elif now - sent_at >= KEEPALIVE_SECONDS:
                sent_at = now
                await self._send(response, b":\n\n")

    async def _send(self, response: web.StreamResponse, text: bytes) -> None:
        async with asyncio.timeout(STALL_SECONDS):
            await response.write(text)

    def _seen(self) -> list[object]:
        """Return what is replaced by each poll, and by each change of recovery."""
        return shown(self._states())

"""Writes responses as fast as clients read them, and drops clients that do not."""

import asyncio

from aiohttp import hdrs, web

from exporter.clock import Clock
from exporter.exposition.page import Body
from exporter.web.ports import CountRefusal, Refusal

STALL_SECONDS = 10.0
"""For a client to read the next chunk."""
WRITE_SECONDS = 60.0
"""For a whole response. Prometheus' default scrape timeout is 10 s."""


async def deliver(
    request: web.Request,
    response: web.StreamResponse,
    body: Body | None = None,
    *,
    clock: Clock,
    refused: CountRefusal,
) -> None:
    """Write *response*, with *body* unless it has its own."""
    loop = asyncio.get_running_loop()
    until = loop.time() + WRITE_SECONDS
    try:
        async with asyncio.timeout(STALL_SECONDS) as stall:
            await response.prepare(request)
            if body is not None and request.method != hdrs.METH_HEAD:
                for chunk in body.chunks():
                    await response.write(chunk)
                    await clock.sleep(0)  # a fast client must not block the event loop
                    stall.reschedule(min(loop.time() + STALL_SECONDS, until))
            await response.write_eof()
    except TimeoutError:
        refused(Refusal.SLOW_READER)
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError as error:
        # The client disconnected. The error is in a future that one of the frames of its traceback
        # holds: without them, the response is freed now and not by the garbage collector.
        error.__traceback__ = None

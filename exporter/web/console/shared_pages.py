"""Pages that look alike to many visitors are rendered once: all open ones are fetched at a poll."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from aiohttp import hdrs, web

from exporter.clock import Clock
from exporter.model import SystemState

MAX_AGE_SECONDS = 1.0
"""Open pages learn of a poll within as long; what else a page shows may be as old."""
MOST_PAGES = 8

Render = Callable[[web.Request], Awaitable[web.Response]]


class _Page(NamedTuple):
    """A page that is rendered, or being rendered."""

    shows: Sequence[object]
    at: float
    rendering: asyncio.Future[web.Response]


class SharedPages:
    """
    The pages of the last second.

    Only those of visitors without a session: what an operator has just done is seen at once.

    Args:
        states: Returns the newest state of each system.

    """

    def __init__(self, states: Callable[[], Sequence[SystemState]], clock: Clock) -> None:
        self._states = states
        self._clock = clock
        self._pages: OrderedDict[tuple[str, str], _Page] = OrderedDict()

    def has(self, request: web.Request) -> bool:
        """Return whether others who ask for the same are shown the same."""
        states = self._states()
        return (
            request.method == hdrs.METH_GET
            and hdrs.COOKIE not in request.headers
            and bool(states)
            and all(state.inventory is not None for state in states)
        )

    async def response(self, request: web.Request, render: Render) -> web.Response:
        """Return the known response to *request*, or that of *render*."""
        key = request.path_qs, request.headers.get(hdrs.AUTHORIZATION, "")
        page = self._current(key)
        if page is None:
            page = self._begin(key, render(request))
            return _copy(await asyncio.shield(page.rendering))
        try:
            return _copy(await asyncio.shield(page.rendering))
        except web.HTTPException:  # it was refused, which need not be so for another
            return await render(request)

    def _current(self, key: tuple[str, str]) -> _Page | None:
        page = self._pages.get(key)
        if page is None or self._clock.monotonic() - page.at >= MAX_AGE_SECONDS:
            return None
        if page.rendering.done() and page.rendering.exception() is not None:
            return None
        shows = shown(self._states())
        is_same = len(shows) == len(page.shows) and all(
            one is other for one, other in zip(shows, page.shows, strict=True)
        )
        return page if is_same else None

    def _begin(self, key: tuple[str, str], rendering: Awaitable[web.Response]) -> _Page:
        at = self._clock.monotonic()
        page = _Page(shown(self._states()), at, asyncio.ensure_future(rendering))
        self._pages[key] = page
        self._pages.move_to_end(key)
        while len(self._pages) > MOST_PAGES:
            self._pages.popitem(last=False)
        return page


def shown(states: Sequence[SystemState]) -> list[object]:
    """Return what is replaced by each poll, and by each change of recovery."""
    found: list[object] = []
    for state in states:
        found += (state.inventory, state.report.recovery)
    return found


def _copy(response: web.Response) -> web.Response:
    """Return *response* for another request: each can be sent once."""
    return web.Response(body=response.body, status=response.status, headers=response.headers)

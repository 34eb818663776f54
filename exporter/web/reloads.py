"""Reloads by request: at most one every few seconds."""

import asyncio

from exporter.clock import Clock
from exporter.web.ports import Reload, Reloaded

EVERY_SECONDS = 5.0


class Reloads:
    """
    Reloads at once, but not again within `EVERY_SECONDS`: requests meanwhile share the next one.

    That one begins after all of them have arrived, so each gets the result of files as new as its
    request.
    """

    def __init__(self, reload: Reload, clock: Clock) -> None:
        self._reload = reload
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[Reloaded] | None = None
        self._not_before = clock.monotonic()

    async def __call__(self) -> Reloaded:
        """
        Reload, and return what has changed.

        Raises:
            ConfigError: The configuration is invalid and was not applied.

        """
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn(), name="reload")
        return await asyncio.shield(self._next)

    async def _in_turn(self) -> Reloaded:
        async with self._one_at_a_time:
            await self._clock.sleep(self._not_before - self._clock.monotonic())
            self._next = None
            self._not_before = self._clock.monotonic() + EVERY_SECONDS
            return await self._reload()

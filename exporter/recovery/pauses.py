"""Lets scrapes and commands run between the steps of work that takes long with 10,000 VMs."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

BETWEEN_PAUSES = 10
"""VMs that went down; each may have hundreds of log rows to judge."""

T = TypeVar("T")


async def let_others_run() -> None:
    """Let other tasks that are ready run once."""
    await asyncio.sleep(0)  # noqa: TID251 - it waits for no time


async def with_pauses(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield *items*, and let others run after every few of them."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % BETWEEN_PAUSES == 0:
            await let_others_run()

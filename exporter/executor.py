"""Work that would hold up the event loop, done beside it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Not the loop's own executor: that one looks up names and checks passwords, and a resolver that
# hangs must not keep pictures from being drawn. More than two threads would only share one lock.
workers: Executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="worker")


async def run_in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what *work* returns; it must be pure computation, for it cannot be cancelled."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(workers, lambda: work(*args, **kwargs))

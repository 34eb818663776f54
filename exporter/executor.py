"""Run CPU work in threads, outside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Not the loop's own executor: it resolves names and checks passwords, and a hanging resolver must
# not block rendering. The GIL makes more than two threads useless.
workers: Executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="worker")


async def run_in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of *work*, which must be pure computation: it cannot be cancelled."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(workers, lambda: work(*args, **kwargs))

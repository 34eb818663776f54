"""Run work in threads, outside the event loop."""

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


async def finish_in_thread(thread: Executor, work: Callable[[], T]) -> T:
    """
    Return the result of *work*, done in *thread*.

    When cancelled, work that waits for the thread is dropped, and work that has begun is waited
    for: after the caller has left, nothing more is done on its behalf.
    """
    submitted = thread.submit(work)
    done = asyncio.wrap_future(submitted)
    try:
        await asyncio.wait([done])
    except asyncio.CancelledError:
        if not submitted.cancel():
            await asyncio.wait([done])
            done.exception()  # without this asyncio logs an error that nobody looked at
        raise
    return done.result()

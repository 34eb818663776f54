"""The event loop lag probe, the systemd watchdog, and the daemon's own where systemd has none."""

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog

from exporter.clock import Clock
from exporter.daemon.systemd import notify

log = structlog.get_logger()

EVERY_SECONDS = 0.5
HUNG_SECONDS = 30.0
"""The event loop hangs if it runs nothing for this long. As WatchdogSec in vergewatch.service."""
HUNG_EXIT_STATUS = 1
REPORT_SECONDS = 5.0


async def measure_lag_forever(clock: Clock, observe_lag: Callable[[float], None]) -> None:
    """
    Report the event loop's lag in seconds, twice per second, and notify systemd's watchdog.

    systemd restarts a daemon whose event loop hangs.
    """
    while True:
        before = clock.monotonic()
        await clock.sleep(EVERY_SECONDS)
        observe_lag(max(0.0, clock.monotonic() - before - EVERY_SECONDS))
        notify("WATCHDOG=1")


@contextmanager
def ending_when_hung(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """
    Inside the block, end the process when the running event loop hangs, so that it is restarted.

    Where systemd's watchdog is on (``WATCHDOG_USEC``), it does that. Docker does not: it shows a
    container as unhealthy and leaves it running.
    """
    if environ.get("WATCHDOG_USEC"):
        yield
        return
    left = threading.Event()
    watching = threading.Thread(
        target=_watch, args=(asyncio.get_running_loop(), left), name="watchdog", daemon=True
    )
    watching.start()
    try:
        yield
    finally:
        left.set()
        watching.join()


def _watch(loop: asyncio.AbstractEventLoop, left: threading.Event) -> None:
    """
    Ask *loop* again and again to run something, until *left* is set.

    Time is counted in waits of this thread and not by a clock: a process that was stopped for an
    hour, or a machine that slept, has not waited.
    """
    answered = threading.Event()
    loop.call_soon_threadsafe(answered.set)
    waits = 0
    while not left.wait(EVERY_SECONDS):
        waits += 1
        if answered.is_set():
            answered.clear()
            loop.call_soon_threadsafe(answered.set)
            waits = 0
        elif waits * EVERY_SECONDS >= HUNG_SECONDS:
            _end_process()


def _end_process() -> None:
    """Log what the main thread is doing, unless writing the log is what hangs, and exit."""
    frame = sys._current_frames()[threading.main_thread().ident or 0]  # noqa: SLF001 - public by its documentation
    stack = "".join(traceback.format_stack(frame))
    report = threading.Thread(
        target=lambda: log.error("daemon.hung", seconds=HUNG_SECONDS, stack=stack), daemon=True
    )
    report.start()
    report.join(REPORT_SECONDS)
    os._exit(HUNG_EXIT_STATUS)

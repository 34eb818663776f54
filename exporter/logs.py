"""
The log: one event per line, as text for a terminal or as JSON.

Events are named ``noun.verb``; fields hold the values. Both are API: operators alert on them.
"""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

LEVELS = ("debug", "info", "warning", "error")
MINUTE_SECONDS = 60.0
MESSAGES_KEPT = 100
FORMATS = ("auto", "console", "json")


def configure(level: str, form: str, *, stream: TextIO | None = None) -> None:
    """
    Send events to *stream* (standard error): readable on a terminal, JSON elsewhere.

    Args:
        level: One of `LEVELS`.
        form: One of `FORMATS`; ``auto`` is ``console`` on a terminal.

    """
    stream = stream or sys.stderr
    readable = form == "console" or (form == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_rendering(readable=readable, colors=stream.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(name)s: %(message)s")
    noisy = logging.getLogger("asyncio")
    if not any(isinstance(one, OnceAMinute) for one in noisy.filters):  # after a reload
        noisy.addFilter(OnceAMinute())


class OnceAMinute(logging.Filter):
    """
    Passes each message of a library once per minute.

    A process without free file descriptors would otherwise log ten thousand times per second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()[:80]
        if record.created - self._last.get(message, float("-inf")) < MINUTE_SECONDS:
            return False
        self._last = {message: record.created} if len(self._last) > MESSAGES_KEPT else self._last
        self._last[message] = record.created
        return True


def _rendering(*, readable: bool, colors: bool) -> list[Processor]:
    """Return the processors that format an event; tracebacks never show local variables."""
    if readable:
        return [
            structlog.dev.ConsoleRenderer(
                colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
            )
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]

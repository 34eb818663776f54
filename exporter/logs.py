"""
The log: one event per line, as text for a terminal or as JSON.

Events are named ``noun.verb``; fields hold the values. Both are API: operators alert on them.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

LEVELS = ("debug", "info", "warning", "error")
MINUTE_SECONDS = 60.0
MESSAGES_KEPT = 100
FORMATS = ("auto", "console", "json")
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""Of the levels of events in syslog, and so in systemd's journal."""


def configure(level: str, form: str, *, stream: TextIO | None = None) -> None:
    """
    Send events to *stream* (standard error): readable on a terminal, JSON elsewhere.

    In systemd's journal an event has the priority of its level, for ``journalctl -p warning``.

    Args:
        level: One of `LEVELS`.
        form: One of `FORMATS`; ``auto`` is ``console`` on a terminal.

    """
    stream = stream or sys.stderr
    readable = form == "console" or (form == "auto" and stream.isatty())
    *others, render = _rendering(readable=readable, colors=stream.isatty())
    is_journal = _is_journal(stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *others,
            _with_priority(render) if is_journal else render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    priority = f"<{PRIORITIES['warning']}>" if is_journal else ""  # or more: it is a library's
    form_of_libraries = f"{priority}%(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=stream, format=form_of_libraries)
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


def _is_journal(stream: TextIO) -> bool:
    """Return whether systemd's journal reads *stream*; see JOURNAL_STREAM in systemd.exec(5)."""
    try:
        file = os.fstat(stream.fileno())
    except OSError:
        return False  # not a file
    return os.environ.get("JOURNAL_STREAM") == f"{file.st_dev}:{file.st_ino}"


def _with_priority(render: Processor) -> Processor:
    """Return *render* with the priority before the line, as sd-daemon(3) has it."""

    def rendered(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        priority = PRIORITIES[event["level"]]
        return f"<{priority}>{render(logger, method, event)!s}"

    return rendered


def _rendering(*, readable: bool, colors: bool) -> list[Processor]:
    """Return the processors that format an event; tracebacks never show local variables."""
    if readable:
        return [
            structlog.dev.ConsoleRenderer(
                colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
            )
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]

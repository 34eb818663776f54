"""Tells the replica that leads while the kill switch file of this one exists."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from exporter.clock import Clock
from exporter.errors import JournalError

if TYPE_CHECKING:
    from exporter.journal.writer import SystemJournal

log = structlog.get_logger()

LOOK_SECONDS = 1.0


async def share_kill_switch(
    replica: str,
    read: Callable[[], str],
    open_store: Callable[[], Awaitable["SystemJournal"]],
    clock: Clock,
) -> None:
    """
    Write to the journal whether the kill switch file exists, until cancelled.

    It is written again when an operator armed recovery while the file exists. A file that does not
    exist is written once: the journal may have that it did, before a restart.

    Args:
        replica: The name of this replica.
        read: Returns the path of the file while it exists; else an empty string.

    """
    shared: str | None = None
    problem = ""
    while True:
        path = read()
        if path or shared != path:
            try:
                await (await open_store()).share_kill_switch(replica, path)
            except JournalError as error:
                if problem != str(error):
                    problem = str(error)
                    log.warning("kill_switch.not_shared", path=path, error=problem)
            else:
                shared, problem = path, ""
        await clock.sleep(LOOK_SECONDS)

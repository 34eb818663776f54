"""Adds what the journal knows of the time before the start to the history of a system."""

from typing import TYPE_CHECKING

from exporter.clock import Clock
from exporter.console.system_history import STATUS_HISTORY, SystemHistory
from exporter.daemon.recovery_worker import JournalHandle
from exporter.errors import JournalError
from exporter.executor import run_in_thread

if TYPE_CHECKING:  # loaded only where recovery is on
    from exporter.recovery.engine import Recovery

RETRY_SECONDS = 5.0


async def add_saved_history(
    history: SystemHistory, recovery: "Recovery", journal: JournalHandle, clock: Clock
) -> None:
    """Read the journal once, after the first poll: recovery then knows what it monitors."""
    while not history.is_complete:
        if journal.journal is not None and recovery.report.inventory_at is not None:
            try:
                since = clock.now() - STATUS_HISTORY
                saved = await journal.journal.states_since(recovery.key, since)
            except JournalError:
                pass  # recovery reports it; the history is complete once it can be read
            else:
                await run_in_thread(history.add_saved, saved, recovery.report.vms)
                return
        await clock.sleep(RETRY_SECONDS)

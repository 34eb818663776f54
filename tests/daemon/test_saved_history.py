"""The history of before the start is read from the journal, once and after the first poll."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, cast

from msgspec.structs import replace

from exporter.console.system_history import STATUS_HISTORY, SystemHistory
from exporter.console.vm_condition import Condition
from exporter.daemon.recovery_worker import JournalHandle
from exporter.daemon.saved_history import RETRY_SECONDS, add_saved_history
from exporter.errors import JournalError
from exporter.recovery.engine import Recovery
from exporter.recovery.model.records import StatusRecords
from exporter.recovery.model.states import State
from tests.console.test_status_history import change, in_state, recovery
from tests.fakes import START, FakeClock
from tests.recovery.inventory_values import inventory, vm

MINUTE = timedelta(minutes=1)


class FakeJournal:
    """Its own handle; it fails as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked: list[tuple[str, datetime]] = []
        self.journal = self

    async def states_since(self, system: str, time: datetime) -> StatusRecords:
        self.asked.append((system, time))
        if len(self.asked) <= self.failures:
            raise JournalError("the disk is full")
        changes = [
            change(-50, State.HEALTHY, State.SUSPECT, "stopped"),
            change(-40, State.SUSPECT, State.HEALTHY, "running"),
        ]
        return StatusRecords(changes, [START - 70 * MINUTE, START - 50 * MINUTE])


class FakeRecovery:
    key = "https://verge.example"

    def __init__(self) -> None:
        self.report: Any = recovery()


async def test_it_is_added_once_after_the_first_poll_and_when_the_journal_can_be_read() -> None:
    history, clock = SystemHistory(0), FakeClock()
    journal, engine = FakeJournal(failures=2), FakeRecovery()
    engine.report = replace(recovery(), inventory_at=None)
    history.record(inventory([vm(1)], taken_at=START), None)
    adding = asyncio.create_task(
        add_saved_history(history, cast(Recovery, engine), cast(JournalHandle, journal), clock)
    )

    await clock.pass_by(3 * RETRY_SECONDS)
    assert journal.asked == []  # what recovery monitors is not known yet
    engine.report = recovery(in_state(State.HEALTHY))
    await clock.pass_by(RETRY_SECONDS)
    assert not history.is_complete
    await clock.pass_by(2 * RETRY_SECONDS)
    await asyncio.wait_for(adding, timeout=5)

    assert len(journal.asked) == 3
    system, since = journal.asked[-1]
    assert system == engine.key
    assert since == clock.now() - STATUS_HISTORY
    found = [one.condition for one in history.status(1, START) for _ in range(one.slots)]
    assert found[-4:] == [Condition.RUNNING, Condition.DOWN, None, Condition.RUNNING]
    assert history.is_complete

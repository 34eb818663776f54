"""What the journal knows of the states of a system in a period."""

from datetime import timedelta

import msgspec

from exporter.journal.journal import Journal
from exporter.recovery.model.history import HistoryRecord, RecordedPoll
from tests.fakes import START
from tests.journal.examples import CHANGE, OTHER_SYSTEM, SYSTEM, poll_record

HOUR = timedelta(hours=1)


def poll(hours: int) -> RecordedPoll:
    return RecordedPoll(
        at=hours * 3600.0, time=START + hours * HOUR, lag_seconds=0, took_seconds=1,
        every_seconds=30, began=None, clock=None, problem="", tags_read=True,
    )  # fmt: skip


async def test_changes_and_polls_of_one_system_come_oldest_first(journal: Journal) -> None:
    changes = [msgspec.structs.replace(CHANGE, time=START + hours * HOUR) for hours in (0, 2, 3)]
    for system in (SYSTEM, OTHER_SYSTEM):
        store = journal.store(system)
        await store.load()
        for hours, change in zip((0, 2, 3), changes, strict=True):
            await store.save_poll(
                poll_record(changes=[change], history=HistoryRecord(polls=[poll(hours)]))
            )

    found = await journal.states_since(SYSTEM, START + HOUR)

    assert list(found.changes) == changes[1:]
    assert list(found.polls) == [START + 2 * HOUR, START + 3 * HOUR]

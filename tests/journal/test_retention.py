"""Pruning deletes old rows, except what recovery still needs."""

from datetime import timedelta

import msgspec
import pytest

from exporter.errors import JournalError
from exporter.journal import journal as journal_module
from exporter.journal.journal import Journal
from exporter.journal.writer import REMEMBERED_SECONDS
from exporter.recovery.model.limits import DAY
from tests.fakes import START, FakeClock
from tests.journal.examples import (
    CASE,
    CHANGE,
    COMMAND,
    CONFIRMED,
    DECISION,
    INTENT,
    OTHER_SYSTEM,
    SYSTEM,
    poll_record,
)

replace = msgspec.structs.replace
LONG_AGO = START - timedelta(days=400)
JUST_BEFORE = START - timedelta(microseconds=1)
NOW = 30 * DAY
"""Monitored time in seconds."""


async def write_closed_intent(
    journal: Journal, *, uuid: str, sent_at: float, system: str = SYSTEM
) -> None:
    """Write a closed intent that was sent at *sent_at*."""
    store = journal.store(system)
    number = await store.save_decision(replace(DECISION, time=LONG_AGO))
    intent = await store.prepare(replace(INTENT, uuid=uuid), number)
    await store.update(replace(intent, **{**CONFIRMED, "sent_at": sent_at}))


async def test_old_changes_and_decisions_are_pruned(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(
        poll_record(changes=[replace(CHANGE, time=t) for t in (LONG_AGO, JUST_BEFORE, START)])
    )
    for time in (LONG_AGO, JUST_BEFORE, START):
        await store.save_decision(replace(DECISION, time=time))

    deleted = await journal.prune(START)

    assert deleted == 4
    assert [change.time for change in await journal.changes(SYSTEM)] == [START]
    assert [one.decision.time for one in await journal.decisions(SYSTEM)] == [START]
    assert await journal.prune(START) == 0


async def test_intent_outside_every_budget_window_is_pruned_with_its_decision(
    journal: Journal, clock: FakeClock
) -> None:
    edge = NOW - REMEMBERED_SECONDS
    await write_closed_intent(journal, uuid="counted", sent_at=edge)
    await write_closed_intent(journal, uuid="not counted", sent_at=edge - 0.001)
    await journal.store(SYSTEM).save_poll(poll_record(watched=NOW))
    before = await journal.store(SYSTEM).load()

    deleted = await journal.prune(clock.now() + timedelta(days=9999))

    assert deleted == 2  # the intent and its decision
    assert [one.intent.uuid for one in await journal.intents(SYSTEM)] == ["counted"]
    assert len(await journal.decisions(SYSTEM)) == 1
    assert await journal.store(SYSTEM).load() == before


async def test_intent_closed_after_the_limit_is_kept(journal: Journal, clock: FakeClock) -> None:
    await write_closed_intent(journal, uuid="a", sent_at=0.0)
    await journal.store(SYSTEM).save_poll(poll_record(watched=NOW))

    assert await journal.prune(clock.now()) == 0
    assert await journal.prune(clock.now() + timedelta(microseconds=1)) == 2


async def test_open_intent_is_kept_with_its_decision(journal: Journal, clock: FakeClock) -> None:
    store = journal.store(SYSTEM)
    intent = await store.prepare(
        INTENT, await store.save_decision(replace(DECISION, time=LONG_AGO))
    )
    await store.save_poll(poll_record(watched=1000 * NOW))

    assert await journal.prune(clock.now() + timedelta(days=9999)) == 0

    assert (await store.load()).open_actions == [intent]
    assert len(await journal.decisions(SYSTEM)) == 1


async def test_budget_window_uses_the_monitored_time_of_the_system(
    journal: Journal, clock: FakeClock
) -> None:
    for system in (SYSTEM, OTHER_SYSTEM, "never noted"):
        await write_closed_intent(journal, uuid="a", sent_at=0.0, system=system)
    await journal.store(SYSTEM).save_poll(poll_record(watched=NOW))
    await journal.store(OTHER_SYSTEM).save_poll(poll_record(watched=REMEMBERED_SECONDS))

    await journal.prune(clock.now() + timedelta(days=1))

    assert await journal.intents(SYSTEM) == []
    assert (
        len(await journal.intents(OTHER_SYSTEM)) == len(await journal.intents("never noted")) == 1
    )


async def test_commands_and_cases_are_kept(journal: Journal, clock: FakeClock) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(poll_record(watched=NOW, time=LONG_AGO, cases=[CASE]))
    await store.save_command(replace(COMMAND, time=LONG_AGO))
    before = await store.load()

    assert await journal.prune(clock.now() + timedelta(days=9999)) == 0

    assert await store.load() == before


async def test_more_rows_than_a_batch_are_pruned(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "DELETE_BATCH", 10)
    await journal.store(SYSTEM).save_poll(
        poll_record(changes=[replace(CHANGE, time=LONG_AGO)] * 30 + [CHANGE])
    )

    assert await journal.prune(START) == 30

    assert await journal.changes(SYSTEM) == [CHANGE]


async def test_prune_without_a_time_zone_deletes_nothing(journal: Journal) -> None:
    await journal.store(SYSTEM).save_poll(poll_record(changes=[replace(CHANGE, time=LONG_AGO)]))

    with pytest.raises(JournalError):
        await journal.prune(START.replace(tzinfo=None))

    assert len(await journal.changes(SYSTEM)) == 1

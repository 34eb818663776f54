"""What is old goes, but never what recovery still counts, waits for or was told."""

from datetime import timedelta

import msgspec
import pytest

from exporter.errors import JournalError
from exporter.journal import journal as journal_module
from exporter.journal.journal import Journal
from exporter.journal.writer import REMEMBERED_SECONDS
from exporter.recovery.model.limits import DAY
from tests.fakes import START, FakeClock
from tests.journal.strategies import (
    CASE,
    CHANGE,
    CLOUD,
    CONFIRMED,
    DECISION,
    INTENT,
    ORDER,
    OTHER,
    page,
)

replace = msgspec.structs.replace
LONG_AGO = START - timedelta(days=400)
JUST_BEFORE = START - timedelta(microseconds=1)
NOW = 30 * DAY
"""Seconds of watch."""


async def try_once(journal: Journal, *, uuid: str, sent_at: float, system: str = CLOUD) -> None:
    """Write down an action that was sent at *sent_at* and is over."""
    book = journal.book(system)
    number = await book.decided(replace(DECISION, time=LONG_AGO))
    intent = await book.prepare(replace(INTENT, uuid=uuid), number)
    await book.update(replace(intent, **{**CONFIRMED, "sent_at": sent_at}))


async def test_changes_and_decisions_go_by_the_time_of_day(journal: Journal) -> None:
    book = journal.book(CLOUD)
    await book.note(page(changes=[replace(CHANGE, time=t) for t in (LONG_AGO, JUST_BEFORE, START)]))
    for time in (LONG_AGO, JUST_BEFORE, START):
        await book.decided(replace(DECISION, time=time))

    gone = await journal.forget(START)

    assert gone == 4
    assert [change.time for change in await journal.changes(CLOUD)] == [START]
    assert [one.decision.time for one in await journal.decisions(CLOUD)] == [START]
    assert await journal.forget(START) == 0


async def test_an_intent_goes_with_its_decision_when_no_budget_counts_it(
    journal: Journal, clock: FakeClock
) -> None:
    edge = NOW - REMEMBERED_SECONDS
    await try_once(journal, uuid="counted", sent_at=edge)
    await try_once(journal, uuid="past", sent_at=edge - 0.001)
    await journal.book(CLOUD).note(page(watched=NOW))
    before = await journal.book(CLOUD).recall()

    gone = await journal.forget(clock.now() + timedelta(days=9999))

    assert gone == 2  # the intent and its decision
    assert [one.intent.uuid for one in await journal.intents(CLOUD)] == ["counted"]
    assert len(await journal.decisions(CLOUD)) == 1
    assert await journal.book(CLOUD).recall() == before


async def test_an_intent_stays_as_long_as_its_end_is_not_old_by_the_time_of_day(
    journal: Journal, clock: FakeClock
) -> None:
    await try_once(journal, uuid="a", sent_at=0.0)
    await journal.book(CLOUD).note(page(watched=NOW))

    assert await journal.forget(clock.now()) == 0
    assert await journal.forget(clock.now() + timedelta(microseconds=1)) == 2


async def test_an_open_intent_stays_for_ever(journal: Journal, clock: FakeClock) -> None:
    book = journal.book(CLOUD)
    intent = await book.prepare(INTENT, await book.decided(replace(DECISION, time=LONG_AGO)))
    await book.note(page(watched=1000 * NOW))

    assert await journal.forget(clock.now() + timedelta(days=9999)) == 0

    assert (await book.recall()).open_actions == [intent]
    assert len(await journal.decisions(CLOUD)) == 1


async def test_each_cloud_has_its_own_watch(journal: Journal, clock: FakeClock) -> None:
    for system in (CLOUD, OTHER, "never noted"):
        await try_once(journal, uuid="a", sent_at=0.0, system=system)
    await journal.book(CLOUD).note(page(watched=NOW))
    await journal.book(OTHER).note(page(watched=REMEMBERED_SECONDS))

    await journal.forget(clock.now() + timedelta(days=1))

    assert await journal.intents(CLOUD) == []
    assert len(await journal.intents(OTHER)) == len(await journal.intents("never noted")) == 1


async def test_orders_and_cases_stay(journal: Journal, clock: FakeClock) -> None:
    book = journal.book(CLOUD)
    await book.note(page(watched=NOW, time=LONG_AGO, cases=[CASE]))
    await book.ordered(replace(ORDER, time=LONG_AGO))
    before = await book.recall()

    assert await journal.forget(clock.now() + timedelta(days=9999)) == 0

    assert await book.recall() == before


async def test_much_is_forgotten_in_slices(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "FORGOTTEN_AT_ONCE", 10)
    await journal.book(CLOUD).note(page(changes=[replace(CHANGE, time=LONG_AGO)] * 30 + [CHANGE]))

    assert await journal.forget(START) == 30

    assert await journal.changes(CLOUD) == [CHANGE]


async def test_a_time_without_a_zone_forgets_nothing(journal: Journal) -> None:
    await journal.book(CLOUD).note(page(changes=[replace(CHANGE, time=LONG_AGO)]))

    with pytest.raises(JournalError):
        await journal.forget(START.replace(tzinfo=None))

    assert len(await journal.changes(CLOUD)) == 1

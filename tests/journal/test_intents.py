"""One open intent to a VM, and what is closed stays closed: the database itself sees to it."""

import sqlite3

import msgspec
import pytest

from exporter.errors import IntentOpenError, JournalError
from exporter.journal.journal import Journal
from exporter.recovery.model.cases import Action, Intent, Outcome
from tests.journal.strategies import CLOUD, CONFIRMED, DECISION, INTENT, OTHER, SENT, page

replace = msgspec.structs.replace


async def begin(journal: Journal) -> Intent:
    book = journal.book(CLOUD)
    return await book.prepare(INTENT, await book.decided(DECISION))


async def test_a_vm_has_one_open_intent(journal: Journal) -> None:
    first = await begin(journal)

    with pytest.raises(IntentOpenError, match="web-1"):
        await begin(journal)

    assert (await journal.book(CLOUD).recall()).open_actions == [first]


async def test_the_next_intent_may_come_when_the_last_is_closed(journal: Journal) -> None:
    first = await begin(journal)
    await journal.book(CLOUD).update(replace(first, **CONFIRMED))

    second = await begin(journal)

    assert second.id > first.id
    assert (await journal.book(CLOUD).recall()).open_actions == [second]


async def test_vms_and_clouds_do_not_wait_for_each_other(journal: Journal) -> None:
    await begin(journal)
    number = await journal.book(OTHER).decided(DECISION)

    await journal.book(OTHER).prepare(INTENT, number)
    await journal.book(CLOUD).prepare(replace(INTENT, uuid="another"), number)


async def test_the_database_refuses_a_second_open_intent_whoever_asks(
    journal: Journal, stranger: sqlite3.Connection
) -> None:
    intent = await begin(journal)
    columns = [row[1] for row in stranger.execute("PRAGMA table_info(intents)") if row[1] != "id"]
    names = ", ".join(columns)
    copy = f"INSERT INTO intents ({names}) SELECT {names} FROM intents"  # noqa: S608

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        stranger.execute(copy)

    await journal.book(CLOUD).update(replace(intent, outcome=Outcome.ABANDONED))
    stranger.execute(copy)  # a closed one is no obstacle


async def test_an_intent_without_a_decision_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalError, match="rules") as caught:
        await journal.book(CLOUD).prepare(INTENT, 4711)

    assert not isinstance(caught.value, IntentOpenError)


@pytest.mark.parametrize(
    "rewritten",
    [
        {**SENT, "outcome": None},
        {**CONFIRMED, "outcome": Outcome.FAILED},
        {**CONFIRMED, "sent_at": None},
        {**CONFIRMED, "detail": "something else"},
    ],
)
async def test_a_closed_intent_stays_as_it_is(
    journal: Journal, rewritten: dict[str, object]
) -> None:
    intent = await begin(journal)
    closed = replace(intent, **CONFIRMED)
    await journal.book(CLOUD).update(closed)

    with pytest.raises(JournalError, match=r"closed \(confirmed\)"):
        await journal.book(CLOUD).update(replace(intent, **rewritten))

    (attempt,) = await journal.intents(CLOUD)
    assert attempt.intent == closed


async def test_the_same_may_be_said_twice(journal: Journal) -> None:
    closed = replace(await begin(journal), **CONFIRMED)
    await journal.book(CLOUD).update(closed)

    await journal.book(CLOUD).update(closed)

    (attempt,) = await journal.intents(CLOUD)
    assert attempt.intent == closed


@pytest.mark.parametrize(
    ("another", "why"),
    [
        ({"id": 4711}, "is not there"),
        ({"uuid": "another"}, "is of another VM"),
        ({"action": Action.KILL}, "another action"),
    ],
)
async def test_an_update_that_fits_no_intent_is_refused(
    journal: Journal, another: dict[str, object], why: str
) -> None:
    intent = await begin(journal)

    with pytest.raises(JournalError, match=why):
        await journal.book(CLOUD).update(replace(intent, **CONFIRMED, **another))

    assert (await journal.book(CLOUD).recall()).open_actions == [intent]


async def test_another_cloud_cannot_update_an_intent(journal: Journal) -> None:
    intent = await begin(journal)

    with pytest.raises(JournalError, match="is not there"):
        await journal.book(OTHER).update(replace(intent, **CONFIRMED))


async def test_numbers_are_not_given_twice(journal: Journal, stranger: sqlite3.Connection) -> None:
    intent = await begin(journal)
    stranger.execute("DELETE FROM intents")

    again = await begin(journal)

    assert again.id > intent.id


async def test_an_open_intent_outlives_any_number_of_rounds(journal: Journal) -> None:
    intent = await begin(journal)

    await journal.book(CLOUD).note(page(watched=1e9, gone=[INTENT.uuid]))

    assert (await journal.book(CLOUD).recall()).open_actions == [intent]

"""A VM has at most one open intent, and a closed intent cannot change."""

import sqlite3

import asyncpg
import msgspec
import pytest

from exporter.errors import IntentOpenError, JournalError
from exporter.journal.journal import Journal
from exporter.journal.tables import intents
from exporter.recovery.model.cases import Action, Intent, Outcome
from tests.journal.conftest import Other
from tests.journal.examples import (
    CONFIRMED,
    DECISION,
    INTENT,
    OTHER_SYSTEM,
    SENT,
    SYSTEM,
    poll_record,
)

replace = msgspec.structs.replace


async def begin(journal: Journal) -> Intent:
    store = journal.store(SYSTEM)
    return await store.prepare(INTENT, await store.save_decision(DECISION))


async def test_second_open_intent_for_a_vm_is_refused(journal: Journal) -> None:
    first = await begin(journal)

    with pytest.raises(IntentOpenError, match="web-1"):
        await begin(journal)

    assert (await journal.store(SYSTEM).load()).open_actions == [first]


async def test_intent_after_a_closed_one_is_accepted(journal: Journal) -> None:
    first = await begin(journal)
    await journal.store(SYSTEM).update(replace(first, **CONFIRMED))

    second = await begin(journal)

    assert second.id > first.id
    assert (await journal.store(SYSTEM).load()).open_actions == [second]


async def test_open_intents_of_other_vms_and_systems_are_accepted(journal: Journal) -> None:
    await begin(journal)
    number = await journal.store(OTHER_SYSTEM).save_decision(DECISION)

    await journal.store(OTHER_SYSTEM).prepare(INTENT, number)
    await journal.store(SYSTEM).prepare(replace(INTENT, uuid="another"), number)


async def test_unique_index_refuses_a_second_open_intent(journal: Journal, other: Other) -> None:
    intent = await begin(journal)
    names = ", ".join(f'"{column.name}"' for column in intents.columns if column.name != "id")
    copy = f"INSERT INTO intents ({names}) SELECT {names} FROM intents"  # noqa: S608

    with pytest.raises((sqlite3.IntegrityError, asyncpg.UniqueViolationError)):
        await other.execute(copy)

    await journal.store(SYSTEM).update(replace(intent, outcome=Outcome.ABANDONED))
    await other.execute(copy)


async def test_intent_without_its_decision_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalError, match="constraint") as caught:
        await journal.store(SYSTEM).prepare(INTENT, 4711)

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
async def test_closed_intent_cannot_change(journal: Journal, rewritten: dict[str, object]) -> None:
    intent = await begin(journal)
    closed = replace(intent, **CONFIRMED)
    await journal.store(SYSTEM).update(closed)

    with pytest.raises(JournalError, match=r"closed \(confirmed\)"):
        await journal.store(SYSTEM).update(replace(intent, **rewritten))

    (attempt,) = await journal.intents(SYSTEM)
    assert attempt.intent == closed


async def test_repeated_update_of_a_closed_intent_is_accepted(journal: Journal) -> None:
    closed = replace(await begin(journal), **CONFIRMED)
    await journal.store(SYSTEM).update(closed)

    await journal.store(SYSTEM).update(closed)

    (attempt,) = await journal.intents(SYSTEM)
    assert attempt.intent == closed


@pytest.mark.parametrize(
    ("another", "why"),
    [
        ({"id": 4711}, "does not exist"),
        ({"uuid": "another"}, "belongs to another VM"),
        ({"action": Action.KILL}, "another action"),
    ],
)
async def test_update_of_an_unknown_intent_is_refused(
    journal: Journal, another: dict[str, object], why: str
) -> None:
    intent = await begin(journal)

    with pytest.raises(JournalError, match=why):
        await journal.store(SYSTEM).update(replace(intent, **CONFIRMED, **another))

    assert (await journal.store(SYSTEM).load()).open_actions == [intent]


async def test_update_from_another_system_is_refused(journal: Journal) -> None:
    intent = await begin(journal)

    with pytest.raises(JournalError, match="does not exist"):
        await journal.store(OTHER_SYSTEM).update(replace(intent, **CONFIRMED))


async def test_id_of_a_deleted_intent_is_not_reused(journal: Journal, other: Other) -> None:
    intent = await begin(journal)
    await other.execute("DELETE FROM intents")

    again = await begin(journal)

    assert again.id > intent.id


async def test_open_intent_survives_the_deletion_of_its_case(journal: Journal) -> None:
    intent = await begin(journal)

    await journal.store(SYSTEM).save_poll(poll_record(watched=1e9, gone=[INTENT.uuid]))

    assert (await journal.store(SYSTEM).load()).open_actions == [intent]


async def test_time_to_service_is_added_to_a_closed_intent(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    intent = await begin(journal)
    await store.update(replace(intent, **CONFIRMED))
    (before,) = await journal.intents(SYSTEM)

    await store.save_time_to_service(intent, 42.5)

    (after,) = await journal.intents(SYSTEM)
    assert before.time_to_service_seconds is None
    assert after == replace(before, time_to_service_seconds=42.5)

"""What recovery wrote is read back unchanged, also by a later process."""

from datetime import timedelta, timezone

import msgspec
import pytest

from exporter.errors import JournalError
from exporter.journal.journal import Journal, open_journal
from exporter.journal.place import Place
from exporter.journal.writer import REMEMBERED_SECONDS
from exporter.recovery.model.cases import Reply, Spent
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.limits import DAY, Limits
from exporter.recovery.model.ports import SavedState
from exporter.recovery.model.states import State
from tests.fakes import START, FakeClock
from tests.journal.examples import (
    CASE,
    CHANGE,
    COMMAND,
    CONFIRMED,
    DECISION,
    INTENT,
    OTHER_SYSTEM,
    SENT,
    SYSTEM,
    TEMPLATE,
    UUID,
    poll_record,
)

replace = msgspec.structs.replace


async def test_saved_state_of_a_new_system_is_empty(journal: Journal) -> None:
    saved = await journal.store(SYSTEM).load()

    assert saved == SavedState(cases=[], open_actions=[], spent=[], commands=[])


async def test_saved_state_survives_a_restart(place: Place, clock: FakeClock) -> None:
    journal = await open_journal(place, clock)
    store = journal.store(SYSTEM)
    await store.save_poll(poll_record(cases=[CASE], changes=[CHANGE], templates=[TEMPLATE]))
    number = await store.save_decision(DECISION)
    intent = await store.prepare(INTENT, number)
    await store.update(replace(intent, **SENT))
    await store.save_command(COMMAND)

    await journal.close()
    journal = await open_journal(place, clock)

    saved = await journal.store(SYSTEM).load()
    assert saved == SavedState(
        watched=1000.0,
        time=START,
        clock=1.7e9 + 0.75,
        cases=[CASE],
        open_actions=[replace(intent, **SENT)],
        spent=[Spent(1000.5, UUID, INTENT.action)],
        commands=[COMMAND],
        templates=(TEMPLATE,),
    )
    assert await journal.changes(SYSTEM) == [CHANGE]
    assert [one.decision for one in await journal.decisions(SYSTEM)] == [DECISION]
    assert await journal.commands(SYSTEM) == [COMMAND]
    await journal.close()


async def test_intent_has_its_decision_and_both_times(journal: Journal, clock: FakeClock) -> None:
    store = journal.store(SYSTEM)
    number = await store.save_decision(DECISION)
    intent = await store.prepare(INTENT, number)
    clock.elapsed += 90.0

    closed = replace(intent, **CONFIRMED)
    await store.update(closed)

    (attempt,) = await journal.intents(SYSTEM)
    assert attempt.intent == closed
    assert attempt.decision == number
    assert attempt.prepared == START
    assert attempt.closed == START + timedelta(seconds=90)


async def test_optional_fields_are_read_back_as_none(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    change = replace(CHANGE, before=None, after=None, diagnosis=None)
    decision = replace(DECISION, action=None, guard_results=())
    command = Command(kind=CommandKind.DISARM, owner="ada", reason="", at=0.0, time=START)

    await store.save_poll(poll_record(clock=None, changes=[change]))
    await store.save_decision(decision)
    await store.save_command(command)

    assert (await store.load()).clock is None
    assert await journal.changes(SYSTEM) == [change]
    assert [one.decision for one in await journal.decisions(SYSTEM)] == [decision]
    assert await journal.commands(SYSTEM) == [command]


async def test_poll_record_replaces_changed_templates_and_deletes_gone_ones(
    journal: Journal,
) -> None:
    store, other = journal.store(SYSTEM), journal.store(OTHER_SYSTEM)
    unchanged, changed, gone = (replace(TEMPLATE, template=text) for text in ("a", "b", "c"))
    for one in (store, other):
        await one.save_poll(poll_record(templates=[unchanged, changed, gone]))

    changed = replace(changed, blocked=9)
    await store.save_poll(poll_record(templates=[changed], templates_gone=["c", "unknown"]))

    assert (await store.load()).templates == (unchanged, changed)
    assert len((await other.load()).templates) == 3


async def test_poll_record_replaces_changed_cases_and_deletes_gone_ones(
    journal: Journal,
) -> None:
    store = journal.store(SYSTEM)
    unchanged, changed, gone = (replace(CASE, uuid=uuid) for uuid in ("a", "b", "c"))
    await store.save_poll(poll_record(cases=[unchanged, changed, gone]))

    changed = replace(changed, attempts=9)
    await store.save_poll(poll_record(watched=1030.0, cases=[changed], gone=["c", "unknown"]))

    saved = await store.load()
    assert saved.watched == 1030.0
    assert saved.cases == [unchanged, changed]


async def test_poll_record_adds_decisions_without_an_action(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    others = [replace(DECISION, at=at, diagnosis=CASE.diagnosis) for at in (1.0, 2.0)]

    await store.save_poll(poll_record(decisions=others))
    number = await store.save_decision(DECISION)

    written = await journal.decisions(SYSTEM)
    assert [one.decision for one in written] == [DECISION, *others[::-1]]
    assert written[0].number == number


async def test_systems_are_independent(journal: Journal) -> None:
    north, south = journal.store(SYSTEM), journal.store(OTHER_SYSTEM)
    for store in (north, south):
        await store.save_poll(poll_record(cases=[CASE], changes=[CHANGE]))
        await store.prepare(INTENT, await store.save_decision(DECISION))
        await store.save_command(COMMAND)

    await south.save_poll(poll_record(gone=[UUID]))

    saved = await north.load()
    assert saved.cases == [CASE]
    assert len(saved.open_actions) == len(saved.commands) == len(await journal.changes(SYSTEM)) == 1
    assert (await south.load()).cases == []


async def test_ten_thousand_cases_are_read_back(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    cases = [replace(CASE, uuid=f"{number:05}") for number in range(10_000)]

    await store.save_poll(poll_record(cases=cases))

    assert (await store.load()).cases == cases


async def test_spent_actions_of_the_last_monitored_week_oldest_first(
    journal: Journal,
) -> None:
    store = journal.store(SYSTEM)
    decision = await store.save_decision(DECISION)
    now = 30 * DAY
    edge = now - REMEMBERED_SECONDS
    for uuid, sent_at in [("b", now), ("too old", edge - 0.001), ("a", edge), ("unsent", None)]:
        intent = await store.prepare(replace(INTENT, uuid=uuid), decision)
        await store.update(replace(intent, **{**CONFIRMED, "sent_at": sent_at}))

    await store.save_poll(poll_record(watched=now))

    action, reply = INTENT.action, Reply.ACCEPTED
    assert (await store.load()).spent == [
        Spent(edge, "a", action, reply),
        Spent(now, "b", action, reply),
    ]


def test_default_budget_windows_fit_the_remembered_time() -> None:
    limits = Limits()

    assert (
        max(
            window.seconds
            for windows in (limits.vm_windows, limits.system_windows)
            for window in windows
        )
        <= REMEMBERED_SECONDS
    )


async def test_queries_return_the_newest_rows_up_to_the_limit(
    journal: Journal,
) -> None:
    store = journal.store(SYSTEM)
    written = [replace(CHANGE, word=str(number)) for number in range(5)]
    await store.save_poll(poll_record(changes=[*written, replace(CHANGE, uuid="another")]))
    numbers = [await store.save_decision(DECISION) for _ in range(3)]

    changes = await journal.changes(SYSTEM, UUID, limit=2)
    decisions = await journal.decisions(SYSTEM)

    assert [change.word for change in changes] == ["4", "3"]
    assert [one.number for one in decisions] == numbers[::-1]
    assert await journal.changes(SYSTEM, "unknown") == []


async def test_query_returns_the_newest_rows_up_to_its_limit(journal: Journal) -> None:
    changes = [replace(CHANGE, word=str(number)) for number in range(9)]
    await journal.store(SYSTEM).save_poll(poll_record(changes=changes))

    for limit in (1, 3, 4, 9, 20):
        found = await journal.changes(SYSTEM, UUID, limit=limit)
        assert [one.word for one in found] == list("876543210")[:limit]
    assert len((await journal.since(SYSTEM, CHANGE.time)).changes) == 9


async def test_decision_by_number(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    number = await store.save_decision(DECISION)
    await store.save_decision(replace(DECISION, at=1030.0))

    found = await journal.decision(SYSTEM, UUID, number)

    assert found is not None
    assert (found.number, found.decision) == (number, DECISION)
    assert await journal.decision(SYSTEM, "another", number) is None


async def test_last_decision_of_a_vm(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    await store.save_decision(DECISION)
    number = await store.save_decision(replace(DECISION, at=1030.0))
    await store.save_decision(replace(DECISION, uuid="another"))

    (last,) = await journal.decisions(SYSTEM, UUID, limit=1)

    assert (last.number, last.decision.at) == (number, 1030.0)
    assert await journal.decisions(SYSTEM, "unknown") == []


async def test_history_since_a_time_includes_open_intents(
    journal: Journal, clock: FakeClock
) -> None:
    store = journal.store(SYSTEM)
    earlier, limit = START + timedelta(hours=1), START + timedelta(hours=2)
    up = replace(CHANGE, time=earlier, after=State.HEALTHY)
    changes = [up, replace(CHANGE, time=limit)]
    await store.save_poll(poll_record(changes=changes))
    numbers = [await store.save_decision(replace(DECISION, time=time)) for time in (earlier, limit)]
    closed, closed_later, pending = [
        await store.prepare(replace(INTENT, uuid=uuid), numbers[0]) for uuid in ("a", "b", "c")
    ]
    await store.update(replace(closed, **CONFIRMED))
    clock.elapsed = 7200.0
    await store.update(replace(closed_later, **CONFIRMED))

    history = await journal.since(SYSTEM, limit)

    assert history.changes == changes[1:]
    assert [one.number for one in history.decisions] == numbers[1:]
    assert [one.intent.uuid for one in history.actions] == [pending.uuid, closed_later.uuid]


async def test_history_since_a_time_includes_downtimes_that_began_before(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    first, then, limit = (START + timedelta(hours=hour) for hour in (1, 2, 3))
    up = replace(CHANGE, time=first, after=State.HEALTHY)
    fell = replace(CHANGE, time=then)
    others = [replace(one, uuid="up-again") for one in (fell, up)]
    never_up = replace(CHANGE, uuid="never-up", time=first)
    await store.save_poll(poll_record(changes=[up, fell, *others, never_up]))
    numbers = [
        await store.save_decision(replace(DECISION, uuid=uuid, time=time))
        for uuid, time in ((UUID, first), (UUID, then), ("up-again", then), ("never-up", first))
    ]
    action = await store.prepare(INTENT, numbers[1])
    await store.update(replace(action, **CONFIRMED))

    history = await journal.since(SYSTEM, limit)

    assert history.changes == [never_up, fell]
    assert [one.number for one in history.decisions] == [numbers[3], numbers[1]]
    assert (await journal.since("another system", limit)) == ([], [], [], [])


async def test_history_has_the_answers_to_questions(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    answer = replace(COMMAND, kind=CommandKind.DENY, question=7)
    for command in (COMMAND, answer):
        await store.save_command(command)

    history = await journal.since(SYSTEM, START + timedelta(hours=3))

    assert history.answers == [answer]


async def test_times_are_stored_in_utc(journal: Journal) -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=-9, minutes=-30)))

    await journal.store(SYSTEM).save_poll(poll_record(time=elsewhere))

    time = (await journal.store(SYSTEM).load()).time
    assert time == START
    assert time.utcoffset() == timedelta(0)


async def test_time_without_a_zone_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalError, match="cannot store this value"):
        await journal.store(SYSTEM).save_poll(poll_record(time=START.replace(tzinfo=None)))


async def test_nul_characters_are_read_back(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    written = [replace(COMMAND, reason=text) for text in ("a\0b", "\x1a", "\x1a0\0", "\\u0000")]
    for command in written:
        await store.save_command(command)
    await store.save_poll(poll_record(changes=[replace(CHANGE, uuid="\0")]))

    assert (await store.load()).commands == written
    assert [change.uuid for change in await journal.changes(SYSTEM, "\0")] == ["\0"]


async def test_invalid_unicode_is_refused_and_later_writes_succeed(journal: Journal) -> None:
    store = journal.store(SYSTEM)

    with pytest.raises(JournalError, match="cannot store this value"):
        await store.save_command(replace(COMMAND, owner="\udcff"))

    await store.save_command(COMMAND)
    assert await journal.commands(SYSTEM) == [COMMAND]


async def test_every_reply_is_read_back(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    number = await store.save_decision(DECISION)

    for reply in Reply:
        intent = await store.prepare(INTENT, number)
        await store.update(replace(intent, **{**CONFIRMED, "reply": reply}))

    assert [one.intent.reply for one in await journal.intents(SYSTEM)] == [*Reply][::-1]

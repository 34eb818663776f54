"""What was written is read back, word for word, also after the end of the process that wrote it."""

from datetime import timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from exporter.errors import JournalError
from exporter.journal.journal import Journal, open_journal
from exporter.journal.writer import REMEMBERED_SECONDS
from exporter.recovery.model.cases import Reply, Spent
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.limits import DAY, Limits
from exporter.recovery.model.ports import SavedState
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
    SENT,
    UUID,
    page,
)

replace = msgspec.structs.replace


async def test_an_unknown_cloud_has_no_past(journal: Journal) -> None:
    past = await journal.book(CLOUD).recall()

    assert past == SavedState(cases=[], open_actions=[], spent=[], commands=[])


async def test_everything_is_there_after_a_restart(directory: Path, clock: FakeClock) -> None:
    journal = await open_journal(directory, clock)
    book = journal.book(CLOUD)
    await book.note(page(cases=[CASE], changes=[CHANGE]))
    number = await book.decided(DECISION)
    intent = await book.prepare(INTENT, number)
    await book.update(replace(intent, **SENT))
    await book.ordered(ORDER)

    await journal.close()
    journal = await open_journal(directory, clock)

    past = await journal.book(CLOUD).recall()
    assert past == SavedState(
        watched=1000.0,
        time=START,
        clock=1.7e9 + 0.75,
        cases=[CASE],
        open_actions=[replace(intent, **SENT)],
        spent=[Spent(1000.5, UUID, INTENT.action)],
        commands=[ORDER],
    )
    assert await journal.changes(CLOUD) == [CHANGE]
    assert [one.decision for one in await journal.decisions(CLOUD)] == [DECISION]
    assert await journal.commands(CLOUD) == [ORDER]
    await journal.close()


async def test_an_intent_is_kept_with_its_decision_and_both_times(
    journal: Journal, clock: FakeClock
) -> None:
    book = journal.book(CLOUD)
    number = await book.decided(DECISION)
    intent = await book.prepare(INTENT, number)
    clock.elapsed += 90.0

    closed = replace(intent, **CONFIRMED)
    await book.update(closed)

    (attempt,) = await journal.intents(CLOUD)
    assert attempt.intent == closed
    assert attempt.decision == number
    assert attempt.prepared == START
    assert attempt.closed == START + timedelta(seconds=90)


async def test_what_may_be_unknown_comes_back_unknown(journal: Journal) -> None:
    book = journal.book(CLOUD)
    change = replace(CHANGE, before=None, after=None)
    decision = replace(DECISION, action=None, guard_results=())
    command = Command(kind=CommandKind.DISARM, owner="ada", reason="", at=0.0, time=START)

    await book.note(page(clock=None, changes=[change]))
    await book.decided(decision)
    await book.ordered(command)

    assert (await book.recall()).clock is None
    assert await journal.changes(CLOUD) == [change]
    assert [one.decision for one in await journal.decisions(CLOUD)] == [decision]
    assert await journal.commands(CLOUD) == [command]


async def test_a_round_replaces_the_cases_that_changed_and_drops_those_that_are_gone(
    journal: Journal,
) -> None:
    book = journal.book(CLOUD)
    calm, changed, gone = (replace(CASE, uuid=uuid) for uuid in ("a", "b", "c"))
    await book.note(page(cases=[calm, changed, gone]))

    changed = replace(changed, attempts=9)
    await book.note(page(watched=1030.0, cases=[changed], gone=["c", "never known"]))

    past = await book.recall()
    assert past.watched == 1030.0
    assert past.cases == [calm, changed]


async def test_a_round_brings_the_decisions_that_nothing_follows_from(journal: Journal) -> None:
    book = journal.book(CLOUD)
    others = [replace(DECISION, at=at, diagnosis=CASE.diagnosis) for at in (1.0, 2.0)]

    await book.note(page(decisions=others))
    number = await book.decided(DECISION)

    written = await journal.decisions(CLOUD)
    assert [one.decision for one in written] == [DECISION, *others[::-1]]
    assert written[0].number == number


async def test_clouds_know_nothing_of_each_other(journal: Journal) -> None:
    north, south = journal.book(CLOUD), journal.book(OTHER)
    for book in (north, south):
        await book.note(page(cases=[CASE], changes=[CHANGE]))
        await book.prepare(INTENT, await book.decided(DECISION))
        await book.ordered(ORDER)

    await south.note(page(gone=[UUID]))

    past = await north.recall()
    assert past.cases == [CASE]
    assert len(past.open_actions) == len(past.commands) == len(await journal.changes(CLOUD)) == 1
    assert (await south.recall()).cases == []


async def test_ten_thousand_cases_are_remembered(journal: Journal) -> None:
    book = journal.book(CLOUD)
    cases = [replace(CASE, uuid=f"{number:05}") for number in range(10_000)]

    await book.note(page(cases=cases))

    assert (await book.recall()).cases == cases


async def test_what_was_sent_in_the_last_week_of_watch_counts_oldest_first(
    journal: Journal,
) -> None:
    book = journal.book(CLOUD)
    decision = await book.decided(DECISION)
    now = 30 * DAY
    edge = now - REMEMBERED_SECONDS
    for uuid, sent_at in [("b", now), ("too old", edge - 0.001), ("a", edge), ("unsent", None)]:
        intent = await book.prepare(replace(INTENT, uuid=uuid), decision)
        await book.update(replace(intent, **{**CONFIRMED, "sent_at": sent_at}))

    await book.note(page(watched=now))

    action, reply = INTENT.action, Reply.ACCEPTED
    assert (await book.recall()).spent == [
        Spent(edge, "a", action, reply),
        Spent(now, "b", action, reply),
    ]


def test_no_budget_looks_back_further_than_the_journal() -> None:
    rules = Limits()

    assert (
        max(
            window.seconds
            for windows in (rules.vm_windows, rules.system_windows)
            for window in windows
        )
        <= REMEMBERED_SECONDS
    )


async def test_people_read_the_newest_first_and_no_more_than_they_ask_for(
    journal: Journal,
) -> None:
    book = journal.book(CLOUD)
    steps = [replace(CHANGE, detail=str(number)) for number in range(5)]
    await book.note(page(changes=[*steps, replace(CHANGE, uuid="another")]))
    numbers = [await book.decided(DECISION) for _ in range(3)]

    changes = await journal.changes(CLOUD, UUID, limit=2)
    decisions = await journal.decisions(CLOUD)

    assert [change.detail for change in changes] == ["4", "3"]
    assert [one.number for one in decisions] == numbers[::-1]
    assert await journal.changes(CLOUD, "nobody") == []


async def test_what_is_long_is_read_in_slices_without_a_gap(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.journal.journal.READ_AT_ONCE", 3)
    steps = [replace(CHANGE, detail=str(number)) for number in range(9)]
    await journal.book(CLOUD).note(page(changes=steps))

    for limit in (1, 3, 4, 9, 20):
        found = await journal.changes(CLOUD, UUID, limit=limit)
        assert [one.detail for one in found] == list("876543210")[:limit]
    assert len((await journal.since(CLOUD, CHANGE.time)).changes) == 9


async def test_a_decision_is_found_by_its_number(journal: Journal) -> None:
    book = journal.book(CLOUD)
    number = await book.decided(DECISION)
    await book.decided(replace(DECISION, at=1030.0))

    found = await journal.decision(CLOUD, UUID, number)

    assert found is not None
    assert (found.number, found.decision) == (number, DECISION)
    assert await journal.decision(CLOUD, "another", number) is None


async def test_the_last_decision_about_a_vm(journal: Journal) -> None:
    book = journal.book(CLOUD)
    await book.decided(DECISION)
    number = await book.decided(replace(DECISION, at=1030.0))
    await book.decided(replace(DECISION, uuid="another"))

    (last,) = await journal.decisions(CLOUD, UUID, limit=1)

    assert (last.number, last.decision.at) == (number, 1030.0)
    assert await journal.decisions(CLOUD, "nobody") == []


async def test_a_report_covers_what_happened_since_and_what_is_open(
    journal: Journal, clock: FakeClock
) -> None:
    book = journal.book(CLOUD)
    early, edge = START + timedelta(hours=1), START + timedelta(hours=2)
    changes = [replace(CHANGE, time=time) for time in (early, edge)]
    await book.note(page(changes=changes))
    numbers = [await book.decided(replace(DECISION, time=time)) for time in (early, edge)]
    over, closed_later, pending = [
        await book.prepare(replace(INTENT, uuid=uuid), numbers[0]) for uuid in ("a", "b", "c")
    ]
    await book.update(replace(over, **CONFIRMED))
    clock.elapsed = 7200.0
    await book.update(replace(closed_later, **CONFIRMED))

    stretch = await journal.since(CLOUD, edge)

    assert stretch.changes == changes[1:]
    assert [one.number for one in stretch.decisions] == numbers[1:]
    assert [one.intent.uuid for one in stretch.actions] == [pending.uuid, closed_later.uuid]


async def test_times_of_other_zones_are_kept_as_what_they_are_in_utc(journal: Journal) -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=-9, minutes=-30)))

    await journal.book(CLOUD).note(page(time=elsewhere))

    time = (await journal.book(CLOUD).recall()).time
    assert time == START
    assert time.utcoffset() == timedelta(0)


async def test_a_time_without_a_zone_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalError, match="cannot hold a value"):
        await journal.book(CLOUD).note(page(time=START.replace(tzinfo=None)))


async def test_a_text_that_is_no_text_is_refused_and_the_rest_goes_on(journal: Journal) -> None:
    book = journal.book(CLOUD)

    with pytest.raises(JournalError, match="cannot hold a value"):
        await book.ordered(replace(ORDER, owner="\udcff"))

    await book.ordered(ORDER)
    assert await journal.commands(CLOUD) == [ORDER]


async def test_words_of_every_kind_survive(journal: Journal) -> None:
    book = journal.book(CLOUD)
    number = await book.decided(DECISION)

    for reply in Reply:
        intent = await book.prepare(INTENT, number)
        await book.update(replace(intent, **{**CONFIRMED, "reply": reply}))

    assert [one.intent.reply for one in await journal.intents(CLOUD)] == [*Reply][::-1]

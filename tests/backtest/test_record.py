"""What is recorded of each poll, how little that is, and what pruning leaves of it."""

from datetime import timedelta
from pathlib import Path

import pytest

from exporter.journal.history import read_history
from exporter.journal.journal import open_journal
from exporter.recovery.model.history import Fact, FactKind, HistoryRecord, RecordedPoll
from tests.backtest.recorded import recorded
from tests.fakes import START, FakeClock
from tests.journal.examples import SYSTEM, poll_record
from tests.recovery.harness import Harness


@pytest.fixture
def harness() -> Harness:
    return recorded()


def facts_since(harness: Harness, number: int) -> list[tuple[str, str]]:
    return [(str(one.kind), one.key) for one in harness.journal.facts[number:]]


def test_a_poll_without_changes_writes_one_row(harness: Harness) -> None:
    facts, rows, polls = len(harness.journal.facts), len(harness.journal.rows), len(
        harness.journal.polls
    )  # fmt: skip

    harness.advance(200)

    assert len(harness.journal.polls) == polls + 10
    assert facts_since(harness, facts) == []
    assert len(harness.journal.rows) == rows


def test_only_the_status_of_a_vm_that_changed_is_written(harness: Harness) -> None:
    vm = harness.world.vm(harness.names[2])
    before = len(harness.journal.facts)

    harness.world.crash(vm)
    harness.advance(20)

    assert facts_since(harness, before) == [("status", str(vm.key))]


def test_only_the_configuration_of_a_vm_that_was_renamed_is_written(harness: Harness) -> None:
    vm = harness.world.vm(harness.names[2])
    before = len(harness.journal.facts)

    harness.world.renames(vm, "other")
    harness.advance(20)

    assert facts_since(harness, before) == [("vm", str(vm.key))]


def test_a_changed_tag_and_a_deleted_vm_are_written(harness: Harness) -> None:
    tagged, deleted = (harness.world.vm(name) for name in harness.names[2:4])
    before = len(harness.journal.facts)

    harness.world.untag(tagged, "recovery/auto")
    harness.world.deletes(deleted)
    harness.advance(20)

    found = facts_since(harness, before)
    assert ("vm", str(tagged.key)) in found
    gone = {(str(one.kind), one.key) for one in harness.journal.facts if one.value is None}
    assert gone == {("vm", str(deleted.key)), ("status", str(deleted.key))}


def test_a_restart_writes_only_what_changed_meanwhile(harness: Harness) -> None:
    vm = harness.world.vm(harness.names[2])
    before = len(harness.journal.facts)

    harness.new_process()
    harness.world.crash(vm)
    harness.advance(20)

    assert facts_since(harness, before) == [("status", str(vm.key))]
    assert harness.journal.polls[-1].began is not None


def test_what_the_journal_could_not_take_is_written_later(harness: Harness) -> None:
    vm = harness.world.vm(harness.names[2])
    before, polls = len(harness.journal.facts), len(harness.journal.polls)
    harness.journal.broken = "the disk is full"
    harness.world.crash(vm)
    harness.advance(60)
    harness.journal.broken = ""

    harness.advance(20)

    assert ("status", str(vm.key)) in facts_since(harness, before)
    assert len(harness.journal.polls) == polls + 4


def test_rows_of_vms_that_are_up_are_not_written(harness: Harness) -> None:
    up, down = (harness.world.vm(name) for name in harness.names[2:4])
    for vm in (up, down):
        harness.world.platform_log.write(
            f"Odd row of {vm.name}", at=harness.world.now, name=vm.name, machine=vm.machine.key
        )

    harness.world.crash(down)
    harness.advance(60)

    texts = {row.text for row in harness.journal.rows}
    assert f"Odd row of {down.name}" in texts
    assert f"Odd row of {up.name}" not in texts


def test_rows_are_written_once(harness: Harness) -> None:
    for name in harness.names[:4]:
        vm = harness.world.vm(name)
        harness.world.platform_log.write(
            "Odd row", at=harness.world.now, name=name, machine=vm.machine.key
        )
        harness.world.crash(vm)
        harness.advance(60)

    keys = [(row.table, row.key) for row in harness.journal.rows]
    assert len(keys) == len(set(keys)) > 0


async def test_pruning_keeps_the_newest_fact_about_each_thing(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, FakeClock())
    store = journal.store(SYSTEM)
    days = [START + timedelta(days=day) for day in range(4)]
    values: list[tuple[str, str | None]] = [("1", "1"), ("1", "2"), ("2", "1"), ("1", "3")]
    for day, (key, value) in zip(days, values, strict=True):
        at = (day - START).total_seconds()
        poll = RecordedPoll(at=at, time=day, lag_seconds=0.0, took_seconds=0.5, every_seconds=20.0)
        fact = Fact(at, FactKind.STATUS, key, value)
        await store.save_poll(poll_record(time=day, history=HistoryRecord([poll], [fact], [])))

    await journal.prune(days[3])

    assert (await store.load()).facts == {
        (FactKind.STATUS, "1"): "3",
        (FactKind.STATUS, "2"): "1",
    }
    await store.save_poll(
        poll_record(
            time=days[3],
            history=HistoryRecord(
                [
                    RecordedPoll(
                        at=at + 1, time=days[3], lag_seconds=0, took_seconds=0, every_seconds=20
                    )
                ],
                [],
                [],
            ),
        )
    )
    history = read_history(journal.place, lambda _: SYSTEM, START, days[3])
    assert [poll.time for poll in history.polls] == [days[3]]
    assert {(one.key, one.value) for one in history.base} == {("1", "2"), ("2", "1")}
    await journal.close()


async def test_pruning_forgets_what_is_gone_at_last(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, FakeClock())
    store = journal.store(SYSTEM)
    for day, value in enumerate(["1", None]):
        fact = Fact(float(day), FactKind.STATUS, "1", value)
        time = START + timedelta(days=day)
        poll = RecordedPoll(
            at=float(day), time=time, lag_seconds=0.0, took_seconds=0.5, every_seconds=20.0
        )
        await store.save_poll(poll_record(time=time, history=HistoryRecord([poll], [fact], [])))

    first = await journal.prune(START + timedelta(days=9))
    second = await journal.prune(START + timedelta(days=9))

    assert (first, second) == (3, 1)
    assert (await store.load()).facts == {}
    await journal.close()

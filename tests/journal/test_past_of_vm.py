"""What the journal knows of one VM in a period."""

from datetime import datetime, timedelta

import msgspec

from exporter.journal.journal import Journal
from exporter.journal.vm_query import GAP_SECONDS
from exporter.recovery.model.history import Fact, FactKind, HistoryRecord
from exporter.recovery.model.platform_log import LogRow, LogTable
from exporter.recovery.model.records import VMPast
from tests.fakes import START
from tests.journal.examples import (
    CHANGE,
    COMMAND,
    DECISION,
    OTHER_SYSTEM,
    SYSTEM,
    UUID,
    poll_record,
)
from tests.journal.test_states_since import poll

HOUR = timedelta(hours=1)
MACHINE = 23


async def past(journal: Journal, since: datetime, system: str = SYSTEM) -> VMPast:
    return await journal.past_of_vm(system, UUID, CHANGE.vm_key, MACHINE, since)


async def test_only_records_of_the_vm_and_of_the_period_are_read(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    await store.load()
    other = msgspec.structs.replace(CHANGE, uuid="another", time=START + 3 * HOUR)
    changes = [msgspec.structs.replace(CHANGE, time=START + hours * HOUR) for hours in (0, 2, 3)]
    await store.save_poll(poll_record(changes=[*changes, other]))
    decisions = [msgspec.structs.replace(DECISION, time=START + hours * HOUR) for hours in (0, 2)]
    for decision in decisions:
        await store.save_decision(decision)

    found = await past(journal, START + HOUR)

    assert list(found.changes) == changes[1:]
    assert [one.decision for one in found.decisions] == decisions[1:]
    assert await past(journal, START, OTHER_SYSTEM) == VMPast([], [], [], [], [], [], [])


async def test_commands_about_the_vm_and_the_system_are_read(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    of_vm, of_system, of_other = (
        msgspec.structs.replace(COMMAND, uuid=uuid, time=START) for uuid in (UUID, None, "another")
    )
    for command in (of_vm, of_system, of_other):
        await store.save_command(command)

    found = await past(journal, START)

    assert [one.uuid for one in found.commands] == [UUID, None]


async def test_facts_before_the_period_are_read_too_and_rows_by_machine(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    await store.load()
    facts = [
        Fact(at=0.0, kind=FactKind.STATUS, key="17", value='["a"]'),
        Fact(at=7200.0, kind=FactKind.SILENCE, key="17", value='"by anna"'),
        Fact(at=7200.0, kind=FactKind.STATUS, key="18", value='["b"]'),
        Fact(at=7200.0, kind=FactKind.NODE, key="17", value='["c"]'),
    ]
    rows = [
        LogRow(table=LogTable.MACHINE_LOGS, key=key, at=START.timestamp(), text="x",
               machine=machine, read_at=7200.0)
        for key, machine in ((1, MACHINE), (2, MACHINE + 1), (3, None))
    ]  # fmt: skip
    await store.save_poll(poll_record(history=HistoryRecord([poll(0), poll(2)], facts, rows)))

    found = await past(journal, START + HOUR)

    assert [(one.kind, one.value) for one in found.facts] == [
        (FactKind.STATUS, '["a"]'),
        (FactKind.SILENCE, '"by anna"'),
    ]
    assert [row.key for row in (await past(journal, START)).rows] == [1]


async def test_long_times_without_a_poll_are_gaps(journal: Journal) -> None:
    store = journal.store(SYSTEM)
    await store.load()
    for hours in (1, 2, 4):
        await store.save_poll(poll_record(history=HistoryRecord([poll(hours)])))

    assert HOUR.total_seconds() > GAP_SECONDS
    found = await past(journal, START)
    assert list(found.gaps) == [
        (START, START + HOUR),
        (START + HOUR, START + 2 * HOUR),
        (START + 2 * HOUR, START + 4 * HOUR),
    ]
    assert list((await past(journal, START + 4 * HOUR)).gaps) == []

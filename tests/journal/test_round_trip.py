"""The journal returns every value unchanged."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TypeVar

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.journal.journal import Journal, open_journal
from exporter.recovery.model.cases import Case, Diagnosis, Intent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision, GuardResult
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import DecisionRecord
from tests.fakes import FakeClock
from tests.journal.examples import SYSTEM, poll_record

T = TypeVar("T")

numbers = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**63), 2**63 - 1)
zones = st.builds(timezone, st.integers(-840, 840).map(lambda east: timedelta(minutes=east)))
times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001


def arbitrary(kind: type[T]) -> st.SearchStrategy[T]:
    """Return values of *kind* with arbitrary fields, also those that have a default."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}  # type: ignore[arg-type]
    return st.builds(kind, **{name: st.from_type(hint) for name, hint in fields.items()})


st.register_type_strategy(float, numbers)
st.register_type_strategy(int, integers)
st.register_type_strategy(datetime, times)
st.register_type_strategy(Diagnosis, lambda _: arbitrary(Diagnosis))
st.register_type_strategy(GuardResult, lambda _: arbitrary(GuardResult))


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Journal]:
    journal = await open_journal(directory, FakeClock())
    try:
        yield journal
    finally:
        await journal.close()


@settings(max_examples=20)
@given(
    cases=st.lists(arbitrary(Case), max_size=5, unique_by=lambda case: case.uuid),
    changes=st.lists(arbitrary(Change), max_size=3),
    decision=arbitrary(Decision),
    intents=st.lists(arbitrary(Intent), max_size=5, unique_by=lambda intent: intent.uuid),
    command=arbitrary(Command),
)
async def test_values_are_read_back_unchanged(
    cases: list[Case],
    changes: list[Change],
    decision: Decision,
    intents: list[Intent],
    command: Command,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with opened(Path(directory)) as journal:
            store = journal.store(SYSTEM)

            await store.save_poll(poll_record(cases=cases, changes=changes))
            number = await store.save_decision(decision)
            prepared = [await store.prepare(intent, number) for intent in intents]
            await store.save_command(command)

            saved = await store.load()
            assert {case.uuid: case for case in saved.cases} == {case.uuid: case for case in cases}
            assert saved.open_actions == [one for one in prepared if one.outcome is None]
            assert saved.commands == [command]
            assert await journal.changes(SYSTEM) == changes[::-1]
            decided = await journal.decisions(SYSTEM, decision.uuid, limit=1)
            assert decided == [DecisionRecord(number, decision)]
            assert [one.intent for one in await journal.intents(SYSTEM)] == prepared[::-1]

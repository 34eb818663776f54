"""Whatever a noun holds, the journal gives it back."""

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
from exporter.recovery.model.records import DecisionRecord
from exporter.recovery.model.cases import Case, Diagnosis, Intent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision, GuardResult
from exporter.recovery.model.ports import Change
from tests.fakes import FakeClock
from tests.journal.strategies import CLOUD, page

T = TypeVar("T")

numbers = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**63), 2**63 - 1)
zones = st.builds(timezone, st.integers(-840, 840).map(lambda east: timedelta(minutes=east)))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001


def anything(kind: type[T]) -> st.SearchStrategy[T]:
    """Return nouns of *kind* with anything in their fields, also in those that have a default."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}  # type: ignore[arg-type]
    return st.builds(kind, **{name: st.from_type(hint) for name, hint in fields.items()})


st.register_type_strategy(float, numbers)
st.register_type_strategy(int, integers)
st.register_type_strategy(datetime, moments)
st.register_type_strategy(Diagnosis, lambda _: anything(Diagnosis))
st.register_type_strategy(GuardResult, lambda _: anything(GuardResult))


@asynccontextmanager
async def kept(directory: Path) -> AsyncIterator[Journal]:
    journal = await open_journal(directory, FakeClock())
    try:
        yield journal
    finally:
        await journal.close()


@settings(max_examples=20)
@given(
    cases=st.lists(anything(Case), max_size=5, unique_by=lambda case: case.uuid),
    changes=st.lists(anything(Change), max_size=3),
    decision=anything(Decision),
    intents=st.lists(anything(Intent), max_size=5, unique_by=lambda intent: intent.uuid),
    command=anything(Command),
)
async def test_every_noun_comes_back_as_it_was(
    cases: list[Case],
    changes: list[Change],
    decision: Decision,
    intents: list[Intent],
    command: Command,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with kept(Path(directory)) as journal:
            book = journal.book(CLOUD)

            await book.note(page(cases=cases, changes=changes))
            number = await book.decided(decision)
            prepared = [await book.prepare(intent, number) for intent in intents]
            await book.ordered(command)

            past = await book.recall()
            assert {case.uuid: case for case in past.cases} == {case.uuid: case for case in cases}
            assert past.open_actions == [one for one in prepared if one.outcome is None]
            assert past.commands == [command]
            assert await journal.changes(CLOUD) == changes[::-1]
            decided = await journal.decisions(CLOUD, decision.uuid, limit=1)
            assert decided == [DecisionRecord(number, decision)]
            assert [one.intent for one in await journal.intents(CLOUD)] == prepared[::-1]

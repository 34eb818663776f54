"""A journal in memory that keeps the time of each record, like the one on disk."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from exporter.journal.journal import Journal, open_journal
from exporter.recovery.model.cases import Intent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import Change, NoRoom, PollRecord
from exporter.recovery.model.records import ActionRecord, DecisionRecord, JournalRecords
from exporter.recovery.report.context import ExplainContext, context_of_case
from exporter.recovery.report.explain import Explanation, explain
from exporter.recovery.report.summary import RecoverySummary, summarize
from tests.fakes import START, FakeClock
from tests.recovery.harness import LIMITS, Harness, InMemoryJournal

CLOUD = "stage"


class RecordingJournal(InMemoryJournal):
    """
    A `InMemoryJournal` that can be read by people.

    `story` is every write in its order, to be repeated on another journal.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now: Callable[[], datetime] = lambda: START
        self.actions: dict[int, ActionRecord] = {}
        self.story: list[tuple[datetime, str, tuple[Any, ...]]] = []

    async def save_poll(self, record: PollRecord, /) -> None:
        await super().save_poll(record)
        self.story.append((self.now(), "save_poll", (record,)))

    async def save_decision(self, decision: Decision, /) -> int:
        self.story.append((self.now(), "save_decision", (decision,)))
        return await super().save_decision(decision)

    async def prepare(self, intent: Intent, decision: int, no_room: NoRoom, /) -> Intent:
        self.story.append((self.now(), "prepare", (intent, decision)))
        intent = await super().prepare(intent, decision, no_room)
        self.actions[intent.id] = ActionRecord(intent, decision, self.now(), None)
        return intent

    async def update(self, intent: Intent, /, *, lease_seconds: float = 0.0) -> None:
        await super().update(intent, lease_seconds=lease_seconds)
        self.story.append((self.now(), "update", (intent,)))
        closed = None if intent.outcome is None else self.now()
        self.actions[intent.id] = replace(self.actions[intent.id], intent=intent, closed=closed)

    async def save_time_to_service(self, intent: Intent, seconds: float, /) -> None:
        await super().save_time_to_service(intent, seconds)
        record = self.actions[intent.id]
        self.actions[intent.id] = replace(record, time_to_service_seconds=seconds)

    async def save_command(self, command: Command, /) -> Sequence[Command]:
        taken = await super().save_command(command)
        self.story.append((self.now(), "save_command", (command,)))
        return taken

    def changes_of(self, uuid: str) -> list[Change]:
        return [one for one in reversed(self.changes) if one.uuid == uuid]

    def actions_of(self, uuid: str) -> list[ActionRecord]:
        return [one for one in reversed(self.actions.values()) if one.intent.uuid == uuid]

    def decisions_of(self, uuid: str) -> list[DecisionRecord]:
        """Return the decisions on a VM with their numbers, newest first."""
        numbered = [DecisionRecord(number, one) for number, one in enumerate(self.decisions, 1)]
        return [one for one in reversed(numbered) if one.decision.uuid == uuid]


def stage(limits: Limits = LIMITS, **kwargs: Any) -> Harness:
    """Return a harness with such a journal, warmed up."""
    journal = RecordingJournal()
    harness = Harness(limits=limits, journal=journal, **{"vms": 30, **kwargs})
    journal.now = harness.clock.now
    return harness.warm()


def about(harness: Harness, name: str) -> ExplainContext:
    """Return what there is to say of a VM right now."""
    case = harness.case(name)
    journal: RecordingJournal = harness.journal
    records = journal.decisions_of(case.uuid)
    return context_of_case(case, system=CLOUD, now=harness.clock.now())._replace(
        enrolment=harness.recovery.state.enrolments.get(case.uuid),
        decision=harness.recovery.decisions.get(case.uuid),
        number=records[0].number if records else None,
        decided=records[0].decision.time if records else None,
        changes=journal.changes_of(case.uuid),
        actions=journal.actions_of(case.uuid),
    )


def explained(harness: Harness, name: str) -> Explanation:
    return explain(about(harness, name))


def accounted(harness: Harness) -> RecoverySummary:
    journal: RecordingJournal = harness.journal
    records = [DecisionRecord(number, one) for number, one in enumerate(journal.decisions, 1)]
    return summarize(
        JournalRecords(
            journal.changes,
            records,
            list(journal.actions.values()),
            [one for one in journal.commands if one.question is not None],
        ),
        system=CLOUD,
        mode=harness.setup.mode,
        since=START,
        until=harness.clock.now(),
    )


class RecordClock(FakeClock):
    """What time it is in a story."""

    moment = START

    def now(self) -> datetime:
        return self.moment


async def journal_on_disk(harness: Harness, directory: Path) -> Journal:
    """Return a journal on disk with the records of the run."""
    clock = RecordClock()
    journal = await open_journal(directory, clock)
    store = journal.store(harness.recovery.key)
    for moment, what, said in harness.journal.story:
        clock.moment = moment
        await getattr(store, what)(*said)
    return journal


def as_json(noun: msgspec.Struct) -> bytes:
    return msgspec.json.encode(noun)

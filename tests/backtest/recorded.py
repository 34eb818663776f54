"""A harness whose journal in memory keeps its history, and replays of it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from exporter.backtest.acts import Replayed
from exporter.backtest.replay import Replay
from exporter.recovery.model.cases import Intent
from exporter.recovery.model.history import Fact, RecordedPoll
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.ports import NoRoom, PollRecord, SavedState
from exporter.recovery.model.records import ActionRecord, DecisionRecord, History
from exporter.recovery.recovery_config import RecoveryConfig
from tests.fakes import START
from tests.recovery.harness import Harness, InMemoryJournal, at_once

KEY = "https://stage.example"


class HistoryJournal(InMemoryJournal):
    """An `InMemoryJournal` that also keeps what a backtest needs."""

    def __init__(self) -> None:
        super().__init__()
        self.now: Callable[[], datetime] = lambda: START
        self.polls: list[RecordedPoll] = []
        self.facts: list[Fact] = []
        self.rows: list[LogRow] = []
        self.prepared: dict[int, tuple[int, datetime]] = {}

    async def load(self) -> SavedState:
        newest = {(one.kind, one.key): one.value for one in self.facts}
        saved = await super().load()
        return saved._replace(facts={key: one for key, one in newest.items() if one is not None})

    async def save_poll(self, record: PollRecord, /) -> None:
        await super().save_poll(record)
        self.polls += record.history.polls
        self.facts += record.history.facts
        self.rows += record.history.rows

    async def prepare(self, intent: Intent, decision: int, no_room: NoRoom, /) -> Intent:
        self.prepared[len(self.intents) + 1] = decision, self.now()
        return await super().prepare(intent, decision, no_room)

    def history(self) -> History:
        return History(
            KEY,
            base=(),
            polls=self.polls,
            facts=self.facts,
            rows=self.rows,
            changes=self.changes,
            decisions=[DecisionRecord(n, one) for n, one in enumerate(self.decisions, 1)],
            actions=[
                ActionRecord(intent, *self.prepared[number], None)
                for number, intent in self.intents.items()
            ],
            commands=self.commands,
        )


def recorded(**kwargs: Any) -> Harness:
    """Return a harness with such a journal, warmed up."""
    journal = HistoryJournal()
    harness = Harness(journal=journal, **kwargs)
    journal.now = harness.clock.now
    return harness.warm()


def replayed(journal: HistoryJournal, config: RecoveryConfig) -> Replayed:
    return at_once(Replay(journal.history(), config).run())


def acts(replay: list[Any] | Any) -> list[tuple[int, str, str, str]]:
    """Return what was done when, to be compared."""
    return [(one.poll, one.name, str(one.action), str(one.kind)) for one in replay]

"""Writes to the journal what each poll changed, with what a backtest needs of it."""

from collections.abc import Iterable

from exporter.model import PollResult
from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.diagnoser import Diagnoser
from exporter.recovery.history_recorder import HistoryRecorder, RecordedRandom
from exporter.recovery.model.ports import SavedState
from exporter.recovery.observe.state import RecoveryState


class PollRecorder:
    """
    Keeps what a backtest needs of the polls until it is written.

    Args:
        random: What the actions draw from.

    """

    def __init__(
        self, journal_writer: JournalWriter, diagnoser: Diagnoser, random: RecordedRandom
    ) -> None:
        self._journal_writer = journal_writer
        self._diagnoser = diagnoser
        self._random = random
        self._history = HistoryRecorder({}, 0.0)

    def resume(self, saved: SavedState, watched: float) -> None:
        """Continue from the *saved* state, after *watched* seconds of monitored time."""
        self._random.taken()
        self._history = HistoryRecorder(saved.facts, watched, saved.log_positions)

    def begin_again(self, at: float) -> None:
        """Note that recovery goes on from the journal's state at *at*, by other settings."""
        self._history.begin_again(at)

    def add(
        self, poll: PollResult, facts: SystemFacts, decided: Iterable[str], *, processed_at: float
    ) -> None:
        """
        Add a poll.

        Args:
            facts: After it was processed.
            decided: The VMs that there is a decision on, by UUID.
            processed_at: When that began, in seconds of monitored time, as the poll's own time.

        """
        self._history.add(
            poll,
            facts,
            self._diagnoser.log_tail,
            self._diagnoser.learner.learned,
            decided,
            lag_seconds=processed_at - poll.asked_at,
            random_numbers=self._random.taken(),
        )

    async def write(self, state: RecoveryState, *, watched: float) -> bool:
        """Write what changed since the last time; return whether that worked."""
        done = await self._journal_writer.record(
            state,
            self._diagnoser.log_tail.positions,
            self._diagnoser.learner.experience.templates,
            watched=watched,
            starter=self._diagnoser.started_by,
            history=self._history.unwritten,
        )
        if done:
            self._history.written()
        return done

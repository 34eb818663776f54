"""A replay with the settings of the record does what was done, at the same polls."""

import random

import pytest

from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import Random
from tests.backtest.recorded import HistoryJournal, acts, replayed
from tests.recovery.month import Month


class RecordedMonth(Month):
    """A month whose journal keeps its history."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.journal = journal = HistoryJournal()
        journal.now = self.clock.now

    def random(self) -> Random:
        """Let the pauses after actions vary, as they do in the daemon."""
        return random.Random(self.clock.elapsed).random


@pytest.mark.parametrize(
    ("seed", "mode"),
    [(1, Mode.ENFORCE), (2, Mode.ENFORCE), (3, Mode.SHADOW), (4, Mode.ENFORCE)],
)
def test_replay_with_the_same_settings_acts_at_the_same_polls(seed: int, mode: Mode) -> None:
    month = RecordedMonth(vms=40, days=1, seed=seed, mode=mode, busy=8, hurried=True).simulate()

    replay = replayed(month.journal, month.setup)

    assert len(replay.then) > 5
    assert acts(replay.now) == acts(replay.then)
    assert not replay.held_until

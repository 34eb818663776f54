"""Records what a backtest needs of each poll: what differs from the poll before."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from exporter.model import Inventory, PollResult
from exporter.recovery.decide.facts import SystemFacts, silenced
from exporter.recovery.log_tail import LogTail
from exporter.recovery.model.history import (
    NO_HISTORY,
    Fact,
    FactKind,
    FactValues,
    HistoryRecord,
    RecordedPoll,
    SystemFact,
)
from exporter.recovery.model.log_templates import RowSource
from exporter.recovery.model.platform_log import LogRow, PositionRead
from exporter.recovery.model.ports import Random
from exporter.recovery.observe.inventory_facts import Tags, changed, changed_since, encode

Learned = Mapping[RowSource, AbstractSet[str]]

MAX_UNWRITTEN_POLLS = 1000
"""If the journal cannot be written for so long, the record begins again."""


class RecordedRandom:
    """Draws random numbers, and keeps them for a backtest to draw again."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self._drawn: list[float] = []

    def __call__(self) -> float:
        self._drawn.append(self._draw())
        return self._drawn[-1]

    def taken(self) -> list[float]:
        """Return the numbers drawn since the last call."""
        drawn, self._drawn = self._drawn, []
        return drawn


class HistoryRecorder:
    """
    Keeps what the journal does not have yet: polls, changed facts, log rows.

    Args:
        base: The newest facts in the journal.
        began: The monitored time at which the process begins.
        positions: What was read of the logs before.

    """

    def __init__(
        self, base: FactValues, began: float, positions: Sequence[PositionRead] = ()
    ) -> None:
        self._base: FactValues = base
        """Until the first inventory."""
        self._last: Inventory | None = None
        self._tags: Tags = {}
        self._began: float | None = began
        self._read_at = positions[-1].read_at if positions else float("-inf")
        kinds = (FactKind.LEARNED, FactKind.SYSTEM, FactKind.SILENCE)
        self._small: FactValues = {key: value for key, value in base.items() if key[0] in kinds}
        """The newest facts of the kinds that are no part of an inventory."""
        self._polls: list[RecordedPoll] = []
        self._facts: list[Fact] = []
        self._rows: list[LogRow] = []

    @property
    def unwritten(self) -> HistoryRecord:
        """What the journal does not have yet."""
        return HistoryRecord(self._polls, self._facts, self._rows) if self._polls else NO_HISTORY

    def add(
        self,
        poll: PollResult,
        facts: SystemFacts,
        log_tail: LogTail,
        learned: Learned,
        decided: Iterable[str],
        *,
        lag_seconds: float,
        random_numbers: Sequence[float],
    ) -> None:
        """
        Add a poll.

        Args:
            facts: After it was processed.
            learned: The log templates that are harmless by experience.
            decided: The VMs that there is a decision on, by UUID.
            lag_seconds: From the poll until it was processed.
            random_numbers: Those that were drawn meanwhile.

        """
        if len(self._polls) >= MAX_UNWRITTEN_POLLS:
            self._forget_unwritten()
        problem = facts.state.health.problem
        inventory = facts.state.inventory if problem is None else None
        new = tuple(one for one in log_tail.positions if one.read_at > self._read_at)
        self._read_at = new[-1].read_at if new else self._read_at
        self._polls.append(
            RecordedPoll(
                at=poll.asked_at,
                time=poll.time,
                lag_seconds=lag_seconds,
                took_seconds=poll.took_seconds,
                every_seconds=poll.every_seconds,
                began=self._began,
                clock=inventory.clock if inventory is not None else None,
                problem=f"{problem.reason}: {problem.detail}" if problem is not None else "",
                tags_read=inventory is None or inventory.reported.tags is not None,
                log_positions=new,
                log_problem=log_tail.problem,
                log_complete=log_tail.is_complete,
                random_numbers=tuple(random_numbers),
            )
        )
        self._began = None
        self._rows += log_tail.take_evidence()
        if inventory is not None:
            self._add_inventory(inventory.reported, at=poll.asked_at)
        self._add_small(_small_facts(facts, learned, decided), at=poll.asked_at)

    def begin_again(self, at: float) -> None:
        """Note that recovery goes on from the journal's state at *at*, by other settings."""
        self._began = at

    def written(self) -> None:
        """Forget what the journal has now."""
        self._polls, self._facts, self._rows = [], [], []

    def _add_inventory(self, inventory: Inventory, *, at: float) -> None:
        tags = inventory.tags if inventory.tags is not None else self._tags
        if self._last is None:
            self._note(changed_since(self._base, inventory, tags), at)
        else:
            self._note(changed(self._last, inventory, self._tags, tags), at)
        self._base, self._last, self._tags = {}, inventory, tags

    def _add_small(self, facts: FactValues, *, at: float) -> None:
        """Add those of the facts that are no part of an inventory that changed."""
        if facts == self._small:
            return
        self._note(
            ((*one, text) for one, text in facts.items() if self._small.get(one) != text), at
        )
        self._note(((*one, None) for one in self._small if one not in facts), at)
        self._small = facts

    def _note(self, facts: Iterable[tuple[FactKind, str, str | None]], at: float) -> None:
        self._facts += [Fact(at, kind, key, value) for kind, key, value in facts]

    def _forget_unwritten(self) -> None:
        """Begin again: the next record has every fact, whatever the journal has."""
        self.written()
        self._base, self._last, self._small = {}, None, {}


def _small_facts(facts: SystemFacts, learned: Learned, decided: Iterable[str]) -> FactValues:
    """Return what decides about actions besides the inventory."""
    system = SystemFact(facts.kill_switch, facts.read_only, facts.silences_unknown)
    found = {(FactKind.SYSTEM, ""): encode(system)}
    cases, inventory = facts.state.cases, facts.state.inventory
    if facts.silences is not None and inventory is not None and facts.state.health.problem is None:
        for case in filter(None, map(cases.get, decided)):
            if text := silenced(facts.silences, case, inventory):
                found[FactKind.SILENCE, str(case.key)] = encode(text)
    for source, templates in learned.items():
        found |= {(FactKind.LEARNED, f"{source}:{one}"): "true" for one in templates}
    return found

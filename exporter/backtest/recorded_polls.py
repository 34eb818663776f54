"""What the record has of each poll: facts, decisions and actions."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

from exporter.backtest.acts import was_sent
from exporter.recovery.model.cases import Intent
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.history import Fact
from exporter.recovery.model.records import History


class RecordedPolls:
    """A history by the numbers of its polls."""

    def __init__(self, history: History) -> None:
        self._begin = history.polls[0].at
        self.ends = [poll.at + poll.lag_seconds for poll in history.polls]
        """When recovery processed each poll."""
        numbers = {poll.at: number for number, poll in enumerate(history.polls)}
        self._facts = defaultdict[int, list[Fact]](list)
        for fact in history.facts:
            if fact.at in numbers:
                self._facts[numbers[fact.at]].append(fact)
        self._decisions = defaultdict[int, list[Decision]](list)
        self._obsolete = defaultdict[int, set[int]](set)
        carried_out = {one.decision for one in history.actions}
        for record in history.decisions:
            decision = record.decision
            if decision.at < self._begin:
                continue
            self._decisions[self._poll_of(decision.at)].append(decision)
            if decision.acts and record.number not in carried_out:
                self._obsolete[self._poll_of(decision.at)].add(decision.vm_key)
        self._approved = defaultdict[str | None, list[float]](list)
        for command in history.commands:
            if command.kind is CommandKind.APPROVE:
                self._approved[command.uuid].append(command.at)
        self._actions = defaultdict[int, list[Intent]](list)
        for one in history.actions:
            if was_sent(one.intent) and one.intent.prepared_at >= self._begin:
                self._actions[self._poll_of_action(one.intent)].append(one.intent)

    def facts(self, number: int) -> Sequence[Fact]:
        """Return the facts that changed in a poll."""
        return self._facts.get(number, ())

    def decisions(self, number: int) -> Sequence[Decision]:
        """Return the decisions that were recorded in a poll."""
        return self._decisions.get(number, ())

    def actions(self, number: int) -> Sequence[Intent]:
        """Return the actions that were sent in a poll."""
        return self._actions.get(number, ())

    def obsolete(self, number: int) -> frozenset[int]:
        """Return the VMs whose action was decided on in a poll and then found obsolete."""
        return frozenset(self._obsolete.get(number, ()))

    def _poll_of_action(self, intent: Intent) -> int:
        """Return the poll of an action; one that was approved between two belongs to the later."""
        number = self._poll_of(intent.prepared_at)
        is_last = number + 1 >= len(self.ends)
        approved = any(
            self.ends[number] <= at <= intent.prepared_at
            for at in self._approved.get(intent.uuid, ())
        )
        return number + 1 if approved and not is_last else number

    def _poll_of(self, at: float) -> int:
        """Return the number of the poll in which something happened."""
        return max(0, bisect_right(self.ends, at) - 1)

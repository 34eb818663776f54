"""The journal of a replay, in memory: what it decided and did."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from exporter.errors import IntentOpenError
from exporter.recovery.model.cases import Case, Intent, Spent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.platform_log import PositionRead
from exporter.recovery.model.ports import NoRoom, PollRecord, SavedState


class ReplayStore:
    """
    A `JournalStore` for one replay; it outlives the recorded restarts of the daemon.

    Args:
        spent: Recorded actions before the replay, which budgets still count.
        commands: Recorded commands before it, which may still be in force.

    """

    def __init__(self, spent: Iterable[Spent], commands: Iterable[Command]) -> None:
        self._spent = tuple(spent)
        self._commands = list(commands)
        self._cases: dict[str, Case] = {}
        self._positions: Sequence[PositionRead] = ()
        self._last: PollRecord | None = None
        self.began = 0.0
        """The monitored time at which the next process begins."""
        self.intents: dict[int, Intent] = {}
        self.decisions: list[Decision] = []

    async def load(self) -> SavedState:
        last = self._last
        sent = [one for one in self.intents.values() if one.sent_at is not None]
        own = tuple(Spent(one.sent_at or 0.0, one.uuid, one.action, one.reply) for one in sent)
        return SavedState(
            watched=self.began,
            time=last.time if last is not None else None,
            clock=last.clock if last is not None else None,
            log_positions=self._positions,
            cases=tuple(self._cases.values()),
            open_actions=tuple(one for one in self.intents.values() if one.outcome is None),
            spent=(*self._spent, *own),
            commands=tuple(self._commands),
        )

    async def save_poll(self, record: PollRecord, /) -> None:
        self._last, self._positions = record, record.log_positions
        self._cases |= {case.uuid: case for case in record.cases}
        for uuid in record.gone:
            self._cases.pop(uuid, None)
        self.decisions += record.decisions

    async def save_decision(self, decision: Decision, /) -> int:
        self.decisions.append(decision)
        return len(self.decisions)

    async def prepare(self, intent: Intent, decision: int, no_room: NoRoom, /) -> Intent:  # noqa: ARG002 - the port's
        if any(one.uuid == intent.uuid and one.outcome is None for one in self.intents.values()):
            raise IntentOpenError(intent.name)
        intent = replace(intent, id=len(self.intents) + 1)
        self.intents[intent.id] = intent
        return intent

    async def update(self, intent: Intent, /, *, lease_seconds: float = 0.0) -> None:  # noqa: ARG002
        self.intents[intent.id] = intent

    async def save_time_to_service(self, intent: Intent, seconds: float, /) -> None:
        """Keep nothing: no Prometheus is asked."""

    async def waiting_commands(self) -> Sequence[Command]:
        return ()

    async def take_commands(self, at: float, /) -> Sequence[Command]:  # noqa: ARG002 - the port's
        return ()

    async def save_command(self, command: Command, /) -> Sequence[Command]:
        self._commands.append(command)
        return ()

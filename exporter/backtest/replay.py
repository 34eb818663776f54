"""
Replays a recorded history through recovery, with other settings.

The engine is the daemon's own; what it is connected to is the record: polls, logs, commands and
replies, each at its recorded time. Where the replay acts otherwise than was acted then, an
`Overlay` shows what would have followed.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from exporter.backtest.acts import Act, ActKind, Reason, Replayed, proposals, reason_of, was_sent
from exporter.backtest.inventory import RecordedInventory
from exporter.backtest.overlay import Overlay
from exporter.backtest.platform import RecordedPlatform
from exporter.backtest.recorded_polls import RecordedPolls
from exporter.backtest.store import ReplayStore
from exporter.model import PollResult
from exporter.recovery.engine import Recovery
from exporter.recovery.model.cases import Action, Intent, Reply, Spent
from exporter.recovery.model.commands import (
    ANSWERS,
    GIVEN_BY_RECOVERY,
    Command,
    CommandDetails,
    CommandKind,
    Lesson,
)
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.history import RecordedPoll
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.model.records import History
from exporter.recovery.model.views import AnswerRefusedError
from exporter.recovery.recovery_config import RecoveryConfig

EPOCH = datetime.fromtimestamp(0, UTC)
TOOK_EFFECT = (Reply.ACCEPTED, Reply.ALREADY, Reply.LOST, None)
"""Replies after which a VM may have come up because of an action."""


class ReplayClock:
    """The recorded time: monotonic seconds are those of monitored time."""

    def __init__(self) -> None:
        self._at = 0.0
        self._time = EPOCH

    def set(self, at: float, time: datetime) -> None:
        self._at, self._time = at, time

    def now(self) -> datetime:
        return self._time

    def monotonic(self) -> float:
        return self._at

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"a replay does not wait, but was to sleep for {seconds} s")


class RecordedSilences:
    """The silences that were found for VMs that were down."""

    def __init__(self, inventory: RecordedInventory) -> None:
        self._inventory = inventory

    def holding(self, vm: VMLocation, /) -> str:
        return self._inventory.silences.get(vm.vm_key, "")

    @property
    def unknown(self) -> str:
        return self._inventory.system.silences_unknown

    @property
    def are_needed(self) -> bool:
        return False  # what held an action is recorded with each VM

    async def refresh(self) -> None:
        """Do nothing: they are those of the record."""


class NoMeter:
    """A `Meter` that measures nothing."""

    def decided(self, reason: str, cause: str, /) -> None: ...
    def acted(self, action: str, outcome: str, /) -> None: ...
    def invalid(self, reason: str, /) -> None: ...
    def clock_jumped(self) -> None: ...
    def recovered(self, seconds: float, /) -> None: ...
    def service_returned(self, seconds: float, /) -> None: ...


class Replay:
    """
    One replay.

    Args:
        history: At least one poll.
        config: The settings to replay it with.

    """

    def __init__(self, history: History, config: RecoveryConfig) -> None:
        self._history = history
        self._inventory = RecordedInventory(history.base)
        self._overlay = Overlay(self._inventory)
        self._config = config._replace(
            kill_switch=lambda: self._inventory.system.kill_switch,
            silences=RecordedSilences(self._inventory),
        )
        self._clock = ReplayClock()
        self._platform = RecordedPlatform(
            self._inventory, history.polls, history.rows, self._overlay.hides
        )
        self._record = RecordedPolls(history)
        self._ends = self._record.ends
        first = self._ends[0]
        self._commands = deque(one for one in history.commands if one.at >= first)
        self._store = ReplayStore(
            [
                Spent(one.intent.sent_at, one.intent.uuid, one.intent.action, one.intent.reply)
                for one in history.actions
                if one.intent.sent_at is not None and one.intent.prepared_at < history.polls[0].at
            ],
            [one for one in history.commands if one.at < first],
        )
        self._recovery: Recovery | None = None
        self._outages: dict[int, float] = {}
        """When each VM that is down went down, in the replay."""
        self._recorded_outages: dict[int, float] = {}
        self._random_numbers = deque[float]()
        self._seen_decisions = 0
        self._seen_intents = 0
        self._then: list[Act] = []
        self._now: list[Act] = []
        self._skipped: dict[tuple[str, float], Reason] = {}
        self._up_at: dict[str, list[float]] = defaultdict(list)
        self._held_until: dict[tuple[str, float], float] = {}
        self._holding: dict[int, tuple[str, float]] = {}
        self._restarts = self._answers_lost = 0

    async def run(self) -> Replayed:
        """Replay the whole history."""
        history = self._history
        for number, poll in enumerate(history.polls):
            await self._replay(number, poll)
        end = history.polls[-1].at
        for key in self._holding.values():
            self._held_until[key] = end
        return Replayed(
            self._then,
            self._now,
            self._skipped,
            self._up_at,
            self._held_until,
            self._restarts,
            self._answers_lost,
            {vm.uuid: vm.name for vm in self._inventory.vms.values()},
        )

    async def _replay(self, number: int, poll: RecordedPoll) -> None:
        self._random_numbers = deque(poll.random_numbers)
        if self._recovery is None or poll.began is not None:
            await self._start_process(poll)
        assert self._recovery is not None  # noqa: S101 - it was started above
        end = self._ends[number]
        actions = [one for one in self._record.actions(number) if one.vm_key not in self._overlay]
        self._platform.expect(actions, self._record.obsolete(number))
        while self._commands and self._commands[0].at < end:
            await self._command(self._commands.popleft())
        facts = self._record.facts(number)
        self._inventory.apply(one for one in facts if one.kind.is_seen)
        self._follow_record(poll, has_news=bool(facts) or number == 0)
        seen = max([end, *(one.read_at for one in poll.log_positions)])
        self._platform.begin(poll, seen)
        self._clock.set(end, poll.time + timedelta(seconds=poll.lag_seconds))
        await self._recovery.process(self._poll_result(poll))
        self._after(number, poll)
        learned = [one for one in facts if not one.kind.is_seen]
        if learned:
            self._inventory.apply(learned)
            self._recovery.learner.follow(self._inventory.learned)

    async def _start_process(self, poll: RecordedPoll) -> None:
        """Start the daemon again; it continues from what the replay has saved so far."""
        began = poll.began if poll.began is not None else poll.at
        self._restarts += self._recovery is not None

        async def open_store() -> ReplayStore:
            return self._store

        self._store.began = began
        self._clock.set(began, poll.time - timedelta(seconds=poll.at - began))
        self._recovery = Recovery(
            self._history.system,
            open_store,
            self._platform,
            self._config,
            self._clock,
            random=lambda: self._random_numbers.popleft() if self._random_numbers else 0.5,
            meter=NoMeter(),
        )
        # A poll from before the process opens the journal and is not processed.
        await self._recovery.process(
            PollResult(began - 1.0, self._clock.now(), 0.0, poll.every_seconds, None)
        )
        self._recovery.learner.follow(self._inventory.learned)

    def _poll_result(self, poll: RecordedPoll) -> PollResult:
        inventory = None
        if not poll.problem:
            inventory = self._inventory.shows(
                self._overlay.statuses,
                time=poll.time,
                clock=poll.clock,
                tags_read=poll.tags_read,
            )
        return PollResult(
            asked_at=poll.at,
            time=poll.time,
            took_seconds=poll.took_seconds,
            every_seconds=poll.every_seconds,
            inventory=inventory,
            problem=poll.problem,
        )

    async def _command(self, command: Command) -> None:
        """Give a recorded command at its time."""
        recovery = self._recovery
        assert recovery is not None  # noqa: S101 - commands come after the first poll
        self._clock.set(command.at, command.time)
        if command.kind in GIVEN_BY_RECOVERY:
            if command.kind is CommandKind.RIVAL:  # rows of rivals need not be recorded
                recovery.apply_command(command)
            return
        details = CommandDetails(
            owner=command.owner,
            reason=command.reason,
            seconds=None if command.until is None else command.until - command.at,
            uuid=command.uuid,
            lesson=Lesson(command.template, command.means),
        )
        if command.kind in ANSWERS:
            case = recovery.state.cases.get(command.uuid or "")
            if case is None or case.question is None:
                self._answers_lost += 1
                return
            details["question"] = case.question.number
        try:
            await recovery.command(command.kind, **details)
        except AnswerRefusedError:
            self._answers_lost += 1

    def _follow_record(self, poll: RecordedPoll, *, has_news: bool) -> None:
        """Follow which VMs are up in the record, and end what it has overtaken."""
        if poll.problem:
            return
        inventory = self._inventory
        for key in inventory.vms if has_news else ():
            if not inventory.is_up(key):
                self._recorded_outages.setdefault(key, poll.at)
            elif self._recorded_outages.pop(key, None) is not None:
                self._up_at[inventory.vms[key].uuid].append(poll.at)
        for key in self._overlay.advance(at=poll.at):
            self._held_until[self._holding.pop(key)] = poll.at
        for key, since in self._recorded_outages.items():
            self._outages.setdefault(key, since)
        for key in list(self._outages):
            if key not in self._recorded_outages and not self._overlay.is_held(key):
                del self._outages[key]

    def _after(self, number: int, poll: RecordedPoll) -> None:
        """Take in what the record and the replay did in this poll."""
        acts = self._new_acts(number, poll)
        self._now += acts
        for one in self._platform.performed:
            if not one.as_recorded:
                self._overlay.act(one.vm_key, one.action, clock=poll.clock, at=self._ends[number])
        done = {(one.vm_key, one.action) for one in acts}
        for act in acts:
            if act.kind is not ActKind.SENT and self._overlay.is_held(act.vm_key):
                self._overlay.release(act.vm_key, at=self._ends[number])
        for key in [key for key in self._holding if not self._overlay.is_held(key)]:
            self._held_until[self._holding.pop(key)] = poll.at
        for act in self._recorded_acts(number, poll):
            self._then.append(act)
            if (act.vm_key, act.action) in done:
                continue
            self._skipped[act.uuid, act.at] = self._reason(act)
            took_effect = act.kind is ActKind.SENT and (act.reply or None) in TOOK_EFFECT
            if took_effect and act.vm_key not in self._overlay:
                self._overlay.hold(act.vm_key, at=self._ends[number])
                if self._overlay.is_held(act.vm_key):
                    self._holding[act.vm_key] = act.uuid, act.at

    def _reason(self, act: Act) -> Reason:
        """Return why the replay does not do now what was done then."""
        recovery = self._recovery
        assert recovery is not None  # noqa: S101 - a poll was processed
        decision = recovery.decisions.get(act.uuid)
        if decision is not None and decision.failed_guard is not None:
            return reason_of(decision)
        case = recovery.state.cases.get(act.uuid)
        diagnosis = case.diagnosis if case is not None else None
        cause = str(diagnosis.cause) if diagnosis is not None else ""
        return Reason(cause=cause, detail=diagnosis.detail if diagnosis is not None else "")

    def _new_acts(self, number: int, poll: RecordedPoll) -> list[Act]:
        """Return what the replay did in this poll."""
        decisions = self._store.decisions[self._seen_decisions :]
        self._seen_decisions = len(self._store.decisions)
        intents = [
            intent
            for intent in self._store.intents.values()
            if intent.id > self._seen_intents and was_sent(intent)
        ]
        self._seen_intents = len(self._store.intents)
        return self._acts(number, poll, decisions, intents, self._outages)

    def _recorded_acts(self, number: int, poll: RecordedPoll) -> list[Act]:
        decisions = self._record.decisions(number)
        intents = self._record.actions(number)
        return self._acts(number, poll, decisions, intents, self._recorded_outages)

    def _acts(
        self,
        number: int,
        poll: RecordedPoll,
        decisions: Sequence[Decision],
        intents: Sequence[Intent],
        outages: Mapping[int, float],
    ) -> list[Act]:
        causes = {one.uuid: str(one.diagnosis.cause) for one in decisions}
        time = poll.time + timedelta(seconds=poll.lag_seconds)

        def act(of: Intent | Decision, action: Action, kind: ActKind, reply: str = "") -> Act:
            vm = self._inventory.vms.get(of.vm_key)
            return Act(
                uuid=of.uuid,
                vm_key=of.vm_key,
                machine=vm.machine if vm is not None else 0,
                name=of.name,
                action=action,
                kind=kind,
                at=poll.at,
                time=time,
                poll=number,
                outage=outages.get(of.vm_key, poll.at),
                cause=causes.get(of.uuid, ""),
                reply=reply,
            )

        sent = [act(one, one.action, ActKind.SENT, str(one.reply or "")) for one in intents]
        proposed = [act(one, one.action, kind) for one, kind in proposals(decisions) if one.action]
        return [*sent, *proposed]

"""
A whole system with its recovery, in one thread and without a socket: hours pass in milliseconds.

The engine, the adapters, the decoders and the simulated API are the real ones. In place of the
connection is the list of everything that was requested: besides the truth, that is all that a
checker may see.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec

from exporter.collectors.cluster_status import CLUSTER_STATUS
from exporter.collectors.cluster_tiers import CLUSTER_TIERS
from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.inventory import join
from exporter.collectors.machine_devices import MACHINE_DEVICES
from exporter.collectors.nodes import NODES
from exporter.collectors.update_settings import UPDATE_SETTINGS, UPDATE_SOURCE_STATUS
from exporter.collectors.vms import MACHINE_STATUS, VMS
from exporter.errors import (
    BadReplyError,
    ForbiddenError,
    IntentOpenError,
    JournalError,
    NotSentError,
    UnauthorizedError,
    UnreachableError,
)
from exporter.model import PollResult
from exporter.polling.state import TableRows
from exporter.recovery.decide.guards import GUARDS, Guard
from exporter.recovery.engine import Recovery
from exporter.recovery.leadership import ONLY_REPLICA, OnlyReplica
from exporter.recovery.model.cases import Case, Intent, Outcome, Reply, Spent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.limits import WEEK, Limits, Mode, Window
from exporter.recovery.model.log_templates import TemplateHistory
from exporter.recovery.model.platform_log import PositionRead
from exporter.recovery.model.ports import (
    JournalStore,
    LastCheck,
    Leadership,
    NoRoom,
    PollRecord,
    Random,
    SavedState,
)
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.simulator.api.accounts import (
    API_KEY,
    PASSWORD,
    READONLY_API_KEY,
    USERNAME,
    Account,
    Accounts,
)
from exporter.simulator.api.actions import ApiBehavior
from exporter.simulator.api.messages import EMPTY, Call
from exporter.simulator.api.routes import Api
from exporter.simulator.world.context import Timings
from exporter.simulator.world.factory import create_world
from exporter.telemetry import Telemetry
from exporter.vergeos.operations import Operations
from exporter.vergeos.recovery_rows import TAG_MEMBERS
from exporter.vergeos.tables import Table
from exporter.vergeos.transport import Answer
from tests.fakes import START, FakeClock

T = TypeVar("T")
EVERY = 20.0
TABLES = (VMS, MACHINE_STATUS, TAG_MEMBERS, NODES, CLUSTERS)
PLATFORM_TABLES = (
    CLUSTER_STATUS,
    CLUSTER_TIERS,
    MACHINE_DEVICES,
    UPDATE_SETTINGS,
    UPDATE_SOURCE_STATUS,
)
PLATFORM_EVERY = 300.0
LIMITS = Limits()
CONNECTED = "connected"
"""The step at which the connection for an action is established."""
ENFORCE = RecoveryConfig(LIMITS, mode=Mode.ENFORCE)


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowLimits(Limits):
    """Limits with windows of any length."""

    vm_windows: tuple[Window, ...] = LIMITS.vm_windows
    system_windows: tuple[Window, ...] = LIMITS.system_windows


def at_once(work: Awaitable[T]) -> T:
    """Return what *work* returns; it may let others run, and must not wait for anything."""
    steps = work.__await__()
    try:
        while next(steps) is None:
            pass
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something")


class KilledError(BaseException):
    """The process is gone, from one step to the next."""


class Request(NamedTuple):
    """One action that was asked for, as the platform saw it."""

    at: float
    """Seconds since the harness began."""
    vm_key: int
    action: str
    acted: bool
    """Whether it was listened to."""
    status: int
    no_room: bool = False
    """Whether it was refused for want of resources, and that answer came back."""
    busy: bool = False
    """Whether it was refused because the VM was busy, and that answer came back."""


class InMemoryJournal:
    """A journal for one run; it outlives every process."""

    def __init__(self) -> None:
        self.watched = 0.0
        self.time: datetime | None = None
        self.clock: float | None = None
        self.log_positions: Sequence[PositionRead] = ()
        self.cases: dict[str, Case] = {}
        self.intents: dict[int, Intent] = {}
        self.decisions: list[Decision] = []
        self.commands: list[Command] = []
        self.waiting: list[Command] = []
        """Given to other replicas, and not taken yet by the leader."""
        self.templates: dict[str, TemplateHistory] = {}
        self.changes: list[Any] = []
        self.times_to_service: dict[int, float] = {}
        """By the number of the intent."""
        self.broken = ""
        self.fall: Callable[[str], None] = lambda _: None
        """Called before and after each write; may raise `KilledError`."""

    async def load(self) -> SavedState:
        self.check()
        intents = self.intents.values()
        return SavedState(
            self.watched,
            self.time,
            self.clock,
            self.log_positions,
            tuple(self.cases.values()),
            tuple(one for one in intents if one.outcome is None),
            tuple(
                Spent(one.sent_at, one.uuid, one.action, one.reply)
                for one in intents
                if one.sent_at is not None and one.sent_at > self.watched - WEEK
            ),
            tuple(self.commands),
            tuple(self.templates.values()),
        )

    async def save_poll(self, record: PollRecord, /) -> None:
        self.check("save")
        self.watched, self.time, self.clock = record.watched, record.time, record.clock
        self.log_positions = record.log_positions
        self.cases |= {case.uuid: case for case in record.cases}
        for uuid in record.gone:
            self.cases.pop(uuid, None)
        self.changes += record.changes
        self.decisions += record.decisions
        self.templates |= {one.template: one for one in record.templates}
        for template in record.templates_gone:
            self.templates.pop(template, None)
        self.fall("saved")

    async def save_decision(self, decision: Decision, /) -> int:
        self.check("decide")
        self.decisions.append(decision)
        return len(self.decisions)

    async def prepare(self, intent: Intent, decision: int, no_room: NoRoom, /) -> Intent:
        self.check("prepare")
        if any(one.uuid == intent.uuid and one.outcome is None for one in self.intents.values()):
            raise IntentOpenError(intent.name)
        intent = msgspec.structs.replace(intent, id=len(self.intents) + 1)
        self.intents[intent.id] = intent
        self.fall("prepared")
        return intent

    async def update(self, intent: Intent, /, *, lease_seconds: float = 0.0) -> None:
        self.check("update")
        assert self.intents[intent.id].outcome is None, "a closed intent was opened again"
        self.intents[intent.id] = intent
        self.fall("updated")

    async def save_time_to_service(self, intent: Intent, seconds: float, /) -> None:
        self.check("served")
        self.times_to_service[intent.id] = seconds

    async def save_command(self, command: Command, /) -> Sequence[Command]:
        self.check("command")
        taken = self._take(command.at)
        self.commands.append(command)
        self.fall("commanded")
        return taken

    async def waiting_commands(self) -> Sequence[Command]:
        return tuple(self.waiting)

    async def take_commands(self, at: float, /) -> Sequence[Command]:
        self.check("take")
        return self._take(at)

    def _take(self, at: float) -> Sequence[Command]:
        taken = [
            msgspec.structs.replace(
                one, at=at, until=None if one.until is None else at + one.until - one.at
            )
            for one in self.waiting
        ]
        self.waiting.clear()
        self.commands += taken
        return taken

    def check(self, step: str = "load") -> None:
        if self.broken:
            raise JournalError(self.broken)
        self.fall(step)


class CommandsForLeader(NamedTuple):
    """A journal as a replica has it that does not lead: its commands wait for the leader."""

    journal: InMemoryJournal

    async def save_command(self, command: Command, /) -> Sequence[Command]:
        self.journal.check("command")
        self.journal.waiting.append(command)
        return ()


class Line:
    """What stands for a connection to the simulated API."""

    def __init__(self, harness: "Harness", key: str) -> None:
        self._harness = harness
        self.key = key
        self.meter = Telemetry().meter("system")
        self.spoil: Callable[[str, bytes], bytes] = lambda _path, body: body
        """Changes what a read returns."""
        self.is_cut = False
        """Whether nothing that acts gets through to the platform."""

    async def read(
        self, path: str, query: Mapping[str, str], *, endpoint: str, urgent: bool = False
    ) -> bytes:
        return self.spoil(path, self._exchange("GET", path, query, None).body)

    async def act(
        self, path: str, body: Mapping[str, Any], *, endpoint: str, last_check: LastCheck
    ) -> Answer:
        if self.is_cut:
            raise NotSentError(f"{path} was not sent: no connection")
        self._harness.fall(CONNECTED)
        if reason := await last_check():
            raise NotSentError(reason)
        return self._exchange("POST", path, {}, body)

    def _exchange(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        harness, world = self._harness, self._harness.world
        world.catch_up()
        harness.api.notice_faults()
        harness.fall(f"{method} {path}")
        faults = world.faults.faults_for(method, path)
        if {"outage", "reset", "reset_before_acting"} & faults.keys():
            self._remember(body, acted=False, status=0)
            raise UnreachableError(f"{path}: the connection broke")
        at = harness.clock.monotonic()
        call = Call(method, path, query, {"Authorization": f"Bearer {self.key}"}, body)
        failed = faults.get("status")
        if failed is not None and not failed["after"]:
            self._remember(body, acted=False, status=failed["code"])
            return self._read(path, int(failed["code"]), {"err": failed["text"]})
        answer = harness.api.answer(
            call, harness.api.caller(call, at=at, faults=faults), at=at, faults=faults
        )
        lost = failed is not None or {"reset_after", "reset_after_acting"} & faults.keys()
        refused = answer.status >= 400 and not lost
        self._remember(
            body,
            acted=answer.status < 300,
            status=answer.status,
            no_room="no_capacity" in faults and "busy" not in faults and refused,
            busy="busy" in faults and refused,
        )
        harness.fall(f"answered {method} {path}")
        if {"reset_after", "reset_after_acting"} & faults.keys():
            raise UnreachableError(f"{path}: the connection broke")
        if failed is not None:
            return self._read(path, int(failed["code"]), {"err": failed["text"]})
        return self._read(path, answer.status, answer.payload)

    def _read(self, path: str, status: int, payload: Any) -> Answer:
        says = payload.get("err", "") if isinstance(payload, dict) else ""
        if status == 401:
            raise UnauthorizedError(f"{path} answered 401 ({says})")
        if status == 403:
            raise ForbiddenError(f"{path} answered 403 ({says})")
        if status >= 400:
            raise BadReplyError(path, f"answered {status} ({says})", status=status)
        return Answer(status, b"" if payload is EMPTY else msgspec.json.encode(payload))

    def _remember(self, body: Any, *, acted: bool, status: int, **refusal: bool) -> None:
        if body is not None:
            harness = self._harness
            graceful = bool(body.get("params"))
            action = "reboot" if graceful else body["action"]
            at = harness.clock.elapsed
            harness.requests.append(Request(at, body["vm"], action, acted, status, **refusal))


class RecordingMeter:
    """A `Meter` that keeps its measurements."""

    def __init__(self) -> None:
        self.measured: list[tuple[str, ...]] = []

    def decided(self, reason: str, cause: str) -> None:
        self.measured.append(("decided", reason, cause))

    def acted(self, action: str, outcome: str) -> None:
        self.measured.append(("acted", action, outcome))

    def invalid(self, reason: str) -> None:
        self.measured.append(("invalid", reason))

    def clock_jumped(self) -> None:
        self.measured.append(("clock_jumped",))

    def recovered(self, seconds: float) -> None:
        self.measured.append(("recovered", str(seconds)))

    def service_returned(self, seconds: float) -> None:
        self.measured.append(("service_returned", str(seconds)))


class LeadsInTurn(OnlyReplica):
    """A replica that leads when a test says so."""

    is_shared = True

    def __init__(self, term: int | None = 1) -> None:
        self.term: int | None = term  # type: ignore[assignment]
        self.leader = "other" if term is None else "this"
        self.forbids = ""

    def forbidden(self) -> str:
        return self.forbids

    def lose(self) -> None:
        self.term, self.leader = None, "other"

    def take(self, term: int) -> None:
        self.term, self.leader = term, "this"

    async def step_down(self) -> None:
        self.lose()


class AdjustableClock(FakeClock):
    """A clock whose time of day a test may set."""

    offset = timedelta()

    def now(self) -> datetime:
        return super().now() + self.offset


class Truth(FakeClock):
    """The true time, which VergeOS uses."""

    def __init__(self, clock: FakeClock) -> None:
        self._of = clock

    def now(self) -> datetime:
        return START + timedelta(seconds=self._of.elapsed)


class Harness:
    """
    One system and its recovery.

    Args:
        tags: Tags by VM name; every VM has ``recovery/auto`` when this is left out. No VM has
            a tag of recovery's besides.

    """

    def __init__(
        self,
        *,
        vms: int = 12,
        seed: int = 1,
        limits: Limits = LIMITS,
        mode: Mode = Mode.ENFORCE,
        guards: Sequence[Guard] = GUARDS,
        tags: Mapping[str, Sequence[str]] | None = None,
        setup: RecoveryConfig | None = None,
        behavior: ApiBehavior | None = None,
        timings: Timings | None = None,
        readonly: bool = False,
        journal: JournalStore | None = None,
        every: float = EVERY,
        platform_every: float = PLATFORM_EVERY,
        leadership: Leadership = ONLY_REPLICA,
        **world: Any,
    ) -> None:
        self.clock = AdjustableClock()
        self.world = create_world(
            seed=seed,
            vms=vms,
            start=START.timestamp(),
            stopped_share=world.pop("stopped_share", 0.0),
            timings=timings or Timings(migration_per_gb=0.2),
            **world,
        )
        self.world.follow(Truth(self.clock))
        for vm in list(self.world.live_vms()):
            for tag in [tag for tag in self.world.tags_of(vm) if tag.startswith("recovery/")]:
                self.world.untag(vm, tag)
            for tag in ["recovery/auto"] if tags is None else tags.get(vm.name, ()):
                self.world.tag(vm, tag)
        accounts = Accounts(
            (
                Account(USERNAME, PASSWORD, API_KEY, may_write=True),
                Account(f"{USERNAME}-readonly", PASSWORD, READONLY_API_KEY, may_write=False),
            )
        )
        self.api = Api(self.world, accounts, behavior or ApiBehavior())
        self.requests: list[Request] = []
        self.every = every
        self.tables: Sequence[Table] = TABLES
        """The tables that each poll reads."""
        self.platform_every = platform_every
        self._platform_read_at = float("-inf")
        self._platform_rows: dict[str, Any] = {}
        self.slow = 0.0
        """How many seconds the next polls take."""
        self.untold: set[str] = set()
        """Names of the VMs of which a list lacks the status row."""
        self._last: dict[str, tuple[bytes, TableRows[Any]]] = {}
        self.tally = RecordingMeter()
        self.line = Line(self, READONLY_API_KEY if readonly else API_KEY)
        self.journal: Any = journal or InMemoryJournal()
        self.setup = setup or RecoveryConfig(limits, mode=mode)
        self._guards = guards
        self.leadership = leadership
        self.fall: Callable[[str], None] = lambda _: None
        self.recovery = self.new_process()

    def new_process(self) -> Recovery:
        """Restart the daemon; what it had in memory is gone."""
        operations = Operations(self.line, self.line, self.clock)  # type: ignore[arg-type]

        async def open_journal_store() -> JournalStore:
            journal: JournalStore = self.journal
            return journal

        async def open_for_leader() -> Any:
            return CommandsForLeader(self.journal)

        self.recovery = Recovery(
            "https://stage.example",
            open_journal_store,
            operations,
            self.setup,
            self.clock,
            random=self.random(),
            meter=self.tally,
            guards=self._guards,
            leadership=self.leadership,
            open_for_leader=open_for_leader,
        )
        return self.recovery

    def random(self) -> Random:
        """Return what a new process draws its random numbers with."""
        return lambda: 0.5

    def poll(self) -> None:
        """Read the system once, and let recovery process the poll."""
        at_once(self.recovery.process(self._read()))

    def steps_of_poll(self) -> Iterator[None]:
        """Read the system once, and let recovery process the poll step by step."""
        yield from self.recovery.process(self._read()).__await__()

    def advance(self, seconds: float) -> None:
        """Let time pass, with a poll at every beat."""
        until = self.clock.elapsed + seconds
        while self.clock.elapsed < until:
            self.clock.elapsed = min(until, self.clock.elapsed + self.every)
            self.poll()

    def warm(self) -> "Harness":
        """Let the warm-up pass."""
        self.advance(self.setup.limits.warmup_seconds + self.every)
        return self

    def case(self, name: str) -> Case:
        """Return what recovery thinks of a VM."""
        return next(case for case in self.recovery.state.cases.values() if case.name == name)

    def asked(self, name: str | None = None) -> list[Request]:
        """Return what was asked for, for one VM or for all."""
        key = self.world.vm(name).key if name is not None else None
        return [one for one in self.requests if key in (None, one.vm_key)]

    def running(self, name: str) -> bool:
        return self.world.vm(name).machine.status.running

    @property
    def names(self) -> list[str]:
        """Names of VMs, those of the platform left out."""
        return [vm.name for vm in self.world.live_vms() if vm.service is None]

    def _decoded(self, table: Table, body: bytes) -> TableRows[Any]:
        """Decode an answer; one that is byte for byte the last one is the very same, as it is."""
        known = self._last.get(table.name)
        if known is None or known[0] != body:
            known = self._last[table.name] = body, table.decode(body)
        return known[1]

    def _read(self) -> PollResult:
        asked_at, time = self.clock.monotonic(), self.clock.now()
        rows: dict[str, Any] = {}
        skipped, problem = 0, ""
        for table in self.tables:
            query = {"fields": ",".join(table.fields)}
            if table.where:
                query["filter"] = table.where
            try:
                body = at_once(self.line.read(table.path, query, endpoint=table.name))
                reading = self._decoded(table, body)
            except (BadReplyError, UnreachableError, UnauthorizedError, ForbiddenError) as error:
                problem = str(error)
                continue
            rows[table.name] = reading.rows
            skipped += reading.skipped if table in (VMS, MACHINE_STATUS) else 0
        rows |= self._platform()
        untold = {self.world.vm(name).machine.key for name in self.untold}
        if untold and MACHINE_STATUS.name in rows:
            told = rows[MACHINE_STATUS.name]
            rows[MACHINE_STATUS.name] = {key: row for key, row in told.items() if key not in untold}
        whole = VMS.name in rows and MACHINE_STATUS.name in rows
        return PollResult(
            asked_at=asked_at,
            time=time,
            took_seconds=self.clock.monotonic() - asked_at + self.slow,
            every_seconds=self.every,
            inventory=join(rows, system_name="stage", identity=None, taken_at=time)
            if whole
            else None,
            rows_skipped=skipped,
            problem=problem,
        )

    def _platform(self) -> dict[str, Any]:
        """Return the rows of the tables that are seldom read; one that fails has none."""
        if self.clock.elapsed - self._platform_read_at < self.platform_every:
            return self._platform_rows
        self._platform_read_at, self._platform_rows = self.clock.elapsed, {}
        for table in PLATFORM_TABLES:
            query = {"fields": ",".join(table.fields)} | (
                {"filter": table.where} if table.where else {}
            )
            try:
                body = at_once(self.line.read(table.path, query, endpoint=table.name))
                self._platform_rows[table.name] = self._decoded(table, body).rows
            except (BadReplyError, UnreachableError, UnauthorizedError, ForbiddenError):
                continue
        return self._platform_rows


def outcomes(harness: Harness) -> list[Outcome | None]:
    """Return how the intents in the journal ended."""
    return [intent.outcome for intent in harness.journal.intents.values()]


def replies(harness: Harness) -> list[Reply | None]:
    return [intent.reply for intent in harness.journal.intents.values()]

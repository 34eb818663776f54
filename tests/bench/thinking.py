"""The CPU that recovery takes for a round of thinking: from a picture to the decisions."""

import gc
import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from exporter.model import PollResult
from exporter.recovery.engine import Recovery
from exporter.recovery.model.cases import Action, Intent, Policy, Reply, Spent
from exporter.recovery.model.commands import Command
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.limits import WEEK
from exporter.recovery.model.platform_log import LogReading, LogRow, LogTable
from exporter.recovery.model.ports import (
    ActionReply,
    FreshVM,
    JournalStore,
    LastCheck,
    NoRoom,
    Platform,
    PollRecord,
    SavedState,
)
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.simulator.world.context import Timings
from exporter.simulator.world.factory import create_world
from exporter.simulator.world.machines import VM
from tests.fakes import START, FakeClock
from tests.recovery.harness import RecordingMeter, at_once
from tests.recovery.shortcut import Shortcut

EVERY = 20.0
CALM_ROUNDS = 15
BAD_ROUNDS = 12
"""Four minutes: from the first poll that shows the crash until all permitted actions are done."""
DOWN_SHARE = 0.03
ROWS_OF_A_VM = 200
ACTIONS_BEFORE = 200
"""In the week before, as many as the default rules allow."""
EVERYBODY = EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE)


class Cost(NamedTuple):
    """CPU milliseconds of a round."""

    calm: float
    calm_worst: float
    down: int
    """How many VMs went down at once for the bad ones."""
    bad: float
    bad_worst: float


class EmptyJournal:
    """A journal that forgets everything but a busy week."""

    async def load(self) -> SavedState:
        week = [WEEK * number / ACTIONS_BEFORE for number in range(1, ACTIONS_BEFORE + 1)]
        acted = tuple(Spent(at, f"vm {at:.0f}", Action.POWER_ON, Reply.ACCEPTED) for at in week)
        return SavedState(watched=WEEK, spent=acted)

    async def save_poll(self, page: PollRecord, /) -> None:
        pass

    async def save_decision(self, decision: Decision, /) -> int:
        return 1

    async def prepare(self, intent: Intent, decision: int, no_room: NoRoom, /) -> Intent:
        return intent

    async def update(self, intent: Intent, /, *, lease_seconds: float = 0.0) -> None:
        pass

    async def save_time_to_service(self, intent: Intent, seconds: float, /) -> None:
        pass

    async def save_command(self, command: Command, /) -> Sequence[Command]:
        return ()

    async def waiting_commands(self) -> Sequence[Command]:
        return ()

    async def take_commands(self, at: float, /) -> Sequence[Command]:
        return ()


class LoggingSystem:
    """Has rows in its log about VMs that went down; an action finds the VM gone."""

    read_only_reason = ""

    def __init__(self) -> None:
        self.rows: list[LogRow] = []

    def write_about(self, vm: VM) -> None:
        """Write rows about *vm* that are known to be no stop."""
        self.rows += [
            LogRow(
                table=LogTable.MACHINE_LOGS,
                key=len(self.rows) + number,
                at=START.timestamp(),
                text=f"VM '{vm.name}' migrated to 'node{number}'",
                user="system",
                machine=vm.machine.key,
            )
            for number in range(1, ROWS_OF_A_VM + 1)
        ]

    async def log_rows(self, table: LogTable, since: int, limit: int, /) -> LogReading:
        if table is not LogTable.MACHINE_LOGS:
            return LogReading((), complete=True)
        return LogReading(tuple(self.rows[max(0, since - 1) :]), complete=True)

    async def read_vm(self, vm_key: int, /) -> FreshVM | None:
        return None

    async def act(self, vm_key: int, action: Action, last_check: LastCheck, /) -> ActionReply:
        return ActionReply(Reply.REFUSED, "simulated refusal")


def measure(vms: int) -> Cost:
    """Let recovery think about a fleet of which every VM is enrolled, first calm, then not."""
    clock = FakeClock()
    world = create_world(
        seed=1,
        vms=vms,
        start=START.timestamp(),
        stopped_share=0.0,
        timings=Timings(migration_per_gb=0.2),
    )
    world.follow(clock)
    platform = LoggingSystem()
    recovery = recovery_of(platform, clock)
    system = Shortcut(world)

    def round_of_thinking() -> float:
        clock.elapsed += EVERY
        poll = system.poll(asked_at=clock.monotonic(), time=clock.now(), every=EVERY)
        return _spent(recovery, poll)

    while clock.elapsed < recovery.setup.limits.warmup_seconds + EVERY:
        round_of_thinking()
    calm = [round_of_thinking() for _ in range(CALM_ROUNDS)]
    victims = [vm for vm in world.live_vms() if vm.service is None][:: round(1 / DOWN_SHARE)]
    for vm in victims:
        platform.write_about(vm)
        world.crash(vm)
    bad = [round_of_thinking() for _ in range(BAD_ROUNDS)]
    return Cost(median(calm), max(calm), len(victims), median(bad), max(bad))


def recovery_of(system: Platform, clock: FakeClock) -> Recovery:
    """Return a recovery in shadow mode that looks after everybody, with a week behind it."""

    async def open_journal_store() -> JournalStore:
        return EmptyJournal()

    return Recovery(
        "https://bench.example",
        open_journal_store,
        system,
        RecoveryConfig(enrolment_rules=(EVERYBODY,)),
        clock,
        random=lambda: 0.5,
        meter=RecordingMeter(),
    )


def _spent(recovery: Recovery, poll: PollResult) -> float:
    gc.collect()
    began = time.process_time()
    at_once(recovery.process(poll))
    return (time.process_time() - began) * 1000

"""
A month of operation: a system with its recovery, everything that happens to both, and the truth.

The engine, the adapters and the platform's log are the real ones of the harness. What is
simplified is said by `make replay`.
"""

import logging
import sys
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import cycle

import structlog

from exporter.model import PollResult
from exporter.recovery.model.cases import Policy
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import PollRecord
from exporter.recovery.model.states import DIAGNOSED, OPEN, State
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.simulator.api.accounts import USERNAME
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.context import Timings
from tests.recovery.activity import Activity, ActivityLog
from tests.recovery.archive import RecordingJournal
from tests.recovery.ground_truth import US, Crash, GroundTruth, WrongAction
from tests.recovery.harness import EVERY, Harness, InMemoryJournal, at_once
from tests.recovery.shortcut import Shortcut
from tests.recovery.workload import DAY, HOUR, MINUTE, Fate

QUIET_STEP = 60.0
"""Between polls while nothing happens; one second more, and recovery would call itself blind."""
UNSETTLED = {*DIAGNOSED, *OPEN} - {State.UNKNOWN}
STRANGERS = 0.04
"""So many VMs besides, which are monitored only."""
PRODUCTION = EnrolmentRule(tags=("environment/production",), policy=Policy.ON_FAILURE)


class MonthJournal(InMemoryJournal):
    """A journal whose decisions are heard at once."""

    hear: Callable[[Decision], None]

    async def save_poll(self, record: PollRecord, /) -> None:
        await super().save_poll(record)
        for decision in record.decisions:
            self.hear(decision)


class RecordedMonthJournal(MonthJournal, RecordingJournal):
    """A journal that can be written to a disk later."""


class Month(Harness):
    """A system with its recovery, what happens to both, and a record of the truth."""

    def __init__(
        self,
        *,
        vms: int,
        days: float,
        seed: int,
        mode: Mode,
        busy: float = 1.0,
        hurried: bool = False,
        activities: Sequence[tuple[Activity, int]] = (),
        learning: float = 0.0,
        journal: MonthJournal | None = None,
    ) -> None:
        strangers = round(vms * STRANGERS)
        journal = journal or MonthJournal()
        journal.hear = self.hear
        nodes = max(6, round(vms / 31))
        super().__init__(
            vms=vms + strangers + 1,  # one belongs to a service
            seed=seed,
            tags={},
            setup=RecoveryConfig(mode=mode, enrolment_rules=(PRODUCTION,)),
            journal=journal,
            timings=Timings(migration_per_gb=0.5),
            clusters=(
                ClusterPlan("production", nodes - nodes // 3),
                ClusterPlan("edge", nodes // 3),
            ),
        )
        if isinstance(journal, RecordingJournal):
            journal.now = self.clock.now
        self.days, self.mode, self.seed = days, mode, seed
        self.learning = learning
        """Days before the month, in which nothing but the log's rows happens."""
        self.hurried = hurried
        self.nodes = nodes
        self.ground_truth = GroundTruth(self.world, self._enrol(strangers))
        self.fate = Fate(
            self,
            self.ground_truth,
            begins=learning,
            pause=self.pause,
            days=days,
            seed=seed,
            busy=busy,
        )
        self.fate.arrange()
        self.polls = 0
        spread = [activity for activity, share in activities for _ in range(share)]
        vms_with_rows = zip(self.world.live_vms(), cycle(spread)) if spread else ()
        self._log = ActivityLog(self, vms_with_rows, seed=seed)
        self._shortcut = Shortcut(self.world)

    def simulate(self, *, tell: bool = False) -> "Month":
        """Let the month pass."""
        affairs, end = deque(self.fate.affairs), (self.learning + self.days) * DAY
        while self.clock.elapsed < end:
            quiet = self.hurried and self._is_quiet(affairs)
            day = self.clock.elapsed // DAY
            next_poll = self.clock.elapsed + (QUIET_STEP if quiet else EVERY)
            self._log.write_until(next_poll)
            self.clock.elapsed = next_poll
            while affairs and affairs[0][0] <= self.clock.elapsed:
                affairs.popleft()[1]()
            if self.clock.elapsed >= self.fate.down_until:
                self.polls += 1
                self.poll()
            self._follow_crashes()
            if tell and self.clock.elapsed // DAY > day:
                sys.stderr.write(f"\rday {day + 1:.0f} of {self.learning + self.days:g} ")
                sys.stderr.flush()
        if tell:
            sys.stderr.write("\r")
        return self

    def _is_quiet(self, affairs: Sequence[tuple[float, object]]) -> bool:
        """Return whether nothing happens before the next long step is over, or is going on."""
        until = self.clock.elapsed + QUIET_STEP
        if affairs and affairs[0][0] <= until:
            return False
        due = next((one[0] for one in self.world.context.event_queue._heap), None)
        if due is not None and due <= self.world.started_at + until:
            return False
        cases = self.recovery.state.cases.values()
        return not any(case.state in UNSETTLED for case in cases)

    def pause(self, seconds: float) -> None:
        command = self.recovery.command
        at_once(command(CommandKind.PAUSE, owner="jonas", reason="storage", seconds=seconds))

    def hear(self, decision: Decision) -> None:
        """Take note of a decision that was written down."""
        if decision.failed_guard is GuardName.MODE_PERMITS and decision.action is not None:
            self.ground_truth.would_start(self.world.vms[decision.vm_key])

    def _enrol(self, strangers: int) -> set[int]:
        """Enrol VMs by their tag or by the rule for production; leave some out."""
        enrolled_keys, left_out = set(), 0
        for number, vm in enumerate(list(self.world.live_vms())):
            if vm.service is not None:
                continue
            by_rule = "environment/production" in self.world.tags_of(vm)
            if number % 24 == 5 and left_out < strangers:
                left_out += 1
                if by_rule:
                    self.world.tag(vm, "recovery/never")
                continue
            if not by_rule:
                self.world.tag(vm, "recovery/auto")
            enrolled_keys.add(vm.key)
        return enrolled_keys

    def _read(self) -> PollResult:
        return self._shortcut.poll(
            asked_at=self.clock.monotonic(), time=self.clock.now(), every=self.every
        )

    def _follow_crashes(self) -> None:
        for crash in self.ground_truth.open.values():
            reason = self._reason(crash)
            crash.reasons[reason] += EVERY
            late = self.world.now - crash.at >= HOUR
            if late and crash.asked_at is None and not crash.held_by:
                crash.held_by = reason

    def _reason(self, crash: Crash) -> str:
        """Return the engine's word for why nothing is done, or was done last."""
        case = self.recovery.state.cases.get(crash.vm.uuid)
        if case is None:
            return "not_enrolled"
        if case.state in (State.HEALTHY, State.PROBATION):
            return "not_seen"
        decision = self.recovery.decisions.get(crash.vm.uuid)
        if decision is None:
            return str(case.diagnosis.cause if case.diagnosis is not None else case.state)
        if decision.failed_guard is GuardName.CRASHED:
            return str(decision.diagnosis.cause)
        return str(decision.failed_guard)

    # What is counted.

    @property
    def crashes(self) -> list[Crash]:
        """Crashes of enrolled VMs that were not meant to be down."""
        return [one for one in self.ground_truth.crashes if one.enrolled_keys]

    @property
    def recovered(self) -> list[Crash]:
        return [one for one in self.crashes if one.back_at is not None and one.back_by == US]

    @property
    def held(self) -> list[Crash]:
        """Crashes that an hour later had led to nothing, for a reason that the truth confirms."""
        return [one for one in self.crashes if one.held_by and self._is_true(one)]

    @property
    def missed(self) -> list[Crash]:
        return [one for one in self.crashes if one.held_by and not self._is_true(one)]

    @property
    def recall(self) -> float:
        """The share of the crashes that should have been acted on, and were or would have been."""
        asked = sum(one.asked_at is not None for one in self.crashes)
        return asked / max(1, asked + len(self.missed))

    @property
    def precision(self) -> float:
        """The share of the actions that were right."""
        wrong = len(self.wrong_actions)
        return 1 - wrong / max(1, len(self.ground_truth.starts))

    @property
    def downtime_minutes(self) -> float:
        """How long crashed VMs were down that should have been up."""
        ends = self.world.now
        return sum((one.over_at or ends) - one.at for one in self.crashes) / MINUTE

    @property
    def wrong_actions(self) -> list[WrongAction]:
        return self.ground_truth.wrong_starts + self.ground_truth.not_ours

    @property
    def invalid(self) -> Counter[str]:
        return Counter(told[1] for told in self.tally.measured if told[0] == "invalid")

    @property
    def quarantined(self) -> dict[str, int]:
        """VMs that were given up, and how often."""
        given_up = [one.name for one in self.journal.changes if one.after is State.QUARANTINED]
        return dict(Counter(given_up))

    @property
    def most_in_an_hour(self) -> int:
        times = [at for at, _ in self.ground_truth.starts]
        return max(
            (number + 1 - bisect_left(times, at - HOUR) for number, at in enumerate(times)),
            default=0,
        )

    def _is_true(self, crash: Crash) -> bool:
        """Return whether what recovery said after an hour is so, by what the ground_truth knows."""
        held_by, lately, due = crash.held_by, self.ground_truth.lately, crash.at + HOUR
        blind = self.ground_truth.blind
        if held_by in ("within_rate_limit", "within_restart_budget", "backoff_elapsed"):
            return self._has_acted_much(crash)
        if held_by == "not_paused":
            return self._was_paused(crash)
        if held_by == "flapping":
            mine = [one.at for one in self.crashes if one.vm is crash.vm]
            times = sum(0 <= due - at <= 2 * HOUR for at in mine)
            return times >= self.setup.limits.flap_losses
        if held_by in ("not_seen", "inventory_stable", "warmed_up", "inventory_fresh"):
            minutes = range(int(crash.at), int(due), 60)
            return self._was_paused(crash) or any(one.holds(at) for one in blind for at in minutes)
        if held_by in ("went_down_unobserved", "never_seen_up"):
            just_up = lately(crash, "powered_on", within=2 * MINUTE)
            return just_up or any(one.holds(crash.at, around=2 * MINUTE) for one in blind)
        if held_by in ("node_in_trouble", "node_stable"):
            return any(
                one.holds(crash.at, around=10 * MINUTE) for one in self.ground_truth.nodes_ill
            )
        before = {
            "migrated_shortly_before": (3 * MINUTE, ("migration_started",)),
            "start_failed": (MINUTE, ("powered_on", "guest_rebooted")),
            "stopped_by_person": (12 * MINUTE, ("action_sent", "changed")),
            "stopped_by_task": (12 * MINUTE, ("task_ran",)),
            "stopped_by_guest": (12 * MINUTE, ("guest_shut_down",)),
        }
        within, events = before.get(held_by, (0.0, ()))
        return any(lately(crash, event, within=within) for event in events)

    def _has_acted_much(self, crash: Crash) -> bool:
        """Return whether a budget forbade to act an hour after a crash."""
        due = crash.at + HOUR
        mine = [at for at, key in self.ground_truth.starts if key == crash.vm.key and at < due]
        fleet = [at for at, _ in self.ground_truth.starts if at < due]
        if crash.held_by == "backoff_elapsed":
            return bool(mine)
        if crash.held_by == "within_restart_budget":
            hours, day = sum(at > due - 2 * HOUR for at in mine), due - DAY - HOUR
            return hours >= 3 or sum(at > day for at in mine) >= 6 or len(mine) >= 10
        windows = self.setup.limits.system_windows
        return any(sum(at > due - one.seconds for at in fleet) >= one.most for one in windows)

    def _was_paused(self, crash: Crash) -> bool:
        return any(one.holds(crash.at, around=HOUR) for one in self.fate.paused)


class WithoutRecovery(Month):
    """The same month in which operators alone start what crashed."""

    def poll(self) -> None:
        self.world.catch_up()

    def pause(self, seconds: float) -> None:
        """Pause nothing."""


class WithoutDiagnosis(WithoutRecovery):
    """The same month with a script that starts whatever enrolled VM is off."""

    def poll(self) -> None:
        super().poll()
        if self.world.faults.active():
            return
        for vm in list(self.world.live_vms()):
            if vm.machine.status.word == "stopped" and vm.key in self.ground_truth.enrolled_keys:
                self.world.operator_starts(vm, user=USERNAME)


def be_silent() -> None:
    """Let the engine's log say nothing: it would be tens of thousands of lines."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

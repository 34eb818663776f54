"""
``make replay``: a month of operation in some minutes, and an account of it.

The engine, the adapters and the platform's log are the real ones of the harness. What is
simplified is said at the end of the account.
"""

import argparse
import logging
import sys
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from statistics import median
from textwrap import fill
from types import MappingProxyType

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
from exporter.vergeos import tables
from tests.recovery.activity import ACTIVITIES, Activity, ActivityLog
from tests.recovery.ground_truth import US, Crash, GroundTruth, WrongAction
from tests.recovery.harness import EVERY, Harness, InMemoryJournal, at_once
from tests.recovery.shortcut import Shortcut
from tests.recovery.workload import DAY, HOUR, MINUTE, Fate

ORDINARY = tuple(zip(ACTIVITIES[:7], (30, 20, 20, 10, 10, 5, 5), strict=True))
"""What goes on in the log about how many VMs of a hundred."""
LEARNING_DAYS = 25 / 24
RECALL_BAR = 0.99
QUIET_STEP = 60.0
"""Between polls while nothing happens; one second more, and recovery would call itself blind."""
UNSETTLED = {*DIAGNOSED, *OPEN} - {State.UNKNOWN}
STRANGERS = 0.04
"""So many VMs besides, which are monitored only."""
PRODUCTION = EnrolmentRule(tags=("environment/production",), policy=Policy.ON_FAILURE)
EXCUSES = {
    "within_rate_limit": "the fleet's budget was used up",
    "within_restart_budget": "its budget was used up: a crash loop",
    "backoff_elapsed": "the pause after the last try was not over",
    "not_paused": "recovery was paused",
    "flapping": "it went down again and again",
    "went_down_unobserved": "no valid poll when it went down",
    "never_seen_up": "it was never seen up before it died",
    "not_seen": "no valid poll for most of the time",
    "inventory_stable": "no valid poll for most of the time",
    "inventory_fresh": "no valid poll for most of the time",
    "warmed_up": "recovery was warming up after an outage or a pause",
    "node_in_trouble": "its node was in trouble",
    "node_stable": "its node lost several VMs",
    "migrated_shortly_before": "it was being migrated",
    "start_failed": "it died on its way up",
    "stopped_by_person": "a user had requested a stop shortly before",
    "stopped_by_task": "a task had asked for a stop shortly before",
    "stopped_by_guest": "its guest had shut down shortly before",
}
SIMPLIFIED = """\
What was simplified: where nothing happens or is going on, two polls of three are left out
(--every-poll takes them all). Tables were read straight from the simulated world, not through
JSON and the decoders (a test holds the two against each other); logs, second looks and requests
went through the simulated API. Polls take no time. The platform's log is kept for 3 days instead
of 45. Rows of the log come at most 30 s late. The journal is one in memory."""


class JournalWriter(InMemoryJournal):
    """A journal that knows the hour of each decision."""

    def __init__(self, month: "Month") -> None:
        super().__init__()
        self._month = month

    async def save_poll(self, record: PollRecord, /) -> None:
        await super().save_poll(record)
        for decision in record.decisions:
            self._month.hear(decision)


class Month(Harness):
    """A cloud with its recovery, its fate, and a ground_truth of the truth."""

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
    ) -> None:
        strangers = round(vms * STRANGERS)
        nodes = max(6, round(vms / 31))
        super().__init__(
            vms=vms + strangers + 1,  # one belongs to a service
            seed=seed,
            tags={},
            setup=RecoveryConfig(mode=mode, enrolment_rules=(PRODUCTION,)),
            journal=JournalWriter(self),
            timings=Timings(migration_per_gb=0.5),
            clusters=(
                ClusterPlan("production", nodes - nodes // 3),
                ClusterPlan("edge", nodes // 3),
            ),
        )
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


def account(
    month: Month, *, cpu_seconds: float, baselines: Mapping[str, Month] = MappingProxyType({})
) -> Iterator[str]:
    """Tell what happened, in lines."""
    ground_truth, crashes, recovered = month.ground_truth, month.crashes, month.recovered
    counted = ground_truth.counted
    yield (
        f"{month.days:g} days of {len(ground_truth.enrolled_keys):,} enrolled VMs "
        f"on {month.nodes} nodes, "
        f"mode {month.mode}, seed {month.seed}"
    )
    cadence = f", every {QUIET_STEP:g} s while nothing happens" if month.hurried else ""
    if month.learning:
        yield f"after {month.learning:g} days in which rows of the log were learned"
    yield (
        f"{month.polls:,} polls, one every {EVERY:g} s{cadence}; "
        f"{cpu_seconds / 60:.1f} minutes of CPU, "
        f"{1000 * cpu_seconds / max(1, month.polls):.1f} ms each"
    )
    yield ""
    yield fill(
        f"People and guests: {counted['action_sent'] - len(month.asked())} actions by hand, "
        f"{counted['task_ran']} by tasks, {counted['guest_shut_down']} shutdowns and "
        f"{counted['guest_rebooted']} reboots from inside, {counted['migrated']} migrations, "
        f"{counted['node_maintenance']} maintenances and {counted['node_failed']} failures of "
        f"nodes, {counted['ha_restarted']} restarts by VergeOS itself, {counted['hung']} hangs.",
        width=96,
    )
    yield ""
    strangers = len(ground_truth.crashes) - len(crashes)
    yield from _line("crashes", len(crashes), f"and {strangers} of VMs that are none of its own")
    asked = [one for one in crashes if one.asked_at is not None]
    if month.mode is Mode.SHADOW:
        yield from _line("it would have started", len(asked), "")
    yield from _line("started by Vergewatch", len(recovered), _times(recovered))
    others = [one for one in crashes if one.back_at is not None and one.back_by != US]
    first = [one for one in others if one.asked_at is None and not one.held_by]
    yield from _line("started by another user", len(others), f"{len(first)} within the hour")
    rest = len(crashes) - len(recovered) - len(others)
    yield from _line("never came back of themselves", rest, "died again, or down at the end")
    yield from _line("held for over an hour", len(month.held), "")
    for reason, number in Counter(one.held_by for one in month.held).most_common():
        yield f"{number:>14}  {reason}: {EXCUSES.get(reason, reason)}"
    loops = ", ".join(sorted(month.quarantined))
    yield from _line("given up as crash loops", len(month.quarantined), loops)
    yield from _line("most actions in an hour", month.most_in_an_hour, "")
    invalid = ", ".join(f"{number:,} {reason}" for reason, number in month.invalid.most_common())
    yield from _line("rejected inventories", sum(month.invalid.values()), invalid)
    yield from _line("restarts of the daemon", month.fate.restarts, "")
    jumps = sum(told[0] == "clock_jumped" for told in month.tally.measured)
    yield from _line("jumps of a clock noticed", jumps, "")
    yield ""
    yield f"{month.precision:>7.1%}  precision: actions that were right"
    yield f"{month.recall:>7.1%}  recall: acted on, of the crashes that should have been"
    yield "Minutes of downtime of crashed VMs:"
    for what, one in {"with Vergewatch": month, **baselines}.items():
        wrong = len(one.wrong_actions)
        yield f"{one.downtime_minutes:>9,.0f}  {what}, {wrong:,} wrong starts"
    yield ""
    yield from _listed("WRONG STARTS", month, ground_truth.wrong_starts)
    yield from _listed("REQUESTS FOR OTHERS' VMs", month, ground_truth.not_ours)
    late = [
        WrongAction(one.at, one.vm.name, f"an hour later it was {one.held_by}")
        for one in month.missed
    ]
    yield from _listed("MISSED CRASHES", month, late)
    yield ""
    yield SIMPLIFIED


def _line(what: str, number: int, more: str) -> Iterator[str]:
    yield f"{number:>7,}  {what}{f' ({more})' if more else ''}"


def _listed(what: str, month: Month, found: Sequence[WrongAction]) -> Iterator[str]:
    yield f"{len(found):>7,}  {what}"
    for one in found:
        day, seconds = divmod(one.at - month.world.started_at, DAY)
        hour, minute = divmod(int(seconds / MINUTE), 60)
        yield f"         day {day:.0f}, {hour:02.0f}:{minute:02d}  {one.name}: {one.what}"


def _times(recovered: Sequence[Crash]) -> str:
    if not recovered:
        return ""
    took = {one: (one.back_at or one.at) - one.at for one in recovered}
    worst = max(took, key=took.__getitem__)
    return (
        f"median {median(took.values()):.0f} s, worst {took[worst] / MINUTE:.0f} min: "
        f"{worst.vm.name}, {_longest(worst)}"
    )


def _longest(crash: Crash) -> str:
    return max(crash.reasons, key=crash.reasons.__getitem__, default="")


def be_silent() -> None:
    """Let the engine's log say nothing: it would be tens of thousands of lines."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main() -> int:
    parser = argparse.ArgumentParser(description="Replay a month of recovery against the simulator")
    parser.add_argument("--vms", type=int, default=1000)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mode", choices=("enforce", "shadow"), default="enforce")
    parser.add_argument("--busy", type=float, default=1.0, help="times as much as usual happens")
    every = f"take every poll of {EVERY:g} s, also while nothing happens"
    parser.add_argument("--every-poll", action="store_true", help=every)
    parser.add_argument("--silent-log", action="store_true", help="no ordinary rows in the log")
    wanted = parser.parse_args()
    be_silent()
    tables.SMALL_BODY_BYTES = sys.maxsize  # the harness has no event loop to decode in a thread
    settings = {"vms": wanted.vms, "days": wanted.days, "seed": wanted.seed, "busy": wanted.busy}
    settings |= {"mode": Mode(wanted.mode), "hurried": not wanted.every_poll}
    activities, learning = ((), 0.0) if wanted.silent_log else (ORDINARY, LEARNING_DAYS)
    began = time.process_time()
    month = Month(**settings, activities=activities, learning=learning).simulate(tell=True)
    cpu_seconds = time.process_time() - began
    baselines = {
        "with operators alone": WithoutRecovery(**settings).simulate(),
        "with a script that starts whatever is off": WithoutDiagnosis(**settings).simulate(),
    }
    print("\n".join(account(month, cpu_seconds=cpu_seconds, baselines=baselines)))  # noqa: T201
    return 1 if month.wrong_actions or month.recall < RECALL_BAR else 0


if __name__ == "__main__":
    sys.exit(main())

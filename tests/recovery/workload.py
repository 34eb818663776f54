"""Everything that happens to a system and to its recovery in a month, by chance and by plan."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from exporter.simulator.world.machines import VM
from exporter.simulator.world.power import OFF
from exporter.simulator.world.rng import Rng
from tests.recovery.ground_truth import Crash, GroundTruth, Interval
from tests.recovery.harness import Harness

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
CRASHES = 4.0
PER_DAY = {
    "stop": 25.0,
    "kill": 10.0,
    "guest_shuts_down": 6.0,
    "guest_reboots": 15.0,
    "migrate": 50.0,
    "edit": 10.0,
    "hang": 2.0,
}
"""For 1,000 VMs."""
OPERATOR_FIRST = 0.08
"""The share of crashes that a person notices within minutes."""
DIES_AFTER = (20.0, 400.0, 3000.0)
"""The VMs in a crash loop: seconds from a start to the next crash."""


class Fate:
    """
    Arranges a month.

    Args:
        begins: The day of the run on which it begins.
        pause: Pauses recovery for so many seconds.
        busy: How many times as much as usual happens.

    """

    def __init__(
        self,
        harness: Harness,
        ground_truth: GroundTruth,
        *,
        begins: float,
        pause: Callable[[float], None],
        days: float,
        seed: int,
        busy: float,
    ) -> None:
        self._harness = harness
        self._world = harness.world
        self._ground_truth = ground_truth
        self._begins = begins
        self._pause_recovery = pause
        self._days = days
        self._dice = Rng(seed + 7)
        self._share = busy * len(ground_truth.enrolled_keys) / 1000
        self._cursed: dict[int, float] = {}
        """The VMs in a crash loop: by key, how long after a start they die."""
        self.affairs: list[tuple[float, Callable[[], None]]] = []
        """Events of the daemon itself, by seconds of the run."""
        self.down_until = 0.0
        """Until when there is no daemon."""
        self.restarts = 0
        self.paused: list[Interval] = []
        ground_truth.on_crash = self._is_noticed
        ground_truth.on_start = self._dies_again

    def arrange(self) -> None:
        """Enter the whole month into the world's agenda."""
        for what, per_day in PER_DAY.items():
            self._now_and_then(what, per_day)
        self._now_and_then("crash", CRASHES)
        for day in range(int(self._days) + 1):
            self._every_day(day)
        self._troubles_of_the_platform()
        self._troubles_of_the_daemon()
        for number, dies_after in enumerate(DIES_AFTER):
            begins = self._days * (0.15 + 0.25 * number)
            self._at(begins, lambda dies_after=dies_after: self._curse(dies_after))  # type: ignore[misc]
        self.affairs.sort(key=lambda affair: affair[0])

    # By chance.

    def _now_and_then(self, what: str, per_day: float) -> None:
        moment, rate = 0.0, per_day * self._share
        while rate and (moment := moment + self._dice.expovariate(rate)) < self._days:
            self._at(moment, lambda: self._befall(what))

    def _befall(self, what: str) -> None:
        world, dice = self._world, self._dice
        vm = dice.choice(list(self._running()))
        match what:
            case "stop" | "kill":
                self._stop(vm, hard=what == "kill", lasting=dice.uniform(10 * MINUTE, 10 * HOUR))
            case "guest_shuts_down":
                world.guest_shuts_down(vm)
                self._later(dice.uniform(10 * MINUTE, 8 * HOUR), lambda: self._start(vm))
            case "hang":
                world.hang(vm)
                self._later(dice.uniform(5 * MINUTE, HOUR), lambda: self._mend(vm))
            case "edit":
                world.changes(vm, need_restart=dice.chance(0.5))
            case "migrate":
                world.migrate(vm)
            case "guest_reboots":
                world.guest_reboots(vm)
            case "crash":
                world.crash(vm)

    def _stop(self, vm: VM, *, hard: bool, lasting: float) -> None:
        self._world.operator_stops(vm, graceful=not hard, user="jonas")
        self._later(5 * MINUTE, lambda: self._insist(vm))
        self._later(lasting, lambda: self._start(vm))

    def _insist(self, vm: VM) -> None:
        if vm.machine.status.word == "stopping":
            self._world.operator_stops(vm, graceful=False)

    def _start(self, vm: VM) -> None:
        if vm.machine.status.word in OFF and vm.enabled:
            self._world.operator_starts(vm)

    def _mend(self, vm: VM) -> None:
        if vm.machine.status.word != "unresponsive":
            return
        if self._dice.chance(0.7):
            self._world.wake(vm)
        else:
            self._world.operator_stops(vm, graceful=False)
            self._later(2 * MINUTE, lambda: self._start(vm))

    def _is_noticed(self, crash: Crash) -> None:
        """Let an operator start a crashed VM some time: mostly long after recovery has."""
        dice = self._dice
        soon = dice.chance(OPERATOR_FIRST)
        wait = dice.uniform(10.0, 100.0) if soon else HOUR * dice.uniform(1.2, 8)

        def see_to_it() -> None:
            if crash.over_at is None:
                self._start(crash.vm)

        self._later(wait, see_to_it)

    # Every day.

    def _every_day(self, day: int) -> None:
        self._at(day + 22 / 24, self._tasks_of_the_night)
        self._at(day + 3 / 24, self._forget_old_rows)
        if day % 3 == 1:
            self._at(day + 23 / 24, self._night_shift)
        if day % 4 == 2:
            self._at(day + 14 / 24, self._maintain)
        if day % 2 == 1:  # for some hours rows come late, as on a busy platform
            self._at(day + 9 / 24, lambda: self._fault("late_logs", 3 * HOUR, seconds=15.0))

    def _tasks_of_the_night(self) -> None:
        for vm in self._some(20):
            self._world.task_stops(vm)
            self._later(5 * MINUTE, lambda vm=vm: self._insist(vm))  # type: ignore[misc]
            self._later(8 * HOUR, lambda vm=vm: self._start(vm))  # type: ignore[misc]

    def _night_shift(self) -> None:
        """Stop many VMs at once, half of them hard, while rows come half a minute late."""
        self._fault("late_logs", 30 * MINUTE, seconds=30.0)
        for number, vm in enumerate(self._some(60)):
            hard = number % 2 == 0
            moment = self._dice.uniform(0, 5 * MINUTE)
            self._later(moment, lambda vm=vm, hard=hard: self._stop_if_up(vm, hard=hard))  # type: ignore[misc]

    def _stop_if_up(self, vm: VM, *, hard: bool) -> None:
        if vm.machine.status.word == "running":
            self._stop(vm, hard=hard, lasting=8 * HOUR)

    def _maintain(self) -> None:
        node = self._dice.choice(list(self._world.nodes.values()))
        if not node.takes_machines:
            return
        before = [vm for vm in self._running() if vm.machine.key in node.hosted]
        self._world.node_enters_maintenance(node)
        self._later(2 * HOUR, lambda: self._world.node_leaves_maintenance(node))
        self._is_ill(2 * HOUR)
        for vm in before:  # those that were powered off for it
            self._later(2.1 * HOUR, lambda vm=vm: self._start(vm))  # type: ignore[misc]

    def _forget_old_rows(self) -> None:
        rows = self._world.platform_log.machine_logs
        while rows and rows[0].at_us < (self._world.now - 3 * DAY) * 1e6:
            rows.popleft()

    # Once or twice.

    def _troubles_of_the_platform(self) -> None:
        days = self._days
        self._at(0.35 * days, self._mass_crash)
        for share in (0.2, 0.55, 0.85):
            self._at(share * days, self._lose_a_node)
        self._at(0.60 * days, self._power_off_a_node)
        self._at(0.25 * days, lambda: self._outage(10 * MINUTE))
        self._at(0.65 * days, lambda: self._outage(2 * HOUR))
        self._at(0.40 * days, lambda: self._freeze(15 * MINUTE))
        self._at(0.50 * days, lambda: self._fault("short_list", 20.0, keep=0.6))

    def _mass_crash(self) -> None:
        node = self._dice.choice([one for one in self._world.nodes.values() if one.takes_machines])
        for vm in [vm for vm in self._running() if vm.machine.key in node.hosted]:
            self._world.crash(vm)

    def _lose_a_node(self) -> None:
        node = self._dice.choice([one for one in self._world.nodes.values() if one.takes_machines])
        self._world.node_fails(node)
        self._later(HOUR, lambda: self._world.node_returns(node))
        self._is_ill(HOUR)

    def _power_off_a_node(self) -> None:
        node = self._dice.choice([one for one in self._world.nodes.values() if one.takes_machines])
        self._world.node_powers_off(node)
        self._later(HOUR, lambda: self._world.node_returns(node))
        self._is_ill(HOUR)

    def _outage(self, lasting: float) -> None:
        self._fault("outage", lasting)
        self._is_blind(lasting)
        for what in ("crash", "crash", "stop", "kill", "guest_shuts_down"):
            self._later(lasting / 2, lambda what=what: self._befall(what))  # type: ignore[misc]

    def _freeze(self, lasting: float) -> None:
        self._fault("frozen_writer", lasting)
        self._is_blind(lasting)
        for what in ("crash", "kill"):
            self._later(lasting / 2, lambda what=what: self._befall(what))  # type: ignore[misc]

    def _curse(self, dies_after: float) -> None:
        vm = self._dice.choice(list(self._running()))
        self._cursed[vm.key] = dies_after
        self._world.crash(vm)

        def cure() -> None:
            del self._cursed[vm.key]
            self._start(vm)

        self._later(min(2.0, 0.2 * self._days) * DAY, cure)

    def _dies_again(self, vm: VM) -> None:
        dies_after = self._cursed.get(vm.key)

        def die() -> None:
            if vm.key in self._cursed and vm.machine.status.word == "running":
                self._world.crash(vm)

        if dies_after is not None:
            self._later(dies_after, die)

    # The daemon.

    def _troubles_of_the_daemon(self) -> None:
        for share, gap in ((0.10, 40.0), (0.52, 4 * MINUTE), (0.80, 15 * MINUTE)):
            self._of_the_daemon(share, lambda gap=gap: self._restart(gap))  # type: ignore[misc]
        self._of_the_daemon(0.30, lambda: self._set_clock(HOUR))
        self._of_the_daemon(0.32, lambda: self._set_clock(0.0))
        self._of_the_daemon(0.75, self._pause)

    def _of_the_daemon(self, share: float, action: Callable[[], None]) -> None:
        self.affairs.append(((self._begins + share * self._days) * DAY, action))

    def _restart(self, gap: float) -> None:
        self.restarts += 1
        self.down_until = self._harness.clock.elapsed + gap
        self._is_blind(gap + 60)
        self._harness.new_process()
        for what in ("crash", "kill") if gap > MINUTE else ():
            self._later(gap / 2, lambda what=what: self._befall(what))  # type: ignore[misc]

    def _set_clock(self, ahead: float) -> None:
        self._harness.clock.offset = timedelta(seconds=ahead)

    def _pause(self) -> None:
        now = self._world.now
        self.paused.append(Interval(now, now + HOUR))
        self._pause_recovery(HOUR)
        self._later(10 * MINUTE, lambda: self._befall("crash"))

    # Helpers.

    def _at(self, day: float, action: Callable[[], None]) -> None:
        self._world.at(self._world.started_at + (self._begins + day) * DAY, action)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._world.at(self._world.now + seconds, action)

    def _fault(self, name: str, lasting: float, **settings: Any) -> None:
        self._world.faults.turn_on(name, lasting=lasting, **settings)

    def _is_blind(self, lasting: float) -> None:
        now = self._world.now
        self._ground_truth.blind.append(Interval(now, now + lasting))

    def _is_ill(self, lasting: float) -> None:
        now = self._world.now
        self._ground_truth.nodes_ill.append(Interval(now, now + lasting))

    def _running(self) -> Iterator[VM]:
        return (
            vm
            for vm in self._world.live_vms()
            if vm.machine.status.word == "running" and vm.service is None
        )

    def _some(self, most: int) -> list[VM]:
        running = list(self._running())
        return self._dice.sample(running, min(len(running), max(2, round(most * self._share))))

"""The bar of issue 10: plain crashes get their action in time, whatever else is ordinary."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from exporter.simulator.world.machines import VM
from exporter.simulator.world.power import OFF
from exporter.simulator.world.rng import Rng
from tests.recovery.harness import Harness

MINUTE, HOUR = 60.0, 3600.0
SEEDS = 10
CRASHES = 20
"""Of each seed: 200 in all."""
ACTION_WITHIN, P99_WITHIN = 90.0, 300.0
PLAIN_AFTER = 20 * MINUTE
"""A crash is plain if nothing was done to its VM for so long."""


@dataclass
class Day:
    """Ten hours of a system in which people, guests and the platform do ordinary things."""

    harness: Harness
    dice: Rng
    hours: float
    touched: dict[int, float] = field(default_factory=dict)
    """When something was last done to each VM."""
    crashed: list[tuple[str, float]] = field(default_factory=list)

    def arrange(self, *, crashes: int) -> None:
        per_hour: dict[Callable[[VM], None], float] = {
            self._stop: 3.0,
            self._shut_down: 1.5,
            self._reboot: 3.0,
            self._migrate: 3.0,
            self._stop_by_task: 1.0,
        }
        for act, rate in per_hour.items():
            for _ in range(round(rate * self.hours)):
                self._at(self.dice.uniform(0, self.hours * HOUR), lambda act=act: self._do(act))
        self._at(0.4 * self.hours * HOUR, self._maintain)
        for number in range(crashes):
            share = (number + self.dice.uniform(0, 1)) / crashes
            at = self.harness.clock.elapsed + share * self.hours * HOUR
            self._at(share * self.hours * HOUR, lambda at=at: self._crash(at))  # type: ignore[misc]

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        self.harness.world.at(self.harness.world.now + seconds, act)

    def _running(self) -> list[VM]:
        return [
            vm
            for vm in self.harness.world.live_vms()
            if vm.machine.status.word == "running" and vm.service is None
        ]

    def _do(self, act: Callable[[VM], None]) -> None:
        world = self.harness.world
        vm = self.dice.choice(self._running())
        self.touched[vm.key] = world.now
        act(vm)

    def _stop(self, vm: VM) -> None:
        hard = self.dice.chance(0.4)
        self.harness.world.operator_stops(vm, graceful=not hard, user="jonas")
        self._at(self.dice.uniform(10, 60) * MINUTE, lambda: self._start(vm))

    def _shut_down(self, vm: VM) -> None:
        self.harness.world.guest_shuts_down(vm)
        self._at(self.dice.uniform(10, 60) * MINUTE, lambda: self._start(vm))

    def _stop_by_task(self, vm: VM) -> None:
        self.harness.world.task_stops(vm)
        self._at(self.dice.uniform(10, 60) * MINUTE, lambda: self._start(vm))

    def _start(self, vm: VM) -> None:
        if vm.machine.status.word in OFF and vm.enabled:
            self.touched[vm.key] = self.harness.world.now
            self.harness.world.operator_starts(vm)

    def _reboot(self, vm: VM) -> None:
        self.harness.world.guest_reboots(vm)

    def _migrate(self, vm: VM) -> None:
        self.harness.world.migrate(vm)

    def _maintain(self) -> None:
        world = self.harness.world
        node = self.dice.choice([one for one in world.nodes.values() if one.takes_machines])
        before = [vm for vm in self._running() if vm.machine.key in node.hosted]
        self.touched |= {vm.key: world.now for vm in before}
        world.node_enters_maintenance(node)
        self._at(HOUR, lambda: world.node_leaves_maintenance(node))
        for vm in before:  # those that were powered off for it
            self._at(1.1 * HOUR, lambda vm=vm: self._start(vm))  # type: ignore[misc]

    def _crash(self, at: float) -> None:
        world = self.harness.world
        plain = [
            vm
            for vm in self._running()
            if world.now - self.touched.get(vm.key, 0.0) > PLAIN_AFTER
            and not any(node.maintenance and vm.machine.status.node == node.key
                        for node in world.nodes.values())
        ]  # fmt: skip
        vm = self.dice.choice(plain)
        self.touched[vm.key] = world.now
        self.crashed.append((vm.name, at))
        world.crash(vm)


def waits(day: Day) -> list[float]:
    """Return how long each crash waited for its action; one without is infinite."""
    found = []
    for name, at in day.crashed:
        later = [one.at for one in day.harness.asked(name) if one.at > at]
        found.append(min(later, default=float("inf")) - at)
    return found


WAITS: dict[int, list[float]] = {}
"""Of each seed that was run."""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_plain_crashes_among_ordinary_activity_get_their_action(seed: int) -> None:
    harness = Harness(vms=30, seed=seed)
    day = Day(harness, Rng(seed + 100), hours=5.0)
    harness.warm()
    day.arrange(crashes=CRASHES)
    harness.advance(day.hours * HOUR + 10 * MINUTE)

    found = sorted(waits(day))
    print(seed, [round(x) for x in found[-6:]], harness.recovery.state.breaker)
    for name, at in day.crashed:
        later = [one.at for one in harness.asked(name) if one.at > at]
        if not later or later[0] - at > 90:
            print(
                "  ",
                name,
                at,
                later[:1],
                [
                    (d.at, str(d.failed_guard), str(d.diagnosis.cause), d.diagnosis.detail)
                    for d in harness.journal.decisions
                    if d.name == name and at < d.at < at + 1500
                ],
            )

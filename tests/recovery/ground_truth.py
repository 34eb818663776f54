"""
What is true: who crashed, who is meant to be down, and who brought whom back.

The ground_truth hears what truly happens in a simulated world, whatever the logs say, and knows
nothing of what recovery thinks. Whether a start was wrong is its to say.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.simulator.api.accounts import USERNAME
from exporter.simulator.world.context import WorldEvent
from exporter.simulator.world.machines import VM, Machine
from exporter.simulator.world.world import World

US = "Vergewatch"
PLATFORM = "VergeOS"


class Heard(deque[WorldEvent]):
    """The world's happenings, each told on as it happens."""

    def __init__(self, tell: Callable[[WorldEvent], None]) -> None:
        super().__init__(maxlen=1000)
        self._tell = tell

    def append(self, happening: WorldEvent, /) -> None:
        super().append(happening)
        self._tell(happening)


@dataclass(eq=False)
class Crash:
    """A VM that died of itself."""

    vm: VM
    at: float
    enrolled_keys: bool
    """Whether its owner wants recovery to look after it."""
    asked_at: float | None = None
    """When recovery first asked for a start, or would have."""
    back_at: float | None = None
    back_by: str = ""
    over_at: float | None = None
    """When the matter was closed: it is up, or its stop was requested."""
    reasons: dict[str, float] = field(default_factory=lambda: defaultdict[str, float](float))
    """What recovery said to it, and for how many seconds."""
    held_by: str = ""
    """The reason after an hour without a request."""


class WrongAction(NamedTuple):
    """A request that must not have been."""

    at: float
    name: str
    what: str


class Interval(NamedTuple):
    """A time in which something was so."""

    begins: float
    ends: float

    def holds(self, moment: float, *, around: float = 0.0) -> bool:
        return self.begins - around <= moment <= self.ends + around


class GroundTruth:
    """
    Watches one world.

    Args:
        enrolled_keys: Keys of the VMs that recovery may touch; a test that edits tags edits this.

    """

    def __init__(self, world: World, enrolled_keys: set[int]) -> None:
        self._world = world
        self._vms = {vm.machine.key: vm for vm in world.live_vms()}
        self.enrolled_keys = enrolled_keys
        self.crashes: list[Crash] = []
        self.wrong_starts: list[WrongAction] = []
        self.not_ours: list[WrongAction] = []
        self.starts: list[tuple[float, int]] = []
        """When recovery asked for what was done, or would have asked, and for which VM."""
        self.on_crash: Callable[[Crash], None] = lambda _: None
        self.on_start: Callable[[VM], None] = lambda _: None
        self.blind: list[Interval] = []
        """When recovery could not see."""
        self.nodes_ill: list[Interval] = []
        """When some node failed or was being worked on."""
        self.counted: dict[str, int] = defaultdict(int)
        """How often what happened."""
        self._open: dict[int, Crash] = {}
        self._left: dict[int, str] = {}
        """Guests that shut themselves down, by machine."""
        self._starter: dict[int, str] = {}
        self._lately: dict[int, deque[WorldEvent]] = defaultdict(lambda: deque(maxlen=12))
        world.context.history = Heard(self._hear)

    @property
    def open(self) -> Mapping[int, Crash]:
        """Crashes whose VM is down still, by machine."""
        return self._open

    def meant_down(self, vm: VM) -> str:
        """Return why a VM that is down shall be down; empty if it should be up."""
        machine = vm.machine
        if machine.key in self._left:
            return self._left[machine.key]
        if not machine.status.wanted:
            return "its stop was requested"
        return "" if vm.enabled else "it is disabled"

    def lately(self, crash: Crash, what: str, *, within: float, by_us: bool = False) -> bool:
        """Return whether *what* happened to a VM in the seconds before its crash."""
        return any(
            one.what == what and 0 <= crash.at - one.at <= within and (one.by == USERNAME) is by_us
            for one in self._lately[crash.vm.machine.key]
        )

    def would_start(self, vm: VM) -> None:
        """Take note that recovery would start a VM if it were allowed to."""
        self._judge(vm)

    def _hear(self, happening: WorldEvent) -> None:
        self.counted[happening.what] += 1
        vm = self._vms.get(happening.machine)
        if vm is None:
            return
        self._lately[happening.machine].append(happening)
        match happening.what:
            case "crashed":
                self._crashed(vm, happening)
            case "guest_shut_down":
                self._left[happening.machine] = "its guest shut itself down"
            case "action_sent" if happening.by == USERNAME:
                self._starter[happening.machine] = US
                self._judge(vm)
            case "action_sent":
                self._starter[happening.machine] = happening.by
            case "ha_restarted":
                self._starter[happening.machine] = PLATFORM
            case "powered_on":
                self._back(vm)

    def _crashed(self, vm: VM, happening: WorldEvent) -> None:
        self._close(vm.machine)
        crash = Crash(vm, happening.at, vm.key in self.enrolled_keys)
        self.crashes.append(crash)
        if not self.meant_down(vm):  # it may have died while it was being stopped
            self._open[vm.machine.key] = crash
        else:
            crash.over_at = happening.at
        self._starter.pop(vm.machine.key, None)
        self.on_crash(crash)

    def _judge(self, vm: VM) -> None:
        """Judge a request of recovery, before anything comes of it."""
        now = self._world.now
        self.starts.append((now, vm.key))
        if vm.key not in self.enrolled_keys or vm.is_snapshot or vm.service is not None:
            self.not_ours.append(WrongAction(now, vm.name, "it is not enrolled"))
        why = self.meant_down(vm)
        if why and not vm.machine.status.running:
            self.wrong_starts.append(WrongAction(now, vm.name, why))
        crash = self._open.get(vm.machine.key)
        if crash is not None and crash.asked_at is None:
            crash.asked_at = now

    def _back(self, vm: VM) -> None:
        self._left.pop(vm.machine.key, None)
        crash = self._open.get(vm.machine.key)
        if crash is not None:
            crash.back_at = self._world.now
            crash.back_by = self._starter.get(vm.machine.key, PLATFORM)
        self._close(vm.machine)
        self.on_start(vm)

    def _close(self, machine: Machine) -> None:
        crash = self._open.pop(machine.key, None)
        if crash is not None:
            crash.over_at = self._world.now

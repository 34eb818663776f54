"""What the console of the demo says about the simulated system, and what it breaks there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from exporter.simulator import Simulator, World
from exporter.simulator.world.events import VM_EVENTS
from exporter.simulator.world.machines import VM
from exporter.web.ports import DemoAction, DemoEvent

SHOWN = 3
LATEST = 5
TIER_FULL = "tier_full"
NODE_RETURNS_AFTER_SECONDS = 180.0
"""After HA has started its VMs elsewhere."""
TOGETHER_SECONDS = 15.0
"""VMs of a node that go down within this time may look as if they went down together."""
TAGGED = "recovery/auto"
"""VMs with this tag are enrolled in recovery."""
VISITOR = "visitor"
"""The user that stops a VM for the visitor of the demo."""

TOLD = frozenset(
    {
        "crashed",
        "hung",
        "woke_up",
        "guest_shut_down",
        "guest_rebooted",
        "powered_on",
        "powered_off",
        "node_failed",
        "node_returned",
        "ha_restarted",
    }
)
"""The events of the simulator that the console mentions, besides actions of recovery."""


class DemoControl:
    """
    The port `exporter.web.ports.Demo` of a simulator in this process.

    Args:
        token: The token that recovery commands require.

    """

    def __init__(self, simulator: Simulator, token: str) -> None:
        self.token = token
        self._simulator = simulator
        self._world: World = simulator.world
        self._pressed: list[DemoEvent] = []
        self._crashes: dict[int, int] = {}
        """How often the visitor crashed a VM, by its key."""
        self._nodes: dict[str, int | None] = {}
        """Where VMs that crash run, or ran before."""

    def coming(self) -> Sequence[DemoEvent]:
        """Return what the scenario will cause next and can cause, soonest first."""
        world = self._world
        world.catch_up()
        self._note_nodes()
        found = [
            DemoEvent(_time(one.at), one.what, one.name, one.by)
            for one in sorted(world.planned, key=lambda one: one.at)
            if self._can_happen(one.what, one.name)
        ]
        return found[:SHOWN]

    def happened(self) -> Sequence[DemoEvent]:
        """Return what happened last, newest first."""
        found = [*self._told(), *self._pressed[-LATEST:]]
        return sorted(found, key=lambda one: one.at, reverse=True)[:LATEST]

    def broken(self) -> Sequence[str]:
        """Return the names of what is broken: nodes, and faults of the simulator."""
        nodes = [node.name for node in self._world.nodes.values() if not node.alive]
        return [*nodes, *dict.fromkeys(one.name for one in self._simulator.faults.active())]

    def act(self, action: DemoAction) -> None:
        """Break something, or end what is broken; without a VM or node that suits, do nothing."""
        steps: Mapping[DemoAction, Callable[[], None]] = {
            DemoAction.CRASH: self._crash,
            DemoAction.STOP: self._stop,
            DemoAction.FAIL_NODE: self._fail_node,
            DemoAction.FILL_TIER: self._fill_tier,
            DemoAction.END: self._end,
        }
        self._world.catch_up()
        steps[action]()

    def _crash(self) -> None:
        """
        Crash a VM that recovery will start soon.

        It is the one that was crashed least, since one that crashes often is quarantined, and on
        a node where no other crashes: VMs that go down together are held, as if the node failed.
        """
        running, shaken = self._running(), self._shaken_nodes()
        calm = [vm for vm in running if vm.machine.status.node not in shaken] or running
        vm = min(calm, key=lambda vm: self._crashes.get(vm.key, 0), default=None)
        if vm is not None:
            self._nodes[vm.name] = vm.machine.status.node
            self._crashes[vm.key] = self._crashes.get(vm.key, 0) + 1
            self._world.crash(vm)

    def _stop(self) -> None:
        vm = next(iter(self._running()), None)
        if vm is not None:
            self._press("operator_stops", vm.name, VISITOR)
            self._world.operator_stops(vm, user=VISITOR, graceful=False)

    def _fail_node(self) -> None:
        """Fail the node with most VMs; never the last one of its cluster."""
        world = self._world
        alive = [node for node in world.nodes.values() if node.alive and not node.maintenance]
        if len(alive) <= 1:
            return
        node = max(alive, key=lambda node: len(node.hosted))
        world.node_fails(node)

        def end() -> None:
            if not node.alive:
                world.node_returns(node)

        world.at(world.now + NODE_RETURNS_AFTER_SECONDS, end)

    def _fill_tier(self) -> None:
        if not self._simulator.faults.active(TIER_FULL):
            self._press(TIER_FULL)
            self._simulator.faults.turn_on(TIER_FULL)

    def _end(self) -> None:
        self._press("end")
        for fault in self._simulator.faults.active():
            self._simulator.faults.turn_off(fault.name)
        for node in self._world.nodes.values():
            if not node.alive:
                self._world.node_returns(node)

    def _running(self) -> list[VM]:
        """Return the running VMs to choose from: enrolled ones that the scenario leaves alone."""
        world = self._world
        planned = {one.name for one in world.planned}
        running = [
            vm
            for vm in world.live_vms()
            if vm.machine.status.word == "running" and vm.service is None
        ]
        enrolled = [vm for vm in running if TAGGED in world.tags_of(vm)]
        return [vm for vm in enrolled if vm.name not in planned] or enrolled or running

    def _note_nodes(self) -> None:
        """Note where the VMs run that the scenario will crash: one that is down has no node."""
        names = {one.name for one in self._world.planned}
        for vm in self._world.live_vms():
            if vm.name in names and vm.machine.status.node is not None:
                self._nodes[vm.name] = vm.machine.status.node

    def _shaken_nodes(self) -> set[int | None]:
        """Return the nodes on which a VM crashed just now, or will crash soon."""
        self._note_nodes()
        world = self._world
        names = {one.name for one in world.planned if one.at <= world.now + TOGETHER_SECONDS}
        for one in reversed(world.history):
            if one.at < world.now - TOGETHER_SECONDS:
                break
            if one.what == "crashed":
                names.add(one.name)
        return {self._nodes[name] for name in names if name in self._nodes}

    def _can_happen(self, what: str, name: str) -> bool:
        """Return whether the event is about something, and that is in a state that it needs."""
        if what not in VM_EVENTS:
            return True
        vm = next((vm for vm in self._world.live_vms() if vm.name == name), None)
        return vm is not None and VM_EVENTS[what].suits(vm)

    def _told(self) -> Iterator[DemoEvent]:
        """Yield the last events worth telling, newest first, and without the scenario's setup."""
        world, count = self._world, 0
        own = self._simulator.username
        for one in reversed(world.history):
            if one.at <= world.started_at + 1 or count == LATEST:
                return
            if one.what == "action_sent" and one.by == own:
                count += 1
                yield DemoEvent(_time(one.at), "recovery_acted", one.name, "")
            elif one.what in TOLD:
                count += 1
                yield DemoEvent(_time(one.at), one.what, one.name, "")

    def _press(self, what: str, name: str = "", by: str = "") -> None:
        self._pressed = [
            *self._pressed[-LATEST:],
            DemoEvent(_time(self._world.now), what, name, by),
        ]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

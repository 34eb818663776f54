"""What VergeOS does by itself: placement, high availability and node maintenance."""

from collections.abc import Iterable, Mapping

from exporter.simulator.world.context import Context
from exporter.simulator.world.machines import HA_TIES, Cluster, Machine, Node
from exporter.simulator.world.power import OFF, Power


class Platform:
    """Placement, high availability and maintenance of one system."""

    def __init__(
        self,
        context: Context,
        power: Power,
        clusters: Mapping[int, Cluster],
        machines: Mapping[int, Machine],
    ) -> None:
        self._context = context
        self._power = power
        self._clusters = clusters
        self._machines = machines

    def place(self, machine: Machine, *, avoid: int | None = None) -> Node | None:
        """Return the node to start *machine* on; None if none has room."""
        for cluster in (machine.cluster, machine.cluster_failover):
            candidates = [node for node in self._open_nodes(cluster, machine) if node.key != avoid]
            if candidates:
                return _best(candidates, machine)
        return None

    def start(self, machine: Machine) -> bool:
        """Start *machine* on the best node; return False if none has room."""
        node = self.place(machine)
        if node is None:
            return False
        self._power.start(machine, node)
        return True

    def node_fails(self, node: Node) -> None:
        """Disconnect *node*; HA starts its machines elsewhere after ``Timings.ha_after``."""
        context = self._context
        node.alive = False
        self._power.record(node.machine, "node_failed")
        for machine in node.hosted.values():
            machine.idle_since = machine.idle_since or context.now
            machine.plan += 1  # cancels pending steps
        outage = node.machine.plan = node.machine.plan + 1
        node.machine.idle_since = context.now
        context.event_queue.at(
            context.now + context.timings.node_noticed, lambda: self._notice(node, outage)
        )
        context.event_queue.at(
            context.now + context.timings.ha_after, lambda: self._restart_machines(node, outage)
        )

    def node_returns(self, node: Node) -> None:
        """Reconnect *node*, and start its machines that HA has not started elsewhere."""
        if node.alive:
            return
        node.alive = True
        node.machine.plan += 1
        node.machine.idle_since = None
        now = self._context.now
        self._power.force(
            node.machine, word="running", running=True, state="online", started=now, node=node.key
        )
        self._power.record(node.machine, "node_returned")
        for machine in tuple(node.hosted.values()):
            self._power.stop_now(machine)
            machine.restart_with_node = node.key
        self._start_those_waiting(node)

    def node_enters_maintenance(self, node: Node, *, user: str) -> None:
        """Migrate all machines off *node*, one at a time."""
        node.maintenance = True
        self._power.force(node.machine, word="maintenance")
        self._power.record(node.machine, "node_maintenance", user=user)
        self._evacuate(node, stayed=frozenset())

    def node_leaves_maintenance(self, node: Node, *, user: str) -> None:
        """Allow machines on *node* again; those that were powered off stay off."""
        node.maintenance = False
        self._power.force(node.machine, word="running")
        self._power.record(node.machine, "node_maintenance_left", user=user)

    def node_powers_off(self, node: Node, *, user: str) -> None:
        """Shut down the machines of *node*, then the node; its return starts them."""
        for machine in tuple(node.hosted.values()):
            if machine.status.running:
                machine.restart_with_node = node.key
                self._power.shut_down(machine, min(machine.shutdown_seconds or 60.0, 60.0))
        self._power.record(node.machine, "node_maintenance", user=user)

        def off() -> None:
            node.alive = False
            node.machine.idle_since = self._context.now
            self._power.force(
                node.machine, word="stopped", running=False, state="offline", node=None
            )

        self._context.event_queue.at(self._context.now + 65.0, off)

    def _open_nodes(self, cluster: int | None, machine: Machine) -> Iterable[Node]:
        if cluster is None:
            return ()
        nodes = self._clusters[cluster].nodes
        return (node for node in nodes if node.takes_machines and node.has_room_for(machine))

    def _notice(self, node: Node, outage: int) -> None:
        if node.machine.plan != outage:
            return
        self._power.force(
            node.machine, word="unresponsive", running=False, state="error", node=None
        )
        for machine in tuple(node.hosted.values()):
            if machine.status.word not in OFF:
                self._power.lose_contact(machine, running=machine.status.running)

    def _restart_machines(self, node: Node, outage: int) -> None:
        if node.machine.plan != outage:
            return
        for number, machine in enumerate(tuple(node.hosted.values())):
            plan = machine.plan
            delay = number * self._context.timings.ha_between

            def restart(machine: Machine = machine, plan: int = plan) -> None:
                if machine.plan == plan and machine.key in node.hosted and not node.alive:
                    self._restart_elsewhere(machine, node)

            self._context.event_queue.at(self._context.now + delay, restart)

    def _restart_elsewhere(self, machine: Machine, node: Node) -> None:
        target = self.place(machine, avoid=node.key)
        if target is None:
            self._power.wait_for_resources(machine)
            machine.restart_with_node = node.key
            self._power.record(machine, "no_capacity")
            return
        self._power.record(machine, "ha_restarted", node=target.name)
        self._power.start(machine, target)

    def _start_those_waiting(self, node: Node) -> None:
        waiting = [m for m in self._machines.values() if m.restart_with_node == node.key]
        for machine in waiting:
            machine.restart_with_node = None
            if not machine.status.running:
                self._power.start(machine, node)

    def _evacuate(self, node: Node, *, stayed: frozenset[int]) -> None:
        """Migrate the next machine; its arrival migrates the one after it."""
        if not node.maintenance or not node.alive:
            return
        for machine in node.hosted.values():
            if machine.key not in stayed and machine.status.running:
                break
        else:
            return
        rest = stayed | {machine.key}
        target = self.place(machine, avoid=node.key) if machine.migratable else None
        if target is not None:
            self._power.record(machine, "migration_started", node=target.name)
            self._power.migrate(machine, target, then=lambda: self._evacuate(node, stayed=rest))
            return
        if machine.migration_method == "auto":
            self._power.record(machine, "maintenance_power_off")
            self._power.shut_down(machine, min(machine.shutdown_seconds or 60.0, 60.0))
        self._context.event_queue.at(
            self._context.now + 1.0, lambda: self._evacuate(node, stayed=rest)
        )


def _best(candidates: list[Node], machine: Machine) -> Node:
    """Return the preferred node, else the emptiest that fits the HA group, else the emptiest."""
    for node in candidates:
        if node.key == machine.preferred_node:
            return node
    if machine.ha_group:
        together = machine.ha_group.startswith(HA_TIES)
        suited = [node for node in candidates if _has_group(node, machine) == together]
        candidates = suited or candidates
    return min(candidates, key=lambda node: (node.used_mb, node.key))


def _has_group(node: Node, machine: Machine) -> bool:
    return any(
        other.ha_group == machine.ha_group and other is not machine
        for other in node.hosted.values()
    )

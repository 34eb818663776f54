"""Start, stop and migration of machines: sequences of status words and their durations."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from exporter.simulator.world.context import Context, WorldEvent
from exporter.simulator.world.machines import STATES, Machine, Node, Status

OFF = ("stopped", "hibernated")
Step = Callable[[], None]

OBJECT_TYPES: Mapping[str, str] = {
    "vm": "vm",
    "vnet": "vnet",
    "tenant_node": "tenant",
    "node": "node",
}


class Power:
    """Power actions on machines; a new action cancels the pending steps of the previous one."""

    def __init__(self, context: Context, nodes: Mapping[int, Node]) -> None:
        self._context = context
        self._nodes = nodes

    def start(self, machine: Machine, node: Node, *, then: Step | None = None) -> None:
        """Start *machine* on *node*; the status is initializing, then running."""
        self._release(machine)
        _take_new_sizes(machine)
        node.host(machine)
        machine.restart_with_node = None
        self._new_plan(machine, wanted=True)
        timings = self._context.timings

        def initialize() -> None:
            self._set(machine, "initializing", running=False, node=node.key)

        def run() -> None:
            self._run(machine, node)
            self.record(machine, "powered_on")
            if then is not None:
                then()

        self._later(machine, timings.initializing, initialize)
        self._later(machine, timings.running, run)

    def start_but_stick(self, machine: Machine, word: str) -> None:
        """Accept a start that never completes; *word* is the status it stays in."""
        self._new_plan(machine, wanted=True)
        if word != "stopped":
            delay = self._context.timings.initializing
            self._later(machine, delay, lambda: self._set(machine, word, running=False))

    def kill(self, machine: Machine) -> None:
        """Cut the power; the row shows running until the timing ``kill`` has passed."""
        self._new_plan(machine, wanted=False)
        self._later(machine, self._context.timings.kill, lambda: self._stopped_by_request(machine))

    def shut_down(self, machine: Machine, seconds: float | None) -> None:
        """Shut the guest down within *seconds*; None: the guest ignores the request."""
        self._new_plan(machine, wanted=False)
        running = machine.status.running
        delay = self._context.timings.stopping
        self._later(machine, delay, lambda: self._set(machine, "stopping", running=running))
        if seconds is not None:
            self._later(machine, delay + seconds, lambda: self._stopped_by_request(machine))

    def cancel_start(self, machine: Machine) -> None:
        """Cancel a start that is not visible in the status yet."""
        self._new_plan(machine, wanted=False)
        self._release(machine)

    def stop_now(self, machine: Machine, *, word: str = "stopped") -> None:
        """End the machine's process at once."""
        self._new_plan(machine)
        self._stop(machine, word)

    def hang(self, machine: Machine) -> None:
        """Make the guest unresponsive; the process keeps running."""
        self._new_plan(machine)
        machine.idle_since = self._context.now
        self._set(machine, "unresponsive", running=True)

    def wake(self, machine: Machine) -> None:
        """Make a hung guest respond again; its counters continue."""
        self._new_plan(machine)
        machine.idle_since = None
        self._set(machine, "running", running=True)

    def hibernate(self, machine: Machine) -> None:
        """Suspend to disk."""
        self._new_plan(machine, wanted=False)

        def done() -> None:
            self._stop(machine, "hibernated")
            self.record(machine, "hibernated")

        self._later(machine, 0.1, lambda: self._set(machine, "hibernating", running=True))
        self._later(machine, 0.1 + self._context.timings.hibernating, done)

    def power_cycle(self, machine: Machine) -> None:
        """Reboot as a power cycle: the machine is stopped for ``power_cycle_gap`` seconds."""
        node = self._nodes.get(machine.status.node or 0)
        if node is None:
            return
        self._new_plan(machine)
        machine.idle_since = self._context.now
        self._set(machine, "stopped", running=False, node=None)
        gap, timings = self._context.timings.power_cycle_gap, self._context.timings

        def initialize() -> None:
            self._set(machine, "initializing", running=False, node=node.key)

        def run() -> None:
            self._release(machine)
            _take_new_sizes(machine)
            node.host(machine)
            self._run(machine, node)

        self._later(machine, gap, initialize)
        self._later(machine, gap + timings.running, run)

    def migrate(self, machine: Machine, node: Node, *, then: Step | None = None) -> None:
        """Live-migrate *machine* to *node*; it never stops running."""
        source = machine.status.node
        self._new_plan(machine)
        node.host(machine)
        timings = self._context.timings
        moving = min(timings.migration_at_most, machine.memory_mb / 1024 * timings.migration_per_gb)
        for word, delay in (("initmigrate", 0.01), ("startmigrate", 0.5), ("migrating", 1.0)):
            self._later(machine, delay, self._moving(machine, word, node))

        def complete() -> None:
            self._release(machine, keep=node.key)
            self._set(machine, "migratecomplete", running=True, node=node.key)

        def arrive() -> None:
            self._set(machine, "running", running=True, destination=None, came_from=source)
            self.record(machine, "migrated", node=node.name)
            if then is not None:
                then()

        self._later(machine, 1.0 + moving, complete)
        self._later(machine, 1.3 + moving, arrive)

    def wait_for_resources(self, machine: Machine) -> None:
        """Keep *machine* off until a node has room for it."""
        self._new_plan(machine, wanted=True)
        self._stop(machine, "waitingforresources")

    def lose_contact(self, machine: Machine, *, running: bool) -> None:
        """Report a machine on a failed node as unresponsive."""
        self._new_plan(machine)
        self._set(machine, "unresponsive", running=running)

    def record(
        self, machine: Machine, event: str, *, user: str = "system", **words: object
    ) -> None:
        """Write the log rows of *event*, and add it to the history."""
        context = self._context
        context.history.append(WorldEvent(context.now, event, machine.name, machine.key, user))
        context.platform_log.record(
            event,
            at=context.now,
            name=machine.name,
            object_type=OBJECT_TYPES[machine.kind],
            machine=machine.key,
            user=user,
            **words,
        )

    def resize(
        self, machine: Machine, *, cores: int | None = None, memory_mb: int | None = None
    ) -> None:
        """Change cores and memory: at once while *machine* is off, else at its next start."""
        machine.new_cores = machine.configured_cores if cores is None else cores
        machine.new_memory_mb = machine.configured_memory_mb if memory_mb is None else memory_mb
        if not any(machine.key in node.hosted for node in self._nodes.values()):
            _take_new_sizes(machine)
        elif (machine.new_cores, machine.new_memory_mb) != (machine.cores, machine.memory_mb):
            machine.need_restart = True

    def force(self, machine: Machine, **fields: object) -> None:
        """Change the status row only, not the machine."""
        changes = {name: value for name, value in fields.items() if name in Status.__slots__}
        machine.status = replace(machine.status, since=self._context.now, **changes)  # type: ignore[arg-type]

    def _run(self, machine: Machine, node: Node) -> None:
        now = self._context.now
        machine.idle_since = None
        machine.need_restart = False
        for part in machine.parts:
            part.attached = True
        machine.status = Status(
            word="running",
            running=True,
            state="online",
            since=now,
            started=now,
            node=node.key,
            wanted=True,
        )

    def _stopped_by_request(self, machine: Machine) -> None:
        self._stop(machine, "stopped")
        self.record(machine, "powered_off")

    def _stop(self, machine: Machine, word: str) -> None:
        self._release(machine)
        if word != "hibernated":
            _take_new_sizes(machine)
        if machine.idle_since is None:
            machine.idle_since = self._context.now
        self._set(machine, word, running=False, node=None, destination=None)

    def _moving(self, machine: Machine, word: str, node: Node) -> Step:
        return lambda: self._set(machine, word, running=True, destination=node.key)

    def _set(self, machine: Machine, word: str, **fields: object) -> None:
        machine.status = replace(
            machine.status,
            word=word,
            state=STATES.get(word, "warning"),
            since=self._context.now,
            **fields,  # type: ignore[arg-type]
        )

    def _release(self, machine: Machine, *, keep: int | None = None) -> None:
        for node in self._nodes.values():
            if node.key != keep:
                node.release(machine)

    def _new_plan(self, machine: Machine, *, wanted: bool | None = None) -> None:
        """Cancel the pending steps, and release the memory reserved for a migration."""
        machine.plan += 1
        status = machine.status
        if status.destination is not None and status.destination != status.node:
            self._nodes[status.destination].release(machine)
            machine.status = replace(status, destination=None)
        if wanted is not None:
            machine.status = replace(machine.status, wanted=wanted)

    def _later(self, machine: Machine, delay: float, step: Step) -> None:
        plan = machine.plan

        def take() -> None:
            if machine.plan == plan:
                step()

        self._context.event_queue.at(self._context.now + delay, take)


def _take_new_sizes(machine: Machine) -> None:
    """Give *machine*, which is on no node, the cores and memory that are configured."""
    machine.cores, machine.memory_mb = machine.configured_cores, machine.configured_memory_mb
    machine.new_cores = machine.new_memory_mb = None

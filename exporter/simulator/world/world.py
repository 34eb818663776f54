"""The simulated system: its objects, and what operators, guests and failures do to them."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from exporter.clock import Clock
from exporter.errors import VergewatchError
from exporter.simulator.api.faults import FaultInjector
from exporter.simulator.world.builder import Builder, Keys, role_of
from exporter.simulator.world.context import Context, PlannedEvent, Timings, WorldEvent
from exporter.simulator.world.machines import (
    VM,
    Alarm,
    Category,
    Cluster,
    Machine,
    Member,
    Node,
    ResourceGroup,
    Tag,
    Task,
    User,
)
from exporter.simulator.world.networks import Network
from exporter.simulator.world.platform import Platform
from exporter.simulator.world.platform_log import LogTemplate, PlatformLog
from exporter.simulator.world.power import OFF, Power
from exporter.simulator.world.rng import Rng
from exporter.simulator.world.tenants import Tenant

PowerState = Literal["observed", "desired"]
VMRef = VM | int | str
NodeRef = Node | int | str


class UnknownObjectError(VergewatchError):
    """The world has no object of this name or key, or the name is taken."""


class WorldState:
    """The objects, the time and the pending events of one simulated system."""

    def __init__(
        self,
        *,
        seed: int,
        start: float,
        system_name: str,
        timings: Timings,
        log_templates: Mapping[str, LogTemplate | None] | None,
        powerstate: PowerState = "observed",
    ) -> None:
        self.seed = seed
        self.started_at = start
        self.system_name = system_name
        self.version = "26.1.8"
        self.gpus = 0
        """How many GPUs its nodes have together."""
        self.powerstate = powerstate
        self.users: list[User] = [User(1, "admin"), User(2, "anna"), User(3, "jonas")]
        self.keys = Keys()
        self.clusters: dict[int, Cluster] = {}
        self.nodes: dict[int, Node] = {}
        self.machines: dict[int, Machine] = {}
        self.vms: dict[int, VM] = {}
        self.categories: dict[int, Category] = {}
        self.tags: dict[int, Tag] = {}
        self.tag_members: dict[int, Member] = {}
        self.tasks: dict[int, Task] = {}
        self.alarms: dict[int, Alarm] = {}
        self.resource_groups: dict[str, ResourceGroup] = {}
        self.networks: dict[int, Network] = {}
        self.tenants: dict[int, Tenant] = {}
        self.planned: list[PlannedEvent] = []
        """What the scenario will cause, in no order; of events that repeat, the next one."""
        self._advancing = False
        self._clock: Clock | None = None
        self._alarms_set: list[float] = []
        self.faults = FaultInjector(seed=seed, time=lambda: self.now)
        self.context = Context(
            now=start, rng=Rng(seed), timings=timings, platform_log=PlatformLog(log_templates)
        )
        self.builder = Builder(rng=self.context.rng, keys=self.keys, start=start)
        self.power = Power(self.context, self.nodes)
        self.platform = Platform(self.context, self.power, self.clusters, self.machines)

    @property
    def now(self) -> float:
        """The simulated time, in Unix seconds."""
        return self.context.now

    @property
    def platform_log(self) -> PlatformLog:
        """The tables ``logs`` and ``machine_logs``."""
        return self.context.platform_log

    @property
    def history(self) -> deque[WorldEvent]:
        """Every event, oldest first, whether it was logged or not."""
        return self.context.history

    def advance(self, to: float) -> None:
        """Advance the time to *to*, in Unix seconds, and run the events due until then in order."""
        if self._advancing:
            return  # called by an event that is being run
        self._advancing = True
        context = self.context
        while due := context.event_queue.due(to):
            at, action = due
            context.now = max(context.now, at)
            action()
        context.now = max(context.now, to)
        self._advancing = False

    def follow(self, clock: Clock) -> None:
        """Take the time from *clock* from now on."""
        self._clock = clock
        self.catch_up()

    def catch_up(self) -> None:
        """Advance to the time of the clock given to `follow`, if any."""
        if self._clock is not None:
            self.advance(self._clock.now().timestamp())

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Run *action* at *moment*, in Unix seconds."""
        self.context.event_queue.at(moment, action)

    def alarm_at(self, moment: float, action: Callable[[], None]) -> None:
        """Run *action* at *moment*, and include it in `next_alarm`."""
        heapq.heappush(self._alarms_set, moment)
        self.at(moment, action)

    def next_alarm(self) -> float | None:
        """Return when `advance` must be called next even without a request; None: never."""
        while self._alarms_set and self._alarms_set[0] <= self.now:
            heapq.heappop(self._alarms_set)
        return self._alarms_set[0] if self._alarms_set else None

    # Lookup.

    def vm(self, which: VMRef) -> VM:
        """Return a VM by object, key or name; snapshots only by key."""
        self.catch_up()  # the caller reads or changes the VM next
        if isinstance(which, VM):
            return which
        if isinstance(which, str):
            found = next((vm for vm in self.live_vms() if vm.name == which), None)
            if found is None and which.isdecimal():
                found = self.vms.get(int(which))
        else:
            found = self.vms.get(which)
        if found is None:
            raise UnknownObjectError(f"there is no VM {which!r}")
        return found

    def node(self, which: NodeRef) -> Node:
        """Return a node by object, key or name."""
        self.catch_up()
        if isinstance(which, Node):
            return which
        for node in self.nodes.values():
            if which in (node.key, node.name, str(node.key)):
                return node
        raise UnknownObjectError(f"there is no node {which!r}")

    def live_vms(self) -> Iterable[VM]:
        """Return the VMs without snapshots."""
        return (vm for vm in self.vms.values() if not vm.is_snapshot)

    def tags_of(self, which: VMRef) -> frozenset[str]:
        """Return the tags of a VM as ``category/name``."""
        member = f"vms/{self.vm(which).key}"
        return frozenset(
            f"{row.tag.category.name}/{row.tag.name}"
            for row in self.tag_members.values()
            if row.member == member
        )


class World(WorldState):
    """
    One simulated system. Time passes in `advance`, or with the clock given to `follow`.

    A method for each event names its actor, such as ``operator_stops``. It changes the machines,
    writes rows to the platform log by template, and records the event in `history`.

    Args:
        seed: Random seed; the same seed and the same events give the same world.
        start: Unix seconds.
        log_templates: Replacements for `platform_log.LOG_TEMPLATES`.
        powerstate: Whether ``machine_status.powerstate`` shows what runs, or what was requested.

    """

    # Events caused by operators.

    def operator_stops(self, which: VMRef, *, user: str = "anna", graceful: bool = True) -> None:
        vm = self.vm(which)
        self._sent(vm, "poweroff" if graceful else "kill", user)
        self._switch_off(vm, graceful=graceful)

    def operator_starts(
        self, which: VMRef, *, user: str = "anna", node: NodeRef | None = None
    ) -> bool:
        """Start a VM; return False if no node has room."""
        vm = self.vm(which)
        self._sent(vm, "poweron", user)
        if node is not None and (target := self.node(node)).has_room_for(vm.machine):
            self.power.start(vm.machine, target)
            return True
        if self.platform.start(vm.machine):
            return True
        self.power.record(vm.machine, "no_capacity")
        return False

    def start_waits(self, which: VMRef, *, user: str, word: str) -> None:
        """Accept a start that never completes; the status becomes *word* and stays."""
        vm = self.vm(which)
        self._sent(vm, "poweron", user)
        self.power.start_but_stick(vm.machine, word)

    def operator_resets(self, which: VMRef, *, user: str = "anna", graceful: bool = False) -> None:
        vm = self.vm(which)
        self._sent(vm, "reset", user)
        if graceful:
            self.power.power_cycle(vm.machine)
        else:
            self.wake(vm)

    def migrate(self, which: VMRef, node: NodeRef | None = None, *, user: str = "system") -> bool:
        """Live-migrate a VM to *node*, or to any with room; return False if there is none."""
        vm = self.vm(which)
        machine = vm.machine
        if node is None:
            target = self.platform.place(machine, avoid=machine.status.node)
        else:
            target = self.node(node)
        if target is None or not machine.status.running or target.key == machine.status.node:
            return False
        self.power.record(machine, "migration_started", user=user, node=target.name)
        self.power.migrate(machine, target)
        return True

    def hibernate(self, which: VMRef, *, user: str = "anna") -> None:
        vm = self.vm(which)
        self._sent(vm, "hibernate", user)
        self.power.hibernate(vm.machine)

    def renames(self, which: VMRef, name: str, *, user: str = "anna") -> None:
        vm = self.vm(which)
        old, vm.name, vm.machine.name = vm.name, name, name
        vm.modified = int(self.now)
        self.power.record(vm.machine, "renamed", user=user, old=old)

    def changes(self, which: VMRef, *, user: str = "anna", **fields: object) -> None:
        """Change columns of a VM, such as ``enabled=False``."""
        vm = self.vm(which)
        for name, value in fields.items():
            owner = vm if hasattr(vm, name) else vm.machine
            setattr(owner, name, value)
        vm.modified = int(self.now)
        self.power.record(vm.machine, "changed", user=user)

    def creates(
        self, name: str, *, role: str = "app", user: str = "anna", running: bool = True
    ) -> VM:
        """Create a VM in the first cluster, and start it."""
        self.catch_up()
        if any(vm.name == name for vm in self.live_vms()):
            raise UnknownObjectError(f"a VM named {name!r} already exists")
        cluster = next(iter(self.clusters))
        vm = self.builder.vm(
            role=role_of(role), cluster=cluster, name=name, created=max(1.0, self.now)
        )
        self.adopt(vm)
        self.power.record(vm.machine, "created", user=user)
        if running:
            self.platform.start(vm.machine)
        return vm

    def deletes(self, which: VMRef, *, user: str = "anna") -> None:
        vm = self.vm(which)
        self.power.stop_now(vm.machine)
        self.power.record(vm.machine, "deleted", user=user)
        snapshots = [one for one in self.vms.values() if one.snapshot_of == vm.key]
        for gone in (vm, *snapshots):
            del self.vms[gone.key], self.machines[gone.machine.key]
        member = f"vms/{vm.key}"
        for key in [row.key for row in self.tag_members.values() if row.member == member]:
            del self.tag_members[key]

    def tag(self, which: VMRef, tag: str, *, user: str = "anna") -> Member:
        """Add the tag ``category/name`` to a VM; create the tag if needed."""
        vm = self.vm(which)
        category, _, name = tag.rpartition("/")
        return self.add_tag(self.tag_named(category or "general", name), vm, user=user)

    def add_tag(self, tag: Tag, vm: VM, *, user: str) -> Member:
        row = Member(self.keys.next("tag_members"), tag, f"vms/{vm.key}")
        self.tag_members[row.key] = row
        self.power.record(vm.machine, "tagged", user=user, tag=tag.name)
        return row

    def untag(self, which: VMRef, tag: str, *, user: str = "anna") -> None:
        vm = self.vm(which)
        for row in list(self.tag_members.values()):
            if row.member == f"vms/{vm.key}" and f"{row.tag.category.name}/{row.tag.name}" == tag:
                del self.tag_members[row.key]
                self.power.record(vm.machine, "untagged", user=user, tag=row.tag.name)

    def tag_named(self, category: str, name: str) -> Tag:
        """Return a tag; create it, and its category, if needed."""
        for tag in self.tags.values():
            if (tag.category.name, tag.name) == (category, name):
                return tag
        home = next((one for one in self.categories.values() if one.name == category), None)
        if home is None:
            home = Category(self.keys.next("tag_categories"), category, "", int(self.now))
            self.categories[home.key] = home
        tag = Tag(self.keys.next("tags"), name, home, int(self.now))
        self.tags[tag.key] = tag
        return tag

    def forces_status(self, which: VMRef, *, user: str = "anna", **fields: object) -> None:
        """Change a VM's status row only, as a knowledge-base article of VergeOS describes."""
        vm = self.vm(which)
        self.power.force(vm.machine, **fields)
        self.power.record(vm.machine, "status_forced", user=user)

    # Events caused by guests and failures.

    def crash(self, which: VMRef) -> None:
        """Kill the VM's process without a log row."""
        vm = self.vm(which)
        self.power.stop_now(vm.machine)
        self.power.record(vm.machine, "crashed")

    def guest_shuts_down(self, which: VMRef) -> None:
        """Power the VM off from inside the guest."""
        vm = self.vm(which)
        self.power.stop_now(vm.machine)
        self.power.record(vm.machine, "guest_shut_down")

    def guest_reboots(self, which: VMRef) -> None:
        """Reboot from inside the guest: a power cycle, unless ``disable_powercycle`` is set."""
        vm = self.vm(which)
        self.power.record(vm.machine, "guest_rebooted")
        if not vm.disable_powercycle:
            self.power.power_cycle(vm.machine)

    def hang(self, which: VMRef) -> None:
        """Make the guest unresponsive; its process keeps running."""
        vm = self.vm(which)
        self.power.hang(vm.machine)
        self.power.record(vm.machine, "hung")

    def wake(self, which: VMRef) -> None:
        """Make a hung guest respond again."""
        vm = self.vm(which)
        if vm.machine.status.word == "unresponsive":
            self.power.wake(vm.machine)
            self.power.record(vm.machine, "woke_up")

    def out_of_space(self, which: VMRef) -> None:
        """Stop a VM because its storage tier is full, and raise an alarm."""
        vm = self.vm(which)
        self.power.stop_now(vm.machine)
        self.power.record(vm.machine, "out_of_space")
        alarm = Alarm(
            key=self.keys.next("alarms"),
            owner=f"vms/{vm.key}",
            owner_name=vm.name,
            owner_type="vms",
            alarm_type="vm_out_of_space",
            type_name="Out of space",
            level="critical",
            text=f"VM '{vm.name}' stopped: tier is out of space",
            created=int(self.now),
        )
        self.alarms[alarm.key] = alarm

    def task_stops(self, which: VMRef, *, task: str = "Nightly power-off") -> None:
        """Power a VM off gracefully by a task."""
        vm = self.vm(which)
        key = self.keys.next("tasks")
        now = int(self.now)
        self.tasks[key] = Task(key, task, f"vms/{vm.key}", "poweroff", "admin", now, last_run=now)
        self.power.record(vm.machine, "task_ran", task=task, action="poweroff")
        self._switch_off(vm, graceful=True)

    # Events of nodes.

    def node_fails(self, which: NodeRef) -> None:
        self.platform.node_fails(self.node(which))

    def node_returns(self, which: NodeRef) -> None:
        self.platform.node_returns(self.node(which))

    def node_enters_maintenance(self, which: NodeRef, *, user: str = "jonas") -> None:
        self.platform.node_enters_maintenance(self.node(which), user=user)

    def node_leaves_maintenance(self, which: NodeRef, *, user: str = "jonas") -> None:
        self.platform.node_leaves_maintenance(self.node(which), user=user)

    def node_powers_off(self, which: NodeRef, *, user: str = "jonas") -> None:
        self.platform.node_powers_off(self.node(which), user=user)

    def _sent(self, vm: VM, action: str, user: str) -> None:
        self.power.record(vm.machine, "action_sent", user=user, action=action)

    def _switch_off(self, vm: VM, *, graceful: bool) -> None:
        machine = vm.machine
        machine.restart_with_node = None
        if machine.status.word in OFF:
            self.power.cancel_start(machine)
            return
        if graceful:
            self.power.shut_down(machine, machine.shutdown_seconds)
        else:
            self.power.kill(machine)

    def adopt(self, vm: VM) -> None:
        """Add a VM that was made; who ordered it is logged by the caller."""
        self.vms[vm.key] = vm
        self.machines[vm.machine.key] = vm.machine

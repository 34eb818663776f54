"""Events of VMs and nodes by name, as scenarios and the control API use them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from exporter.simulator.world.machines import VM
from exporter.simulator.world.power import OFF
from exporter.simulator.world.world import World

Needs = Literal["running", "off", "hung", "anything"]


@dataclass(frozen=True, slots=True)
class Event:
    """An event, and the kind of object it applies to."""

    happen: Callable[..., object]
    """A method of `World`, called with the world, the subject and the event's parameters."""
    subject: Literal["vm", "node"]
    needs: Needs = "running"
    undone_by: str | None = None
    """The event that ends this one after the duration ``for``."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the event's parameters besides its subject."""
        return tuple(inspect.signature(self.happen).parameters)[2:]

    def suits(self, vm: VM) -> bool:
        """Return whether the event applies to *vm* in its current state."""
        word = vm.machine.status.word
        match self.needs:
            case "running":
                return word == "running"
            case "off":
                return word in OFF and vm.enabled
            case "hung":
                return word == "unresponsive"
            case _:
                return True


EVENTS: Mapping[str, Event] = {
    "crash": Event(World.crash, "vm"),
    "hang": Event(World.hang, "vm", undone_by="wake"),
    "wake": Event(World.wake, "vm", needs="hung"),
    "operator_stops": Event(World.operator_stops, "vm", undone_by="operator_starts"),
    "operator_starts": Event(World.operator_starts, "vm", needs="off"),
    "operator_resets": Event(World.operator_resets, "vm"),
    "guest_shuts_down": Event(World.guest_shuts_down, "vm", undone_by="operator_starts"),
    "guest_reboots": Event(World.guest_reboots, "vm"),
    "migrate": Event(World.migrate, "vm"),
    "hibernate": Event(World.hibernate, "vm", undone_by="operator_starts"),
    "task_stops": Event(World.task_stops, "vm", undone_by="operator_starts"),
    "out_of_space": Event(World.out_of_space, "vm"),
    "renames": Event(World.renames, "vm", needs="anything"),
    "changes": Event(World.changes, "vm", needs="anything"),
    "tag": Event(World.tag, "vm", needs="anything"),
    "untag": Event(World.untag, "vm", needs="anything"),
    "deletes": Event(World.deletes, "vm", needs="anything"),
    "node_fails": Event(World.node_fails, "node", undone_by="node_returns"),
    "node_returns": Event(World.node_returns, "node"),
    "node_enters_maintenance": Event(
        World.node_enters_maintenance, "node", undone_by="node_leaves_maintenance"
    ),
    "node_leaves_maintenance": Event(World.node_leaves_maintenance, "node"),
    "node_powers_off": Event(World.node_powers_off, "node", undone_by="node_returns"),
}

VM_EVENTS = {name: event for name, event in EVENTS.items() if event.subject == "vm"}
NODE_EVENTS = {name: event for name, event in EVENTS.items() if event.subject == "node"}

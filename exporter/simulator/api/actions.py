"""``vm_actions``: what may be asked of a VM, what comes of it, and the errors on the way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exporter.simulator.api.faults import ActiveFaults
from exporter.simulator.api.listing import JoinedFilters
from exporter.simulator.api.messages import EMPTY, Answer, error
from exporter.simulator.world.machines import VM
from exporter.simulator.world.power import OFF
from exporter.simulator.world.world import UnknownObjectError, World

WITHOUT_EFFECT = (
    "move",
    "quiesce_snapshot",
    "restore",
    "recover_cloudsnapshot",
    "changecd",
    "changenet",
    "hotplugdrive",
    "hotplugnic",
    "paste",
    "execute",
    "fsync_strict",
    "erase_drive",
    "refresh",
)
"""Accepted as on a real system; nothing comes of them here."""

NO_CAPACITY = "Error starting machine: Insufficient cluster resources to start VM"


@dataclass(frozen=True, slots=True)
class ApiBehavior:
    """How the API behaves where nobody knows how the real one does."""

    already_running_status: int = 422
    not_running_status: int = 422
    cannot_start_status: int = 422
    no_capacity_status: int = 422
    without_capacity: Literal["refuse", "wait"] = "refuse"
    """Refuse a start, or accept it and let the VM wait for resources."""
    joined_filters: JoinedFilters = "reject"
    empty_action_replies: bool = False
    empty_401: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An action that was asked for."""

    world: World
    vm: VM
    user: str
    parameters: Mapping[str, Any]
    behavior: ApiBehavior
    faults: ActiveFaults


def act(
    world: World, body: Any, *, user: str, behavior: ApiBehavior, faults: ActiveFaults
) -> Answer:
    """Do what the body of a ``POST /vm_actions`` asks for."""
    if not isinstance(body, dict) or "vm" not in body or "action" not in body:
        return error(422, "Error: field 'vm' is required")
    action = body["action"]
    handler = _HANDLERS.get(action) if isinstance(action, str) else None
    if handler is None:
        return error(
            422,
            f"Error sending action to node: value '{action}' is not in list for field 'action'\n",
        )
    vm = world.vms.get(int(body["vm"])) if str(body["vm"]).isdecimal() else None
    if vm is None:
        return error(404, "Error: vm not found - No such file or directory\n")
    parameters = body.get("params") or {}
    if not isinstance(parameters, dict):
        return error(422, "Error: field 'params' is not valid JSON")
    refusal = handler(Order(world, vm, user, parameters, behavior, faults))
    if refusal is not None:
        return refusal
    if behavior.empty_action_replies:
        return Answer(201, EMPTY)
    key = world.keys.next("vm_actions")
    place = f"vm_actions/{key}"
    return Answer(201, {"location": f"/v4/{place}", "dbpath": place, "$row": key, "$key": str(key)})


def _power_on(order: Order) -> Answer | None:
    world, vm, behavior, faults = order.world, order.vm, order.behavior, order.faults
    word = vm.machine.status.word
    if vm.is_snapshot:
        return error(behavior.cannot_start_status, "Cannot power on a snapshot\n")
    if not vm.enabled:
        return error(behavior.cannot_start_status, "Cannot power on VM: it is disabled\n")
    if word not in (*OFF, "waitingforresources"):
        text = f"Error starting machine: Machine is already running with status '{word}'\n"
        return error(behavior.already_running_status, text)
    if "no_capacity" in faults:
        return error(faults["no_capacity"]["code"], NO_CAPACITY)
    if "accepted_but_never_starts" in faults:
        stuck = faults["accepted_but_never_starts"]["word"]
        world.start_waits(vm, user=order.user, word=stuck)
        return None
    if world.operator_starts(vm, user=order.user, node=_wanted_node(order)):
        return None
    if behavior.without_capacity == "wait":
        world.power.wait_for_resources(vm.machine)
        return None
    return error(behavior.no_capacity_status, NO_CAPACITY)


def _power_off(order: Order) -> Answer | None:
    if order.vm.machine.status.word in OFF:
        return _not_running(order)
    order.world.operator_stops(order.vm, user=order.user, graceful=True)
    return None


def _kill(order: Order) -> Answer | None:
    # On a VM that is off already this only tidies up its devices.
    order.world.operator_stops(order.vm, user=order.user, graceful=False)
    return None


def _reset(order: Order) -> Answer | None:
    if not order.vm.machine.status.running:
        return _not_running(order)
    graceful = order.parameters.get("graceful") is True
    order.world.operator_resets(order.vm, user=order.user, graceful=graceful)
    return None


def _hibernate(order: Order) -> Answer | None:
    if not order.vm.machine.status.running:
        return _not_running(order)
    order.world.hibernate(order.vm, user=order.user)
    return None


def _migrate(order: Order) -> Answer | None:
    if not order.vm.machine.status.running:
        return _not_running(order)
    if not order.world.migrate(order.vm, _wanted_node(order), user=order.user):
        return error(422, "Error migrating machine: no suitable node\n")
    return None


def _clone(order: Order) -> Answer | None:
    name = str(order.parameters.get("name") or f"{order.vm.name} clone")
    try:
        clone = order.world.creates(name, role=order.vm.role, user=order.user, running=False)
    except UnknownObjectError:
        return error(422, "Error: name already in use\n")
    place = f"vms/{clone.key}"
    return Answer(
        201,
        {"location": f"/v4/{place}", "dbpath": place, "$row": clone.key, "$key": str(clone.key)},
    )


def _nothing(_order: Order) -> Answer | None:
    return None


def _not_running(order: Order) -> Answer:
    return error(order.behavior.not_running_status, "Error: Machine is not running\n")


def _wanted_node(order: Order) -> int | None:
    wanted = order.parameters.get("preferred_node") or order.parameters.get("node")
    node = order.world.nodes.get(int(str(wanted))) if str(wanted).isdecimal() else None
    return node.key if node is not None and node.takes_machines else None


_HANDLERS: Mapping[str, Callable[[Order], Answer | None]] = {
    "poweron": _power_on,
    "poweroff": _power_off,
    "kill": _kill,
    "reset": _reset,
    "hibernate": _hibernate,
    "migrate": _migrate,
    "clone": _clone,
    **dict.fromkeys(WITHOUT_EFFECT, _nothing),
}

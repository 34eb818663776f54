"""The endpoint ``vm_actions``: actions on VMs, their effects and errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exporter.simulator.api.faults import ActiveFaults
from exporter.simulator.api.listing import JoinedFilters
from exporter.simulator.api.messages import EMPTY, Answer, error
from exporter.simulator.api.writes.drives import DRIVES, HOT_PLUGGABLE
from exporter.simulator.api.writes.nics import NICS
from exporter.simulator.api.writes.parts import PartTable
from exporter.simulator.api.writes.snapshots import kept_in
from exporter.simulator.api.writes.write import RefusedError, created, unknown_reference
from exporter.simulator.world import lifecycle
from exporter.simulator.world.machines import VM, Drive
from exporter.simulator.world.power import OFF
from exporter.simulator.world.world import World

WITHOUT_EFFECT = (
    "quiesce_snapshot",
    "recover_cloudsnapshot",
    "changecd",
    "changenet",
    "paste",
    "execute",
    "fsync_strict",
    "erase_drive",
    "refresh",
)
"""Actions that are accepted and have no effect in the simulator."""

NO_CAPACITY = "Error starting machine: Insufficient cluster resources to start VM"


@dataclass(frozen=True, slots=True)
class ApiBehavior:
    """Choices where the behavior of the real API is not known."""

    already_running_status: int = 422
    not_running_status: int = 422
    cannot_start_status: int = 422
    no_capacity_status: int = 422
    without_capacity: Literal["refuse", "wait"] = "refuse"
    """Whether a start without capacity is refused, or accepted with the VM waiting."""
    joined_filters: JoinedFilters = "aliases"
    empty_action_replies: bool = False
    empty_401: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    """A requested action."""

    world: World
    vm: VM
    user: str
    parameters: Mapping[str, Any]
    behavior: ApiBehavior
    faults: ActiveFaults


def act(
    world: World, body: Any, *, user: str, behavior: ApiBehavior, faults: ActiveFaults
) -> Answer:
    """Execute the action in the body of a ``POST /vm_actions``."""
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
    if "busy" in faults:
        return error(int(faults["busy"]["code"]), faults["busy"]["text"])
    try:
        answer = handler(_Request(world, vm, user, parameters, behavior, faults))
    except RefusedError as refused:
        return refused.answer
    except (TypeError, ValueError):
        return error(422, "Invalid argument")
    if answer is not None:
        return answer
    if behavior.empty_action_replies:
        return Answer(201, EMPTY)
    return created("vm_actions", world.keys.next("vm_actions"))


def _power_on(request: _Request) -> Answer | None:
    world, vm, behavior, faults = request.world, request.vm, request.behavior, request.faults
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
        world.start_waits(vm, user=request.user, word=stuck)
        return None
    if world.operator_starts(vm, user=request.user, node=_wanted_node(request)):
        return None
    if behavior.without_capacity == "wait":
        world.power.wait_for_resources(vm.machine)
        return None
    return error(behavior.no_capacity_status, NO_CAPACITY)


def _power_off(request: _Request) -> Answer | None:
    if request.vm.machine.status.word in OFF:
        return _not_running(request)
    request.world.operator_stops(request.vm, user=request.user, graceful=True)
    return None


def _kill(request: _Request) -> Answer | None:
    # VergeOS accepts this for a stopped VM too.
    request.world.operator_stops(request.vm, user=request.user, graceful=False)
    return None


def _reset(request: _Request) -> Answer | None:
    if not request.vm.machine.status.running:
        return _not_running(request)
    graceful = request.parameters.get("graceful") is True
    request.world.operator_resets(request.vm, user=request.user, graceful=graceful)
    return None


def _hibernate(request: _Request) -> Answer | None:
    if not request.vm.machine.status.running:
        return _not_running(request)
    request.world.hibernate(request.vm, user=request.user)
    return None


def _migrate(request: _Request) -> Answer | None:
    if not request.vm.machine.status.running:
        return _not_running(request)
    if not request.world.migrate(request.vm, _wanted_node(request), user=request.user):
        return error(422, "Error migrating machine: no suitable node\n")
    return None


def _move(request: _Request) -> Answer | None:
    """Move the VM to another cluster, and to a node; a VM that runs migrates."""
    world, vm, wanted = request.world, request.vm, request.parameters.get("cluster")
    cluster = world.clusters.get(int(wanted)) if wanted is not None else None
    if wanted is not None and cluster is None:
        raise unknown_reference("cluster")
    if cluster is not None and cluster.key != vm.machine.cluster:
        vm.machine.cluster = cluster.key
        world.power.record(vm.machine, "moved", user=request.user, cluster=cluster.name)
    return _migrate(request) if vm.machine.status.running else None


def _clone(request: _Request) -> Answer | None:
    name = str(request.parameters.get("name") or f"{request.vm.name} clone")
    return _cloned(request, request.vm, name)


def _cloned(request: _Request, source: VM, name: str) -> Answer:
    world = request.world
    if any(vm.name == name for vm in world.live_vms()):
        return error(422, "Error: name already in use\n")
    keep_macs = request.parameters.get("preserve_macs") is True
    key = lifecycle.clone(world, source, name, keep_macs=keep_macs, user=request.user).key
    answer = created("vms", key)
    return Answer(answer.status, {**answer.payload, "response": {"vmkey": str(key)}})


def _restore(request: _Request) -> Answer | None:
    """Restore a VM from the snapshot in the parameters, or the VM that this is a snapshot of."""
    world, name = request.world, request.parameters.get("name")
    vm, snapshot = request.vm, request.vm
    if "snapshot" in request.parameters:
        found = kept_in(world, str(request.parameters["snapshot"]))
        if found is None or found.snapshot_of != vm.key:
            raise unknown_reference("snapshot")
        snapshot = found
    elif vm.is_snapshot and vm.snapshot_of in world.vms:
        vm = world.vms[vm.snapshot_of]
    else:
        return error(422, "Error: field 'snapshot' is required\n")
    if name:
        return _cloned(request, snapshot, str(name))
    if vm.machine.status.running:
        return error(422, "Virtual Machine must be stopped to restore\n")
    lifecycle.restore(world, vm, snapshot, user=request.user)
    return Answer(201, EMPTY)


def _hotplug(table: PartTable) -> Callable[[_Request], Answer | None]:
    """Return the action that attaches a part to a running VM, or detaches it."""

    def hotplug(request: _Request) -> Answer | None:
        vm, parameters = request.vm, request.parameters
        part = table.part(request.world, str(parameters.get("device")))
        if part is None or part.machine is not vm.machine:
            raise unknown_reference("device")
        if not vm.machine.status.running:
            return _not_running(request)
        if not vm.columns.get("allow_hotplug", True):
            return error(422, "Error: hotplug is not allowed\n")
        if isinstance(part, Drive) and not _is_hot_pluggable(part):
            return error(422, f"Error: drive '{part.name}' cannot be hot-plugged\n")
        attached = parameters.get("unplug") is not True
        lifecycle.attach(request.world, part, attached=attached, user=request.user)
        return None

    return hotplug


def _is_hot_pluggable(drive: Drive) -> bool:
    return drive.media == "disk" and drive.interface in HOT_PLUGGABLE


def _nothing(_request: _Request) -> Answer | None:
    return None


def _not_running(request: _Request) -> Answer:
    return error(request.behavior.not_running_status, "Error: Machine is not running\n")


def _wanted_node(request: _Request) -> int | None:
    wanted = request.parameters.get("preferred_node") or request.parameters.get("node")
    node = request.world.nodes.get(int(str(wanted))) if str(wanted).isdecimal() else None
    return node.key if node is not None and node.takes_machines else None


_HANDLERS: Mapping[str, Callable[[_Request], Answer | None]] = {
    "poweron": _power_on,
    "poweroff": _power_off,
    "kill": _kill,
    "reset": _reset,
    "hibernate": _hibernate,
    "migrate": _migrate,
    "move": _move,
    "clone": _clone,
    "restore": _restore,
    "hotplugdrive": _hotplug(DRIVES),
    "hotplugnic": _hotplug(NICS),
    **dict.fromkeys(WITHOUT_EFFECT, _nothing),
}

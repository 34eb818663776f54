"""The control API under ``/simulator/``: state, faults and events of the world."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from exporter.simulator.api.faults import FAULTS, Fault, FaultError, nearest
from exporter.simulator.api.messages import Answer, Call, error
from exporter.simulator.world.events import NODE_EVENTS, VM_EVENTS, Event
from exporter.simulator.world.machines import VM
from exporter.simulator.world.world import UnknownObjectError, World

ROOT = "/simulator"

SHORT_NODE_EVENTS = {
    "fails": "node_fails",
    "returns": "node_returns",
    "maintenance": "node_enters_maintenance",
    "maintenance_over": "node_leaves_maintenance",
    "powers_off": "node_powers_off",
}


class Control:
    """Handles control requests; they need no credentials."""

    def __init__(self, world: World, requests: Callable[[], Iterable[str]]) -> None:
        self._world = world
        self._requests = requests

    def answer(self, call: Call) -> Answer:
        """Return the response to *call*, whose path begins with ``/simulator``."""
        parts = call.path.removeprefix(ROOT).strip("/").split("/")
        try:
            match call.method, parts:
                case "GET", [""]:
                    return Answer(payload=self._overview())
                case "GET", ["faults"]:
                    return Answer(payload=self._known_faults())
                case _, ["faults", name]:
                    return self._fault(call, name)
                case "POST", ["vms", name, event]:
                    return self._happen(VM_EVENTS, self._world.vm(name), event, call)
                case "POST", ["nodes", name, event]:
                    event = SHORT_NODE_EVENTS.get(event, event)
                    return self._happen(NODE_EVENTS, self._world.node(name), event, call)
        except (FaultError, UnknownObjectError) as problem:
            unknown = isinstance(problem, UnknownObjectError)
            return error(404 if unknown else 422, str(problem))
        return error(404, f"{call.method} {call.path} not found; GET {ROOT}/ lists the endpoints")

    def _overview(self) -> dict[str, Any]:
        world = self._world
        statuses = Counter(vm.machine.status.word for vm in world.live_vms())
        return {
            "system": world.system_name,
            "seed": world.seed,
            "time": world.now,
            "seconds_since_start": round(world.now - world.started_at, 3),
            "vms": sum(statuses.values()),
            "vms_by_status": dict(sorted(statuses.items())),
            "snapshots": sum(vm.is_snapshot for vm in world.vms.values()),
            "nodes": {
                node.name: "maintenance" if node.maintenance else "up" if node.alive else "down"
                for node in world.nodes.values()
            },
            "faults": [_described(fault) for fault in world.faults.active()],
            "requests": dict(sorted(Counter(self._requests()).items())),
            "history": [
                {"at": one.at, "what": one.what, "name": one.name, "by": one.by}
                for one in list(world.history)[-20:]
            ],
            "planned": [
                {"at": one.at, "what": one.what, "name": one.name, "by": one.by}
                for one in sorted(world.planned, key=lambda one: one.at)[:20]
            ],
            "links": {
                "faults": f"{ROOT}/faults",
                "fault": f"PUT, DELETE {ROOT}/faults/{{name}}",
                "vm": f"POST {ROOT}/vms/{{name or key}}/{{{'|'.join(VM_EVENTS)}}}",
                "node": f"POST {ROOT}/nodes/{{name or key}}/{{{'|'.join(SHORT_NODE_EVENTS)}}}",
            },
        }

    def _known_faults(self) -> dict[str, Any]:
        on = {fault.name for fault in self._world.faults.active()}
        return {
            name: {
                "about": kind.about,
                "on": name in on,
                "parameters": {
                    key: {"about": one.about, "default": one.default}
                    for key, one in kind.parameters.items()
                },
            }
            for name, kind in FAULTS.items()
        }

    def _fault(self, call: Call, name: str) -> Answer:
        faults = self._world.faults
        settings = call.body if isinstance(call.body, dict) else dict(call.query)
        if call.method == "PUT":
            if name == "outage" and settings.get("lasting") is None:
                text = "an outage closes the control API too: set 'lasting' to its seconds"
                return error(422, text)
            return Answer(payload=_described(_turned_on(self._world, name, settings)))
        if call.method == "DELETE":
            path = settings.get("path")
            return Answer(payload={"was_on": faults.turn_off(name, path=path)})
        if call.method != "GET":
            return error(405, "allowed methods: GET, PUT, DELETE")
        if name not in FAULTS:
            raise FaultError(f"there is no fault {name!r}{nearest(name, FAULTS)}")
        return Answer(payload=[_described(fault) for fault in faults.active(name)])

    def _happen(
        self,
        events: Mapping[str, Event],
        subject: object,
        event: str,
        call: Call,
    ) -> Answer:
        if event not in events:
            return error(404, f"there is no event {event!r}{nearest(event, dict(events))}")
        parameters = call.body if isinstance(call.body, dict) else {}
        try:
            events[event].happen(self._world, subject, **parameters)
        except (TypeError, AttributeError) as problem:
            return error(422, f"{event}: {problem}")
        if isinstance(subject, VM):
            status = subject.machine.status
            return Answer(payload={"vm": subject.name, "status": status.word, "event": event})
        return Answer(payload={"event": event})


def _turned_on(world: World, name: str, settings: Mapping[str, Any]) -> Fault:
    try:
        return world.faults.turn_on(name, **settings)
    except TypeError as problem:
        raise FaultError(f"{name}: {problem}") from problem


def _described(fault: Fault) -> dict[str, Any]:
    return {
        "name": fault.name,
        "path": fault.path,
        "method": fault.method,
        "probability": fault.probability,
        "times": fault.times,
        "until": fault.until,
        "parameters": dict(fault.parameters),
    }

"""Inventories, VMs and cases as plain values, for tests of pure functions."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from exporter.model import VM, Cluster, Inventory, MachineStatus, Node, PollResult, VMConfig
from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Enrolment,
    Intent,
    ObservedState,
    OnHang,
    Policy,
    Question,
    Reply,
)
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import LogPosition
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import CircuitBreaker
from exporter.recovery.observe.health import Health
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.lifecycle import Moment, observe
from exporter.recovery.observe.state import RecoveryState
from tests.exposition import builders

TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""The time of day when 0 seconds were watched."""
CLOCK = 1_000_000.0
"""VergeOS' time at that moment."""
EVERY = 20.0

ENROLLED = Enrolment(Policy.ON_FAILURE, OnHang.ALERT, 2, (), "tag recovery/auto")
MONITORED = replace(ENROLLED, policy=Policy.NO)
IGNORED = replace(ENROLLED, policy=Policy.IGNORE)

A_ROW = builders.status(101, started_at=CLOCK - 5000.0, updated_at=CLOCK)
A_CONFIG = builders.config(
    1, "web-1", memory_bytes=4, cluster=7, on_power_loss="last", disable_powercycle=False
)
POSITION = LogPosition(5, 9)
QUESTION = Question(
    number=1, action=Action.POWER_ON, asked_at=1.0, expires_at=2.0, expires=TIME, withdrawn=False
)
EVIDENCE: dict[str, Any] = {
    "up_at": 500.0,
    "up_clock": 501.0,
    "log_from": POSITION,
    "log_up": POSITION,
    "log_down": POSITION,
    "lost_at": 520.0,
    "lost_clock": 521.0,
    "trouble_at": 520.0,
    "times_observed": 4,
    "words_since_up": ("starting",),
    "max_gap_seconds": 30.0,
    "diagnosis": Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNCLEAR),
    "started": 90.0,
    "killed_position": POSITION,
    "killed_at": 540.0,
    "kill_unanswered": True,
    "question": QUESTION,
}
"""What is known of a VM that is down."""
DOWN: Mapping[str, Any] = {"word": "stopped", "running": False}


def row(number: int = 1, **fields: Any) -> MachineStatus:
    """Return the status row of the VM of that number, which runs."""
    return replace(A_ROW, **{"machine": 100 + number, **fields})


def config(number: int = 1, **fields: Any) -> VMConfig:
    own = {"key": number, "machine": 100 + number, "name": f"web-{number}", "uuid": f"u{number}"}
    return replace(A_CONFIG, **{**own, **fields})


def vm(number: int = 1, **fields: Any) -> VM:
    """Return a VM that runs; *fields* are those of its status row."""
    return VM(config(number), row(number, **fields))


def node(key: int = 1, *, maintenance: bool | None = False, **fields: Any) -> Node:
    """Return a node that is well; *fields* are those of its status row."""
    return Node(key, f"node{key}", 7, 900 + key, maintenance, row(800 + key, **fields))


def inventory(
    vms: Iterable[VM] = (),
    *,
    nodes: Iterable[Node] = (),
    clusters: Iterable[Cluster] = (),
    rows: Iterable[MachineStatus] | None = None,
    **fields: Any,
) -> Inventory:
    """Return an inventory; its status rows are those of its VMs, unless *rows* are given."""
    vms = tuple(vms)
    found = rows if rows is not None else [one.status for one in vms if one.status is not None]
    return Inventory(
        **{
            "system_name": "prod",
            "identity": None,
            "taken_at": TIME,
            "sources": {"machine_status": {one.machine: one for one in found}},
            "vms": vms,
            "clusters": {one.key: one for one in clusters},
            "nodes": {one.key: one for one in nodes},
            "tags": {},
            **fields,
        }
    )


def poll(of: Inventory | None, *, at: float = 0.0, **fields: Any) -> PollResult:
    return PollResult(
        **{
            "asked_at": at,
            "time": TIME + timedelta(seconds=at),
            "took_seconds": 1.0,
            "every_seconds": EVERY,
            "inventory": of,
            **fields,
        }
    )


def checked(
    vms: Iterable[VM] = (), *, at: float = 0.0, nodes: Iterable[Node] = (), **fields: Any
) -> CheckedInventory:
    """Return an inventory that passed its checks, taken *at*."""
    vms, nodes = tuple(vms), tuple(nodes)
    return CheckedInventory(
        **{
            "at": at,
            "time": TIME + timedelta(seconds=at),
            "clock": CLOCK + at,
            "written_at": at,
            "node_clocks": {},
            "vms": {one.config.uuid: one for one in vms},
            "shared_uuids": frozenset(),
            "nodes": {one.key: one for one in nodes},
            "vm_count": len(vms),
            "status_count": len(vms),
            "reported": inventory(vms, nodes=nodes),
            **fields,
        }
    )


def case(number: int = 1, **fields: Any) -> Case:
    """Return the case of the VM of that number, which is up and enrolled."""
    return Case(
        **{
            "uuid": f"u{number}",
            "key": number,
            "machine": 100 + number,
            "name": f"web-{number}",
            "policy": Policy.ON_FAILURE,
            "state": State.HEALTHY,
            "since": 0.0,
            "observed": ObservedState.UP,
            "word": "running",
            "node": 1,
            **fields,
        }
    )


def down(state: State = State.SUSPECT, **fields: Any) -> Case:
    """Return the case of a VM that is seen down for the second time at 1000 s."""
    own = {"up_at": 960.0, "trouble_at": 980.0, "times_observed": 1, "lost_at": 980.0}
    status = {"observed": ObservedState.DOWN, "word": "stopped"}
    return case(state=state, **{**own, **status, **fields})


def intent(action: Action = Action.POWER_ON, **fields: Any) -> Intent:
    """Return a start, or another action, that was accepted at 1000 s."""
    own = {"sent_at": 1000.0, "sent_position": POSITION, "reply": Reply.ACCEPTED}
    return Intent(
        **{
            "id": 1,
            "uuid": "u1",
            "vm_key": 1,
            "name": "web-1",
            "action": action,
            "prepared_at": 999.0,
            "deadline": 1120.0,
            **own,
            **fields,
        }
    )


def moment(
    at: float = 1000.0, *, gap: float = EVERY, clock: float | None = None, **fields: Any
) -> Moment:
    """Return the moment of an inventory *gap* seconds after the one before."""
    clock = CLOCK + at if clock is None else clock
    return Moment(
        **{
            "at": at,
            "clock": clock,
            "before_at": at - gap,
            "before_clock": clock - gap,
            "gap_seconds": gap,
            **fields,
        }
    )


def state(cases: Iterable[Case] = (), **fields: Any) -> RecoveryState:
    return RecoveryState(
        **{
            "cases": MappingProxyType({one.uuid: one for one in cases}),
            "enrolments": {one.uuid: ENROLLED for one in cases},
            "nodes": {},
            "health": Health(),
            "breaker": CircuitBreaker(),
            **fields,
        }
    )


def seen(
    before: Case,
    observed: ObservedState,
    of: VM | None = None,
    *,
    policy: Policy = Policy.ON_FAILURE,
    at: Moment | None = None,
) -> Case:
    """Return the case after an inventory, which goes on."""
    of = of or (vm(**DOWN) if observed is ObservedState.DOWN else vm())
    after = observe(before, of, observed, policy, at or moment(), Limits())
    assert after is not None
    return after


NO_EVIDENCE = {name: getattr(case(), name) for name in EVIDENCE}
"""The same of a VM that is up."""

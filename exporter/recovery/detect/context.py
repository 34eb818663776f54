"""The context of a diagnosis: the VM's node, settings, logs and dependencies."""

from typing import NamedTuple

from exporter.model import VM
from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import LogReading
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.observe.enrolment import matches
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.node_history import NodeHistory, lost_several
from exporter.recovery.observe.state import RecoveryState


class Logs(NamedTuple):
    """What was read of the log for a VM, and when."""

    reading: LogReading | None
    """``None``: it could not be read."""
    read_at: float
    since_clock: float
    """VergeOS' time from which on it was asked for."""
    problem: str = ""


class DiagnosisContext(NamedTuple):
    """What a diagnosis rests on besides the case."""

    at: float
    policy: Policy
    node: NodeHistory | None
    node_name: str
    node_machine: int | None
    on_power_loss: str
    powered_on: bool | None
    started_at: float | None
    """When it was started last, by VergeOS' stamp."""
    logs: Logs | None
    """``None``: not read yet."""
    own_user: str
    """Who we are in VergeOS' log; empty when that is not known."""


def diagnosis_context(
    case: Case, state: RecoveryState, inventory: CheckedInventory, logs: Logs | None, own_user: str
) -> DiagnosisContext:
    """Return what a diagnosis on *case* rests on besides the case."""
    vm = inventory.vms.get(case.uuid)
    status = vm.status if vm is not None else None
    node = inventory.nodes.get(case.node or 0)
    enrolment = state.enrolments.get(case.uuid)
    return DiagnosisContext(
        at=inventory.at,
        policy=enrolment.policy if enrolment is not None else Policy.NO,
        node=state.nodes.get(case.node or 0),
        node_name=node.name if node is not None else "its node",
        node_machine=node.machine if node is not None else None,
        on_power_loss=vm.config.on_power_loss if vm is not None else "",
        powered_on=status.powered_on if status is not None else None,
        started_at=status.started_at if status is not None else None,
        logs=logs,
        own_user=own_user,
    )


def location(case: Case, inventory: CheckedInventory) -> VMLocation:
    """Return where a VM is, by the names that people use."""
    vm = inventory.vms.get(case.uuid)
    status = vm.status if vm is not None else None
    node = inventory.nodes.get((status and status.node) or case.node or 0)
    return VMLocation(
        case.key,
        case.name,
        node.name if node is not None else "",
        cluster_of(vm, inventory) if vm is not None else "",
    )


def cluster_of(vm: VM, inventory: CheckedInventory) -> str:
    """Return the name of a VM's cluster; empty if unknown."""
    cluster = inventory.reported.clusters.get(vm.config.cluster or 0)
    return cluster.name if cluster is not None else ""


def node_hold(
    case: Case, state: RecoveryState, inventory: CheckedInventory, limits: Limits, *, at: float
) -> str:
    """Return why the VMs of its node are left alone for a while; empty when they are not."""
    history = state.nodes.get(case.node or 0, NodeHistory(None))
    dropped = lost_several(history, limits)
    if dropped is None or at - dropped >= limits.platform_seconds:
        return ""
    node = inventory.nodes.get(case.node or 0)
    name = node.name if node is not None else "its node"
    return f"several VMs of {name} went down together {at - dropped:.0f} s ago"


def waits_for(case: Case, state: RecoveryState, limits: Limits, *, at: float) -> str:
    """Return the VMs that have to be up before *case*, unless it waited long enough."""
    enrolment = state.enrolments.get(case.uuid)
    if enrolment is None or not enrolment.after or case.trouble_at is None:
        return ""
    if at - case.trouble_at >= limits.dependency_timeout_seconds:
        return ""
    return ", ".join(
        sorted(
            other.name
            for other in state.cases.values()
            if other.observed is not ObservedState.UP
            and other.policy.acts
            and other.uuid != case.uuid
            and matches(other.name, enrolment.after)
        )
    )

"""What is around one VM: its host, its setup, those it waits for, and where people look for it."""

from exporter.model import VM
from exporter.recovery.detect.context import DiagnosisContext, Logs
from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.observe.enrolment import matches
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.node_history import NodeLife, lost_several
from exporter.recovery.observe.state import RecoveryState


def diagnosis_context(
    case: Case, memory: RecoveryState, inventory: CheckedInventory, logs: Logs | None, own_user: str
) -> DiagnosisContext:
    """Return what a diagnosis on *case* rests on besides the case."""
    vm = inventory.vms.get(case.uuid)
    status = vm.status if vm is not None else None
    node = inventory.nodes.get(case.node or 0)
    enrolment = memory.enrolments.get(case.uuid)
    return DiagnosisContext(
        at=inventory.at,
        policy=enrolment.policy if enrolment is not None else Policy.NO,
        node=memory.nodes.get(case.node or 0),
        node_name=node.name if node is not None else "its node",
        node_machine=node.machine if node is not None else None,
        on_power_loss=vm.config.on_power_loss if vm is not None else "",
        powered_on=status.powered_on if status is not None else None,
        started_at=status.started_at if status is not None else None,
        logs=logs,
        own_user=own_user,
    )


def spot(case: Case, inventory: CheckedInventory) -> VMLocation:
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
    """Return the name of a VM's cluster; empty where nobody knows."""
    cluster = inventory.reported.clusters.get(vm.config.cluster or 0)
    return cluster.name if cluster is not None else ""


def node_hold(
    case: Case, memory: RecoveryState, inventory: CheckedInventory, limits: Limits, *, at: float
) -> str:
    """Return why the VMs of its node are left alone for a while; empty when they are not."""
    life = memory.nodes.get(case.node or 0, NodeLife(None))
    dropped = lost_several(life, limits)
    if dropped is None or at - dropped >= limits.platform_seconds:
        return ""
    node = inventory.nodes.get(case.node or 0)
    name = node.name if node is not None else "its node"
    return f"several VMs of {name} went down together {at - dropped:.0f} s ago"


def waits_for(case: Case, memory: RecoveryState, limits: Limits, *, at: float) -> str:
    """Return the VMs that have to be up before *case*, unless it waited long enough."""
    enrolment = memory.enrolments.get(case.uuid)
    if enrolment is None or not enrolment.after or case.trouble_at is None:
        return ""
    if at - case.trouble_at >= limits.dependency_timeout_seconds:
        return ""
    return ", ".join(
        sorted(
            other.name
            for other in memory.cases.values()
            if other.observed is not ObservedState.UP
            and other.policy.acts
            and other.uuid != case.uuid
            and matches(other.name, enrolment.after)
        )
    )

"""The context of a diagnosis: the VM's node, settings, logs and dependencies."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from exporter.model import VM
from exporter.patterns import fits
from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.observe.enrolment import cluster_name
from exporter.recovery.observe.inventory_checks import CheckedInventory, repeated
from exporter.recovery.observe.node_history import NodeHistory, lost_several
from exporter.recovery.observe.state import RecoveryState


class LogUsers(NamedTuple):
    """Whose rows are whose in the logs of VergeOS."""

    own: AbstractSet[str] = frozenset()
    """The users of the daemon and of its replicas, in lower case; empty when not known."""
    system: AbstractSet[str] = frozenset({"system"})
    """The names under which VergeOS itself writes, in lower case."""

    def is_system(self, user: str) -> bool:
        return not user or user.casefold() in self.system

    def is_own(self, user: str) -> bool:
        return user.casefold() in self.own


class Evidence(NamedTuple):
    """What was read of the logs for a VM that is down."""

    rows: Sequence[LogRow]
    """Rows that may explain it, those of each log oldest first."""
    read_at: float
    """When the logs were last read, in seconds of watch."""
    problem: str = ""
    """Why they could not be read; empty when they were."""
    gap: str = ""
    """Why rows may be missing; empty when they are complete."""
    memo: dict[str, Any] | None = None
    """Keeps what was made of these rows until they change: 200 rows of 300 VMs are 60,000."""


class DiagnosisContext(NamedTuple):
    """What a diagnosis rests on besides the case."""

    at: float
    policy: Policy
    node: NodeHistory | None
    node_name: str
    on_power_loss: str
    powered_on: bool | None
    started_at: float | None
    """When it was started last, by VergeOS' stamp."""
    logs: Evidence | None
    """``None``: not read yet."""
    users: LogUsers = LogUsers()
    places: frozenset[str] = frozenset()
    """Names of nodes and clusters, which may occur in a log row."""
    vm_names: AbstractSet[str] = frozenset()
    name_is_shared: bool = False
    """Whether its name does not tell it from other VMs: another has it, or it was renamed."""
    shares_uuid: bool = False
    """Whether another VM has the same UUID."""


def diagnosis_context(
    case: Case,
    state: RecoveryState,
    inventory: CheckedInventory,
    logs: Evidence | None,
    users: LogUsers,
    names: "LogNames",
) -> DiagnosisContext:
    """Return what a diagnosis on *case* rests on besides the case."""
    vm = inventory.vms.get(case.uuid)
    status = vm.status if vm is not None else None
    node = inventory.nodes.get(case.node or 0)
    enrolment = state.enrolments.get(case.uuid)
    return DiagnosisContext(
        at=inventory.at,
        policy=enrolment.policy if enrolment is not None else Policy.NO,
        # Without any node, what is remembered of this one says nothing of now.
        node=state.nodes.get(case.node or 0) if inventory.nodes else None,
        node_name=node.name if node is not None else "its node",
        on_power_loss=vm.config.on_power_loss if vm is not None else "",
        powered_on=status.powered_on if status is not None else None,
        started_at=status.started_at if status is not None else None,
        logs=logs,
        users=users,
        places=names.places,
        vm_names=names.vms,
        name_is_shared=case.name in names.shared or bool(case.former_names),
        shares_uuid=case.uuid in inventory.shared_uuids,
    )


class LogNames(NamedTuple):
    """The names that an inventory knows."""

    places: frozenset[str]
    """Of nodes and clusters."""
    vms: AbstractSet[str]
    shared: AbstractSet[str] = frozenset()
    """Of several VMs each."""
    of_each_vm: Sequence[str] = ()


NO_NAMES = LogNames(frozenset(), frozenset())


def log_names(inventory: CheckedInventory, before: LogNames = NO_NAMES) -> LogNames:
    """
    Return the names that may occur in rows of the logs.

    Args:
        before: Those of an earlier inventory: what is equal is the same object, which compares
            fast.

    """
    nodes = {node.name for node in inventory.nodes.values()}
    clusters = {cluster.name for cluster in inventory.reported.clusters.values()}
    vms = [vm.config.name for vm in inventory.reported.vms]
    places = frozenset(nodes | clusters)
    if places == before.places:
        places = before.places
    if vms == before.of_each_vm:  # so it nearly always is
        return before._replace(places=places)
    return LogNames(places, frozenset(vms), repeated(vms), vms)


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
    return cluster_name(vm, inventory.reported.clusters) or ""


def node_hold(
    case: Case, state: RecoveryState, inventory: CheckedInventory, limits: Limits, *, at: float
) -> str:
    """Return why the VMs of its node are left alone for a while; empty when they are not."""
    key = case.node or 0
    history = state.nodes.get(key, NodeHistory(None))
    dropped = lost_several(history, limits)
    if dropped is None or at - dropped >= limits.platform_seconds:
        return ""
    node = inventory.nodes.get(key)
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
            and fits(other.name, enrolment.after)
        )
    )

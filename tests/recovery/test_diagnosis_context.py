"""What a diagnosis and the guards learn of a VM's surroundings: users, names, node, order."""

from collections.abc import Collection
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM, Cluster, Inventory, MachineStatus, Node
from exporter.recovery.detect.context import (
    NO_NAMES,
    LogNames,
    LogUsers,
    cluster_of,
    diagnosis_context,
    location,
    log_names,
    node_hold,
    waits_for,
)
from exporter.recovery.model.cases import Case, ObservedState, Policy
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.observe.circuit_breaker import CircuitBreaker
from exporter.recovery.observe.health import Health
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.node_history import Drop, NodeHistory
from exporter.recovery.observe.state import RecoveryState
from tests.fakes import START
from tests.recovery.test_edges import CARE, DOWN, DOWN_AT, LIMITS, NOW, READ, vm

WATCH = LogUsers(frozenset({"watch"}))

NODES = {key: Node(key, f"node{key}", 1, 30 + key, None, None) for key in (1, 3, 4)}
CLUSTERS = {1: Cluster(1, "east"), 2: Cluster(2, "west")}
OFF = vm("stopped", running=False, cluster=2, on_power_loss="leave_off")


def inventory(*vms: VM, **changes: Any) -> CheckedInventory:
    reported = Inventory("stage", None, START, {}, vms, CLUSTERS, NODES, {})
    by_uuid = {one.config.uuid: one for one in vms}
    return CheckedInventory(
        NOW, START, None, NOW, {}, by_uuid, frozenset(), NODES, len(vms), len(vms), reported
    )._replace(**changes)


def state(*cases: Case, **changes: Any) -> RecoveryState:
    known = MappingProxyType({case.uuid: case for case in cases})
    return RecoveryState(known, {}, {}, Health(), CircuitBreaker())._replace(**changes)


# Users.


@pytest.mark.parametrize(
    ("user", "is_system"),
    [("", True), ("system", True), ("System", True), ("anna", False), ("system2", False)],
)
def test_row_without_a_user_is_of_vergeos_itself(user: str, *, is_system: bool) -> None:
    assert LogUsers().is_system(user) is is_system


@pytest.mark.parametrize(
    ("own", "user", "is_own"),
    [
        ({"watch"}, "watch", True),
        ({"watch"}, "WATCH", True),
        ({"watch-a", "watch-b"}, "watch-b", True),
        ({"watch"}, "anna", False),
        ({"watch"}, "", False),
        ((), "", False),  # a user that is not known is no row's
        ((), "anna", False),
    ],
)
def test_own_rows_are_known_by_the_own_user_in_any_case(
    own: Collection[str], user: str, *, is_own: bool
) -> None:
    assert LogUsers(frozenset(own)).is_own(user) is is_own


# The context of a diagnosis.


def context_of(case: Case, *, vms: tuple[VM, ...] = (OFF,), names: LogNames = NO_NAMES) -> Any:
    nodes = {1: NodeHistory(1.0), 3: NodeHistory(3.0)}
    known = state(case, enrolments={case.uuid: replace(CARE, policy=Policy.ALWAYS)}, nodes=nodes)
    return diagnosis_context(case, known, inventory(*vms), READ, WATCH, names)


def test_context_has_what_the_inventory_and_the_state_know_of_the_vm() -> None:
    names = LogNames(frozenset({"node3"}), frozenset({"web-01"}))

    found = context_of(DOWN, names=names)

    assert (found.at, found.policy, found.logs) == (NOW, Policy.ALWAYS, READ)
    assert (found.node, found.node_name) == (NodeHistory(3.0), "node3")
    assert (found.on_power_loss, found.powered_on) == ("leave_off", False)
    assert found.started_at == OFF.status.started_at == 1.0  # type: ignore[union-attr]
    assert (found.users, found.places) == (WATCH, names.places)
    assert (found.vm_names, found.name_is_shared, found.shares_uuid) == (names.vms, False, False)


def test_context_of_a_vm_without_a_status_row_or_that_is_gone() -> None:
    bare = context_of(DOWN, vms=(replace(OFF, status=None),))
    gone = context_of(DOWN, vms=())

    assert (bare.on_power_loss, bare.powered_on, bare.started_at) == ("leave_off", None, None)
    assert (gone.on_power_loss, gone.powered_on, gone.started_at) == ("", None, None)


@pytest.mark.parametrize(
    ("node", "history", "name"),
    [
        (3, NodeHistory(3.0), "node3"),
        (4, None, "node4"),
        (9, None, "its node"),
        (None, None, "its node"),
    ],
)
def test_context_without_the_node_of_the_vm_names_no_other(
    node: int | None, history: NodeHistory | None, name: str
) -> None:
    found = context_of(replace(DOWN, node=node))

    assert (found.node, found.node_name) == (history, name)


def test_vm_that_is_not_enrolled_permits_no_action() -> None:
    found = diagnosis_context(DOWN, state(DOWN), inventory(OFF), None, LogUsers(), NO_NAMES)

    assert found.policy is Policy.NO
    assert found.logs is None


@pytest.mark.parametrize(
    ("former_names", "shared", "is_shared"),
    [
        ((), {"web-01"}, True),
        ((), {"db-01"}, False),
        (("old",), set(), True),
        (("old",), {"old"}, True),
    ],
)
def test_name_that_another_vm_has_or_that_was_changed_proves_little(
    former_names: tuple[str, ...], shared: set[str], *, is_shared: bool
) -> None:
    names = LogNames(frozenset(), frozenset(), frozenset(shared))

    found = context_of(replace(DOWN, former_names=former_names), names=names)

    assert found.name_is_shared is is_shared


@pytest.mark.parametrize(("shared", "expected"), [({"u"}, True), ({"other"}, False)])
def test_context_tells_whether_another_vm_has_the_same_uuid(
    shared: set[str], *, expected: bool
) -> None:
    checked = inventory(OFF, shared_uuids=frozenset(shared))

    found = diagnosis_context(DOWN, state(DOWN), checked, READ, LogUsers(), NO_NAMES)

    assert found.shares_uuid is expected


def test_names_are_those_of_nodes_clusters_and_all_vms() -> None:
    twins = [vm("running", running=True, uuid=uuid, name="twin") for uuid in ("a", "")]

    found = log_names(inventory(OFF, *twins))

    assert found.places == {"node1", "node3", "node4", "east", "west"}
    assert found.vms == {"web-01", "twin"}
    assert found.shared == {"twin"}


def test_names_that_did_not_change_are_the_same_objects() -> None:
    first = log_names(inventory(OFF))

    again = log_names(inventory(OFF), first)
    assert again.places is first.places
    assert again.vms is first.vms

    twin = vm("running", running=True, uuid="a", name="web-01")
    later = log_names(inventory(OFF, twin), first)
    assert later.places is first.places
    assert (later.vms, later.shared) == ({"web-01"}, {"web-01"})

    east = {key: node for key, node in NODES.items() if node.name != "node1"}
    moved = log_names(inventory(OFF, nodes=east), first)
    assert moved == log_names(inventory(OFF, nodes=east))
    assert moved.places != first.places


# Where a VM is.


def status_on(node: int | None) -> MachineStatus:
    assert OFF.status is not None
    return replace(OFF.status, node=node)


@pytest.mark.parametrize(
    ("status", "last_node", "expected"),
    [
        (status_on(4), 3, "node4"),  # where it is goes before where it was
        (status_on(None), 3, "node3"),
        (None, 3, "node3"),
        (status_on(4), None, "node4"),
        (status_on(None), None, ""),
        (status_on(9), 3, ""),
    ],
)
def test_location_is_the_node_that_the_vm_is_on_or_was_on(
    status: MachineStatus | None, last_node: int | None, expected: str
) -> None:
    found = location(replace(DOWN, node=last_node), inventory(replace(OFF, status=status)))

    assert found == VMLocation(1, "web-01", expected, "west")


def test_location_of_a_vm_that_is_gone_is_its_last_node() -> None:
    assert location(DOWN, inventory()) == VMLocation(1, "web-01", "node3", "")


@pytest.mark.parametrize(("cluster", "name"), [(1, "east"), (2, "west"), (9, ""), (None, "")])
def test_cluster_is_named_if_it_is_known(cluster: int | None, name: str) -> None:
    one = vm("running", running=True, cluster=cluster)

    assert cluster_of(one, inventory(one)) == name


# What the VMs of a node wait for.

SEVERAL = NodeHistory(0.0, (Drop(1000.0, "one"), Drop(1010.0, "other")))


@pytest.mark.parametrize(
    ("at", "node", "is_held"),
    [
        (1010.0, 3, True),
        (1309.9, 3, True),
        (1310.0, 3, False),
        (1010.0, 4, False),
        (1010.0, None, False),
    ],
)
def test_vms_of_a_node_that_lost_several_are_held_for_300_seconds(
    at: float, node: int | None, *, is_held: bool
) -> None:
    case = replace(DOWN, node=node)
    known = state(case, nodes={3: SEVERAL, 4: NodeHistory(0.0, SEVERAL.drops[:1])})

    held = node_hold(case, known, inventory(OFF), LIMITS, at=at)

    assert held == (f"several VMs of node3 went down together {at - 1010:.0f} s ago" * is_held)


def test_node_that_lost_several_vms_and_is_not_listed_has_no_name() -> None:
    case = replace(DOWN, node=9)

    held = node_hold(case, state(case, nodes={9: SEVERAL}), inventory(OFF), LIMITS, at=1020.0)

    assert held == "several VMs of its node went down together 10 s ago"


def test_vm_without_a_known_node_is_not_held_by_a_node() -> None:
    case = replace(DOWN, node=None)

    assert node_hold(case, state(case, nodes={1: SEVERAL}), inventory(), LIMITS, at=1020.0) == ""


# Start order.

AFTER = replace(CARE, after=("db-*", "dns"))
DB = replace(DOWN, uuid="db", name="db-01")


def waiting(
    *others: Case, case: Case = DOWN, enrolment: Any = AFTER, at: float = DOWN_AT + 10.0
) -> str:
    enrolments = {case.uuid: enrolment} if enrolment is not None else {}
    return waits_for(case, state(case, *others, enrolments=enrolments), LIMITS, at=at)


@pytest.mark.parametrize("observed", [one for one in ObservedState if one is not ObservedState.UP])
def test_vm_waits_for_the_enrolled_vms_that_go_before_it_and_are_not_up(
    observed: ObservedState,
) -> None:
    assert waiting(replace(DB, observed=observed)) == "db-01"


def test_vms_that_a_vm_waits_for_are_named_in_order() -> None:
    dns = replace(DB, uuid="dns", name="dns")

    assert waiting(dns, DB, replace(DB, uuid="x", name="app")) == "db-01, dns"


@pytest.mark.parametrize(
    "change",
    [
        {"observed": ObservedState.UP},
        {"policy": Policy.NO},  # recovery never starts it: that would be for ever
        {"policy": Policy.IGNORE},
        {"name": "app-01"},
    ],
)
def test_vm_waits_for_no_vm_that_is_up_or_not_enrolled_or_not_named(change: dict[str, Any]) -> None:
    assert waiting(replace(DB, **change)) == ""


def test_vm_does_not_wait_for_itself() -> None:
    assert waiting(case=replace(DOWN, name="db-01")) == ""
    assert waiting(DB, case=replace(DOWN, name="db-02")) == "db-01"


@pytest.mark.parametrize(("lasted", "expected"), [(0.0, "db-01"), (599.9, "db-01"), (600.0, "")])
def test_vm_waits_600_seconds_at_most(lasted: float, expected: str) -> None:
    assert waiting(DB, at=DOWN_AT + lasted) == expected


@pytest.mark.parametrize(
    ("case", "enrolment"),
    [
        (DOWN, None),
        (DOWN, CARE),
        (replace(DOWN, trouble_at=None), AFTER),
    ],
)
def test_vm_that_is_not_enrolled_or_not_down_waits_for_none(case: Case, enrolment: Any) -> None:
    assert waiting(DB, case=case, enrolment=enrolment) == ""

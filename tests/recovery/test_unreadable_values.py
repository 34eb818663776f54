"""A VM of which a deciding value cannot be read is not seen in that poll, and no other VM is."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM, Cluster
from exporter.recovery.model.cases import Cause, ObservedState, Policy
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.observe.readable_rows import as_recorded
from tests.recovery.harness import ENFORCE, Harness
from tests.recovery.inventory_values import config, inventory, node, row, vm
from tests.recovery.test_scenarios import ENOUGH, cause, on_different_nodes

API = "/api/v4/"
ODD: dict[str, bytes] = {
    "another type": b"[]",
    "NaN": b"NaN",
    "half a surrogate": b'"\\ud800"',
    "Latin-1": b'"M\xfcnchen"',
}

OF_VM = (
    *("cluster", "disable_powercycle", "enabled", "ha_group", "is_snapshot", "name"),
    *("on_power_loss", "service", "uuid"),
)
OF_NODE = ("machine", "maintenance", "name")
OF_STATUS = ("last_update", "node", "powerstate", "running", "started", "state", "status")

Matches = Callable[[dict[str, Any]], bool]


def spoil(harness: Harness, table: str, field: str, matches: Matches, value: bytes = b"[]") -> None:
    """Let a field be unreadable in the rows of a table that match, from now on."""

    def spoiled(path: str, body: bytes) -> bytes:
        if path != API + table:
            return body
        rows = [row | {field: "ODD"} if matches(row) else row for row in json.loads(body)]
        return json.dumps(rows).encode().replace(b'"ODD"', value)

    harness.line.spoil = spoiled


def mend(harness: Harness) -> None:
    harness.line.spoil = lambda _path, body: body


def of_vm(harness: Harness, name: str) -> Matches:
    key = harness.world.vm(name).key
    return lambda row: row.get("$key") == key


def of_machine(harness: Harness, name: str) -> Matches:
    machine = harness.world.vm(name).machine.key
    return lambda row: row.get("machine") == machine


@pytest.mark.parametrize(
    ("field", "value"),
    # A service is a reference of any shape, and an empty list none.
    [(field, value) for field in OF_VM for value in ODD.values()
     if (field, value) != ("service", b"[]")],
    ids=repr,
)  # fmt: skip
def test_vm_with_an_unreadable_configuration_is_not_started_and_others_are(
    field: str, value: bytes
) -> None:
    harness = Harness().warm()
    odd, other = on_different_nodes(harness)[:2]
    spoil(harness, "vms", field, of_vm(harness, odd), value)
    harness.advance(80)

    harness.world.crash(odd)
    harness.world.crash(other)
    harness.advance(ENOUGH)

    assert harness.asked(odd) == []
    assert len(harness.asked(other)) == 1
    assert harness.case(odd).observed is ObservedState.GONE


@pytest.mark.parametrize("field", OF_STATUS)
@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_vm_with_an_unreadable_status_is_not_started_and_others_are(
    field: str, value: bytes
) -> None:
    harness = Harness().warm()
    odd, other = on_different_nodes(harness)[:2]
    spoil(harness, "machine_status", field, of_machine(harness, odd), value)

    harness.world.crash(odd)
    harness.world.crash(other)
    harness.advance(ENOUGH)

    assert harness.asked(odd) == []
    assert len(harness.asked(other)) == 1
    assert harness.case(odd).observed is ObservedState.GONE


@pytest.mark.parametrize(
    ("table", "field"),
    [("vms", "machine_type"), ("vms", "need_restart"), ("machine_status", "agent_version")],
)
def test_unreadable_value_that_decides_nothing_prevents_no_start(table: str, field: str) -> None:
    harness = Harness().warm()
    spoil(harness, table, field, lambda _row: True)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert len(harness.asked("web-01")) == 1


@pytest.mark.parametrize("field", OF_VM)
def test_recorded_configuration_is_the_last_of_which_all_was_readable(field: str) -> None:
    before = inventory([VM(config(1, modified_at=1.0), row(1))])
    odd = config(1, modified_at=2.0, unreadable=frozenset({field}))

    recorded = as_recorded(inventory([VM(odd, row(1))]), before)

    assert recorded.vms == (VM(before.vms[0].config, None),)


@pytest.mark.parametrize("field", OF_NODE)
def test_node_with_an_unreadable_value_is_not_recorded(field: str) -> None:
    odd = replace(node(1), unreadable=frozenset({field}))

    recorded = as_recorded(inventory([vm(1)], nodes=[odd, node(2)]), None)

    assert recorded.nodes.keys() == {2}


def test_unreadable_status_is_not_recorded() -> None:
    odd = frozenset({"running"})
    reported = inventory([vm(1, unreadable=odd)], nodes=[node(3, unreadable=odd)])

    recorded = as_recorded(reported, None)

    assert recorded.vms == (VM(config(1), None),)
    assert recorded.nodes == {}


def test_recorded_name_of_a_cluster_is_the_last_that_was_readable() -> None:
    before = inventory(clusters=[Cluster(1, "east"), Cluster(2, "west")])
    odd = Cluster(1, "", unreadable=frozenset({"name"}))

    recorded = as_recorded(inventory(clusters=[odd, Cluster(2, "north")]), before)

    assert recorded.clusters == {1: Cluster(1, "east"), 2: Cluster(2, "north")}


@pytest.mark.parametrize("field", ["uuid", "name", "is_snapshot", "service"])
def test_vm_stays_known_however_long_it_cannot_be_read(field: str) -> None:
    harness = Harness().warm()
    before = harness.case("web-01")
    spoil(harness, "vms", field, of_vm(harness, "web-01"))
    harness.advance(1200)
    assert harness.case("web-01").uuid == before.uuid

    mend(harness)
    harness.advance(120)
    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert len(harness.asked("web-01")) == 1


def test_vm_that_a_rule_forbids_by_name_is_not_started_while_its_name_is_unreadable() -> None:
    rules = (
        EnrolmentRule(names=("web-01",), policy=Policy.NO),
        EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE),
    )
    harness = Harness(tags={}, setup=ENFORCE._replace(enrolment_rules=rules))
    spoil(harness, "vms", "name", of_vm(harness, "web-01"))
    harness.warm()

    harness.world.crash("web-01")
    harness.world.crash("web-02")
    harness.advance(ENOUGH)

    assert harness.asked("web-01") == []
    assert len(harness.asked("web-02")) == 1


@pytest.mark.parametrize("field", ["tag_name", "category_name"])
def test_vm_of_which_a_tag_is_unreadable_is_not_started(field: str) -> None:
    rules = (EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE),)
    harness = Harness(
        tags={"web-01": ["recovery/no"]}, setup=ENFORCE._replace(enrolment_rules=rules)
    )
    spoil(harness, "tag_members", field, lambda row: row.get("tag_name") == "no")
    harness.warm()

    harness.world.crash("web-01")
    harness.world.crash("web-02")
    harness.advance(ENOUGH)

    assert harness.asked("web-01") == []
    assert len(harness.asked("web-02")) == 1


def test_tag_that_does_not_name_its_vm_prevents_the_start_of_that_vm_alone() -> None:
    rules = (EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE),)
    harness = Harness(
        tags={"web-01": ["recovery/no"]}, setup=ENFORCE._replace(enrolment_rules=rules)
    )
    spoil(harness, "tag_members", "member", lambda row: row.get("tag_name") == "no")
    harness.warm()

    harness.world.crash("web-01")
    harness.world.crash("web-02")
    harness.advance(ENOUGH)

    assert harness.asked("web-01") == []
    assert len(harness.asked("web-02")) == 1


@pytest.mark.parametrize("field", OF_NODE)
def test_vm_of_a_node_that_is_unreadable_is_not_started_and_others_are(field: str) -> None:
    harness = Harness().warm()
    odd, other = on_different_nodes(harness)[:2]
    node = harness.world.vm(odd).machine.status.node
    spoil(harness, "nodes", field, lambda row: row.get("$key") == node)
    harness.advance(700)

    harness.world.crash(odd)
    harness.world.crash(other)
    harness.advance(ENOUGH)

    assert harness.asked(odd) == []
    assert cause(harness, odd) is Cause.NODE_IN_TROUBLE
    assert len(harness.asked(other)) == 1


def test_vm_of_a_cluster_without_a_readable_name_is_not_started() -> None:
    harness = Harness().warm()
    spoil(harness, "clusters", "name", lambda _row: True)
    harness.advance(700)

    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert harness.asked() == []


@pytest.mark.parametrize("field", sorted({"uuid", "enabled", "running", "status", "service"}))
def test_value_that_becomes_unreadable_just_before_the_action_prevents_it(field: str) -> None:
    harness = Harness().warm()
    key = harness.world.vm("web-01").key

    def spoiled(path: str, body: bytes) -> bytes:
        rows = json.loads(body) if path == API + "vms" else []
        is_read_again = len(rows) == 1 and rows[0]["$key"] == key
        return json.dumps([rows[0] | {field: math.nan}]).encode() if is_read_again else body

    harness.line.spoil = spoiled
    harness.world.crash("web-01")
    harness.advance(ENOUGH)

    assert harness.asked("web-01") == []


@pytest.mark.parametrize("share", [0.4, 0.5])
def test_many_unreadable_vms_do_not_keep_the_others_from_being_started(share: float) -> None:
    harness = Harness(vms=20).warm()
    names = harness.names
    odd, crashed = names[: int(share * len(names))], names[-1]
    keys = {harness.world.vm(name).machine.key for name in odd}
    spoil(harness, "machine_status", "started", lambda row: row["machine"] in keys, b'""')
    harness.advance(80)

    harness.world.crash(crashed)
    harness.advance(ENOUGH)

    assert len(harness.asked(crashed)) == 1


def test_inventory_of_which_most_vms_are_unreadable_is_rejected() -> None:
    harness = Harness().warm()
    spoil(harness, "machine_status", "started", lambda row: row["machine"] != 101, b'""')
    harness.advance(80)

    problem = harness.recovery.state.health.problem
    assert problem is not None
    assert problem.reason == "unreadable"
    assert "values that decide cannot be read of" in problem.detail


# The rows of the logs


def spoil_logs(harness: Harness, field: str, about: str) -> None:
    """Let a field be unreadable in the rows that both logs get about a VM from now on."""
    machine = harness.world.vm(about).machine.key
    newest = dict.fromkeys(("machine_logs", "logs"), 0)

    def spoiled(path: str, body: bytes) -> bytes:
        table = path.removeprefix(API)
        if table not in newest:
            return body
        rows = json.loads(body)
        for one in rows:
            is_about = one.get("machine") == machine or one.get("object_name") == about
            if one["$key"] > newest[table] and is_about:
                one[field] = "ODD"
        return json.dumps(rows).encode().replace(b'"ODD"', b'"\\ud800"')

    harness.line.spoil = spoiled


def test_stop_with_an_unreadable_text_is_doubt_for_its_vm_alone() -> None:
    harness = Harness().warm()
    odd, other = on_different_nodes(harness)[:2]
    spoil_logs(harness, "text", odd)

    harness.world.operator_stops(harness.world.vm(odd), graceful=False)
    harness.world.crash(other)
    harness.advance(ENOUGH)

    assert harness.asked(odd) == []
    assert cause(harness, odd) is Cause.LOGS_UNCLEAR
    assert len(harness.asked(other)) == 1


def test_stop_by_an_unreadable_user_is_a_stop() -> None:
    harness = Harness().warm()
    spoil_logs(harness, "user", "web-01")

    harness.world.operator_stops(harness.world.vm("web-01"), graceful=False)
    harness.advance(ENOUGH)

    assert harness.asked("web-01") == []
    assert cause(harness, "web-01") is Cause.STOPPED_BY_PERSON


@pytest.mark.parametrize("field", ["machine", "object_name"])
def test_stop_of_an_unreadable_vm_is_doubt_for_those_that_went_down_then(field: str) -> None:
    harness = Harness().warm()
    odd, later = on_different_nodes(harness)[:2]
    spoil_logs(harness, field, odd)

    harness.world.operator_stops(harness.world.vm(odd), graceful=False)
    harness.advance(ENOUGH)
    assert harness.asked(odd) == []

    harness.world.crash(later)
    harness.advance(ENOUGH)
    assert len(harness.asked(later)) == 1


def test_unreadable_text_is_never_learned_as_harmless() -> None:
    harness = Harness().warm()
    spoil_logs(harness, "text", "web-01")
    harness.world.operator_stops(harness.world.vm("web-01"), graceful=False)
    harness.advance(ENOUGH)

    known = harness.recovery.learner.experience.templates
    assert not [template for template in known if "unreadable" in template]


def test_unreadable_time_of_a_row_changes_nothing() -> None:
    harness = Harness().warm()
    odd, other = on_different_nodes(harness)[:2]
    spoil_logs(harness, "timestamp", odd)

    harness.world.operator_stops(harness.world.vm(odd), graceful=False)
    harness.world.crash(other)
    harness.advance(ENOUGH)

    assert cause(harness, odd) is Cause.STOPPED_BY_PERSON
    assert len(harness.asked(other)) == 1

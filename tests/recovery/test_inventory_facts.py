"""Which facts the history records, so that a backtest sees what recovery saw."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM, Cluster, Inventory, Node, PlatformStatus
from exporter.recovery.model.history import FactKind, FactValues, NodeFact, StatusFact, VMFact
from exporter.recovery.observe.inventory_facts import (
    NewFact,
    all_facts,
    changed,
    changed_since,
    encode,
    node_fact,
    status_fact,
    vm_fact,
)
from tests.recovery.inventory_values import CLOCK, DOWN, config, inventory, node, row, vm

TAGS: Mapping[int, frozenset[str]] = {1: frozenset({"team/web", "recovery/auto"})}
PLATFORM = PlatformStatus(update="installing")
NODE_WITHOUT_STATUS = replace(node(2), status=None)
CLUSTER = Cluster(7, "prod")


def shown(
    vms: Iterable[VM] = (vm(1), VM(config(2), None)),
    nodes: Iterable[Node] = (node(1), NODE_WITHOUT_STATUS),
    clusters: Iterable[Cluster] = (CLUSTER,),
    platform: PlatformStatus = PLATFORM,
) -> Inventory:
    return inventory(vms, nodes=nodes, clusters=clusters, platform=platform)


BEFORE = shown()
ALL = {
    (FactKind.VM, "1"): encode(vm_fact(vm(1), TAGS)),
    (FactKind.VM, "2"): encode(vm_fact(vm(2), TAGS)),
    (FactKind.STATUS, "1"): encode(status_fact(row())),
    (FactKind.NODE, "1"): encode(node_fact(node(1))),
    (FactKind.NODE, "2"): encode(node_fact(NODE_WITHOUT_STATUS)),
    (FactKind.CLUSTER, "7"): '"prod"',
    (FactKind.PLATFORM, ""): encode(PLATFORM),
}


def news(facts: Iterable[NewFact]) -> FactValues:
    """Return the facts by kind and key; none may come twice."""
    found = list(facts)
    by_key: dict[Any, Any] = {(kind, key): value for kind, key, value in found}
    assert len(by_key) == len(found)
    return by_key


# What a fact holds.


def test_fact_of_a_vm_has_its_configuration_and_sorted_tags() -> None:
    of = VM(config(on_power_loss="last", ha_group="g", failover_cluster=8), row())

    assert vm_fact(of, TAGS) == VMFact(
        machine=101,
        name="web-1",
        uuid="u1",
        enabled=True,
        memory_bytes=4,
        cluster=7,
        failover_cluster=8,
        ha_group="g",
        on_power_loss="last",
        service=False,
        disable_powercycle=False,
        tags=("recovery/auto", "team/web"),
    )
    assert vm_fact(of, {2: frozenset({"a"})}).tags == ()


def test_facts_of_a_status_and_a_node_have_what_recovery_reads() -> None:
    status = StatusFact(
        running=True,
        powered_on=True,
        word="running",
        state="online",
        node=1,
        started_at=CLOCK - 5000,
    )

    assert status_fact(row()) == status
    assert node_fact(node(1)) == NodeFact("node1", 7, 901, maintenance=False, status=status)
    assert node_fact(NODE_WITHOUT_STATUS).status is None


def test_all_facts_are_those_of_vms_statuses_nodes_clusters_and_the_platform() -> None:
    assert news(all_facts(BEFORE, TAGS)) == ALL


# What changed since the journal.


def test_nothing_changed_since_the_journal_has_every_fact() -> None:
    assert news(changed_since(ALL, BEFORE, TAGS)) == {}


def test_journal_without_facts_gets_them_all() -> None:
    assert news(changed_since({}, BEFORE, TAGS)) == ALL


@pytest.mark.parametrize("fact", ALL)
def test_fact_that_differs_from_the_journal_is_new_and_one_not_in_the_inventory_is_gone(
    fact: tuple[FactKind, str],
) -> None:
    kind, _ = fact
    gone: FactValues = {(kind, "99"): "1"}

    assert news(changed_since({**ALL, fact: "1"}, BEFORE, TAGS)) == {fact: ALL[fact]}
    assert news(changed_since({**ALL, **gone}, BEFORE, TAGS)) == {(kind, "99"): None}


@pytest.mark.parametrize("kind", [FactKind.LEARNED, FactKind.SYSTEM, FactKind.SILENCE])
def test_fact_of_something_else_than_the_inventory_stays(kind: FactKind) -> None:
    assert news(changed_since({**ALL, (kind, "1"): "1"}, BEFORE, TAGS)) == {}


# What changed from one inventory to the next.


def after(of: Inventory, tags: Mapping[int, frozenset[str]] = TAGS) -> FactValues:
    return news(changed(BEFORE, of, TAGS, tags))


def test_same_inventory_has_no_news() -> None:
    assert after(BEFORE) == {}
    assert after(shown(), dict(TAGS)) == {}


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"word": "needsrestart"}, [FactKind.STATUS]),
        ({"running": None}, [FactKind.STATUS]),
        ({"node": 2}, [FactKind.STATUS]),
        ({"started_at": 5.0}, [FactKind.STATUS]),
        ({"powered_on": False}, [FactKind.STATUS]),
        ({"state": "error"}, [FactKind.STATUS]),
        ({"updated_at": CLOCK + 20}, []),  # it changes with every poll
    ],
)
def test_status_is_news_when_a_field_changed_that_recovery_reads(
    changes: dict[str, Any], kinds: list[FactKind]
) -> None:
    changed_vm = VM(BEFORE.vms[0].config, row(**changes))

    found = after(shown([changed_vm, BEFORE.vms[1]]))

    assert found == {(kind, "1"): encode(status_fact(row(**changes))) for kind in kinds}


def test_status_that_comes_or_goes_is_news() -> None:
    first, second = BEFORE.vms
    came = VM(second.config, row(2, **DOWN))

    assert after(shown([first, came])) == {
        (FactKind.STATUS, "2"): encode(status_fact(row(2, **DOWN)))
    }
    assert after(shown([VM(first.config, None), second])) == {(FactKind.STATUS, "1"): None}


def test_configuration_is_news_when_a_field_changed_that_recovery_reads() -> None:
    first, second = BEFORE.vms
    renamed = VM(replace(first.config, name="new"), first.status)
    resized = VM(replace(first.config, cpu_cores=64), first.status)

    assert after(shown([renamed, second])) == {(FactKind.VM, "1"): encode(vm_fact(renamed, TAGS))}
    assert after(shown([resized, second])) == {}


@pytest.mark.parametrize(
    ("tags", "keys"),
    [
        ({}, {"1"}),
        ({1: frozenset({"recovery/never"})}, {"1"}),
        ({**TAGS, 2: frozenset({"a/b"})}, {"2"}),
        ({**TAGS, 3: frozenset({"a/b"})}, set()),
    ],
)
def test_tags_are_news_of_their_vm(tags: Mapping[int, frozenset[str]], keys: set[str]) -> None:
    found = after(shown(BEFORE.vms), tags)

    assert found == {
        (FactKind.VM, key): encode(vm_fact(BEFORE.vms[int(key) - 1], tags)) for key in keys
    }


def test_vms_that_come_and_go_are_news_in_the_order_of_their_keys() -> None:
    new = [vm(4, **DOWN), vm(3)]
    found = changed(BEFORE, shown([*new, BEFORE.vms[1]]), TAGS, TAGS)

    assert list(found) == [
        (FactKind.VM, "1", None),
        (FactKind.STATUS, "1", None),
        *(
            fact
            for one in reversed(new)
            for fact in (
                (FactKind.VM, str(one.config.key), encode(vm_fact(one, TAGS))),
                (FactKind.STATUS, str(one.config.key), encode(status_fact(one.status or row()))),
            )
        ),
    ]


def test_vm_without_a_status_that_goes_is_one_news() -> None:
    assert after(shown(BEFORE.vms[:1])) == {(FactKind.VM, "2"): None}


@pytest.mark.parametrize(
    ("of", "found"),
    [
        ({"nodes": [node(1), NODE_WITHOUT_STATUS]}, {}),
        ({"nodes": [node(1, updated_at=CLOCK + 20), NODE_WITHOUT_STATUS]}, {}),
        (
            {"nodes": [node(1, maintenance=True), NODE_WITHOUT_STATUS]},
            {(FactKind.NODE, "1"): encode(node_fact(node(1, maintenance=True)))},
        ),
        ({"nodes": [node(1)]}, {(FactKind.NODE, "2"): None}),
        (
            {"nodes": [node(1), NODE_WITHOUT_STATUS, node(3)]},
            {(FactKind.NODE, "3"): encode(node_fact(node(3)))},
        ),
        ({"clusters": [Cluster(7, "prod")]}, {}),
        ({"clusters": [Cluster(7, "lab")]}, {(FactKind.CLUSTER, "7"): '"lab"'}),
        ({"clusters": []}, {(FactKind.CLUSTER, "7"): None}),
        ({"platform": PlatformStatus(update="installing")}, {}),
        (
            {"platform": PlatformStatus()},
            {(FactKind.PLATFORM, ""): encode(PlatformStatus())},
        ),
    ],
)
def test_nodes_clusters_and_platform_are_news_when_they_changed(
    of: dict[str, Any], found: FactValues
) -> None:
    assert after(shown(BEFORE.vms, **of)) == found


@pytest.mark.parametrize("tags", [TAGS, {}, {2: frozenset({"a/b"})}])
def test_changes_lead_from_the_facts_of_one_inventory_to_those_of_the_next(
    tags: Mapping[int, frozenset[str]],
) -> None:
    later = shown([vm(1, **DOWN), vm(3)], [node(1, word="maintenance")], [], PlatformStatus())

    facts: dict[Any, Any] = {**ALL, **news(changed(BEFORE, later, TAGS, tags))}

    kept = {fact: value for fact, value in facts.items() if value is not None}
    assert kept == news(all_facts(later, tags))

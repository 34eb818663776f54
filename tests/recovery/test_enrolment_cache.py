"""Enrolments are worked out again exactly when something they depend on changed."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import Cluster, Inventory
from exporter.recovery.model.cases import Enrolment, Policy
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.observe.enrolment_cache import TAGS_UNREAD, EnrolmentCache
from tests.recovery.inventory_values import ENROLLED, inventory, poll, vm

RULES = (EnrolmentRule(policy=Policy.ALWAYS),)
CLUSTER_RULES = (*RULES, EnrolmentRule(clusters=("prod",), policy=Policy.ALWAYS))
TABLES: dict[str, object] = {"vms": object(), "tags": object(), "clusters": object()}
PROD = Cluster(7, "prod")
CURRENT: dict[str, Enrolment] = {"u9": ENROLLED}


def shown(tables: dict[str, object] | None = None, **fields: Any) -> Inventory:
    sources = TABLES if tables is None else tables
    return inventory([vm()], sources=sources, clusters=[PROD], **fields)


def test_enrolments_are_kept_while_the_tables_are_the_same_objects() -> None:
    cache = EnrolmentCache(RULES)

    found = cache.enrolments(shown(), CURRENT)
    again = cache.enrolments(shown({**TABLES, "nodes": object()}), CURRENT)

    assert found["u1"].policy is Policy.ALWAYS
    assert again is CURRENT


@pytest.mark.parametrize("table", TABLES)
def test_enrolments_are_worked_out_again_when_a_table_changes(table: str) -> None:
    cache = EnrolmentCache(RULES)
    cache.enrolments(shown(), CURRENT)

    found = cache.enrolments(shown({**TABLES, table: object()}), CURRENT)

    assert found.keys() == {"u1"}


def test_enrolments_are_kept_while_the_tags_or_the_inventory_cannot_be_read() -> None:
    cache = EnrolmentCache(RULES)
    cache.checked(poll(shown()), {})
    cache.enrolments(shown(), CURRENT)

    for seen, problem in ((None, ""), (shown({}, tags=None), TAGS_UNREAD), (shown(), "")):
        cache.checked(poll(seen), {})
        assert cache.enrolments(seen, CURRENT) is CURRENT
        assert cache.problem == problem


def test_enrolments_are_kept_while_clusters_that_a_rule_names_cannot_be_read() -> None:
    cache = EnrolmentCache(CLUSTER_RULES)
    cache.enrolments(shown(), CURRENT)
    stale = {name: table for name, table in TABLES.items() if name != "clusters"}

    assert cache.enrolments(shown(stale), CURRENT) is CURRENT
    assert "clusters" in cache.clusters_problem
    assert cache.enrolments(shown(), CURRENT) is CURRENT
    assert not cache.clusters_problem
    assert EnrolmentCache(RULES).enrolments(shown(stale), CURRENT) is not CURRENT


def test_reset_works_out_everything_again() -> None:
    cache = EnrolmentCache(RULES)
    cache.enrolments(shown(), CURRENT)

    cache.reset()

    assert cache.enrolments(shown(), CURRENT).keys() == {"u1"}


def test_tables_of_a_rejected_poll_are_forgotten() -> None:
    cache = EnrolmentCache(RULES)
    newer = {**TABLES, "tags": object()}
    cache.enrolments(shown(), CURRENT)
    cache.enrolments(shown(newer), CURRENT)

    cache.undo()

    assert cache.enrolments(shown(newer), CURRENT).keys() == {"u1"}
    cache.undo()
    assert cache.enrolments(shown(), CURRENT) is CURRENT


def test_rejected_poll_without_an_inventory_undoes_no_other() -> None:
    cache = EnrolmentCache(RULES)
    cache.enrolments(shown(), CURRENT)
    cache.enrolments(None, CURRENT)

    cache.undo()

    assert cache.enrolments(shown(), CURRENT) is CURRENT


@pytest.mark.parametrize(
    ("rules", "clusters", "tags", "usable"),
    [
        (RULES, {}, {}, True),
        (RULES, {}, None, False),
        (CLUSTER_RULES, {}, {}, False),
        (CLUSTER_RULES, {7: PROD}, {}, True),
        (CLUSTER_RULES, {7: PROD}, None, False),
    ],
)
def test_first_inventory_counts_once_the_tags_and_the_clusters_of_rules_were_read(
    rules: tuple[EnrolmentRule, ...], clusters: dict[int, Cluster], tags: Any, usable: bool
) -> None:
    cache = EnrolmentCache(rules)
    tables: dict[str, object] = {"clusters": clusters} if clusters else {}
    first = poll(replace(shown(tables, tags=tags), clusters=clusters))

    found = cache.checked(first, {})

    if usable:
        assert found is first
    else:
        assert found.inventory is None
        assert ("clusters" if tags is not None else "tags") in found.problem
        assert found._replace(inventory=first.inventory, problem="") == first


def test_later_inventory_counts_without_tags_and_clusters() -> None:
    cache = EnrolmentCache(CLUSTER_RULES)
    cache.enrolments(shown(), CURRENT)
    later, unread = poll(shown({}, tags=None)), poll(None, problem="no answer")

    assert cache.checked(later, {}) is later
    assert cache.checked(unread, {}) is unread
    assert EnrolmentCache(RULES).checked(unread, {}) is unread

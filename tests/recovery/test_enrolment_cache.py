"""Enrolments are worked out again exactly when something they depend on changed."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM, Cluster, Inventory
from exporter.recovery.model.cases import Enrolment, Policy
from exporter.recovery.observe.enrolment import NOT_ENROLLED, EnrolmentRule, enrol_all
from exporter.recovery.observe.enrolment_cache import TAGS_UNREAD, EnrolmentCache
from tests.recovery.inventory_values import ENROLLED, case, config, inventory, poll, row, vm

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


# Tags that look lost.

ENROLLS_NOBODY: tuple[EnrolmentRule, ...] = ()


def tagged(count: int) -> Inventory:
    """Return an inventory of five VMs, of which so many have a tag."""
    tags = {number: frozenset({"recovery/never"}) for number in range(1, count + 1)}
    return inventory([vm(number) for number in range(1, 6)], sources=dict(TABLES), tags=tags)


@pytest.mark.parametrize(
    ("rules", "before", "policy", "is_lost"),
    [
        (ENROLLS_NOBODY, 0, Policy.NO, False),
        (ENROLLS_NOBODY, 2, Policy.NO, False),  # an operator may have removed them
        (ENROLLS_NOBODY, 3, Policy.NO, True),
        (RULES, 0, Policy.NO, False),
        (RULES, 1, Policy.NO, True),  # a rule would enroll a VM that its tag forbade
        (RULES, 1, Policy.ON_FAILURE, False),
    ],
)
def test_answer_without_any_tag_counts_as_unread_where_it_looks_like_a_fault(
    rules: tuple[EnrolmentRule, ...], before: int, policy: Policy, *, is_lost: bool
) -> None:
    cache, cases = EnrolmentCache(rules), {"u1": case(1, policy=policy)}
    cache.checked(poll(tagged(before)), cases)
    cache.enrolments(tagged(before), {})

    found = cache.checked(poll(tagged(0)), cases)

    assert found.inventory is not None
    assert (found.inventory.tags is None) is is_lost
    assert (f"{before} VM" in cache.problem) is is_lost


@pytest.mark.parametrize("tags_before", [0, 5])
def test_first_or_accepted_answer_without_any_tag_is_believed(tags_before: int) -> None:
    cache, cases = EnrolmentCache(RULES), {"u1": case(1, policy=Policy.NO)}
    if tags_before:
        cache.enrolments(tagged(tags_before), {})
        cache.accept()

    assert cache.checked(poll(tagged(0)), cases).inventory == tagged(0)


# Rules that change.


@pytest.mark.parametrize(
    ("before", "after", "waits"), [(RULES, CLUSTER_RULES, True), (CLUSTER_RULES, RULES, False)]
)
def test_changed_rules_need_the_clusters_that_they_name(
    before: tuple[EnrolmentRule, ...], after: tuple[EnrolmentRule, ...], *, waits: bool
) -> None:
    cache = EnrolmentCache(before)
    cache.enrolments(shown(), CURRENT)
    assert cache.names_clusters is not waits

    cache.use(after)

    assert cache.names_clusters is waits
    assert cache.problem
    no_clusters = replace(shown(), clusters={})
    assert (cache.checked(poll(no_clusters), {}).inventory is None) is waits
    assert bool(cache.clusters_problem) is waits
    assert (cache.enrolments(no_clusters, CURRENT) is CURRENT) is waits


# VMs whose configuration cannot be read.


@pytest.mark.parametrize(
    ("unreadable", "uuids"),
    [(frozenset({"name"}), {"u1", "u2"}), (frozenset({"uuid"}), {"u1", "u2", "u9"})],
)
def test_vm_that_cannot_be_read_stays_enrolled_as_it_was(
    unreadable: frozenset[str], uuids: set[str]
) -> None:
    current = {"u1": ENROLLED, "u9": ENROLLED}
    unread = [VM(config(number, unreadable=unreadable), row(number)) for number in (1, 2)]

    found = enrol_all(inventory(unread), RULES, current)

    assert found == {"u2": NOT_ENROLLED} | dict.fromkeys(uuids - {"u2"}, ENROLLED)

"""Which VMs a query finds, and in which order: checked against a search that is plain and slow."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.console.fleet import VMEntry
from exporter.console.vm_condition import Condition
from exporter.console.vm_query import (
    COLUMNS,
    FILTERS,
    MAX_TEXT,
    PAGE_SIZE,
    SORTS,
    Enrolment,
    FoundVMs,
    InvalidQueryError,
    VMQuery,
    VMSearch,
    parse_query,
    query_string,
)
from exporter.recovery.model.cases import Cause
from exporter.recovery.model.states import State
from tests.console.entries import vm

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = st.sampled_from(["", "web", "WEB-1", "node1", "Node1", "straße", "db 1", "=1+1", "a\nb"])
TAGS = st.sampled_from(["env/prod", "env/Test", "tier/web", "env"])
VMS = st.builds(
    vm,
    name=TEXTS,
    key=st.integers(1, 5),
    system=st.sampled_from(["north", "south"]),
    condition=st.sampled_from(Condition),
    status=st.sampled_from(["", "running", "stopped"]),
    node=TEXTS,
    cluster=TEXTS,
    tags=st.lists(TAGS, max_size=3, unique=True).map(lambda tags: tuple(sorted(tags))),
    addresses=st.sampled_from([(), ("10.0.0.10",), ("10.0.0.9", "fd00::1"), ("fd00::1",)]),
    cores=st.none() | st.integers(1, 3),
    memory_bytes=st.none() | st.integers(1, 3),
    cpu_ratio=st.none() | st.floats(0, 1),
    recovery_state=st.sampled_from(["", *State]),
    policy=st.sampled_from(["", "no", "on-failure", "ignore"]),
    cause=st.sampled_from(["", *Cause]),
    failed_guard=st.sampled_from(["", "circuit_breaker_closed"]),
    down_since=st.none() | st.integers(0, 3).map(lambda hours: AT + timedelta(hours=hours)),
)
FLEETS = st.lists(VMS, max_size=12).map(tuple)
FILTER_VALUES: dict[str, st.SearchStrategy[object]] = {
    "q": st.sampled_from(["web", "WEB 1", "prod north", "10.0.0.9", "b", "STRASSE", "0001 linux"]),
    "system": st.sampled_from(["north", "NORTH", "none"]),
    "condition": st.sampled_from(Condition),
    "status": st.just("running"),
    "state": st.sampled_from(State),
    "cause": st.just(Cause.CRASHED),
    "guard": st.just("circuit_breaker_closed"),
    "enrolment": st.sampled_from(Enrolment),
    "tag": st.sampled_from(["env", "env/test", "tier/web"]),
    "node": TEXTS,
    "cluster": TEXTS,
}


@st.composite
def queries(draw: st.DrawFn) -> VMQuery:
    """Return queries with few filters: with many, nothing fits."""
    names = draw(st.lists(st.sampled_from(sorted(FILTER_VALUES)), max_size=2, unique=True))
    values = {name: draw(FILTER_VALUES[name]) for name in names}
    sort, page = draw(st.sampled_from(SORTS)), draw(st.integers(1, 3))
    return msgspec.convert(
        {**values, "sort": sort, "page": page, "per_page": draw(st.integers(1, 5))}, VMQuery
    )


QUERIES = queries()


def found(entries: tuple[VMEntry, ...], query: VMQuery) -> FoundVMs:
    return VMSearch().find(entries, query)


def fits(one: VMEntry, query: VMQuery) -> bool:
    texts = [one.name, one.node, one.cluster, one.os, one.system, one.uuid]
    texts += [*one.tags, *one.addresses]
    own: dict[str, list[str]] = {
        "system": [one.system], "condition": [one.condition], "status": [one.status],
        "state": [one.recovery_state], "cause": [one.cause], "guard": [one.failed_guard],
        "node": [one.node], "cluster": [one.cluster],
        "tag": [*one.tags, *(tag.split("/")[0] for tag in one.tags if "/" in tag)],
        "enrolment": ["monitored" if one.recovery_state else "not_monitored"],
    }  # fmt: skip
    if one.is_enrolled:
        own["enrolment"] = ["enrolled"]
    return all(
        any(word in text.casefold() for text in texts) for word in query.q.casefold().split()
    ) and all(
        not (value := getattr(query, name)) or value.casefold() in map(str.casefold, own[name])
        for name in FILTERS
    )


@settings(max_examples=300)  # two of eleven filters are drawn
@given(FLEETS, QUERIES)
def test_found_vms_are_those_of_the_plain_search(
    entries: tuple[VMEntry, ...], query: VMQuery
) -> None:
    result = found(entries, query)

    def amount(vms: list[VMEntry]) -> Counter[int]:
        return Counter(map(id, vms))

    assert amount([*result.vms]) == amount([one for one in entries if fits(one, query)])
    any_condition = msgspec.structs.replace(query, condition=None)
    assert result.conditions == Counter(
        one.condition for one in entries if fits(one, any_condition)
    )
    assert list(result.conditions) == [one for one in Condition if one in result.conditions]


@given(FLEETS, st.sampled_from(SORTS).map(lambda sort: VMQuery(sort=sort)))
def test_order_is_that_of_the_column_with_unknown_last_and_equal_ones_by_name(
    entries: tuple[VMEntry, ...], query: VMQuery
) -> None:
    column, descends = COLUMNS[query.sort.removeprefix("-")], query.sort.startswith("-")
    vms = found(entries, query).vms
    values = [column(one) for one in vms]
    known = [value for value in values if value is not None]

    assert values == sorted(known, reverse=descends) + [None] * (len(values) - len(known))
    for (one, value), (other, next_value) in zip(
        list(zip(vms, values, strict=True))[:-1],
        list(zip(vms, values, strict=True))[1:],
        strict=True,
    ):
        if value == next_value:
            assert one.name.casefold() <= other.name.casefold()


@given(FLEETS, QUERIES)
def test_pages_have_each_vm_once(entries: tuple[VMEntry, ...], query: VMQuery) -> None:
    whole = found(entries, query)
    pages = [
        found(entries, msgspec.structs.replace(query, page=number + 1))
        for number in range(whole.pages + 1)
    ]

    assert [one for page in pages for one in page.shown] == list(whole.vms)
    assert not pages[-1].shown
    assert all(len(page.shown) <= query.per_page for page in pages)


@given(QUERIES)
def test_query_survives_its_address(query: VMQuery) -> None:
    assert parse_query(parse_qsl(query_string(query))) == msgspec.structs.replace(
        query, node=query.node.strip(), cluster=query.cluster.strip()
    )


def test_text_is_made_anew_for_newer_entries() -> None:
    search, query = VMSearch(), VMQuery(q="web")

    assert len(search.find((vm("web"),), query).vms) == 1
    assert len(search.find((vm("db"),), query).vms) == 0


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (VMQuery(tag="environment"), ["a", "b"]),
        (VMQuery(tag="ENVIRONMENT/Test"), ["b"]),
        (VMQuery(tag="env"), []),
        (VMQuery(node="NODE2"), ["b"]),
        (VMQuery(node="node"), []),
        (VMQuery(q="node 2"), ["b"]),
        (VMQuery(q="HARBOUR a"), ["a", "b", "c"]),
        (VMQuery(enrolment=Enrolment.MONITORED), ["b"]),
        (VMQuery(enrolment=Enrolment.ENROLLED), ["a"]),
        (VMQuery(sort="cores"), ["b", "a", "c"]),
        (VMQuery(sort="-cores"), ["a", "b", "c"]),
    ],
)
def test_filters_are_whole_values_and_words_are_parts(query: VMQuery, names: list[str]) -> None:
    vms = (
        vm("a", tags=("environment/production",)),
        vm("b", tags=("environment/Test",), node="Node2", policy="no", cores=2),
        vm("c", tags=(), cores=None, recovery_state="", policy="", uuid="", addresses=()),
    )

    assert [one.name for one in found(vms, query).vms] == names


def test_address_is_sorted_as_a_number() -> None:
    vms = tuple(
        vm(address, addresses=(address,)) for address in ("10.0.0.10", "fd00::1", "10.0.0.9", "x")
    )

    ordered = found(vms, VMQuery(sort="address")).vms

    assert [one.name for one in ordered] == ["10.0.0.9", "10.0.0.10", "fd00::1", "x"]


def test_worst_condition_is_first_by_default() -> None:
    vms = tuple(vm(one, condition=one) for one in reversed(Condition))

    assert [one.condition for one in found(vms, VMQuery()).vms] == list(Condition)


def test_default_query_has_the_shortest_address() -> None:
    assert query_string(VMQuery()) == ""
    assert parse_query([("q", ""), ("node", "  "), ("page", "1")]) == VMQuery(per_page=PAGE_SIZE)


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (("conditon", "down"), "the parameter 'conditon' is unknown; did you mean condition?"),
        (("condition", "dwn"), "the parameter condition is 'dwn'; it is one of down, trouble, "),
        (("state", "well"), "the parameter state is 'well'; it is one of baseline, healthy, "),
        (("cause", "x"), "the parameter cause is 'x'; it is one of not_down_now, "),
        (
            ("enrolment", "yes"),
            "the parameter enrolment is 'yes'; it is one of enrolled",
        ),
        (("sort", "--cpu"), "the parameter sort is '--cpu'; it is one of condition, -condition, "),
        (("page", "0"), "the parameter page is '0'; it is 1 to 10000"),
        (("page", "-1"), "the parameter page is '-1'; it is 1 to 10000"),
        (("page", "99999999999999999999"), "the parameter page is '99999999999999999999'; it is 1"),
        (("page", "²"), "the parameter page is '²'; it is 1 to 10000"),
        (("per_page", "1001"), "the parameter per_page is '1001'; it is 1 to 1000"),
        (("q", "x" * (MAX_TEXT + 1)), "the parameter q is longer than 200 characters"),
    ],
)
def test_refusal_names_the_parameter_and_what_is_allowed(pair: tuple[str, str], told: str) -> None:
    with pytest.raises(InvalidQueryError) as refused:
        parse_query([pair])

    assert str(refused.value).startswith(told)


def test_parameter_twice_is_refused() -> None:
    with pytest.raises(InvalidQueryError, match="node is given twice"):
        parse_query([("node", "a"), ("node", "b")])


def test_unknown_parameter_is_ignored_only_on_request() -> None:
    assert parse_query([("utm", "x"), ("q", "a")], ignore_unknown=True) == VMQuery(q="a")

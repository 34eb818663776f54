"""The text equals the client library's, and incremental rendering equals rendering from scratch."""

from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_classic

from exporter.exposition.collector import ItemGroup
from exporter.exposition.formats import Format
from exporter.exposition.renderer import Rendered, Renderer
from exporter.exposition.view import REPORT
from exporter.model import Cluster, Identity, Node
from tests.exposition import strategies
from tests.exposition.builders import (
    RenderInput,
    config,
    disk,
    disk_stats,
    guest,
    inventory,
    load,
    nic,
    report,
    status,
    stopped,
    system,
)
from tests.exposition.pages import FAMILIES, page_of
from tests.exposition.reference import Reference
from tests.exposition.sample import NORTH_ROWS

many_examples = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def text(*systems: RenderInput, form: Format = Format.CLASSIC) -> str:
    return (
        page_of([Renderer(FAMILIES).render(*each) for each in systems], form)
        .plain(b"")
        .read()
        .decode()
    )


# Compared with the client library


@many_examples
@given(st.lists(st.tuples(strategies.any_rows, strategies.any_reports), max_size=2))
def test_page_equals_the_client_librarys_for_any_rows(
    given: list[tuple[strategies.Rows, Any]],
) -> None:
    systems: list[RenderInput] = [
        (inventory(rows, each.system_name, rows.get("identity")), each) for rows, each in given
    ]

    for form in Format:
        assert text(*systems, form=form).encode() == Reference(systems).text(form)


Sample = tuple[str, tuple[tuple[str, str], ...], str]


def samples(families: Iterable[Metric]) -> Counter[Sample]:
    """Return every sample of *families*, its value as text, because NaN does not equal NaN."""
    return Counter(
        (sample.name, tuple(sorted(sample.labels.items())), repr(float(sample.value)))
        for family in families
        for sample in family.samples
    )


@many_examples
@given(strategies.any_rows, strategies.any_reports)
def test_parsed_page_has_the_rendered_samples(rows: strategies.Rows, each: Any) -> None:
    system: RenderInput = (inventory(rows, each.system_name, rows.get("identity")), each)
    expected = samples(Reference([system]).collect())

    classic = samples(read_classic(text(system)))
    openmetrics = samples(
        read_openmetrics(text(system, form=Format.OPENMETRICS) + "# EOF\n")  # type: ignore[no-untyped-call]
    )

    assert classic == expected
    assert openmetrics == expected


@pytest.mark.parametrize("form", Format)
def test_system_without_an_inventory_has_only_the_series_of_its_report(form: Format) -> None:
    system: RenderInput = (None, report(up=False, taken_at=None))

    page = text(system, form=form)

    names = {line.partition("{")[0] for line in page.splitlines() if not line.startswith("#")}
    assert page.encode() == Reference([system]).text(form)
    assert 'vergewatch_up{system_name="prod"} 0.0' in page
    assert not any(name.startswith(("vergewatch_vm_", "vergewatch_node_")) for name in names)


def test_labels_are_sorted_by_name() -> None:
    rows = {"vms": (config(1, "web"),), "machine_nics": {11: (nic(1, 11, "lan"),)}}

    page = text((inventory(rows), report()))

    for line in page.splitlines():
        if not line.startswith("#"):
            labels = [pair.partition("=")[0] for pair in line[line.index("{") + 1 :].split(",")]
            labels = [label for label in labels if label.isidentifier()]
            assert labels == sorted(labels)


# Rendered incrementally


class Change(Enum):
    """What may happen to a table between two inventories, besides new rows."""

    KEEP = "the very same rows"
    STALE = "no rows, because they are stale"
    BACK = "the rows from before it was stale"


class Tables:
    """The tables of a system; an inventory is made of those that are fresh."""

    def __init__(self) -> None:
        self.fresh: dict[str, Any] = {}
        self.last: dict[str, Any] = {}

    def change(self, changes: dict[str, Any]) -> None:
        for table, change in changes.items():
            if change is Change.STALE:
                self.fresh.pop(table, None)
            elif change is Change.BACK:
                self.fresh |= {table: self.last[table]} if table in self.last else {}
            elif change is not Change.KEEP:
                self.fresh[table] = self.last[table] = change

    def render_input(self, name: str, each: Any) -> RenderInput:
        if not self.fresh:
            return None, each
        identity = self.last.get("identity")  # stays in use however old it is
        return inventory(dict(self.fresh), name, identity), each


def assert_same(incremental: Rendered, fresh: Rendered) -> None:
    for family in FAMILIES:
        assert incremental.segments[family.name] == fresh.segments[family.name], family.name
    assert incremental == fresh


any_changes = st.fixed_dictionaries(
    {
        table: st.sampled_from([Change.KEEP, Change.KEEP, Change.STALE, Change.BACK]) | rows
        for table, rows in strategies.few_rows.items()
    }
)
outages = st.just(dict.fromkeys(strategies.few_rows, Change.STALE))
recoveries = st.just(dict.fromkeys(strategies.few_rows, Change.BACK))
changes_of_one_table = st.sampled_from(sorted(strategies.few_rows)).flatmap(
    lambda table: st.fixed_dictionaries({table: strategies.few_rows[table] | st.just(Change.STALE)})
)
reports = st.builds(
    report,
    st.sampled_from(["prod", "prod", 'lab"']),
    up=st.booleans(),
    tables=strategies.few_tables,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    any_changes | st.just(NORTH_ROWS),
    st.lists(
        st.tuples(changes_of_one_table | any_changes | outages | recoveries | st.just({}), reports),
        max_size=7,
    ),
)
def test_incremental_rendering_equals_rendering_from_scratch(
    first: dict[str, Any], steps: list[tuple[dict[str, Any], Any]]
) -> None:
    tables, renderer = Tables(), Renderer(FAMILIES)
    tables.change(first)

    for changes, each in [({}, report()), *steps]:
        tables.change(changes)
        current = tables.render_input(each.system_name, each)

        assert_same(renderer.render(*current), Renderer(FAMILIES).render(*current))


OTHER_ROWS: strategies.Rows = {
    "identity": Identity("Renamed", "27.0.0"),
    "clusters": {1: Cluster(1, "Elsewhere"), 2: Cluster(2, "Nowhere")},
    "nodes": {
        key: msgspec.structs.replace(node, name=f"host{key}", maintenance=None)
        for key, node in NORTH_ROWS["nodes"].items()
    },
    "vms": tuple(
        msgspec.structs.replace(vm, name=f"new {vm.key}", cluster=2) for vm in NORTH_ROWS["vms"]
    ),
    "machine_status": {
        **{machine: stopped(machine) for machine in (11, 12, 13, 15, 91)},
        14: status(14),
    },
    "guests": {11: guest(hostname="new", fsinfo=[])},
    "machine_stats": {11: load(75.0, 1)},
    "machine_nics": {11: (nic(81, 11, "lan", rx_bytes=5),)},
    "machine_drives": {11: (disk(111, 11, "boot"), disk(112, 11, "scratch"))},
    "machine_drive_stats": {112: disk_stats(reads=5)},
}
"""By table, rows that differ from the sample's in every possible value."""


@pytest.mark.parametrize("table", sorted(NORTH_ROWS))
def test_change_of_one_table_is_rendered_as_from_scratch(table: str) -> None:
    changed = NORTH_ROWS | {table: OTHER_ROWS[table]}
    without = {name: rows for name, rows in NORTH_ROWS.items() if name != table}
    renderer = Renderer(FAMILIES)

    for rows in (NORTH_ROWS, changed, NORTH_ROWS, without, NORTH_ROWS, without, changed, without):
        current = system(rows)

        assert_same(renderer.render(*current), Renderer(FAMILIES).render(*current))


def rendered_group(group: ItemGroup, rows: strategies.Rows) -> list[bytes]:
    """Return the text of each family of *group* for *rows*."""
    rendered = Renderer(FAMILIES).render(*system(rows))
    return [
        b"".join(rendered.segments[family.name].texts(10_000))
        for family in FAMILIES
        if family.group is group
    ]


@pytest.mark.parametrize(
    ("group", "table"),
    [
        (group, table)
        for group in dict.fromkeys(family.group for family in FAMILIES)
        for table in sorted(group.tables - {REPORT})
    ],
    ids=lambda value: value.name if isinstance(value, ItemGroup) else value,
)
def test_change_of_a_declared_table_changes_the_group(group: ItemGroup, table: str) -> None:
    assert rendered_group(group, NORTH_ROWS) != rendered_group(
        group, NORTH_ROWS | {table: OTHER_ROWS[table]}
    )


@pytest.mark.parametrize("table", sorted(NORTH_ROWS))
def test_change_of_an_undeclared_table_does_not_change_the_group(table: str) -> None:
    changed = NORTH_ROWS | {table: OTHER_ROWS[table]}

    for group in dict.fromkeys(family.group for family in FAMILIES):
        if table not in group.tables:
            assert rendered_group(group, NORTH_ROWS) == rendered_group(group, changed), group.name


def render_change(
    before: strategies.Rows, after: strategies.Rows, *names: str
) -> tuple[Rendered, str]:
    """
    Render *before*, then *after*, and return the result and its page.

    Args:
        names: The system's name before and after.

    """
    renderer = Renderer(FAMILIES)
    first, second = names or ("prod", "prod")
    renderer.render(inventory(before, first, before.get("identity")), report(first))
    last: RenderInput = (inventory(after, second, after.get("identity")), report(second))
    rendered = renderer.render(*last)
    assert_same(rendered, Renderer(FAMILIES).render(*last))
    return rendered, page_of([rendered], Format.CLASSIC).plain(b"").read().decode()


WEB: strategies.Rows = {
    "vms": (config(1, "web"),),
    "machine_status": {11: status(11)},
    "machine_nics": {11: (nic(81, 11, "lan"),)},
    "machine_drives": {11: (disk(111, 11, "root"),)},
}


def test_renamed_vm_has_no_series_with_its_old_name() -> None:
    _, page = render_change(WEB, WEB | {"vms": (config(1, "shop"),)})

    assert 'vm_name="web"' not in page
    assert 'nic="lan",system_name="prod",vm_id="1",vm_name="shop"' in page


def test_renamed_system_has_no_series_with_its_old_name() -> None:
    _, page = render_change(WEB, WEB, "prod", "prime")

    assert "prod" not in page
    assert 'nic="lan",system_name="prime"' in page


def test_removed_vm_has_no_nic_and_disk_series_although_their_tables_are_unchanged() -> None:
    _, page = render_change(WEB, WEB | {"vms": ()})

    assert "vm_id=" not in page


def test_stale_table_exports_no_series_and_other_tables_do() -> None:
    _, page = render_change(
        WEB, {name: rows for name, rows in WEB.items() if name != "machine_nics"}
    )

    assert "nic=" not in page
    assert 'disk="root"' in page


def test_new_version_replaces_the_old_one() -> None:
    before, after = (
        {"vms": (), "identity": Identity("Nordwolke", version)} for version in ("26.1.8", "26.2.0")
    )

    _, page = render_change(before, after)

    assert 'version="26.2.0"' in page
    assert "26.1.8" not in page


@pytest.mark.parametrize("first", ["with an inventory", "without an inventory"])
def test_identity_without_its_table_is_rendered_as_from_scratch(first: str) -> None:
    identity = Identity("Nordwolke", "26.1.8")
    inputs: list[RenderInput] = [
        (inventory({"vms": ()}, identity=identity), report()),
        (None, report(up=False)),
    ]
    before, after = inputs if first == "with an inventory" else reversed(inputs)
    renderer = Renderer(FAMILIES)
    renderer.render(*before)

    assert_same(renderer.render(*after), Renderer(FAMILIES).render(*after))


def test_unchanged_family_is_not_rendered_again() -> None:
    renderer = Renderer(FAMILIES)
    first = renderer.render(inventory(WEB), report())

    again = renderer.render(inventory(dict(WEB)), report(requests_remaining=5))
    equal = renderer.render(inventory(WEB | {"machine_status": {11: status(11)}}), report())

    for family in FAMILIES:
        name = family.name
        if name != "vergewatch_api_requests_remaining":
            assert again.segments[name] is first.segments[name]
            assert equal.segments[name] is first.segments[name]


def test_only_the_changed_families_of_a_group_are_rendered_again() -> None:
    renderer = Renderer(FAMILIES)
    first = renderer.render(inventory(WEB), report())

    second = renderer.render(
        inventory(WEB | {"machine_status": {11: status(11, migratable=False)}}), report()
    )

    changed = {
        family.name
        for family in FAMILIES
        if second.segments[family.name] is not first.segments[family.name]
    }
    assert changed == {"vergewatch_vm_migratable"}


# Duplicate series

DUPLICATES: strategies.Rows = {
    "vms": (config(1, "web"),),
    "machine_nics": {11: (nic(1, 11, "lan"), nic(2, 11, "lan"))},
}


def test_second_of_two_items_with_the_same_identity_is_dropped_and_reported() -> None:
    first, second = nic(1, 11, "lan", rx_bytes=111), nic(2, 11, "lan", rx_bytes=222)
    rows = DUPLICATES | {"machine_nics": {11: (first, second)}}

    rendered, page = render_change(WEB, rows)

    assert rendered.duplicates == ('nic="lan",system_name="prod",vm_id="1",vm_name="web"',)
    assert page.count("vergewatch_vm_nic_receive_bytes_total{") == 1
    assert page.count("vergewatch_vm_nic_status_info{") == 1
    assert page.splitlines()[-1] != ""
    assert "} 111.0" in page
    assert "} 222.0" not in page


def test_duplicates_are_reported_while_they_exist() -> None:
    renderer = Renderer(FAMILIES)

    reported = [
        len(renderer.render(inventory(rows), report()).duplicates)
        for rows in (
            DUPLICATES,
            DUPLICATES,
            DUPLICATES | {"machine_status": {}},
            WEB,
            DUPLICATES,
            DUPLICATES,
        )
    ]

    assert reported == [1, 1, 1, 0, 1, 1]


def test_second_duplicate_is_exported_when_the_first_is_removed() -> None:
    only_second = {
        "vms": DUPLICATES["vms"],
        "machine_nics": {11: (nic(2, 11, "lan", rx_bytes=222),)},
    }

    rendered, page = render_change(DUPLICATES, only_second)

    assert rendered.duplicates == ()
    assert "} 222.0" in page


def test_duplicate_is_no_longer_reported_when_it_is_removed() -> None:
    first, second = DUPLICATES["machine_nics"][11]
    renderer = Renderer(FAMILIES)
    renderer.render(inventory(DUPLICATES | {"machine_nics": {11: (first, second)}}), report())

    rendered = renderer.render(inventory(DUPLICATES | {"machine_nics": {11: (first,)}}), report())

    assert rendered.duplicates == ()


def test_duplicates_are_dropped_in_every_group() -> None:
    rows = {
        "vms": (config(1, "web"),),
        "nodes": {
            key: Node(key, "same", None, 91, maintenance=False, status=None) for key in (1, 2)
        },
        "machine_status": {91: status(91)},
        "machine_drives": {11: (disk(1, 11, "root"), disk(2, 11, "root"))},
        "machine_drive_stats": {1: disk_stats(reads=111), 2: disk_stats(reads=222)},
    }
    duplicated = system(rows)

    rendered = Renderer(FAMILIES).render(*duplicated)

    assert text(duplicated).encode() == Reference([duplicated]).text(Format.CLASSIC)
    assert Counter(rendered.duplicates) == {
        'node_name="same",system_name="prod"': 3,
        'disk="root",system_name="prod",vm_id="1",vm_name="web"': 2,
    }


def swapped(rows: strategies.Rows) -> strategies.Rows:
    return rows | {"machine_nics": {11: tuple(reversed(rows["machine_nics"][11]))}}


@pytest.mark.parametrize("change", [swapped, dict])
def test_reordered_duplicates_are_rendered_as_from_scratch(
    change: Callable[[strategies.Rows], strategies.Rows],
) -> None:
    distinct = DUPLICATES | {
        "machine_nics": {11: (nic(1, 11, "lan", rx_bytes=1), nic(2, 11, "lan", rx_bytes=2))}
    }

    render_change(distinct, change(distinct))
    render_change(change(distinct), distinct)

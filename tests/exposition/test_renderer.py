"""The bytes are the client library's, and what is remembered never shows an old fact."""

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

from exporter.exposition.collector import REPORT, ItemGroup
from exporter.exposition.formats import Format
from exporter.exposition.renderer import Rendered, Renderer
from exporter.model import Cluster, Identity, MachineStats, Node
from tests.exposition import strategies
from tests.exposition.pages import FAMILIES, page_of
from tests.exposition.reference import Reference
from tests.exposition.sample import NORTH_ROWS
from tests.exposition.builders import (
    GUEST,
    Cloud,
    config,
    disk,
    disk_stats,
    inventory,
    nic,
    report,
    status,
    stopped,
    system,
)

wide = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def text(*systems: Cloud, form: Format = Format.CLASSIC) -> str:
    return page_of([Renderer(FAMILIES).render(*each) for each in systems], form).plain(b"").decode()


# As the client library writes it


@wide
@given(st.lists(st.tuples(strategies.any_rows, strategies.any_reports), max_size=2))
def test_whatever_is_in_a_fleet_the_bytes_are_the_client_librarys(
    given: list[tuple[strategies.Rows, Any]],
) -> None:
    systems: list[Cloud] = [
        (inventory(rows, each.system_name, rows.get("identity")), each) for rows, each in given
    ]

    for form in Format:
        assert text(*systems, form=form).encode() == Reference(systems).text(form)


Sample = tuple[str, tuple[tuple[str, str], ...], str]


def samples(families: Iterable[Metric]) -> Counter[Sample]:
    """Return every sample of *families*, its number as text: NaN is equal to NaN there."""
    return Counter(
        (sample.name, tuple(sorted(sample.labels.items())), repr(float(sample.value)))
        for family in families
        for sample in family.samples
    )


@wide
@given(strategies.any_rows, strategies.any_reports)
def test_what_is_written_is_what_is_read_back(rows: strategies.Rows, each: Any) -> None:
    system: Cloud = (inventory(rows, each.system_name, rows.get("identity")), each)
    meant = samples(Reference([system]).collect())

    classic = samples(read_classic(text(system)))
    openmetrics = samples(
        read_openmetrics(text(system, form=Format.OPENMETRICS) + "# EOF\n")  # type: ignore[no-untyped-call]
    )

    assert classic == meant
    assert openmetrics == meant


@pytest.mark.parametrize("form", Format)
def test_a_cloud_of_which_nothing_is_known_shows_only_its_report(form: Format) -> None:
    system: Cloud = (None, report(up=False, taken_at=None))

    page = text(system, form=form)

    names = {line.partition("{")[0] for line in page.splitlines() if not line.startswith("#")}
    assert page.encode() == Reference([system]).text(form)
    assert 'vergewatch_up{system_name="prod"} 0.0' in page
    assert not any(name.startswith(("vergewatch_vm_", "vergewatch_node_")) for name in names)


def test_labels_are_in_the_order_of_their_names() -> None:
    rows = {"vms": (config(1, "web"),), "machine_nics": {11: (nic(1, 11, "lan"),)}}

    page = text((inventory(rows), report()))

    for line in page.splitlines():
        if not line.startswith("#"):
            labels = [part.partition("=")[0] for part in line[line.index("{") + 1 :].split(",")]
            labels = [label for label in labels if label.isidentifier()]
            assert labels == sorted(labels)


# Drawn again and again


class Turn(Enum):
    """What may happen to a table between two pictures, besides news."""

    KEEP = "the very same rows"
    STALE = "too old to be believed"
    BACK = "the rows that were there before it was stale"


class World:
    """A cloud's tables, read one by one; each picture rests on those that are fresh."""

    def __init__(self) -> None:
        self.fresh: dict[str, Any] = {}
        self.last: dict[str, Any] = {}

    def turn(self, changes: dict[str, Any]) -> None:
        for table, change in changes.items():
            if change is Turn.STALE:
                self.fresh.pop(table, None)
            elif change is Turn.BACK:
                self.fresh |= {table: self.last[table]} if table in self.last else {}
            elif change is not Turn.KEEP:
                self.fresh[table] = self.last[table] = change

    def inventory(self, name: str, each: Any) -> Cloud:
        if not self.fresh:
            return None, each
        identity = self.last.get("identity")  # believed however old it is
        return inventory(dict(self.fresh), name, identity), each


def assert_same(ours: Rendered, fresh: Rendered) -> None:
    for family in FAMILIES:
        assert ours.segments[family.name] == fresh.segments[family.name], family.name
    assert ours == fresh


turns = st.fixed_dictionaries(
    {
        table: st.sampled_from([Turn.KEEP, Turn.KEEP, Turn.STALE, Turn.BACK]) | rows
        for table, rows in strategies.few_rows.items()
    }
)
outages = st.just(dict.fromkeys(strategies.few_rows, Turn.STALE))
recoveries = st.just(dict.fromkeys(strategies.few_rows, Turn.BACK))
news_of_one = st.sampled_from(sorted(strategies.few_rows)).flatmap(
    lambda table: st.fixed_dictionaries({table: strategies.few_rows[table] | st.just(Turn.STALE)})
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
    turns | st.just(NORTH_ROWS),
    st.lists(
        st.tuples(news_of_one | turns | outages | recoveries | st.just({}), reports), max_size=7
    ),
)
def test_drawing_on_what_was_drawn_is_drawing_from_scratch(
    beginning: dict[str, Any], steps: list[tuple[dict[str, Any], Any]]
) -> None:
    world, renderer = World(), Renderer(FAMILIES)
    world.turn(beginning)

    for changes, each in [({}, report()), *steps]:
        world.turn(changes)
        inventory = world.inventory(each.system_name, each)

        assert_same(renderer.render(*inventory), Renderer(FAMILIES).render(*inventory))


NEWS: strategies.Rows = {
    "identity": Identity("Renamed", "27.0.0"),
    "vm_snapshots": 8,
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
    "guests": {11: msgspec.structs.replace(GUEST, hostname="new", filesystems=())},
    "machine_stats": {11: MachineStats(11, 0.75, 1)},
    "machine_nics": {11: (nic(81, 11, "lan", received_bytes=5),)},
    "machine_drives": {11: (disk(111, 11, "boot"), disk(112, 11, "scratch"))},
    "machine_drive_stats": {112: disk_stats(112, reads=5)},
}
"""Of every table a reading that differs from the sample's wherever it can."""


@pytest.mark.parametrize("table", sorted(NORTH_ROWS))
def test_news_of_one_table_alone_are_drawn_as_from_scratch(table: str) -> None:
    changed = NORTH_ROWS | {table: NEWS[table]}
    without = {name: rows for name, rows in NORTH_ROWS.items() if name != table}
    renderer = Renderer(FAMILIES)

    for rows in (NORTH_ROWS, changed, NORTH_ROWS, without, NORTH_ROWS, without, changed, without):
        inventory = system(rows)

        assert_same(renderer.render(*inventory), Renderer(FAMILIES).render(*inventory))


def rendered_in(part: ItemGroup, rows: strategies.Rows) -> list[bytes]:
    """Return what a part shows of *rows*, family by family."""
    rendered = Renderer(FAMILIES).render(*system(rows))
    return [rendered.segments[family.name].text for family in FAMILIES if family.group is part]


@pytest.mark.parametrize(
    ("part", "table"),
    [
        (part, table)
        for part in dict.fromkeys(family.group for family in FAMILIES)
        for table in sorted(part.tables - {REPORT})
    ],
    ids=lambda value: value.name if isinstance(value, ItemGroup) else value,
)
def test_every_table_that_a_part_rests_on_makes_a_difference_to_it(
    part: ItemGroup, table: str
) -> None:
    assert rendered_in(part, NORTH_ROWS) != rendered_in(part, NORTH_ROWS | {table: NEWS[table]})


@pytest.mark.parametrize("table", sorted(NORTH_ROWS))
def test_a_part_is_not_touched_by_a_table_that_it_does_not_rest_on(table: str) -> None:
    changed = NORTH_ROWS | {table: NEWS[table]}

    for part in dict.fromkeys(family.group for family in FAMILIES):
        if table not in part.tables:
            assert rendered_in(part, NORTH_ROWS) == rendered_in(part, changed), part.name


def changing(before: strategies.Rows, after: strategies.Rows, *names: str) -> tuple[Rendered, str]:
    """Draw *before*, then *after*, and return how it looks; *names* are the cloud's, in turn."""
    renderer = Renderer(FAMILIES)
    first, second = names or ("prod", "prod")
    renderer.render(inventory(before, first, before.get("identity")), report(first))
    last: Cloud = (inventory(after, second, after.get("identity")), report(second))
    rendered = renderer.render(*last)
    assert_same(rendered, Renderer(FAMILIES).render(*last))
    return rendered, page_of([rendered], Format.CLASSIC).plain(b"").decode()


WEB: strategies.Rows = {
    "vms": (config(1, "web"),),
    "machine_status": {11: status(11)},
    "machine_nics": {11: (nic(81, 11, "lan"),)},
    "machine_drives": {11: (disk(111, 11, "root"),)},
}


def test_a_renamed_vm_has_its_old_name_nowhere() -> None:
    _, page = changing(WEB, WEB | {"vms": (config(1, "shop"),)})

    assert 'vm_name="web"' not in page
    assert 'nic="lan",system_name="prod",vm_id="1",vm_name="shop"' in page


def test_a_renamed_cloud_has_its_old_name_nowhere() -> None:
    _, page = changing(WEB, WEB, "prod", "prime")

    assert "prod" not in page
    assert 'nic="lan",system_name="prime"' in page


def test_a_removed_vm_takes_its_parts_along_though_their_tables_did_not_change() -> None:
    _, page = changing(WEB, WEB | {"vms": ()})

    assert "vm_id=" not in page


def test_a_stale_table_takes_its_series_along_and_leaves_the_others() -> None:
    _, page = changing(WEB, {name: rows for name, rows in WEB.items() if name != "machine_nics"})

    assert "nic=" not in page
    assert 'disk="root"' in page


def without_identity(cloud_name: str = "Nordwolke") -> strategies.Rows:
    return {"vms": (), "identity": Identity(cloud_name, "26.1.8")}


def test_a_new_version_is_shown() -> None:
    _, page = changing(without_identity(), {"vms": (), "identity": Identity("Nordwolke", "26.2.0")})

    assert 'version="26.2.0"' in page
    assert "26.1.8" not in page


@pytest.mark.parametrize("first", ["with a picture", "without one"])
def test_an_identity_that_outlives_its_table_is_drawn_as_from_scratch(first: str) -> None:
    identity = Identity("Nordwolke", "26.1.8")
    seen: list[Cloud] = [
        (inventory({"vms": ()}, identity=identity), report()),
        (None, report(up=False)),
    ]
    before, after = seen if first == "with a picture" else reversed(seen)
    renderer = Renderer(FAMILIES)
    renderer.render(*before)

    assert_same(renderer.render(*after), Renderer(FAMILIES).render(*after))


def test_what_did_not_change_is_not_written_again() -> None:
    renderer = Renderer(FAMILIES)
    first = renderer.render(inventory(WEB), report())

    again = renderer.render(inventory(dict(WEB)), report(requests_remaining=5))
    equal = renderer.render(inventory(WEB | {"machine_status": {11: status(11)}}), report())

    for family in FAMILIES:
        name = family.name
        if name != "vergewatch_api_requests_remaining":
            assert again.segments[name] is first.segments[name]
            assert equal.segments[name] is first.segments[name]


def test_of_one_part_only_the_families_that_changed_are_written_again() -> None:
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


# Series that would be there twice


TWINS: strategies.Rows = {
    "vms": (config(1, "web"),),
    "machine_nics": {11: (nic(1, 11, "lan"), nic(2, 11, "lan"))},
}


def test_the_second_of_two_parts_with_one_identity_is_left_out_and_told() -> None:
    first, second = nic(1, 11, "lan", received_bytes=111), nic(2, 11, "lan", received_bytes=222)
    rows = TWINS | {"machine_nics": {11: (first, second)}}

    rendered, page = changing(WEB, rows)

    assert rendered.duplicates == ('nic="lan",system_name="prod",vm_id="1",vm_name="web"',)
    assert page.count("vergewatch_vm_nic_receive_bytes_total{") == 1
    assert page.count("vergewatch_vm_nic_status_info{") == 1
    assert page.splitlines()[-1] != ""
    assert "} 111.0" in page
    assert "} 222.0" not in page


def test_twins_are_told_as_long_as_they_are_there() -> None:
    renderer = Renderer(FAMILIES)

    told = [
        len(renderer.render(inventory(rows), report()).duplicates)
        for rows in (TWINS, TWINS, TWINS | {"machine_status": {}}, WEB, TWINS, TWINS)
    ]

    assert told == [1, 1, 1, 0, 1, 1]


def test_when_the_first_of_two_goes_the_second_takes_its_place() -> None:
    alone = {"vms": TWINS["vms"], "machine_nics": {11: (nic(2, 11, "lan", received_bytes=222),)}}

    rendered, page = changing(TWINS, alone)

    assert rendered.duplicates == ()
    assert "} 222.0" in page


def test_when_the_second_of_two_goes_it_is_told_no_longer() -> None:
    first, second = TWINS["machine_nics"][11]
    renderer = Renderer(FAMILIES)
    renderer.render(inventory(TWINS | {"machine_nics": {11: (first, second)}}), report())

    rendered = renderer.render(inventory(TWINS | {"machine_nics": {11: (first,)}}), report())

    assert rendered.duplicates == ()


def test_twins_are_left_out_of_every_part_that_shows_them() -> None:
    rows = {
        "vms": (config(1, "web"),),
        "nodes": {
            key: Node(key, "same", None, 91, maintenance=False, status=None) for key in (1, 2)
        },
        "machine_status": {91: status(91)},
        "machine_drives": {11: (disk(1, 11, "root"), disk(2, 11, "root"))},
        "machine_drive_stats": {1: disk_stats(1, reads=111), 2: disk_stats(2, reads=222)},
    }
    inventory = system(rows)

    rendered = Renderer(FAMILIES).render(*inventory)

    assert text(inventory).encode() == Reference([inventory]).text(Format.CLASSIC)
    assert Counter(rendered.duplicates) == {
        'node="same",system_name="prod"': 2,
        'disk="root",system_name="prod",vm_id="1",vm_name="web"': 2,
    }


def swapped(rows: strategies.Rows) -> strategies.Rows:
    return rows | {"machine_nics": {11: tuple(reversed(rows["machine_nics"][11]))}}


@pytest.mark.parametrize("change", [swapped, dict])
def test_twins_that_change_places_are_drawn_as_from_scratch(
    change: Callable[[strategies.Rows], strategies.Rows],
) -> None:
    numbered = TWINS | {
        "machine_nics": {
            11: (nic(1, 11, "lan", received_bytes=1), nic(2, 11, "lan", received_bytes=2))
        }
    }

    changing(numbered, change(numbered))
    changing(change(numbered), numbered)

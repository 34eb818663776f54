"""What the catalogue promises of every family in it."""

import re

import pytest

from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS, FAMILIES
from exporter.collectors.system import SNAPSHOTS
from exporter.exposition.collector import REPORT, UNITS, Family, ItemGroup, Kind, one, unit_of
from exporter.vergeos.source import IDENTITY

PARTS = sorted({family.group for family in FAMILIES}, key=lambda part: part.name)
LABEL = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = {"job", "instance", "le", "quantile", "alertname", "alertstate", "severity"}

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
every_part = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)


def test_names_are_unique_in_both_formats() -> None:
    names = [family.name for family in FAMILIES]
    in_openmetrics = [name.removesuffix("_total") for name in names]

    assert len(set(names)) == len(names)
    assert len(set(in_openmetrics)) == len(names)


@every_family
def test_a_name_is_ours_and_legal(family: Family) -> None:
    assert re.fullmatch(r"vergewatch_[a-z][a-z0-9]*(_[a-z0-9]+)*", family.name)


@every_family
def test_counters_end_in_total_and_nothing_else_does(family: Family) -> None:
    assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)


@every_family
def test_no_name_looks_like_a_part_of_another_kind(family: Family) -> None:
    assert not family.name.endswith(("_bucket", "_count", "_sum", "_created", "_gsum", "_gcount"))
    assert not re.search(
        r"_(gauge|counter|milliseconds|ms|kb|mb|mib|percent|pct)(_|$)", family.name
    )


@every_family
def test_a_unit_is_what_the_name_ends_in(family: Family) -> None:
    stem = family.name.removesuffix("_total")

    if family.unit:
        assert stem.endswith(f"_{family.unit}")
    else:
        assert not stem.endswith(tuple(f"_{unit}" for unit in UNITS))


def test_the_longest_unit_that_fits_is_taken() -> None:
    assert unit_of("vm_nic_speed_bytes_per_second") == "bytes_per_second"
    assert unit_of("vm_disk_size_bytes") == "bytes"
    assert unit_of("kilobytes") == ""


@every_family
def test_a_point_in_time_says_so(family: Family) -> None:
    about_time = family.help.startswith("When ")

    assert family.name.endswith("_timestamp_seconds") == about_time


@every_family
def test_help_is_one_plain_sentence(family: Family) -> None:
    assert not set(family.help) & set('"\\\n\r')
    assert family.help == family.help.strip()
    assert family.help.endswith(".")
    assert family.help[0].isupper() or family.help[0].isdigit()


@every_family
def test_help_names_the_field_it_comes_from(family: Family) -> None:
    if family.source:
        assert family.help.endswith(f" ({family.source}).")
    else:
        assert family.group.tables == {"report"}  # what we know of ourselves


TABLES = tables_of(COLLECTORS)
ASKED_FOR = {
    (table.endpoint, field.split(" as ")[0].removesuffix("[all]"))
    for table in TABLES
    for field in table.fields
} | {("version", "json"), ("settings", "cloud_name")}


@every_family
def test_the_field_it_comes_from_is_one_that_we_ask_for(family: Family) -> None:
    for source in filter(None, family.source.split(", ")):
        table, _, field = source.partition(".")
        if field:
            assert (table, field.split(".")[0]) in ASKED_FOR
        else:
            assert table in {asked for asked, _ in ASKED_FOR}


@every_family
def test_labels_are_legal_few_and_nobody_elses(family: Family) -> None:
    labels = family.labels

    assert len(set(labels)) == len(labels)
    assert len(labels) <= 12
    for label in labels:
        assert LABEL.fullmatch(label)
        assert label not in RESERVED
        assert not label.startswith(("exported_", "__"))


@every_family
def test_every_series_says_which_cloud_it_is_of(family: Family) -> None:
    assert family.labels[0] == "system_name"


@every_family
def test_what_is_of_a_vm_says_which(family: Family) -> None:
    names = ("vergewatch_vm_", "vergewatch_recovery_vm_")
    of_a_vm = family.name.startswith(names) and family.group is not SNAPSHOTS

    assert (family.labels[:3] == ("system_name", "vm_id", "vm_name")) == of_a_vm
    if of_a_vm:
        assert len(family.group.labels) <= 4


@every_family
def test_words_are_for_info_families_and_those_have_no_number(family: Family) -> None:
    assert family.name.endswith("_info") == bool(family.info_labels)
    if family.info_labels:
        assert family.kind is Kind.GAUGE
        assert family.unit == ""
        assert family.read is one
        assert family.read(object()) == 1.0
    else:
        assert family.read is not one


@every_family
def test_what_changes_in_a_vms_life_is_a_label_of_info_families_only(family: Family) -> None:
    changing = {"cluster", "node", "status", "uuid", "ha_group", "os_family", "agent_version"}
    if family.name.startswith("vergewatch_vm_") and not family.info_labels:
        assert not changing & set(family.labels)


@every_part
def test_a_part_rests_on_tables_that_exist(part: ItemGroup) -> None:
    assert part.tables <= {table.name for table in TABLES} | {REPORT, IDENTITY}
    assert part.tables


@every_part
def test_parts_have_names_and_labels_of_their_own(part: ItemGroup) -> None:
    assert [other for other in PARTS if other.name == part.name] == [part]
    assert len(set(part.labels)) == len(part.labels)

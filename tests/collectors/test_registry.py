"""Rules that every registered metric family and item group follows."""

import re

import pytest

from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS, FAMILIES
from exporter.exposition.collector import UNITS, Family, ItemGroup, Kind, one, unit_of
from exporter.exposition.view import DOCTOR, FROZEN, REPORT, UPDATED
from exporter.model import IDENTITY
from exporter.telemetry import INSTRUMENTS

GROUPS = sorted({family.group for family in FAMILIES}, key=lambda group: group.name)
LABEL = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = {"job", "instance", "le", "quantile", "alertname", "alertstate", "severity"}
TARGET_LABELS = {
    *("job", "instance", "prometheus", "monitor", "replica"),
    *("namespace", "pod", "container", "service", "endpoint", "node"),  # of its operator
    *("cluster", "host", "hostname", "region", "zone", "datacenter", "dc", "site", "rack"),
    *("location", "tenant", "customer", "team", "owner", "project", "environment", "env"),
    *("stage", "tier", "role", "app", "application", "component"),
}
"""Labels that sites set on targets: Prometheus renames a metric's own label of such a name."""

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
every_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)


def test_family_names_are_unique_in_both_formats() -> None:
    names = [family.name for family in FAMILIES]
    in_openmetrics = [name.removesuffix("_total") for name in names]

    assert len(set(names)) == len(names)
    assert len(set(in_openmetrics)) == len(names)


@every_family
def test_name_is_valid_and_has_the_prefix(family: Family) -> None:
    assert re.fullmatch(r"vergewatch_[a-z][a-z0-9]*(_[a-z0-9]+)*", family.name)


@every_family
def test_only_counters_end_in_total(family: Family) -> None:
    assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)


@every_family
def test_name_has_no_suffix_of_another_type_and_no_non_base_unit(family: Family) -> None:
    assert not family.name.endswith(("_bucket", "_count", "_sum", "_created", "_gsum", "_gcount"))
    assert not re.search(
        r"_(gauge|counter|milliseconds|ms|kb|mb|mib|percent|pct)(_|$)", family.name
    )


@every_family
def test_unit_is_the_suffix_of_the_name(family: Family) -> None:
    stem = family.name.removesuffix("_total")

    if family.unit:
        assert stem.endswith(f"_{family.unit}")
    else:
        assert not stem.endswith(tuple(f"_{unit}" for unit in UNITS))


def test_longest_matching_unit_is_used() -> None:
    assert unit_of("vm_nic_speed_bytes_per_second") == "bytes_per_second"
    assert unit_of("vm_disk_size_bytes") == "bytes"
    assert unit_of("kilobytes") == ""


@every_family
def test_only_timestamps_have_help_that_starts_with_when(family: Family) -> None:
    is_timestamp = family.help.startswith("When ")

    assert family.name.endswith("_timestamp_seconds") == is_timestamp


@every_family
def test_help_is_one_sentence_without_escapes(family: Family) -> None:
    assert not set(family.help) & set('"\\\n\r')
    assert family.help == family.help.strip()
    assert family.help.endswith(".")
    assert family.help[0].isupper() or family.help[0].isdigit()


@every_family
def test_help_ends_with_the_api_field(family: Family) -> None:
    if family.source:
        assert family.help.endswith(f" ({family.source}).")
    else:
        assert family.group.tables in ({REPORT}, {DOCTOR})  # from the daemon itself


TABLES = tables_of(COLLECTORS)
REQUESTED = {
    (table.endpoint, field.split(" as ")[0].removesuffix("[all]"))
    for table in TABLES
    for field in table.fields
} | {("version", "json"), ("settings", "cloud_name")}


@every_family
def test_source_field_is_requested(family: Family) -> None:
    for source in filter(None, family.source.split(", ")):
        table, _, field = source.partition(".")
        if field:
            assert (table, field.split(".")[0]) in REQUESTED
        else:
            assert table in {endpoint for endpoint, _ in REQUESTED}


@every_family
def test_labels_are_valid_few_and_not_reserved(family: Family) -> None:
    labels = family.labels

    assert len(set(labels)) == len(labels)
    assert len(labels) <= 12
    for label in labels:
        assert LABEL.fullmatch(label)
        assert label not in RESERVED
        assert not label.startswith(("exported_", "__"))


@every_family
def test_first_label_is_the_system(family: Family) -> None:
    assert family.labels[0] == "system_name"


@every_family
def test_vm_families_have_the_identity_labels_of_the_vm(family: Family) -> None:
    names = ("vergewatch_vm_", "vergewatch_recovery_vm_")
    is_vm_family = family.name.startswith(names)

    assert (family.labels[:3] == ("system_name", "vm_id", "vm_name")) == is_vm_family
    if is_vm_family:
        assert len(family.group.labels) <= 4


@every_family
def test_only_info_families_have_info_labels_and_their_value_is_one(family: Family) -> None:
    assert family.name.endswith("_info") == bool(family.info_labels)
    if family.info_labels:
        assert family.kind is Kind.GAUGE
        assert family.unit == ""
        assert family.read is one
        assert list(family.read([object()])) == [1.0]
    else:
        assert family.read is not one


@every_family
def test_label_that_can_change_is_only_on_info_families(family: Family) -> None:
    changing = {
        "cluster_name",
        "node_name",
        "status",
        "uuid",
        "ha_group",
        "os_family",
        "agent_version",
    }
    if family.name.startswith("vergewatch_vm_") and not family.info_labels:
        assert not changing & set(family.labels)


@pytest.mark.parametrize(
    ("metric", "labels"),
    [(one.name, one.labels) for one in (*FAMILIES, *INSTRUMENTS)],
    ids=[one.name for one in (*FAMILIES, *INSTRUMENTS)],
)
def test_no_label_has_the_name_of_a_common_target_label(
    metric: str, labels: tuple[str, ...]
) -> None:
    assert not TARGET_LABELS & set(labels), f"{metric}: a scrape would rename it to exported_..."


@every_group
def test_group_depends_on_existing_tables(group: ItemGroup) -> None:
    pseudo = {REPORT, IDENTITY, FROZEN, UPDATED, DOCTOR}
    assert group.tables <= {table.name for table in TABLES} | pseudo
    assert group.tables


@every_group
def test_group_has_a_unique_name_and_unique_labels(group: ItemGroup) -> None:
    assert [other for other in GROUPS if other.name == group.name] == [group]
    assert len(set(group.labels)) == len(group.labels)
